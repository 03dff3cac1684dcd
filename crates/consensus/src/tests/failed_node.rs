//! Regressions: a node with a full disk, or with a panicked part, went on leading a group that it could no longer serve. Its
//! reads failed, so it proposed nothing, so nothing stopped its replica, and its heartbeats kept the others from an
//! election.

use custodia_store::StoreError;

use crate::common::{TestCluster, eventually, get, shard, soon};
use crate::consensus::Consensus;
use crate::error::ConsensusError;
use crate::options::ReadMode;
use crate::timing::Timing;

const SHARDS: u16 = 4;

/// Makes the node that leads shard 0 fail. Returns the cause that it reports and its answer to a later read.
async fn others_lead_after(failure: impl AsyncFn(&Consensus)) -> (ConsensusError, ConsensusError) {
    let cluster = TestCluster::new(3, SHARDS, Timing::fast()).await;
    cluster.put(shard(0), 1, 1, b"acknowledged").await;
    cluster.agree(shard(0)).await;
    let failed = cluster.led(shard(0)).await;
    let at = cluster.at(failed.as_u32());
    failure(at).await;
    eventually("the node has failed", async || at.node.context.lifecycle.failed.is_cancelled()).await;
    let cause = at.failed().await;
    for group in (0..SHARDS).map(shard) {
        eventually("another node leads", async || cluster.led(group).await != failed).await;
        cluster.put(group, 2, 1, b"later").await;
    }
    let leader = cluster.led(shard(0)).await.as_u32();
    let kept = get(cluster.at(leader), shard(0), 1);
    assert_eq!(kept, Some((1, b"acknowledged"[..].into())));
    assert!(at.group_statuses().is_empty(), "no replica that could send a heartbeat is left there");
    let refused = at.read_barrier(shard(0), ReadMode::Lease, soon()).await.unwrap_err();
    cluster.shutdown().await;
    (cause, refused)
}

#[track_caller]
fn assert_disk_full((cause, refused): (ConsensusError, ConsensusError)) {
    assert!(matches!(cause, ConsensusError::Store(StoreError::DiskFull)), "{cause:?}");
    assert!(matches!(refused, ConsensusError::Store(StoreError::DiskFull)), "{refused:?}");
}

#[track_caller]
fn assert_part_failed((cause, refused): (ConsensusError, ConsensusError), failed: &str) {
    assert!(matches!(&cause, ConsensusError::PartFailed { part } if part == failed), "{cause:?}");
    assert!(matches!(refused, ConsensusError::Stopped), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_engine_stops_every_replica_of_its_node() {
    let full = async |at: &Consensus| at.engine().poison().set(&StoreError::DiskFull);
    assert_disk_full(others_lead_after(full).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_log_stops_every_replica_of_its_node() {
    let full = async |at: &Consensus| at.node.context.storage.log.poison().set(&StoreError::DiskFull);
    assert_disk_full(others_lead_after(full).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_in_a_state_machine_stops_every_replica_of_its_node() {
    let panic = async |at: &Consensus| {
        let raft = &at.node.replica(shard(0)).unwrap().raft;
        let panicked = raft.with_state_machine::<_, ()>(|_| panic!("injected by a test")).await;
        assert!(panicked.is_err());
    };
    assert_part_failed(others_lead_after(panic).await, &format!("the replica of {}", shard(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_in_the_library_stops_every_replica_of_its_node() {
    let panic = async |at: &Consensus| {
        let raft = &at.node.replica(shard(0)).unwrap().raft;
        let panicked = raft.with_raft_state::<_, ()>(|_| panic!("injected by a test")).await;
        assert!(panicked.is_err());
    };
    assert_part_failed(others_lead_after(panic).await, &format!("the replica of {}", shard(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panic_in_a_task_stops_every_replica_of_its_node() {
    let panic = async |at: &Consensus| {
        at.node.spawn("the start of a replica", async { panic!("injected by a test") })
    };
    assert_part_failed(others_lead_after(panic).await, "the start of a replica");
}
