//! Files as people have them, and the two doors, command line and API: what a file says is loaded as it says it, once; what
//! cannot be taken, or can be read in two ways, is refused by its place and its reason, and all else is loaded (IN-1, CO-3).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

mod decisions;
mod refusals;
mod sources;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use custodia_proto::v1;
use custodia_tests::sample::{self, get, new_customer, text_of};
use custodia_tests::{Options, Sandbox, Suite, custodia};
use serde_json::{Value, json};
use tonic::Code;

fn main() -> ExitCode {
    // Nothing fails over here: elections are as slow as in production, so that a busy machine causes none.
    let suite = Suite::sharing(Options { config: String::new(), ..Options::default() })
        .shared(a_byte_order_mark_loses_nothing_and_another_encoding_is_named)
        .shared(a_name_that_is_there_twice_is_refused_at_every_level)
        .shared(text_keeps_its_digits_and_a_number_is_exact_or_refused)
        .shared(a_value_of_any_length_costs_its_own_row_alone)
        .shared(an_address_has_line_ends_and_prints_on_one_line)
        .shared(another_delimiter_is_hinted_at_and_refused_rows_keep_their_bytes)
        .shared(who_was_refused_everything_was_not_updated)
        .shared(what_hides_or_reorders_is_escaped_wherever_it_prints)
        .shared(both_doors_take_and_refuse_the_same_values);
    sources::tests(decisions::tests(refusals::tests(suite))).run()
}

const ALL: i32 = 0;
const WRONG_INPUT: i32 = 2;
const PARTLY_REFUSED: i32 = 6;

/// An import of a file's bytes.
struct Import<'s> {
    sandbox: &'s Sandbox,
    source: &'s str,
    format: &'s str,
    /// The mapping after `[customer]`. The namespace of the keys has the name of the source.
    mapping: &'s str,
}

/// What an import did.
struct Done<'s> {
    sandbox: &'s Sandbox,
    source: &'s str,
    code: i32,
    counts: Value,
    errors: String,
    state: PathBuf,
}

impl<'s> Import<'s> {
    /// Loads the bytes as a new file. The consent to the purpose comes with the data and has the date of the file.
    fn load(&self, name: &str, bytes: impl AsRef<[u8]>, options: &[&str]) -> Done<'s> {
        let folder = self.sandbox.path().join(self.source);
        fs::create_dir_all(&folder).unwrap();
        let (file, map) = (folder.join(name), folder.join(format!("{name}.toml")));
        fs::write(&file, bytes).unwrap();
        let consent = "[[consents]]\npurpose = \"service\"\nnotice_version = \"v1\"\nmethod = \"explicit\"\nact = \"signed\"\n";
        let declared = "observed_at = { constant = \"2026-01-02\" }\n";
        let (source, defined) = (self.source, namespace(self.source, "text"));
        let mapping = format!(
            "{declared}[input]\n{}\n[customer]\nkey = [\"id\"]\nnamespace = \"{source}\"\n{}\n{consent}{defined}",
            self.format, self.mapping
        );
        fs::write(&map, mapping).unwrap();
        let client = self.sandbox.client_file();
        let (path, map) = (file.display().to_string(), map.display().to_string());
        let import = ["--output", "json", "--client", &client, "import", &path, "--mapping", &map];
        let rest = ["--purpose", "service", "--source", self.source, "--define"];
        let (code, output, errors) = custodia(&[&import[..], &rest, options].concat());
        let counts = serde_json::from_str(&output).unwrap_or(Value::Null);
        let (sandbox, state) = (self.sandbox, format!("{path}.custodia-import").into());
        Done { sandbox, source, code: code.unwrap(), counts, errors, state }
    }

    fn csv(sandbox: &'s Sandbox, source: &'s str) -> Import<'s> {
        Import { sandbox, source, format: "", mapping: "[attributes]\ngiven_name = \"name\"" }
    }

    fn jsonl(sandbox: &'s Sandbox, source: &'s str, mapping: &'s str) -> Import<'s> {
        Import { sandbox, source, format: "format = \"jsonl\"", mapping }
    }
}

impl Done<'_> {
    /// Fails unless the import ended with this code; the counts of rows, of values and of refusals.
    fn counted(&self, code: i32) -> (u64, u64, Value) {
        assert_eq!(self.code, code, "{} {}", self.counts, self.errors);
        let count = |name: &str| self.counts[name].as_u64().unwrap();
        (count("rows"), count("values_merged"), self.counts["refused"].clone())
    }

    fn refused(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state.join("refused.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn customer(&self, key: &str) -> String {
        known(self.sandbox, self.source, key).await.unwrap()
    }
}

/// A namespace as a mapping defines it.
fn namespace(id: &str, kind: &str) -> String {
    format!(
        "[[catalogue.namespaces]]\nid = \"{id}\"\nkind = \"{kind}\"\npurposes = [\"service\", \"marketing\"]\n"
    )
}

/// Who is known by an identifier.
async fn known(sandbox: &Sandbox, namespace: &str, value: &str) -> Option<String> {
    let identifier = Some(v1::Identifier { namespace: namespace.to_owned(), value: value.to_owned() });
    let purpose = "service".to_owned();
    let request = v1::LookupProfileRequest { identifier, purpose, ..Default::default() };
    match sandbox.client().lookup_profile(request).await {
        Ok(found) => Some(found.profiles[0].customer_id.clone()),
        Err(error) => {
            assert_eq!(error.code(), Code::NotFound, "{error}");
            None
        }
    }
}

async fn stored(sandbox: &Sandbox, customer: &str, attribute: &str) -> Option<String> {
    let profile = sandbox.client().get_profile(get(customer, "service")).await.unwrap();
    text_of(&profile, attribute)
}

/// Point 24.
async fn a_byte_order_mark_loses_nothing_and_another_encoding_is_named(sandbox: &Sandbox) {
    let csv = Import::csv(sandbox, "marks");
    let jsonl = Import::jsonl(sandbox, "marks", csv.mapping);
    let first = csv.load("a.csv", "\u{feff}id,name\na,Ada\nb,Bo\n", &[]);
    assert_eq!(first.counted(ALL), (2, 2, json!({})));
    let first = jsonl.load(
        "a.jsonl",
        "\u{feff}{\"id\":\"c\",\"name\":\"Cy\"}\n{\"id\":\"d\",\"name\":\"Di\"}\n",
        &[],
    );
    assert_eq!(first.counted(ALL), (2, 2, json!({})));
    assert_eq!(stored(sandbox, &first.customer("c").await, "given_name").await.as_deref(), Some("Cy"));
    let utf_16: Vec<u8> = "\u{feff}id,name\na,Ada\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, told) in
        [("w.csv", &utf_16[..], "UTF-16"), ("l.csv", b"id,name,stra\xdfe\na,b,c\n", "WINDOWS-1252")]
    {
        let other = csv.load(name, bytes, &[]);
        assert_eq!(other.code, WRONG_INPUT);
        assert!(other.errors.contains(told) && other.errors.contains("iconv"), "{}", other.errors);
    }
    let request = sandbox.path().join("marked.json");
    fs::write(&request, "\u{feff}{\"purpose\": \"service\", \"source\": \"tests\"}").unwrap();
    let (client, request) = (sandbox.client_file(), request.display().to_string());
    let (code, output, errors) = custodia(&["--client", &client, "profile", "ingest", "--file", &request]);
    assert_eq!(code, Some(ALL), "{output}{errors}");
}

/// Point 25: in the header, in the mapping, in each row of JSON and in a request file.
async fn a_name_that_is_there_twice_is_refused_at_every_level(sandbox: &Sandbox) {
    let twice = Import::csv(sandbox, "twice").load("a.csv", "id,name,name\na,Ada,Eve\n", &[]);
    assert_eq!(twice.code, WRONG_INPUT);
    assert!(twice.errors.contains("`name` twice, for columns 2 and 3"), "{}", twice.errors);
    let rows = "{\"id\":\"a\",\"name\":\"Ada\",\"name\":\"Eve\"}\n{\"id\":\"b\",\"name\":\"Bo\",\"x\":{\"y\":1,\"y\":2}}\n\
                {\"id\":\"c\",\"name\":\"Cy\"}\n";
    let rows =
        Import::jsonl(sandbox, "twice", "[attributes]\ngiven_name = \"name\"").load("a.jsonl", rows, &[]);
    assert_eq!(rows.counted(PARTLY_REFUSED), (3, 1, json!({ "unreadable-row": 2 })));
    assert!(rows.refused()[1]["refused"][0]["explanation"].as_str().unwrap().contains("\"y\" twice"));
    let quotes = Import::csv(sandbox, "twice").load("q.csv", "id,name\na,\"A\"da\nb, \"Bo\"\nc,Cy\n", &[]);
    assert_eq!(quotes.counted(PARTLY_REFUSED), (3, 1, json!({ "unreadable-row": 2 })));
    let file = sandbox.path().join("twice.json");
    let client = sandbox.client_file();
    let set = ["--set", "given_name=Ada", "--set", "given_name=Eve"];
    let start = ["--client", &client, "profile", "ingest", "--purpose", "service", "--source", "tests"];
    let (code, _, errors) = custodia(&[&start[..], &set].concat());
    assert!(code == Some(WRONG_INPUT) && errors.contains("given_name twice"), "{errors}");
    for text in [
        r#"{"purpose": "service", "source": "tests", "purpose": "marketing"}"#,
        r#"{"purpose": "service", "source": "tests", "requestId": "", "request_id": ""}"#,
    ] {
        fs::write(&file, text).unwrap();
        let (code, _, errors) =
            custodia(&["--client", &client, "profile", "ingest", "--file", &file.display().to_string()]);
        assert_eq!(code, Some(WRONG_INPUT), "{errors}");
    }
}

/// Point 26.
async fn text_keeps_its_digits_and_a_number_is_exact_or_refused(sandbox: &Sandbox) {
    let mapping = "[attributes]\ngiven_name = \"name\"\nbalance = \"sum\"\npoints = \"points\"";
    let rows = "{\"id\":\"a\",\"name\":1.10,\"sum\":1.10}\n{\"id\":\"b\",\"name\":1e3,\"points\":1e3}\n\
                {\"id\":\"c\",\"name\":1e400,\"sum\":1e400}\n{\"id\":\"d\",\"name\":\"Di\",\"sum\":1e-400}\n\
                {\"id\":\"e\",\"name\":\"Ed\",\"sum\":9007199254740993}\n";
    let done = Import::jsonl(sandbox, "digits", mapping).load("a.jsonl", rows, &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (5, 6, json!({ "not-parsed": 4 })));
    for (key, name) in [("a", "1.10"), ("b", "1e3"), ("c", "1e400"), ("d", "Di")] {
        assert_eq!(stored(sandbox, &done.customer(key).await, "given_name").await.as_deref(), Some(name));
    }
    let text = fs::read_to_string(done.state.join("refused.jsonl")).unwrap();
    assert!(text.contains("\"sum\":9007199254740993") && text.contains("1e400"), "{text}");
}

/// Point 27.
async fn a_value_of_any_length_costs_its_own_row_alone(sandbox: &Sandbox) {
    let long = "x".repeat(8 * 1024 * 1024);
    let quoted = format!("id,name\na,Ada\nb,\"{long}\n{long}\"\nc,Cy\nd,{}\n", "y".repeat(5_000));
    let done = Import::csv(sandbox, "long").load("a.csv", quoted, &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (4, 2, json!({ "not-parsed": 1, "unreadable-row": 1 })));
    let rows: Vec<_> = done.refused().iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [2, 4]);
    let rows = format!("{{\"id\":\"a\",\"name\":\"{long}\"}}\n{{\"id\":\"e\",\"name\":\"Ed\"}}\n");
    let done =
        Import::jsonl(sandbox, "long", "[attributes]\ngiven_name = \"name\"").load("a.jsonl", rows, &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (2, 1, json!({ "unreadable-row": 1 })));
    let refused = &done.refused()[0];
    assert_eq!(refused["row"], 1);
    assert!(refused["refused"][0]["explanation"].as_str().unwrap().contains("1048576 bytes"));
}

/// Point 28.
async fn an_address_has_line_ends_and_prints_on_one_line(sandbox: &Sandbox) {
    let address = "1 Main St\nApt 2\tback";
    let done = Import::csv(sandbox, "lines").load(
        "a.csv",
        format!("id,name\na,\"{address}\"\nb,\"a\u{1b}b\"\n"),
        &[],
    );
    assert_eq!(done.counted(PARTLY_REFUSED), (2, 1, json!({ "not-parsed": 1 })));
    let customer = done.customer("a").await;
    assert_eq!(stored(sandbox, &customer, "given_name").await.as_deref(), Some(address));
    let client = sandbox.client_file();
    let (_, output, _) =
        custodia(&["--client", &client, "profile", "get", &customer, "--purpose", "service"]);
    assert!(output.contains(r"1 Main St\nApt 2\tback"), "{output}");
}

/// Point 29.
async fn another_delimiter_is_hinted_at_and_refused_rows_keep_their_bytes(sandbox: &Sandbox) {
    let done = Import::csv(sandbox, "semicolons").load("a.csv", "id;name\na;Ada\n", &[]);
    assert_eq!(done.code, WRONG_INPUT);
    assert!(
        done.errors.contains("delimiter = \\\";\\\"") || done.errors.contains("delimiter = \";\""),
        "{}",
        done.errors
    );
    let mapping = "[attributes]\ngiven_name = \"name\"\nbalance = \"sum\"";
    let semicolons = Import { sandbox, source: "semicolons", format: "delimiter = \";\"", mapping };
    let done = semicolons.load("b.csv", b"id;name;sum\na;Ada;1,5\nb;Zo\xeb;2\nc;too;many;values\n", &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (3, 1, json!({ "not-parsed": 1, "unreadable-row": 2 })));
    let refused = done.refused();
    assert!(refused[0]["refused"][0]["explanation"].as_str().unwrap().contains("comma"));
    assert_eq!(refused[1]["data"], json!({ "base64": "Yjtab+s7Mgo=" }));
    assert_eq!(refused[2]["data"], "c;too;many;values\n");
    assert_eq!(done.counts["rows_refused"], 3);
}

/// Point 30.
async fn who_was_refused_everything_was_not_updated(sandbox: &Sandbox) {
    let client = sandbox.client_file();
    let customer = new_customer();
    let ingest = ["--client", &client, "profile", "ingest", &customer, "--source", "tests"];
    let refused = [&ingest[..], &["--purpose", "service", "--set", "given_name=Ada"]].concat();
    let (code, output, _) = custodia(&refused);
    assert_eq!(code, Some(PARTLY_REFUSED), "no ground: {output}");
    assert!(output.starts_with(&format!("{customer} not created")), "{output}");
    let given = [&refused[..], &["--consent", "service=v1:explicit:signed"]].concat();
    let (code, output, _) = custodia(&given);
    assert_eq!((code, output.contains("created, etag")), (Some(ALL), true), "{output}");
    let unknown = [&ingest[..], &["--purpose", "service", "--set", "nonsense=1"]].concat();
    let (code, output, _) = custodia(&unknown);
    assert_eq!(code, Some(PARTLY_REFUSED));
    assert!(output.starts_with(&format!("{customer} not changed")), "{output}");
}

/// Point 32.
async fn what_hides_or_reorders_is_escaped_wherever_it_prints(sandbox: &Sandbox) {
    let name = "user\u{202e}gpj.exe\u{200b}";
    let rows = format!("id,name\nk1,{name}\nk\u{200d}2,Bo\n");
    let done = Import::csv(sandbox, "hidden").load("a.csv", rows, &[]);
    assert_eq!(done.counted(PARTLY_REFUSED), (2, 1, json!({ "identifier-invalid": 1 })));
    let refused = fs::read_to_string(done.state.join("refused.jsonl")).unwrap();
    assert!(refused.contains("k\\u200d2") && !refused.contains('\u{200d}'), "{refused}");
    let customer = &done.customer("k1").await;
    assert_eq!(stored(sandbox, customer, "given_name").await.as_deref(), Some(name));
    let client = sandbox.client_file();
    for format in ["table", "json"] {
        let (code, output, errors) = custodia(&[
            "--client",
            &client,
            "--output",
            format,
            "profile",
            "get",
            customer,
            "--purpose",
            "service",
        ]);
        assert_eq!(code, Some(ALL), "{errors}");
        assert!(output.contains("202e") && !output.contains(['\u{202e}', '\u{200b}']), "{output}");
    }
    let header = Import::csv(sandbox, "hidden").load("b.csv", "id,na\u{202e}me\n", &[]);
    assert!(header.code == WRONG_INPUT && !header.errors.contains('\u{202e}'), "{}", header.errors);
}

/// Point 33: the same values pass, are stored as they were given, and print back in a form that is taken again.
async fn both_doors_take_and_refuse_the_same_values(sandbox: &Sandbox) {
    use v1::value::Kind::{Date, Text};
    let client = sandbox.client_file();
    let by_command = |pair: &str| {
        let consent =
            ["--purpose", "service", "--source", "tests", "--consent", "service=v1:explicit:signed"];
        let start = ["--client", &client, "profile", "ingest"];
        custodia(&[&start[..], &consent, &["--set", pair]].concat())
    };
    let by_api = async |attribute: &str, kind| {
        let value = Some(v1::Value { kind: Some(kind) });
        let observation = v1::Observation { attribute: attribute.into(), value, observed_at: None };
        let answer = sandbox.client().ingest_profile(sample::ingest("", vec![observation])).await;
        answer.is_ok_and(|answer| answer.attributes[0].merged)
    };
    for (attribute, text, accepted) in [
        ("given_name", "two\nlines\tand a tab", true),
        ("given_name", "bell\u{7}", false),
        ("given_name", "\u{85}", false),
        ("given_name", "", false),
        ("birth_date", "2024-02-29", true),
        ("birth_date", "2023-02-29", false),
        ("birth_date", "20240229", false),
        ("birth_date", "2024-02-29T00:00:00Z", false),
        ("birth_date", "0001-01-01", true),
        ("birth_date", "-000001-01-01", false),
        ("birth_date", "+012024-02-29", false),
    ] {
        let kind = if attribute == "birth_date" { Date(text.into()) } else { Text(text.into()) };
        let (code, output, errors) = by_command(&format!("{attribute}={text}"));
        assert_eq!(code == Some(ALL), accepted, "{text:?}: {output}{errors}");
        assert_eq!(by_api(attribute, kind).await, accepted, "{text:?}");
    }
    for (pair, accepted) in [
        ("last_seen=2016-12-31T12:30:59Z", true),
        ("last_seen=2016-12-31T12:30:60Z", false),
        ("last_seen=2016-12-31T12:30:59+01:00[Europe/Berlin]", false),
        ("last_seen=1969-12-31T23:59:59.5Z", true),
        ("last_seen=-000001-01-01T00:00:00Z", false),
        ("balance=1e300", true),
        ("balance=1e400", false),
        ("balance=0.1234567890123456789", false),
        ("points=-9223372036854775808", true),
        ("points=9223372036854775808", false),
    ] {
        let (code, output, errors) = by_command(pair);
        assert_eq!(code == Some(ALL), accepted, "{pair}: {output}{errors}");
        let Some(customer) = output.split(' ').next().filter(|_| accepted) else { continue };
        let get = ["--client", &client, "profile", "get", customer, "--purpose", "service"];
        let (_, output, _) = custodia(&get);
        let attribute = pair.split('=').next().unwrap();
        let line = output.lines().find(|line| line.starts_with(attribute)).unwrap();
        let printed = line.split_whitespace().nth(1).unwrap();
        assert_eq!(by_command(&format!("{attribute}={printed}")).0, Some(ALL), "{printed}");
    }
}
