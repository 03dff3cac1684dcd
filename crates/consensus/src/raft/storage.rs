//! The storage that all replicas of a node share: the state in its partitions, the shared log, received snapshots, and the
//! copy of the directory that is read from the engine.

use std::sync::Arc;

use custodia_profile::GroupId;
use custodia_store::{DataFolder, Partition, SharedLog, StateEngine, StatePartitions, StoreError};
use tokio::sync::{Mutex, Semaphore};

use super::snapshot_files::SnapshotFiles;
use super::types::LogId;
use crate::blocking::blocking;
use crate::directory::{Directory, DirectoryCell};
use crate::error::ConsensusError;

/// The storage of a node.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) engine: Arc<StatePartitions>,
    pub(crate) log: SharedLog,
    pub(crate) folder: Arc<DataFolder>,
    pub(crate) snapshot_files: SnapshotFiles,
    pub(crate) directory: Arc<DirectoryCell>,
    /// Held by the one state that is being verified.
    pub(crate) verifying: Arc<Semaphore>,
    /// Held by the one flush that runs.
    flushing: Mutex<()>,
}

impl Storage {
    /// Takes over opened storage. The copy of the directory is empty until [`Storage::state_changed`] reads it.
    pub(crate) fn new(engine: Arc<StatePartitions>, log: SharedLog, folder: Arc<DataFolder>) -> Arc<Self> {
        let snapshot_files = SnapshotFiles::new(folder.snapshots_path());
        let directory = Arc::new(DirectoryCell::new(Directory::default()));
        let (verifying, flushing) = (Arc::new(Semaphore::new(1)), Mutex::new(()));
        Arc::new(Self { engine, log, folder, snapshot_files, directory, verifying, flushing })
    }

    /// Refuses once the engine or the log has failed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.engine.poison().check()?;
        self.log.poison().check()
    }

    /// Makes the state durable.
    pub(crate) async fn flush(&self) -> Result<(), ConsensusError> {
        let _flushing = self.flushing.lock().await;
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.flush()).await
    }

    /// Makes the state in one partition durable.
    pub(crate) async fn flush_partition(&self, partition: Partition) -> Result<(), ConsensusError> {
        let _flushing = self.flushing.lock().await;
        blocking(move || partition.flush()).await
    }

    /// To be called whenever a group's state has changed, with the last entry in it: the directory is also kept in memory.
    /// It is read from the partition that the caller changed, which may be lost and replaced by now.
    pub(crate) fn state_changed(&self, state: &Partition, group: GroupId, applied: Option<LogId>) {
        if group == GroupId::Directory {
            self.directory.reload(state, applied.map_or(0, |applied| applied.index));
        }
    }
}
