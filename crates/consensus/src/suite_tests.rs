//! The library's own suite, against our log and our state machine.

use std::sync::Arc;

use custodia_profile::{GroupId, NodeId, ReplicaId, ShardId};
use custodia_store::{DataFolder, EngineKind, MemoryEngine, SharedLog, StateEngine};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::log::ReplicaLog;
use crate::machine::{MachineContext, StateMachine};
use crate::node::{DirectoryCell, Flusher};
use crate::snapshot::Spool;
use crate::types::TypeConfig;

pub(crate) fn context(folder: DataFolder, engine: Arc<dyn StateEngine>) -> MachineContext {
    MachineContext {
        flusher: Arc::new(Flusher::new(Arc::clone(&engine))),
        engine,
        spool: Spool::new(Arc::new(folder)),
        directory: Arc::new(DirectoryCell::new(Directory::default())),
    }
}

pub(crate) async fn open(folder: &TempDir) -> (ReplicaLog, StateMachine) {
    let group = GroupId::Shard(ShardId::new(0).unwrap());
    let folder = DataFolder::open(folder.path(), NodeId::new(1).unwrap(), EngineKind::Memory).unwrap();
    let log = SharedLog::open(&folder.log_path()).unwrap();
    let log = ReplicaLog::open(log, group, ReplicaId::new(1).unwrap(), false).await.unwrap();
    let context = context(folder, Arc::new(MemoryEngine::new()));
    let end = CancellationToken::new().drop_guard();
    let machine = StateMachine::open(group, context, log.clone(), end).unwrap();
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
