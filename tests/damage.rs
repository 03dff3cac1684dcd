//! What becomes of bytes that changed on the disk: an error for the record they belong to, and for no other.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and stops"
)]

use std::process::ExitCode;

use custodia_profile::{GroupId, ShardId};
use custodia_proto::v1;
use custodia_store::{Batch, DataFolder, EngineKind, KeyKind, KeyPrefix, ValueHeader, open_engine};
use custodia_tests::sample::{event, fault, get, ingest, texts};
use custodia_tests::{Node, Options, Sandbox, Suite};
use tonic::Code;

fn main() -> ExitCode {
    Suite::default()
        .alone(an_altered_record_is_data_loss_for_itself_and_the_shard_goes_on)
        .alone(an_event_sent_again_is_refused_alone_where_the_stored_one_is_altered)
        .run()
}

/// Flips a bit in every stored value of a kind, with a checksum that fits: only the seal can notice.
fn tamper(node: &Node, kind: KeyKind) -> usize {
    let id = node.id.to_string().parse().expect("a node id");
    let folder = DataFolder::open(&node.data_path(), id, EngineKind::Fjall).expect("opens");
    let opened = open_engine(&folder.state_path(), EngineKind::Fjall, 16 << 20).expect("opens");
    let mut batch = Batch::new();
    for shard in 0..4 {
        let group = GroupId::Shard(ShardId::new(shard).expect("a shard"));
        let prefix = KeyPrefix::kind(group, kind);
        for (key, value) in opened.engine.scan(prefix.as_bytes(), None, 100).expect("scans") {
            let (header, payload) = ValueHeader::decode(&value).expect("a value");
            let mut payload = payload.to_vec();
            let last = payload.len() - 1;
            payload[last] ^= 1;
            batch.put(key, header.encode(&payload));
        }
    }
    let tampered = batch.len();
    opened.engine.write(batch).expect("written");
    opened.engine.flush().expect("flushed");
    tampered
}

async fn an_altered_record_is_data_loss_for_itself_and_the_shard_goes_on() {
    let mut sandbox = Sandbox::start_with(Options { nodes: 1, ..Options::default() }).await;
    let request = ingest("", texts(&[("email", "a@example.org")]));
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested").into_inner();
    assert_eq!(sandbox.nodes[0].terminate(), Some(0));
    assert_eq!(tamper(&sandbox.nodes[0], KeyKind::Core), 1);
    sandbox.nodes[0].start();
    sandbox.wait_until_healthy().await;

    let status = sandbox
        .profiles(0)
        .await
        .get_profile(get(&answer.customer_id, "service"))
        .await
        .expect_err("altered");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::DataLoss, "RECORD_UNREADABLE"));
    assert!(!status.message().contains(&answer.customer_id));
    let mut update = ingest("", texts(&[("email", "b@example.org")]));
    update.customer_id = answer.customer_id.clone();
    let status = sandbox.profiles(0).await.ingest_profile(update).await.expect_err("never replaced");
    assert_eq!(status.code(), Code::DataLoss);

    let mut others = Vec::new();
    for number in 0..20 {
        let request = ingest("", texts(&[("email", &format!("{number}@example.org"))]));
        others.push(
            sandbox
                .profiles(0)
                .await
                .ingest_profile(request)
                .await
                .expect("ingested")
                .into_inner()
                .customer_id,
        );
    }
    others.insert(3, answer.customer_id);
    let request = v1::BatchGetProfilesRequest {
        customer_ids: others,
        purpose: "service".to_owned(),
        ..v1::BatchGetProfilesRequest::default()
    };
    let batch = sandbox.profiles(0).await.batch_get_profiles(request).await.expect("answered").into_inner();
    for (at, item) in batch.profiles.into_iter().enumerate() {
        match item.result.expect("a result") {
            v1::batch_profile::Result::Error(error) => {
                assert_eq!((at, error.code), (3, Code::DataLoss.into()));
            }
            v1::batch_profile::Result::Profile(profile) => {
                assert_ne!(at, 3, "the altered record is not served");
                assert_eq!(profile.attributes.len(), 1);
            }
        }
    }
}

async fn an_event_sent_again_is_refused_alone_where_the_stored_one_is_altered() {
    let mut sandbox = Sandbox::start_with(Options { nodes: 1, ..Options::default() }).await;
    let mut request = ingest("", texts(&[("email", "a@example.org")]));
    request.events = vec![event("e-1", 100)];
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested").into_inner();
    assert_eq!(sandbox.nodes[0].terminate(), Some(0));
    assert_eq!(tamper(&sandbox.nodes[0], KeyKind::Event), 1);
    sandbox.nodes[0].start();
    sandbox.wait_until_healthy().await;

    let append = v1::AppendEventsRequest {
        customer_id: answer.customer_id,
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        events: vec![event("e-1", 100), event("e-2", 200)],
        ..v1::AppendEventsRequest::default()
    };
    let answer = sandbox.profiles(0).await.append_events(append).await.expect("judged").into_inner();
    let outcomes: Vec<_> =
        answer.events.iter().map(|outcome| (outcome.appended, outcome.refusal())).collect();
    let (none, unreadable) = (v1::RefusalReason::Unspecified, v1::RefusalReason::Unreadable);
    assert_eq!(outcomes, [(false, unreadable), (true, none)]);
}
