//! Regression: a node whose disk was full went on as the leader of a group that it could no longer serve. Its reads failed,
//! so it proposed nothing, so nothing told its replica to stop, and its heartbeats kept the others from an election.

use custodia_store::{Poison, StoreError};

use crate::common::{TestCluster, eventually, get, shard, soon};
use crate::error::ConsensusError;
use crate::node::Node;
use crate::timing::Timing;

const SHARDS: u16 = 4;

/// Fails the storage of the node that leads shard 0 while nothing is being written.
async fn others_lead_after_failure_of(storage: impl Fn(&Node) -> &Poison) {
    let cluster = TestCluster::new(3, SHARDS, Timing::fast()).await;
    cluster.put(shard(0), 1, 1, b"acknowledged").await;
    cluster.agree(shard(0)).await;
    let failed = cluster.led(shard(0)).await;
    let at = cluster.at(failed.as_u32());
    storage(&at.node).set(&StoreError::DiskFull);
    for group in (0..SHARDS).map(shard) {
        eventually("another node leads", async || cluster.led(group).await != failed).await;
        cluster.put(group, 2, 1, b"later").await;
    }
    let leader = cluster.led(shard(0)).await.as_u32();
    let kept = get(cluster.at(leader), shard(0), 1);
    assert_eq!(kept, Some((1, b"acknowledged"[..].into())));
    assert!(at.group_statuses().is_empty(), "nothing runs there that could send a heartbeat");
    let refused = at.read_barrier(shard(0), soon()).await;
    assert!(matches!(refused, Err(ConsensusError::Store(StoreError::DiskFull))), "{refused:?}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_engine_stops_every_replica_of_its_node() {
    others_lead_after_failure_of(|node| node.engine.poison()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_log_stops_every_replica_of_its_node() {
    others_lead_after_failure_of(|node| node.log.poison()).await;
}
