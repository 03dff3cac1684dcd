//! Every way in which storage can fail: one variant for each condition that a caller can act on.
//!
//! Invariant: no variant carries key bytes, values or personal data; paths, indexes and ids only.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custodia_profile::{GroupId, NodeId, ReplicaId};

use crate::engine_kind::EngineKind;
use crate::partition_id::PartitionId;

/// What went wrong in storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk, or the quota on it, is full. The failed write may be on disk in part.
    #[error("disk full")]
    DiskFull,
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// An earlier write or fsync failed; until the process restarts, what is on disk is unknown.
    #[error("storage stopped after a failed write: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The state engine reported an error.
    #[error("{kind} engine failed")]
    Engine {
        /// Which engine.
        kind: EngineKind,
        /// Its own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The state engine panicked; it is not used again.
    #[error("{kind} engine panicked")]
    EnginePanicked {
        /// Which engine.
        kind: EngineKind,
    },
    /// A partition of the state was damaged: its replicas are rebuilt, from their logs or from other nodes.
    #[error("partition {partition} of the state is lost: {cause}")]
    PartitionLost {
        /// Which one.
        partition: PartitionId,
        /// The damage.
        cause: Arc<str>,
    },
    /// A folder is in use: by another process, as the text says, or by a call of this one that stays inside a lost partition
    /// ([`StatePartitions::replace`](crate::StatePartitions::replace)).
    #[error("{path} is in use by another process")]
    Locked {
        /// The folder or the lock file.
        path: PathBuf,
    },
    /// Stored bytes fail their checksum, or are not what this program writes.
    #[error("{what} is corrupt")]
    Corrupt {
        /// Which kind of bytes.
        what: &'static str,
    },
    /// A replica has not stored what a majority of the others has.
    #[error("the stored state of {group} differs from that of the other replicas")]
    Differs {
        /// Whose replica.
        group: GroupId,
    },
    /// Keys of more than one group, or of none, where those of one are expected.
    #[error("the keys are not those of one group")]
    NotOneGroup,
    /// Stored bytes have a format version that this program does not know.
    #[error("{what} has unknown format version {version}")]
    UnknownFormat {
        /// Which kind of bytes.
        what: &'static str,
        /// The version found.
        version: u32,
    },
    /// The Raft log engine reported an error.
    #[error("log engine failed")]
    Log(#[source] raft_engine::Error),
    /// The Raft log engine panicked; the log is not used again.
    #[error("log engine panicked")]
    LogPanicked,
    /// A log file is damaged before its end, so synced records may be missing.
    #[error("log file {path} is corrupt at byte {offset}")]
    LogCorrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage starts.
        offset: u64,
    },
    /// A log file between others is missing, and with it synced records.
    #[error("the log file after {after} is missing")]
    LogFileMissing {
        /// The file before it.
        after: PathBuf,
    },
    /// The log is not the one that the data folder was used with: it was removed or replaced.
    #[error("{path} is not this node's log: IDENTITY names log generation {expected}, found {}", generation_text(*found))]
    LogLost {
        /// The folder of the log.
        path: PathBuf,
        /// The generation in the identity file.
        expected: uuid::Uuid,
        /// The generation of the log found, if there is one.
        found: Option<uuid::Uuid>,
    },
    /// An append does not continue the replica's log.
    #[error("replica {replica}: expected log index {expected}, got {found}")]
    LogHole {
        /// Whose log.
        replica: ReplicaId,
        /// The next index of the log.
        expected: u64,
        /// The index of the appended record.
        found: u64,
    },
    /// A truncation would reach into the purged part.
    #[error("replica {replica}: cannot truncate after log index {index}, purged through {purged}")]
    LogPurged {
        /// Whose log.
        replica: ReplicaId,
        /// The index asked for.
        index: u64,
        /// The last purged index.
        purged: u64,
    },
    /// The replica was destroyed; its id is never used again.
    #[error("replica {replica} is destroyed")]
    ReplicaDestroyed {
        /// The destroyed replica.
        replica: ReplicaId,
    },
    /// The log was closed, so its writer thread has ended.
    #[error("log closed")]
    LogClosed,
    /// The data folder belongs to another node.
    #[error("{path} belongs to node {found}, but this is node {expected}")]
    OtherNode {
        /// The data folder.
        path: PathBuf,
        /// The node that opened it.
        expected: NodeId,
        /// The node in its identity file.
        found: NodeId,
    },
    /// The data folder belongs to another cluster.
    #[error("{path} belongs to cluster {found}, not to cluster {expected}")]
    OtherCluster {
        /// The data folder.
        path: PathBuf,
        /// The cluster that the node is joining.
        expected: uuid::Uuid,
        /// The cluster in its identity file.
        found: uuid::Uuid,
    },
    /// The data folder was created with another state engine.
    #[error("{path} holds {found} state, but the configuration names {expected}")]
    OtherEngine {
        /// The data folder.
        path: PathBuf,
        /// The configured engine.
        expected: EngineKind,
        /// The engine in its identity file.
        found: EngineKind,
    },
    /// A snapshot file is cut or altered.
    #[error("snapshot file {path} is corrupt: {reason}")]
    SnapshotFileCorrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name that would leave the folder, or that is too long.
    #[error("invalid snapshot file name")]
    SnapshotFileName,
    /// Data is larger than its limit.
    #[error("{what} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// [`Self::DiskFull`] where the error says so, otherwise [`Self::Io`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if is_disk_full(&source) {
            return Self::DiskFull;
        }
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// [`Self::DiskFull`] where any cause in the chain says so, otherwise [`Self::Engine`].
    pub(crate) fn engine(kind: EngineKind, source: impl Error + Send + Sync + 'static) -> Self {
        if causes(&source).filter_map(|cause| cause.downcast_ref()).any(is_disk_full) {
            return Self::DiskFull;
        }
        Self::Engine { kind, source: Box::new(source) }
    }

    /// [`Self::DiskFull`] where the error says so, otherwise [`Self::Log`].
    pub(crate) fn log(source: raft_engine::Error) -> Self {
        if let raft_engine::Error::Io(io_error) = &source
            && is_disk_full(io_error)
        {
            return Self::DiskFull;
        }
        Self::Log(source)
    }
}

fn generation_text(found: Option<uuid::Uuid>) -> String {
    found.map_or_else(|| "no log".to_owned(), |found| found.to_string())
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error with its causes, for people.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An error and its causes, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_full_is_recognised_among_other_errors() {
        let full = || io::Error::from_raw_os_error(28);
        assert!(matches!(StoreError::io("write", Path::new("x"), full()), StoreError::DiskFull));
        assert!(matches!(
            StoreError::engine(EngineKind::Fjall, fjall::Error::Io(full())),
            StoreError::DiskFull
        ));
        assert!(matches!(StoreError::engine(EngineKind::Sled, full()), StoreError::DiskFull));
        assert!(matches!(StoreError::log(raft_engine::Error::Io(full())), StoreError::DiskFull));
        let other = StoreError::io("write", Path::new("x"), io::Error::from_raw_os_error(5));
        assert!(matches!(other, StoreError::Io { .. }));
    }
}
