//! Keys of every level rotate while the cluster serves (SE-1).
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::process::ExitCode;

use custodia_proto::v1::{
    CreateNamespaceRequest, Identifier, IdentifierObservation, IngestProfileRequest, KeyLevel,
    LookupProfileRequest, Namespace, NamespaceKind, RotateKeysRequest, RotateKeysResponse,
};
use custodia_tests::sample::{event, get, ingest, observation, text_of};
use custodia_tests::{Oracle, Sandbox, Suite, custodia};

fn main() -> ExitCode {
    Suite::default().alone(every_level_rotates_under_load_and_everything_stays_readable).run()
}

async fn every_level_rotates_under_load_and_everything_stays_readable() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let mut customers = Vec::new();
    for number in 0..24 {
        let mut request = ingest("", vec![observation("given_name", &format!("name {number}"))]);
        request.events = vec![event("first", 0)];
        customers.push(client.ingest_profile(request).await.unwrap().customer_id);
    }
    let card = known_by_a_card(&sandbox, &customers[0]).await;
    // A rotation of the blinding key that is left in the middle: there are two, and the root key wraps both.
    let begun = RotateKeysRequest { level: KeyLevel::Blinding.into(), ..Default::default() };
    let blinding = rotate(&sandbox, 0, begun.clone()).await.blinding.unwrap();
    assert_eq!((blinding.key_epoch, blinding.complete), (2, false));
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    for round in 0..2 {
        new_root_key(&sandbox, &format!("round-{round}"));
        for level in [KeyLevel::Root, KeyLevel::Shard, KeyLevel::Bucket] {
            let request = RotateKeysRequest { level: level.into(), every_shard: true, ..Default::default() };
            let rotated = rotate(&sandbox, round, request).await;
            assert!(rotated.keys_rotated >= 4, "{level:?}: {rotated:?}");
            oracle.wait_for_progress().await;
        }
        for customer in &customers {
            let request = RotateKeysRequest {
                level: KeyLevel::Customer.into(),
                customer_id: customer.clone(),
                ..Default::default()
            };
            let rotated = rotate(&sandbox, round, request).await;
            assert_eq!(rotated.keys_rotated, 1);
            assert!(rotated.values_resealed >= 2, "core and event at least: {rotated:?}");
        }
    }
    assert!(oracle.finish(&client).await > 0);
    // and from the disk alone, without the root keys of before
    for node in &mut sandbox.nodes {
        node.kill();
    }
    keep_current_root_key(&sandbox);
    for node in &mut sandbox.nodes {
        node.start();
    }
    sandbox.wait_until_healthy().await;
    for (number, customer) in customers.iter().enumerate() {
        let profile = client.get_profile(get(customer, "service")).await.unwrap();
        assert_eq!(text_of(&profile, "given_name"), Some(format!("name {number}")));
    }
    let found = client.lookup_profile(card.clone()).await.unwrap();
    assert_eq!(found.profiles[0].customer_id, customers[0], "the blinding key is under the new root key");
    let mut complete = false;
    while !complete {
        let blinding = rotate(&sandbox, 1, begun.clone()).await.blinding.unwrap();
        assert_eq!(blinding.key_epoch, 2, "it goes on with the one that was left");
        complete = blinding.complete;
    }
    let found = client.lookup_profile(card).await.unwrap();
    assert_eq!(found.profiles[0].customer_id, customers[0], "so is the one that it was rotated to");
}

/// Gives a customer an identifier; the lookup by it.
async fn known_by_a_card(sandbox: &Sandbox, customer: &str) -> LookupProfileRequest {
    let namespace = Namespace {
        id: "card".to_owned(),
        kind: NamespaceKind::Text.into(),
        purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    let request = CreateNamespaceRequest { namespace: Some(namespace), validate_only: false };
    sandbox.catalog(0).await.create_namespace(request).await.unwrap();
    let (namespace, value) = ("card".to_owned(), "4711".to_owned());
    let observed =
        IdentifierObservation { namespace: namespace.clone(), value: value.clone(), observed_at: None };
    let request = IngestProfileRequest { identifiers: vec![observed], ..ingest(customer, Vec::new()) };
    assert!(sandbox.client().ingest_profile(request).await.unwrap().identifiers[0].merged);
    let identifier = Some(Identifier { namespace, value });
    LookupProfileRequest { identifier, purpose: "service".to_owned(), ..Default::default() }
}

/// Removes the root keys that are no longer current, as an operator does after a rotation.
fn keep_current_root_key(sandbox: &Sandbox) {
    let path = sandbox.root_key_path();
    let mut file: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    let current = file["current"].clone();
    let keys = file["keys"].as_array_mut().unwrap();
    assert_eq!(keys.len(), 3);
    keys.retain(|key| key["id"] == current);
    fs::write(&path, file.to_string()).unwrap();
}

/// A new root key in the file that all nodes share, first added, then made current.
fn new_root_key(sandbox: &Sandbox, id: &str) {
    let path = sandbox.root_key_path();
    let (code, _, errors) = custodia(&["keys", "add", "--file", &path.display().to_string(), "--id", id]);
    assert_eq!(code, Some(0), "{errors}");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let current = lines.iter_mut().find(|line| line.starts_with("current")).unwrap();
    *current = format!("current = \"{id}\"");
    fs::write(&path, lines.join("\n")).unwrap();
}

async fn rotate(sandbox: &Sandbox, node: usize, request: RotateKeysRequest) -> RotateKeysResponse {
    let mut last = None;
    // a rotation that meets a moving leader is repeated, as an operator would
    for _ in 0..20 {
        match sandbox.cluster(node).await.rotate_keys(request.clone()).await {
            Ok(answer) => return answer.into_inner(),
            Err(status) => last = Some(status),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{request:?}: {last:?}");
}
