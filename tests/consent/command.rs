//! The command, as a privacy officer uses it: define, import decisions, and tell what happened to one customer (CO-8).

use std::fmt::Write as _;
use std::fs;

use custodia_proto::v1::{ConsentStatus, GetConsentsRequest};
use custodia_tests::sample::{ingest, observation};
use custodia_tests::{Sandbox, Suite, custodia};
use serde_json::Value;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite.shared(the_catalogue_is_kept_by_command).shared(decisions_are_imported_and_told_as_a_timeline)
}

const MAPPING: &str = include_str!("../../cluster/examples/decisions.toml");
/// Everything is loaded but what is refused.
const PARTLY_REFUSED: i32 = 6;
const CUSTOMERS: usize = 20;

struct Desk {
    client: String,
}

impl Desk {
    /// Runs the command against the cluster; its exit code and standard output.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--client", &self.client]).collect();
        let (code, output, errors) = custodia(&arguments);
        (code, output + &errors)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, output) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {output}");
        output
    }
}

/// Point 12: definitions are made, shown with their history, and ended.
async fn the_catalogue_is_kept_by_command(sandbox: &Sandbox) {
    let desk = Desk { client: sandbox.client_file() };
    desk.done(&[
        "purpose",
        "create",
        "postcards",
        "--name",
        "Postcards",
        "--basis",
        "consent",
        "--notice",
        "v1,language=en",
    ]);
    desk.done(&["purpose", "update", "postcards", "--retention-days", "30", "--owner", "post room"]);
    desk.done(&["purpose", "update", "postcards", "--deprecated"]);
    let history = desk.done(&["purpose", "history", "postcards", "--output", "json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["changes"].as_array().unwrap().len(), 3, "{history}");
    desk.done(&["recipient", "create", "desk", "--name", "Agent desktop", "--purpose", "service"]);
    assert!(desk.done(&["recipient", "list"]).contains("desk"));
    assert!(desk.done(&["jurisdiction", "show", "us-ca"]).contains("1798"));
    let (code, output) = desk.run(&["jurisdiction", "show", "atlantis"]);
    assert!(code != Some(0) && output.contains("jurisdiction"), "{output}");
}

/// Point 12: decisions of another system are loaded once, and what is no consent is refused with its reason.
async fn decisions_are_imported_and_told_as_a_timeline(sandbox: &Sandbox) {
    let desk = Desk { client: sandbox.client_file() };
    let mut customers = Vec::new();
    let mut rows = "contact,list,answer,form,ticked,asked_on,answered_on,lang\n".to_owned();
    for number in 0..CUSTOMERS {
        let request = ingest("", vec![observation("given_name", "Ada")]);
        let customer = sandbox.client().ingest_profile(request).await.unwrap().customer_id;
        let act = if number % 10 == 9 { "default" } else { "yes" };
        writeln!(rows, "{customer},newsletter,OPT_IN,2025-09,{act},2025-09-30,2025-10-01 09:30,de").unwrap();
        if number % 4 == 0 {
            writeln!(rows, "{customer},newsletter,NO,,,,2026-01-15 18:00,").unwrap();
        }
        customers.push(customer);
    }
    let by_id = MAPPING.replace("key = [\"contact\"]\nnamespace = \"crm\"", "id = \"contact\"");
    let mapping = by_id.replace("marketing", "letters");
    let (file, map) = (sandbox.path().join("decisions.csv"), sandbox.path().join("decisions.toml"));
    fs::write(&file, rows).unwrap();
    fs::write(&map, mapping).unwrap();
    let (file, map) = (file.display().to_string(), map.display().to_string());
    let import = ["consent", "import", &file, "--mapping", &map, "--source", "crm", "--define"];
    for again in [&[][..], &["--restart"]] {
        let arguments: Vec<&str> = import.iter().chain(again).copied().collect();
        let (code, output) = desk.run(&arguments);
        assert_eq!(code, Some(PARTLY_REFUSED), "{output}");
        assert!(output.to_lowercase().contains("pre-ticked"), "the reason is counted: {output}");
    }
    let mut consents = sandbox.consents(0).await;
    for (number, customer) in customers.iter().enumerate() {
        let request =
            GetConsentsRequest { customer_id: customer.clone(), purpose: "privacy-requests".into() };
        let states = consents.get_consents(request).await.unwrap().into_inner().consents;
        let state = states.iter().find(|state| state.purpose == "letters").map(|state| state.status());
        let expected = match number {
            _ if number % 4 == 0 => Some(ConsentStatus::Refused),
            _ if number % 10 == 9 => None,
            _ => Some(ConsentStatus::Given),
        };
        assert_eq!(state, expected, "customer {number}");
    }
    let timeline = desk.done(&["consent", "timeline", &customers[4], "--purpose", "privacy-requests"]);
    let lines: Vec<&str> = timeline.lines().filter(|line| line.contains("letters")).collect();
    assert_eq!(lines.len(), 2, "one line each, and the second import added none: {timeline}");
    assert!(lines[0].contains("given") && lines[0].contains("2025-10-01"), "{timeline}");
    assert!(lines[1].contains("refused") && lines[1].contains("2026-01-15"), "{timeline}");
    let explain = ["consent", "explain", &customers[4], "--purpose", "privacy-requests", "--decided-purpose"];
    let told = desk.done(&[&explain[..], &["letters"]].concat());
    assert!(told.contains("consent-refused"), "{told}");
    let told = desk.done(&[&explain[..], &["service"]].concat());
    assert!(told.contains("permitted") && told.contains("consent"), "{told}");
}
