//! What is wrong with a file, a mapping or a command line as a whole, and what hides in them: told before anything is changed.

use std::fs;

use custodia_tests::{Sandbox, Suite, custodia};
use serde_json::json;

use crate::{ALL, Import, PARTLY_REFUSED, WRONG_INPUT, stored};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(what_is_not_there_or_not_what_it_should_be_is_wrong_input)
        .shared(a_request_file_is_held_to_the_same_values)
        .shared(a_mapping_that_contradicts_itself_or_the_catalogue_is_refused)
        .shared(what_a_file_says_in_two_ways_is_refused_with_its_rows)
        .shared(an_import_is_the_same_until_a_byte_of_its_file_changes)
        .shared(nothing_of_a_command_line_or_file_name_reaches_the_terminal_raw)
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> (i32, String) {
    let client = sandbox.client_file();
    let (code, output, errors) = custodia(&[&["--client", &client], arguments].concat());
    (code.unwrap(), format!("{output}{errors}"))
}

async fn what_is_not_there_or_not_what_it_should_be_is_wrong_input(sandbox: &Sandbox) {
    let loaded = Import::csv(sandbox, "wrong").load("a.csv", "id,name\na,Ada\n", &[]);
    assert_eq!(loaded.code, ALL, "{}", loaded.errors);
    let folder = sandbox.path().join("wrong");
    let at = |name: &str| folder.join(name).display().to_string();
    let (file, map, none) = (at("a.csv"), at("a.csv.toml"), at("none"));
    let rest = ["--purpose", "service"];
    for (file, map, source, state, named) in [
        (none.as_str(), map.as_str(), "s", "x", "none"),
        (&file, &none, "s", "x", "none"),
        (&file, &map, "s", &map, "is a file"),
        (&file, &map, "BAD S", "x", "--source"),
        ("-", &map, "s", "x", "must be a file"),
    ] {
        let state = folder.join(state).display().to_string();
        let import = ["import", file, "--mapping", map, "--source", source, "--state", &state];
        let (code, told) = run(sandbox, &[&import[..], &rest].concat());
        assert!(code == WRONG_INPUT && told.contains(named), "{named}: {code} {told}");
        assert!(!folder.join("x").exists(), "{named}");
    }
    for (name, text, told) in [
        ("array.jsonl", "[{\"id\":\"a\"}]", "jq -c"),
        ("twice.csv", "\u{feff}\u{feff}id,name\na,Ada\n", "two byte-order marks"),
        ("returns.csv", "id,name\ra,Ada\r", "carriage return"),
    ] {
        let format = if name.ends_with("jsonl") { "format = \"jsonl\"" } else { "" };
        let done = Import { format, ..Import::csv(sandbox, "wrong") }.load(name, text, &[]);
        assert!(done.code == WRONG_INPUT && done.errors.contains(told), "{name}: {}", done.errors);
    }
}

/// Regression: the library that reads the file rounded numbers, and took times that no other door takes.
async fn a_request_file_is_held_to_the_same_values(sandbox: &Sandbox) {
    let file = sandbox.path().join("values.json");
    let path = file.display().to_string();
    let consents = r#""consents": [{"purpose": "service", "notice_version": "v1", "method": "CONSENT_METHOD_EXPLICIT",
        "evidence": {"act": "AFFIRMATIVE_ACT_SIGNED"}}]"#;
    for (attribute, kind, value, code) in [
        ("points", "integer", "9007199254740993", ALL),
        ("points", "integer", "9007199254740993.0", WRONG_INPUT),
        ("points", "integer", "1e-400", WRONG_INPUT),
        ("given_name", "text", "\"\"", WRONG_INPUT),
        ("last_seen", "timestamp", "\"2026-01-02T03:04:05+25:00\"", WRONG_INPUT),
        ("last_seen", "timestamp", "\"2026-01-02t03:04:05Z\"", WRONG_INPUT),
        ("last_seen", "timestamp", "\"2026-01-02 03:04:05Z\"", WRONG_INPUT),
        ("last_seen", "timestamp", "\"2026-01-02T03:04:05.123456789Z\"", ALL),
    ] {
        let one = format!("{{\"attribute\": \"{attribute}\", \"value\": {{\"{kind}\": {value}}}}}");
        let request = |observations: &str| {
            format!(
                "{{\"purpose\": \"service\", \"source\": \"t\", \"observations\": [{observations}], {consents}}}"
            )
        };
        fs::write(&file, request(&one)).unwrap();
        let (done, told) = run(sandbox, &["profile", "ingest", "--file", &path]);
        assert_eq!(done, code, "{value}: {told}");
        let bare = value.trim_matches('"');
        let pair = format!("{attribute}={bare}");
        let set = ["profile", "ingest", "--purpose", "service", "--source", "t", "--set", &pair];
        let (done, told) = run(sandbox, &[&set[..], &["--consent", "service=v1:explicit:signed"]].concat());
        assert_eq!(done, code, "--set {pair}: {told}");
        fs::write(&file, request(&format!("{one}, {one}"))).unwrap();
        let (done, told) = run(sandbox, &["profile", "ingest", "--file", &path]);
        assert_eq!(done, WRONG_INPUT, "twice: {told}");
    }
}

async fn a_mapping_that_contradicts_itself_or_the_catalogue_is_refused(sandbox: &Sandbox) {
    for (format, mapping, named) in [
        ("columns = [\"id\", \"name\"]", "[attributes]\ngiven_name = \"name\"", "input.header"),
        ("", "[attributes]\ngiven_name = \"\"", "is empty"),
        (
            "",
            "[attributes]\ngiven_name = { column = \"name\", format = \"%Y\" }",
            "attributes.given_name: `format`",
        ),
    ] {
        let import = Import { format, mapping, ..Import::csv(sandbox, "contradictions") };
        let done = import.load("a.csv", "id,name,\na,Ada,x\n", &[]);
        assert!(done.code == WRONG_INPUT && done.errors.contains(named), "{named}: {}", done.errors);
    }
    let format = "header = false\ncolumns = [\"id\", \"name\"]";
    let done =
        Import { format, ..Import::csv(sandbox, "contradictions") }.load("b.csv", "a,Ada\nb,Bo\n", &[]);
    assert_eq!(done.counted(ALL), (2, 2, json!({})), "row 1 is data");
}

async fn what_a_file_says_in_two_ways_is_refused_with_its_rows(sandbox: &Sandbox) {
    let csv = Import::csv(sandbox, "two-ways");
    let done = csv.load("a.csv", "id,name\na,Ada\na,Eve\n  \nb,\"Bo\n\"\n", &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (3, 1, json!({ "ambiguous": 2 })));
    let rows: Vec<_> = done.refused().iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [1, 2]);
    assert_eq!(stored(sandbox, &done.customer("b").await, "given_name").await.as_deref(), Some("Bo\n"));
    let joined = csv.load("b.csv", "id,name\nc,Cy\n\u{feff}id,name\nd,Di\n", &[]);
    assert_eq!(joined.counted(PARTLY_REFUSED), (3, 2, json!({ "unreadable-row": 1 })));
    let jsonl = Import::jsonl(sandbox, "two-ways", "[attributes]\ngiven_name = \"name\"");
    let mark = jsonl.load("m.jsonl", "{\"id\":\"\u{feff}e\",\"name\":\"Ed\"}\n", &[]);
    assert_eq!(mark.counted(PARTLY_REFUSED), (1, 0, json!({ "unreadable-row": 1 })));
    let many = format!("{{\"id\":\"f\",\"name\":\"Flo\",\"more\":[{}0]}}\n", "0,".repeat(16_384));
    let many = jsonl.load("n.jsonl", many, &[]);
    assert_eq!(many.counted(PARTLY_REFUSED), (1, 0, json!({ "unreadable-row": 1 })));
}

/// Regression: `touch` made it another import, and an edit that kept the length and the ends did not.
async fn an_import_is_the_same_until_a_byte_of_its_file_changes(sandbox: &Sandbox) {
    let csv = Import::csv(sandbox, "bytes");
    let rows = format!("x,X,{}\n", "y".repeat(700_000)).repeat(2);
    let text = |name: &str| format!("id,name,more\n{rows}k,{name},\n{rows}");
    assert_eq!(csv.load("a.csv", text("Ada"), &[]).code, ALL);
    let again = csv.load("a.csv", text("Ada"), &[]);
    assert!(again.code == ALL && again.errors.contains("finished already"), "{}", again.errors);
    let edited = csv.load("a.csv", text("Eve"), &[]);
    assert!(edited.code == WRONG_INPUT && edited.errors.contains("another file"), "{}", edited.errors);
}

async fn nothing_of_a_command_line_or_file_name_reaches_the_terminal_raw(sandbox: &Sandbox) {
    const RAW: [char; 3] = ['\u{1b}', '\u{202e}', '\u{7}'];
    for arguments in [
        &["--output", "\u{1b}[31mfoo\u{202e}", "purpose", "list"][..],
        &["\u{1b}]0;pwn\u{7}"],
        &["import", "\u{1b}]0;pwn\u{7}.csv", "--mapping", "m", "--purpose", "p", "--source", "s"],
        &["--output=json", "\u{202e}foo"],
    ] {
        let (code, told) = run(sandbox, arguments);
        assert!(code == WRONG_INPUT && !told.contains(RAW), "{told:?}");
    }
    let hidden = Import::csv(sandbox, "raw").load(
        "f\u{1b}[31m\u{202e}.csv",
        "id,name\na,\"x\u{202e}\u{1b}\"\nb,\"B\"o\u{202e}\n",
        &[],
    );
    assert_eq!(hidden.counted(PARTLY_REFUSED).0, 2);
    let refused = fs::read_to_string(hidden.state.join("refused.jsonl")).unwrap();
    assert!(!refused.contains(RAW) && refused.contains("\\u202e"), "{refused:?}");
    assert_eq!(hidden.refused()[0]["data"]["name"], "x\u{202e}\u{1b}", "it says the same");
}
