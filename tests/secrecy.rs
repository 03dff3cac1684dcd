//! What lies on the disks and in the logs: sealed bytes and no one's data (SE-1).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::process::{Command, ExitCode};

use custodia_proto::v1::WithdrawConsentRequest;
use custodia_tests::sample::{event, get, ingest, observation, text, text_of};
use custodia_tests::{Options, Sandbox, Suite};

fn main() -> ExitCode {
    Suite::default()
        .alone(raw_disks_and_logs_hold_no_plaintext_with_fjall)
        .alone(raw_disks_and_logs_hold_no_plaintext_with_sled)
        .run()
}

/// Files below the sandbox in which one of these texts stands, by `grep`, which reads bytes fast.
fn files_with(sandbox: &Sandbox, needles: &[&str]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--text", "--fixed-strings", "--files-with-matches"]);
    for needle in needles {
        grep.args(["-e", needle]);
    }
    let output = grep.arg(sandbox.path()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

async fn no_plaintext_is_found(engine: &'static str) {
    let mut sandbox = Sandbox::start_with(Options { engine, ..Options::default() }).await;
    let mut profiles = sandbox.profiles(0).await;
    let mut request = ingest("", vec![observation("given_name", "Grunthilda-Secret")]);
    request.observations.push(observation("email", "grunthilda@secret.example"));
    let mut one = event("order-secret-1", 0);
    one.properties.insert("item".into(), text("secret-broomstick").unwrap());
    request.events = vec![one];
    request.consents[0].collector = "collector-secret".into();
    let customer = profiles.ingest_profile(request).await.unwrap().into_inner().customer_id;
    let withdrawal = WithdrawConsentRequest {
        customer_id: customer.clone(),
        purpose: "service".into(),
        channel: "channel-secret".into(),
        ..Default::default()
    };
    let before = profiles.get_profile(get(&customer, "service")).await.unwrap().into_inner();
    assert_eq!(text_of(&before, "given_name").as_deref(), Some("Grunthilda-Secret"));
    sandbox.consents(0).await.withdraw_consent(withdrawal).await.unwrap();
    for node in &mut sandbox.nodes {
        assert_eq!(node.terminate(), Some(0), "node {} drains", node.id);
    }
    let needles = [
        "Grunthilda-Secret",
        "grunthilda@secret.example",
        "order-secret-1",
        "secret-broomstick",
        "collector-secret",
        "channel-secret",
    ];
    assert_eq!(files_with(&sandbox, &needles), Vec::<String>::new());
    // the search itself finds what is there in the clear
    assert!(!files_with(&sandbox, &["the purpose marketing"]).is_empty(), "the catalogue is not secret");
}

async fn raw_disks_and_logs_hold_no_plaintext_with_fjall() {
    no_plaintext_is_found("fjall").await;
}

async fn raw_disks_and_logs_hold_no_plaintext_with_sled() {
    no_plaintext_is_found("sled").await;
}
