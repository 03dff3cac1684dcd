//! What a replica's log keeps after the replica lost its state or fetched it again.

use custodia_profile::{GroupId, ReplicaId, ShardId};
use custodia_store::SharedLog;
use openraft::EntryPayload;
use openraft::entry::RaftEntry as _;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};

use crate::error::ConsensusError;
use crate::raft::log::ReplicaLog;
use crate::raft::types::{Entry, LogId};

fn group() -> GroupId {
    GroupId::Shard(ShardId::new(0).unwrap())
}

fn replica() -> ReplicaId {
    ReplicaId::new(1).unwrap()
}

fn entry(term: u64, index: u64) -> Entry {
    Entry::new(LogId::new(LeaderId { term, node_id: 1 }, index), EntryPayload::Blank)
}

/// A log that is purged through index 2 and holds 3 and 4.
async fn purged_log(folder: &tempfile::TempDir) -> ReplicaLog {
    let shared = SharedLog::open(folder.path()).unwrap();
    let mut log = ReplicaLog::open(shared, group(), replica(), false).await.unwrap();
    log.blocking_append((0..5).map(|index| entry(1, index))).await.unwrap();
    log.purge(entry(1, 2).log_id).await.unwrap();
    log
}

#[tokio::test]
async fn acknowledged_entries_behind_a_snapshot_that_ends_at_the_purge_point_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = purged_log(&folder).await;
    log.reconcile(entry(1, 2).log_id).await.unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(entry(1, 4).log_id));
}

#[tokio::test]
async fn entries_that_a_snapshot_contradicts_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = purged_log(&folder).await;
    log.reconcile(entry(1, 3).log_id).await.unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(entry(1, 4).log_id));
    log.reconcile(entry(2, 3).log_id).await.unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(entry(1, 2).log_id));
}

#[tokio::test]
async fn replica_whose_log_is_missing_does_not_start_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    let refused = ReplicaLog::open(log, group(), replica(), true).await;
    assert!(matches!(refused, Err(ConsensusError::LogLost { .. })), "{refused:?}");
}
