//! Messages that fail a check are refused before the library sees them, each with its own reason.

use custodia_profile::{GroupId, NodeId};
use custodia_seal::ClusterId;
use futures::StreamExt;
use futures::stream;
use prost::Message;
use uuid::Uuid;

use crate::common::{TestCluster, node, shard};
use crate::error::Refusal;
use crate::format::encode_v1;
use crate::peers::message::{Body, Empty, Envelope, Heartbeats, Reply, Target, read_answer};
use crate::raft::record::VoteRecord;
use crate::timing::Timing;

fn envelope(
    cluster: ClusterId,
    from: NodeId,
    map_version: u64,
    target: Option<Target>,
    body: Body,
) -> Envelope {
    Envelope {
        cluster: bytes::Bytes::copy_from_slice(cluster.as_bytes()),
        from_node: from.as_u32(),
        map_version,
        target,
        lease_ms: Timing::fast().lease_ms(),
        body: Some(body),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_fails_a_check_is_refused_with_the_reason() {
    let cluster = TestCluster::new(1, 1, Timing::fast()).await;
    let at = cluster.at(1);
    let own = at.cluster().unwrap();
    let replica = at.node.replica(shard(0)).unwrap().id.as_u64();
    let group = |group: GroupId| u32::from(group.as_u16());
    let target = |group, replica| Some(Target { group, replica });
    let here = target(group(shard(0)), replica);
    let other = ClusterId::new(Uuid::from_u128(1));
    let append = || Body::Append(Empty {});
    let other_lease = Envelope { lease_ms: 1, ..envelope(own, node(2), 1, here, append()) };
    let cases = [
        (other_lease, Refusal::OtherLease),
        (envelope(other, node(2), 1, here, append()), Refusal::OtherCluster),
        (envelope(own, node(3), 1, here, append()), Refusal::OtherNode),
        (envelope(own, node(2), 1, target(group(shard(0)), replica + 1), append()), Refusal::NoReplica),
        (envelope(own, node(2), 1, target(group(shard(7)), replica), append()), Refusal::NoReplica),
        (envelope(own, node(2), 0, here, append()), Refusal::OldMap),
        (envelope(own, node(2), 1, None, append()), Refusal::Malformed),
        (envelope(own, node(2), 1, here, Body::Heartbeats(Heartbeats::default())), Refusal::Malformed),
    ];
    for (envelope, refusal) in cases {
        let input = stream::iter([Ok(envelope.encode_to_vec().into())]).boxed();
        let answers: Vec<_> = at.handle_exchange(node(2), input).await.collect().await;
        assert_eq!(answers.len(), 1);
        assert_eq!(read_answer(answers[0].clone()), Err(refusal));
    }
    let garbage = at.handle_call(node(2), encode_v1(&VoteRecord::default())).await;
    assert!(read_answer(garbage).is_err());
    let join = envelope(other, node(2), 0, None, Body::Join(Empty {}));
    let joined = read_answer(at.handle_call(node(2), join.encode_to_vec().into()).await);
    assert_eq!(joined, Err(Refusal::AlreadyInitialised));
    let fits = envelope(own, node(2), 1, None, Body::Heartbeats(Heartbeats::default()));
    let fits = read_answer(at.handle_call(node(2), fits.encode_to_vec().into()).await);
    assert!(matches!(fits, Ok(Reply::Heartbeats(_))), "{fits:?}");
    cluster.shutdown().await;
}
