//! A partition of the state is lost while the node runs: its replicas are rebuilt, and the node and its other replicas go on.

use std::time::{Duration, Instant};

use custodia_profile::GroupId;
use custodia_store::StoreError;

use crate::common::{Keep, TestCluster, eventually, get, key, shard};
use crate::consensus::Consensus;
use crate::replica::ReplicaState;
use crate::timing::Timing;

const DAMAGE: StoreError = StoreError::Corrupt { what: "a test's damage" };

fn short_log() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(1_000),
        snapshot_entries: 40,
        kept_entries: 10,
        ..Timing::fast()
    }
}

fn runs(at: &Consensus, group: GroupId) -> bool {
    at.group_statuses().iter().any(|status| status.group == group && status.running)
}

async fn fill_until_purged(cluster: &TestCluster, number: u32) {
    for entry in 0..120 {
        cluster.put(shard(0), entry, 1, &[7; 500]).await;
    }
    eventually("the log is purged", async || {
        let statuses = cluster.at(number).group_statuses();
        statuses
            .iter()
            .any(|status| status.group == shard(0) && status.purged.is_some_and(|index| index > 50))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_partition_is_rebuilt_while_the_node_goes_on() {
    let mut cluster = TestCluster::with(3, short_log(), || Keep::Fjall).await;
    cluster.init(2).await;
    cluster.put(shard(1), 1, 1, b"other shard").await;
    let lost = cluster.led(shard(0)).await.as_u32();
    fill_until_purged(&cluster, lost).await;
    cluster.agree(shard(1)).await;
    for group in [shard(0), GroupId::Directory] {
        let at = cluster.at(lost);
        let partition = at.node.context.storage.engine.partition(group);
        let ended = Instant::now();
        partition.lose(&DAMAGE);
        eventually("the replica stops", async || !runs(at, group)).await;
        let refused = at.engine().get(&key(group, 1));
        assert!(
            matches!(refused, Err(StoreError::PartitionLost { .. })),
            "an empty state is not served: {refused:?}"
        );
        let stopped = at.stopped_replicas();
        assert!(stopped.iter().any(|stopped| stopped.group == group), "{stopped:?}");
        assert!(runs(at, shard(1)), "the other shard goes on");
        eventually("it runs again", async || runs(at, group)).await;
        let guard = at.node.context.restart_guard;
        assert!(ended.elapsed() >= guard, "the lease that it granted must have run out before it votes");
        cluster.agree(group).await;
        assert!(!at.node.context.lifecycle.failed.is_cancelled());
        assert_eq!(at.stopped_replicas(), []);
    }
    // the rebuilt node carries a majority
    let away = if lost == 1 { 2 } else { 1 };
    cluster.kill(away).await;
    cluster.put(shard(0), 1, 2, b"and goes on").await;
    assert!(get(cluster.at(lost), shard(0), 119).is_some());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_no_other_node_has_is_not_replaced_by_nothing() {
    let cluster = TestCluster::with(1, short_log(), || Keep::Fjall).await;
    cluster.init(2).await;
    fill_until_purged(&cluster, 1).await;
    let at = cluster.at(1);
    at.node.context.storage.engine.partition(shard(0)).lose(&DAMAGE);
    eventually("the replica says that nobody has its state", async || {
        let stopped = at.stopped_replicas();
        stopped.iter().any(|stopped| stopped.group == shard(0) && stopped.state == ReplicaState::Stranded)
    })
    .await;
    assert!(!runs(at, shard(0)));
    assert!(runs(at, shard(1)) && runs(at, GroupId::Directory));
    assert!(matches!(at.engine().get(&key(shard(0), 1)), Err(StoreError::PartitionLost { .. })));
    cluster.put(shard(1), 1, 1, b"the other shard goes on").await;
    cluster.shutdown().await;
}

/// Nothing was purged, so the log has everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_state_comes_back_from_the_log_alone() {
    let cluster = TestCluster::with(1, Timing::fast(), || Keep::Fjall).await;
    cluster.init(1).await;
    for number in 0..20 {
        cluster.put(shard(0), number, 1, b"acknowledged").await;
    }
    let at = cluster.at(1);
    at.node.context.storage.engine.partition(shard(0)).lose(&DAMAGE);
    eventually("the replica stops", async || !runs(at, shard(0))).await;
    eventually("it runs again", async || runs(at, shard(0))).await;
    cluster.put(shard(0), 0, 2, b"and goes on").await;
    assert!((1..20).all(|number| get(at, shard(0), number) == Some((1, b"acknowledged"[..].into()))));
    cluster.shutdown().await;
}
