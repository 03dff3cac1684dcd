//! What the bytes on a disk may turn into, and what is said then.

use custodia_profile::{GroupId, ShardId};
use custodia_proto::v1;
use custodia_store::{Batch, DataFolder, EngineKind, KeyKind, KeyPrefix, ValueHeader, open_engine};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::cluster_for_tests::{Cluster, get, ingest};
use crate::Config;

/// Flips a bit in every stored value of a kind, with a checksum that fits: only the seal can notice.
fn tamper(config: &Config, kind: KeyKind) -> usize {
    let folder = DataFolder::open(&config.data_dir, config.node_id, EngineKind::Fjall).expect("opens");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_record_is_data_loss_for_itself_and_the_shard_goes_on() {
    let mut cluster = Cluster::start(1).await;
    cluster.define().await;
    let request = ingest(&[("email", "a@example.org")]);
    let answer = cluster.profiles(0).ingest_profile(request).await.expect("ingested").into_inner();
    cluster.halt().await;
    assert_eq!(tamper(&cluster.configs[0], KeyKind::Core), 1);
    cluster.run().await;
    cluster.wait_until_whole().await;

    let status =
        cluster.profiles(0).get_profile(get(&answer.customer_id, "service")).await.expect_err("altered");
    let reason = status.get_details_error_info().expect("an ErrorInfo").reason;
    assert_eq!((status.code(), reason.as_str()), (Code::DataLoss, "RECORD_UNREADABLE"));
    assert!(!status.message().contains(&answer.customer_id));
    let mut update = ingest(&[("email", "b@example.org")]);
    update.customer_id = answer.customer_id.clone();
    let status = cluster.profiles(0).ingest_profile(update).await.expect_err("never replaced");
    assert_eq!(status.code(), Code::DataLoss);

    let mut others = Vec::new();
    for number in 0..20 {
        let request = ingest(&[("email", &format!("{number}@example.org"))]);
        others.push(
            cluster.profiles(0).ingest_profile(request).await.expect("ingested").into_inner().customer_id,
        );
    }
    others.insert(3, answer.customer_id);
    let request = v1::BatchGetProfilesRequest {
        customer_ids: others,
        purpose: "service".to_owned(),
        ..v1::BatchGetProfilesRequest::default()
    };
    let batch = cluster.profiles(0).batch_get_profiles(request).await.expect("answered").into_inner();
    for (at, item) in batch.profiles.into_iter().enumerate() {
        match item.result.expect("a result") {
            v1::batch_profile::Result::Error(error) => {
                assert_eq!((at, error.code), (3, Code::DataLoss.into()))
            }
            v1::batch_profile::Result::Profile(profile) => assert_eq!(profile.attributes.len(), 1),
        }
    }
    cluster.halt().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_again_is_refused_alone_where_the_stored_one_is_altered() {
    let mut cluster = Cluster::start(1).await;
    cluster.define().await;
    let event = |id: &str| v1::Event {
        event_id: id.to_owned(),
        name: "Order Completed".to_owned(),
        occurred_at: Some(prost_types::Timestamp { seconds: 100, nanos: 0 }),
        ..v1::Event::default()
    };
    let mut request = ingest(&[("email", "a@example.org")]);
    request.events = vec![event("e-1")];
    let answer = cluster.profiles(0).ingest_profile(request).await.expect("ingested").into_inner();
    cluster.halt().await;
    assert_eq!(tamper(&cluster.configs[0], KeyKind::Event), 1);
    cluster.run().await;
    cluster.wait_until_whole().await;

    let append = v1::AppendEventsRequest {
        customer_id: answer.customer_id,
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        events: vec![event("e-1"), event("e-2")],
        ..v1::AppendEventsRequest::default()
    };
    let answer = cluster.profiles(0).append_events(append).await.expect("judged").into_inner();
    let outcomes: Vec<_> =
        answer.events.iter().map(|outcome| (outcome.appended, outcome.refusal())).collect();
    let (none, unreadable) = (v1::RefusalReason::Unspecified, v1::RefusalReason::Unreadable);
    assert_eq!(outcomes, [(false, unreadable), (true, none)]);
    cluster.halt().await;
}
