//! The Raft library's own test suite, run against our log and our state machine.

use std::sync::Arc;

use custodia_profile::{GroupId, NodeId, ReplicaId, ShardId};
use custodia_store::{DataFolder, EngineKind, MemoryEngine, StatePartitions};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::raft::log::ReplicaLog;
use crate::raft::machine::StateMachine;
use crate::raft::storage::Storage;
use crate::raft::types::TypeConfig;
use crate::raft::verifier::Verifier;

/// Storage in a folder, with the state in memory.
pub(crate) fn storage(folder: &TempDir) -> Arc<Storage> {
    let folder = DataFolder::open(folder.path(), NodeId::new(1).unwrap(), EngineKind::Memory).unwrap();
    let log = folder.open_log().unwrap();
    let state = StatePartitions::single(Arc::new(MemoryEngine::new()));
    Storage::new(Arc::new(state), log, Arc::new(folder))
}

pub(crate) async fn open(folder: &TempDir) -> (ReplicaLog, StateMachine) {
    let group = GroupId::Shard(ShardId::new(0).unwrap());
    let storage = storage(folder);
    let replica = ReplicaId::new(1).unwrap();
    let log = ReplicaLog::open(storage.log.clone(), group, replica, false).await.unwrap();
    let end = CancellationToken::new().drop_guard();
    let verifier = Verifier::new(group, Arc::default(), Arc::clone(&storage.verifying));
    let state = storage.engine.partition(group);
    let machine = StateMachine::open(group, storage, state, log.clone(), verifier, end).unwrap();
    (log, machine)
}

struct Builder;

impl StoreBuilder<TypeConfig, ReplicaLog, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, ReplicaLog, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let (log, machine) = open(&folder).await;
        Ok((folder, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn library_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}
