//! What lies on the disks and in the logs: sealed bytes and no one's data (SE-1).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::path::{Path, PathBuf};

use custodia_proto::v1::WithdrawConsentRequest;
use custodia_tests::sample::{event, get, ingest, observation, text, text_of};
use custodia_tests::{Options, Sandbox};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// Files below the sandbox in which one of these texts stands.
fn files_with(sandbox: &Sandbox, needles: &[&str]) -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    files(&sandbox.path(), &mut all);
    let mut found = Vec::new();
    for path in all {
        let bytes = fs::read(&path).unwrap_or_default();
        for needle in needles {
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(((*needle).to_owned(), path.clone()));
            }
        }
    }
    found
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
    assert_eq!(files_with(&sandbox, &needles), []);
    // the search itself finds what is there in the clear
    assert!(!files_with(&sandbox, &["the purpose marketing"]).is_empty(), "the catalogue is not secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_disks_and_logs_hold_no_plaintext_with_fjall() {
    no_plaintext_is_found("fjall").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_disks_and_logs_hold_no_plaintext_with_sled() {
    no_plaintext_is_found("sled").await;
}
