//! Decisions that come in files, with data or alone: each is in the ledger once, in whatever order the files come, and a no
//! goes nowhere but to the customer who said it.

use std::fs;

use custodia_proto::v1;
use custodia_tests::actions::create_purpose;
use custodia_tests::sample::{self, grant, new_customer};
use custodia_tests::{Sandbox, Suite, custodia};
use serde_json::{Value, json};

use crate::{ALL, Import, PARTLY_REFUSED, WRONG_INPUT, known as known_by, namespace};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_export_that_comes_every_night_revives_no_withdrawn_consent)
        .shared(decisions_that_come_newest_first_are_all_in_the_ledger)
        .shared(files_of_data_and_of_decisions_say_the_same_in_either_order)
        .shared(a_ground_that_an_objection_forbids_costs_no_data)
        .shared(a_date_that_cannot_be_costs_its_own_decision_alone)
        .shared(a_mapping_that_can_never_work_is_told_before_the_first_row)
        .shared(a_decision_of_a_customer_that_does_not_exist_is_refused)
}

/// Point 21 (CO-5): whatever dates the file has, and under whatever name it comes.
async fn an_export_that_comes_every_night_revives_no_withdrawn_consent(sandbox: &Sandbox) {
    let offers = "[[consents]]\npurpose = \"marketing\"\nnotice_version = \"v1\"\nmethod = \"explicit\"\nact = \"signed\"\n";
    let mapping = format!("[attributes]\ngiven_name = \"name\"\n{offers}given_at = \"agreed\"\n");
    let import = Import { mapping: &mapping, ..Import::csv(sandbox, "nightly") };
    let first = import.load("1.csv", "id,name,agreed\na,Ada,2026-01-02\n", &[]);
    assert_eq!(first.counted(ALL), (1, 1, json!({})));
    let customer = first.customer("a").await;
    sandbox.consents(0).await.withdraw_consent(sample::withdrawal(&customer, "marketing")).await.unwrap();
    let seconds = i64::try_from(sample::now().as_secs()).unwrap() + 60;
    let ahead = custodia_proto::Timestamp { seconds, nanos: 0 }.to_string();
    for (name, agreed) in [("1.csv", "2026-01-02"), ("2.csv", "2026-01-02"), ("3.csv", &ahead)] {
        let again = import.load(name, format!("id,name,agreed\na,Ada,{agreed}\n"), &["--restart"]);
        assert_eq!(again.counted(ALL), (1, 1, json!({})), "it is in the history, and nothing else: {agreed}");
        assert_eq!(
            (&again.counts["decisions_superseded"], &again.counts["decisions_known"]),
            (&json!(1), &json!(1))
        );
    }
    let request =
        v1::GetConsentsRequest { customer_id: customer.clone(), purpose: "privacy-requests".into() };
    let states = sandbox.consents(0).await.get_consents(request).await.unwrap().into_inner();
    let marketing = states.consents.iter().find(|state| state.purpose == "marketing").unwrap();
    assert_eq!(marketing.status(), v1::ConsentStatus::Withdrawn);
    assert_eq!(
        states.consent_revision, 4,
        "two consents, the withdrawal, the later consent, and nothing twice"
    );
    let undated = Import { mapping: offers, ..Import::csv(sandbox, "nightly") };
    let undated = undated.load("4.csv", "id,name\na,Ada\n", &[]);
    assert_eq!(undated.counts["decisions_superseded"], 1, "it has the date that the file declares");
}

/// Point 22 (CO-8): by import and by command.
async fn decisions_that_come_newest_first_are_all_in_the_ledger(sandbox: &Sandbox) {
    let customer = new_customer();
    let folder = sandbox.path();
    let (file, map) = (folder.join("newest-first.csv"), folder.join("newest-first.toml"));
    let rows = format!(
        "who,said,on\n{customer},given,2026-03-03\n{customer},withdrawn,2026-02-02\n{customer},given,2026-01-01\n"
    );
    fs::write(&file, rows).unwrap();
    let mapping = "[customer]\nid = \"who\"\n[decision]\npurpose = { constant = \"marketing\" }\nstatus = \"said\"\n\
                   decided_at = \"on\"\nnotice_version = { constant = \"v1\" }\nmethod = { constant = \"explicit\" }\n\
                   act = { constant = \"signed\" }\n";
    fs::write(&map, mapping).unwrap();
    let client = sandbox.client_file();
    let (file, map) = (file.display().to_string(), map.display().to_string());
    let import = ["--output", "json", "--client", &client, "consent", "import", &file, "--mapping", &map];
    for (again, recorded, known) in [("--create-customers", 1, 0), ("--restart", 0, 1)] {
        let (code, output, errors) = custodia(&[&import[..], &["--source", "crm", again]].concat());
        assert_eq!(code, Some(ALL), "{errors}");
        let counts: Value = serde_json::from_str(&output).unwrap();
        let counted = ["recorded", "superseded", "known"].map(|name| &counts[format!("decisions_{name}")]);
        assert_eq!(counted, [&json!(recorded), &json!(2), &json!(known)]);
    }
    let record =
        ["--output", "json", "--client", &client, "consent", "record", &customer, "--purpose", "marketing"];
    let older = ["--notice", "v1", "--act", "signed", "--decided-at", "2026-01-15"];
    let (code, output, errors) = custodia(&[&record[..], &older].concat());
    assert_eq!(code, Some(ALL), "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap()["effect"], "DECISION_EFFECT_SUPERSEDED");
    let request = v1::ListConsentHistoryRequest {
        customer_id: customer.clone(),
        purpose: "privacy-requests".into(),
        ..Default::default()
    };
    let history = sandbox.consents(0).await.list_consent_history(request).await.unwrap().into_inner();
    assert_eq!(history.entries_total, 4, "each decision once");
    let request = v1::GetConsentsRequest { customer_id: customer, purpose: "privacy-requests".into() };
    let states = sandbox.consents(0).await.get_consents(request).await.unwrap().into_inner().consents;
    assert_eq!(states[0].decided_at.unwrap().to_string(), "2026-03-03T00:00:00Z");
    assert_eq!(grant("marketing").purpose, states[0].purpose);
}

const MARKETING: &str = "[[consents]]\npurpose = \"marketing\"\nnotice_version = \"v1\"\nmethod = \"explicit\"\n\
                         act = \"signed\"\ngiven_at = \"on\"\nonly_where = { column = \"wants\", equals = \"yes\" }\n";

/// Imports decisions on marketing: the customer's key, the status and the date of each. The exit code, the counts, and what
/// was refused.
fn decide(sandbox: &Sandbox, source: &str, name: &str, rows: &str, options: &[&str]) -> (i32, Value, String) {
    let folder = sandbox.path().join(source);
    fs::create_dir_all(&folder).unwrap();
    let (file, map) = (folder.join(name), folder.join("decisions.toml"));
    fs::write(&file, format!("id,said,on\n{rows}")).unwrap();
    let customer = format!("[customer]\nkey = [\"id\"]\nnamespace = \"{source}\"\n");
    let mapping = "[decision]\npurpose = { constant = \"marketing\" }\nstatus = \"said\"\n\
                   decided_at = \"on\"\nnotice_version = { constant = \"v1\" }\n\
                   method = { constant = \"explicit\" }\nact = { constant = \"signed\" }\n";
    fs::write(&map, format!("{customer}{mapping}{}", namespace(source, "text"))).unwrap();
    let client = sandbox.client_file();
    let (path, map) = (file.display().to_string(), map.display().to_string());
    let import = ["--output", "json", "--client", &client, "consent", "import", &path, "--mapping", &map];
    let rest = ["--source", source, "--define"];
    let (code, output, errors) = custodia(&[&import[..], &rest, options].concat());
    let counts = serde_json::from_str(&output).unwrap_or(Value::Null);
    let refused = fs::read_to_string(format!("{path}.custodia-consents/refused.jsonl"));
    (code.unwrap(), counts, refused.unwrap_or(errors))
}

async fn marketing(sandbox: &Sandbox, customer: &str) -> (v1::ConsentStatus, String) {
    let purpose = "privacy-requests".to_owned();
    let request = v1::GetConsentsRequest { customer_id: customer.to_owned(), purpose };
    let states = sandbox.consents(0).await.get_consents(request).await.unwrap().into_inner().consents;
    let state = states.iter().find(|state| state.purpose == "marketing").unwrap();
    (state.status(), state.decided_at.unwrap().to_string())
}

/// CO-8. Regression: a consent that came with data lifted an imported no, or not, as the files happened to come.
async fn files_of_data_and_of_decisions_say_the_same_in_either_order(sandbox: &Sandbox) {
    let mapping = format!("[attributes]\ngiven_name = \"name\"\n{MARKETING}");
    let import = Import { mapping: &mapping, ..Import::csv(sandbox, "orders") };
    let known = import.load("known.csv", "id,name,wants,on\na,A,no,\nb,B,no,\nc,C,no,\nd,D,no,\n", &[]);
    assert_eq!(known.code, ALL, "{}", known.errors);
    let noes = |name: &str, keys: [&str; 2]| {
        let rows: String = keys.map(|key| format!("{key},refused,2026-02-01\n")).concat();
        let (code, counts, told) = decide(sandbox, "orders", name, &rows, &[]);
        assert_eq!(code, ALL, "{counts} {told}");
    };
    let data =
        "id,name,wants,on\na,A,yes,2026-01-01\nb,B,yes,2026-03-01\nc,C,yes,2026-01-01\nd,D,yes,2026-03-01\n";
    noes("before.csv", ["a", "b"]);
    let loaded = import.load("data.csv", data, &[]);
    assert_eq!(loaded.counted(ALL), (4, 4, json!({})));
    noes("after.csv", ["c", "d"]);
    for (key, status, date) in [
        ("a", v1::ConsentStatus::Refused, "2026-02-01T00:00:00Z"),
        ("b", v1::ConsentStatus::Given, "2026-03-01T00:00:00Z"),
        ("c", v1::ConsentStatus::Refused, "2026-02-01T00:00:00Z"),
        ("d", v1::ConsentStatus::Given, "2026-03-01T00:00:00Z"),
    ] {
        assert_eq!(marketing(sandbox, &known.customer(key).await).await, (status, date.to_owned()), "{key}");
    }
    assert_eq!(import.load("data.csv", data, &["--restart"]).counted(ALL), (4, 4, json!({})), "nothing new");
}

/// Regression: such a customer ended the call, and every import that met it, for ever.
async fn a_ground_that_an_objection_forbids_costs_no_data(sandbox: &Sandbox) {
    let balancing_test = v1::BalancingTest {
        interest: "to prevent fraud".into(),
        necessity: "nothing milder prevents it".into(),
        balance: "no profile is made".into(),
        reviewer: "privacy office".into(),
        reviewed_on: "2026-01-15".into(),
        objection_route: "every page".into(),
    };
    let interests = [v1::LawfulBasis::LegitimateInterests];
    let checks =
        v1::Purpose { balancing_test: Some(balancing_test), ..sample::purpose("checks", &interests) };
    create_purpose(sandbox, checks).await.unwrap();
    let grounds =
        "[[consents]]\npurpose = \"checks\"\nbasis = \"legitimate-interests\"\nreference = \"id\"\n";
    let mapping = format!("[attributes]\ngiven_name = \"name\"\n{grounds}");
    let import = Import { mapping: &mapping, ..Import::csv(sandbox, "objections") };
    let known = Import::csv(sandbox, "objections").load("known.csv", "id,name\na,Ada\nb,Bo\n", &[]);
    let objector = known.customer("a").await;
    let client = sandbox.client_file();
    for key in ["a", "b"] {
        let region = ["--client", &client, "subject", "set", &known.customer(key).await, "--region", "DE"];
        assert_eq!(custodia(&region).0, Some(ALL));
    }
    let withdraw = ["--client", &client, "consent", "withdraw", &objector, "--purpose", "checks"];
    let (code, _, errors) = custodia(&[&withdraw[..], &["--basis", "legitimate-interests"]].concat());
    assert_eq!(code, Some(ALL), "{errors}");
    let loaded = import.load("data.csv", "id,name\na,Amy\nb,Bob\n", &[]);
    assert_eq!(loaded.counted(ALL).0, 2, "the ground is in the history alone");
    assert_eq!(
        (&loaded.counts["decisions_superseded"], &loaded.counts["decisions_recorded"]),
        (&json!(1), &json!(1))
    );
    let set = ["--purpose", "service", "--source", "desk", "--set", "given_name=Eve"];
    let ingest = ["--client", &client, "profile", "ingest", &objector];
    let ground = ["--ground", "checks=legitimate-interests:test-1"];
    let (code, output, errors) = custodia(&[&ingest[..], &set, &ground].concat());
    assert_eq!(code, Some(PARTLY_REFUSED), "{output}{errors}");
    assert!(output.contains("objected") && output.contains("merged"), "{output}");
}

/// Regression: a date in the future refused all rows of its customer.
async fn a_date_that_cannot_be_costs_its_own_decision_alone(sandbox: &Sandbox) {
    let mapping = format!("[attributes]\ngiven_name = \"name\"\nsurname = \"wants\"\n{MARKETING}");
    let import = Import { mapping: &mapping, ..Import::csv(sandbox, "dates") };
    let rows = "id,name,wants,on\na,Ada,yes,2999-01-01\na,Ada,yes,0026-03-01\na,Ada,yes,2026-01-02\n";
    let loaded = import.load("a.csv", rows, &[]);
    assert_eq!(loaded.counted(PARTLY_REFUSED), (3, 2, json!({ "not-parsed": 2 })));
    let told: Vec<_> = loaded.refused().iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(told, [1, 2]);
    assert_eq!(marketing(sandbox, &loaded.customer("a").await).await.0, v1::ConsentStatus::Given);
    let (code, _, told) =
        decide(sandbox, "dates", "d.csv", "a,refused,0026-03-01\na,refused,2026-02-01\n", &[]);
    assert!(code == PARTLY_REFUSED && told.contains("since the year 1900"), "{code} {told}");
    assert_eq!(marketing(sandbox, &loaded.customer("a").await).await.0, v1::ConsentStatus::Refused);
}

/// Regression: each row was sent and refused.
async fn a_mapping_that_can_never_work_is_told_before_the_first_row(sandbox: &Sandbox) {
    let never = [
        ("\"v1\"", "\"v9\"", "consents[0].notice_version"),
        ("\"marketing\"", "\"nonsense\"", "consents[0].purpose"),
        ("\"signed\"", "\"pre-ticked-box\"", "pre-ticked"),
        ("method", "basis = \"vital-interests\"\nreference = \"id\"\nmethod", "basis"),
        ("method", "decided_by = \"authority\"\nmethod", "decided_by"),
    ];
    // Under one name: what has done nothing is in the way of nothing.
    for (right, wrong, named) in never {
        let mapping = format!("[attributes]\ngiven_name = \"name\"\n{}", MARKETING.replace(right, wrong));
        let import = Import { mapping: &mapping, ..Import::csv(sandbox, "never") };
        let done = import.load("a.csv", "id,name,wants,on\na,Ada,no,\n", &[]);
        assert!(
            done.code == WRONG_INPUT && done.errors.contains(named),
            "{named}: {} {}",
            done.code,
            done.errors
        );
        assert!(done.errors.contains(".toml"), "{}", done.errors);
    }
}

/// Regression: a wrong source or key made an empty customer, and its no reached nobody.
async fn a_decision_of_a_customer_that_does_not_exist_is_refused(sandbox: &Sandbox) {
    let known = Import::csv(sandbox, "known").load("a.csv", "id,name\na,Ada\n", &[]);
    assert_eq!(known.code, ALL, "{}", known.errors);
    let rows = "a,refused,2026-02-01\nz,refused,2026-02-01\n";
    let (code, counts, told) = decide(sandbox, "known", "d.csv", rows, &[]);
    assert_eq!((code, &counts["refused"]), (PARTLY_REFUSED, &json!({ "customer-not-found": 1 })), "{told}");
    assert!(told.contains("\"row\":2"), "{told}");
    let (code, counts, told) = decide(sandbox, "unknown", "d.csv", rows, &[]);
    assert_eq!((code, &counts["rows_refused"]), (PARTLY_REFUSED, &json!(2)), "{told}");
    let (code, _, told) = decide(sandbox, "unknown", "e.csv", rows, &["--create-customers"]);
    assert!(code == WRONG_INPUT && told.contains("customer.id"), "{code} {told}");
    assert_eq!(known_by(sandbox, "unknown", "z").await, None, "a no that reached nobody made nobody");
}
