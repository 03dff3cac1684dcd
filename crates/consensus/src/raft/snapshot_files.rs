//! Snapshots on disk: a received snapshot becomes a file, and the file replaces a group's state.
//!
//! ```text
//! exchange ─► snapshot file, complete or absent ─► install (crash-safe, in the store) ─► file removed
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use custodia_profile::GroupId;
use custodia_store::{
    EngineSnapshot, Pair, Partition, ReplicaEntry, SnapshotFileWriter, StateEngine, StoreError,
    install_snapshot_file, list_snapshot_files, remove_snapshot_file, resume_install, write_snapshot_file,
};
use futures::{Stream, StreamExt};
use openraft::type_config::alias as of;
use prost::Message;
use tokio::sync::mpsc;

use super::record::Applied;
use super::snapshot_stream::Chunk;
use super::types::{SnapshotMeta, TypeConfig};
use crate::blocking::blocking;
use crate::error::ConsensusError;
use crate::transport::TransportError;

const WHAT: &str = "a snapshot";

pub(crate) type Snapshot = of::SnapshotOf<TypeConfig, SnapshotData>;

/// The content of a snapshot.
pub(crate) enum SnapshotData {
    /// No data: it only says that the state is durable up to the log id in its metadata.
    Durable,
    /// A view of the engine.
    View(Box<dyn EngineSnapshot>),
    /// The name of a received snapshot file.
    Received(String),
}

impl SnapshotData {
    /// The view to send to another node, if this is one.
    pub(crate) fn into_view(self) -> Option<Box<dyn EngineSnapshot>> {
        match self {
            Self::View(view) => Some(view),
            Self::Durable | Self::Received(_) => None,
        }
    }
}

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Durable => "Durable",
            Self::View(_) => "View",
            Self::Received(_) => "Received",
        })
    }
}

/// The folder of received snapshots.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    path: PathBuf,
    /// The number of the next file.
    next: AtomicU64,
}

impl SnapshotFiles {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, next: AtomicU64::new(0) }
    }

    /// Receives a snapshot into a file.
    pub(crate) async fn receive(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        mut input: impl Stream<Item = Result<Bytes, TransportError>> + Unpin,
    ) -> Result<SnapshotData, ConsensusError> {
        let (sender, receiver) = mpsc::channel(1);
        let writing = self.write(group, meta, Box::new(Incoming { chunks: receiver }));
        let receiving = async move {
            while let Some(Ok(message)) = input.next().await {
                let malformed = |_error| ConsensusError::Malformed { what: WHAT };
                let chunk = Chunk::decode(message).map_err(malformed)?;
                let last = chunk.last;
                if sender.send(chunk).await.is_err() || last {
                    break;
                }
            }
            // Without its last chunk the snapshot was cut off, and the end of the channel tells the writer so.
            Ok::<(), ConsensusError>(())
        };
        let (received, written) = tokio::join!(receiving, writing);
        received?;
        Ok(SnapshotData::Received(written?))
    }

    async fn write(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        mut source: Box<dyn EngineSnapshot>,
    ) -> Result<String, ConsensusError> {
        let name = format!("{}{}", prefix(group), self.next.fetch_add(1, Ordering::Relaxed));
        let meta = Applied::from(meta).encode();
        let path = self.path.clone();
        blocking(move || {
            let mut file = SnapshotFileWriter::create(&path, &name, &meta)?;
            write_snapshot_file(source.as_mut(), &mut file)?;
            file.finish()?;
            Ok::<_, StoreError>(name)
        })
        .await
    }

    /// Replaces a group's state by a snapshot. Durable when it returns.
    pub(crate) async fn install(
        &self,
        state: &Partition,
        group: GroupId,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> Result<(), ConsensusError> {
        let name = match data {
            SnapshotData::Received(name) => name,
            SnapshotData::View(view) => self.write(group, meta, view).await?,
            SnapshotData::Durable => return Err(ConsensusError::Malformed { what: WHAT }),
        };
        let applied = Applied::from(meta).encode();
        let (state, path) = (state.clone(), self.path.clone());
        blocking(move || {
            let own = [(ReplicaEntry::Applied, applied)];
            install_snapshot_file(&state, &path, &name, group, &own)?;
            remove_snapshot_file(&path, &name)
        })
        .await
    }

    /// Removes a received snapshot that is not needed after all.
    pub(crate) async fn discard(&self, data: SnapshotData) -> Result<(), ConsensusError> {
        let SnapshotData::Received(name) = data else { return Ok(()) };
        let path = self.path.clone();
        blocking(move || remove_snapshot_file(&path, &name)).await
    }

    /// Finishes an install that a crash has interrupted, and removes the group's other files. To be called before the
    /// group's state is read.
    pub(crate) fn resume(&self, state: &dyn StateEngine, group: GroupId) -> Result<(), ConsensusError> {
        let resumed = resume_install(state, &self.path, group)?;
        tracing::debug!(%group, ?resumed, "checked for an interrupted snapshot install");
        let own = prefix(group);
        for name in list_snapshot_files(&self.path)? {
            if name.starts_with(&own) {
                remove_snapshot_file(&self.path, &name)?;
            }
        }
        Ok(())
    }
}

/// How the names of a group's files begin.
fn prefix(group: GroupId) -> String {
    format!("snapshot-{:05}-", group.as_u16())
}

/// A snapshot as it arrives. Read on a thread that may block.
#[derive(Debug)]
struct Incoming {
    chunks: mpsc::Receiver<Chunk>,
}

impl EngineSnapshot for Incoming {
    fn next_chunk(&mut self, _bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        loop {
            match self.chunks.blocking_recv() {
                Some(chunk) if chunk.last => return Ok(Vec::new()),
                Some(chunk) if chunk.pairs.is_empty() => {}
                Some(chunk) => {
                    return Ok(chunk.pairs.into_iter().map(|pair| (pair.key, pair.value)).collect());
                }
                None => return Err(StoreError::Corrupt { what: "a snapshot that was cut off" }),
            }
        }
    }
}
