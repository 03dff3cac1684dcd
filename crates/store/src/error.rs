//! Every way in which storage can fail, one variant for each condition a caller can act on.
//!
//! Invariant: no variant carries key bytes, values or personal data; paths, indexes and ids only.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custodia_profile::{NodeId, ReplicaId};

use crate::engine::EngineKind;

/// What went wrong in storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk (or the quota on it) is full; nothing of the refused write is promised.
    #[error("the disk is full")]
    DiskFull,
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// An earlier write or fsync failed; what is on disk is unknown until the process starts again.
    #[error("storage is stopped since a write failed: {cause}")]
    Poisoned {
        /// The failure that stopped it.
        cause: Arc<str>,
    },
    /// The state engine reported an error.
    #[error("the {kind} engine failed")]
    Engine {
        /// Which engine.
        kind: EngineKind,
        /// Its own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The state engine panicked inside a call; it is not used again.
    #[error("the {kind} engine panicked")]
    EnginePanicked {
        /// Which engine.
        kind: EngineKind,
    },
    /// The engine's files are in use by another process.
    #[error("{path} is in use by another process")]
    Locked {
        /// The folder or the lock file.
        path: PathBuf,
    },
    /// Bytes on disk fail their checksum or cannot be what was written.
    #[error("{what} is corrupt")]
    Corrupt {
        /// Which kind of bytes.
        what: &'static str,
    },
    /// Bytes on disk come from a format that this version does not know.
    #[error("{what} has the unknown format version {version}")]
    UnknownFormat {
        /// Which kind of bytes.
        what: &'static str,
        /// The version found.
        version: u32,
    },
    /// The Raft log engine reported an error.
    #[error("the log engine failed")]
    Log(#[source] raft_engine::Error),
    /// The Raft log engine panicked inside a call; the log is not used again.
    #[error("the log engine panicked")]
    LogPanicked,
    /// The log's files are damaged before their end, so synced records may be missing.
    #[error("the log file {path} is corrupt at byte {offset}")]
    LogCorrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// An append does not continue the replica's log.
    #[error("replica {replica}: expected log index {expected}, got {found}")]
    LogHole {
        /// Whose log.
        replica: ReplicaId,
        /// The only index that may come next.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A truncation reaches below what is purged.
    #[error("replica {replica}: log index {index} is purged (through {purged})")]
    LogPurged {
        /// Whose log.
        replica: ReplicaId,
        /// The index asked for.
        index: u64,
        /// The last purged index.
        purged: u64,
    },
    /// The replica was destroyed; its id is never used again.
    #[error("replica {replica} was destroyed")]
    ReplicaDestroyed {
        /// The destroyed replica.
        replica: ReplicaId,
    },
    /// The writer thread is gone, because the log was closed.
    #[error("the log is closed")]
    LogClosed,
    /// The data folder belongs to another node.
    #[error("{path} belongs to node {found}, this is node {expected}")]
    OtherNode {
        /// The data folder.
        path: PathBuf,
        /// The node that opens it.
        expected: NodeId,
        /// The node that it remembers.
        found: NodeId,
    },
    /// The data folder belongs to another cluster.
    #[error("{path} belongs to cluster {found}, not to {expected}")]
    OtherCluster {
        /// The data folder.
        path: PathBuf,
        /// The cluster that was to be written.
        expected: uuid::Uuid,
        /// The cluster that it remembers.
        found: uuid::Uuid,
    },
    /// The data folder was made with another state engine.
    #[error("{path} holds {found} state, the configuration says {expected}")]
    OtherEngine {
        /// The data folder.
        path: PathBuf,
        /// The configured engine.
        expected: EngineKind,
        /// The engine that it remembers.
        found: EngineKind,
    },
    /// A spool file is torn, cut or altered.
    #[error("the spool {path} is corrupt: {reason}")]
    SpoolCorrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name that would lead out of its folder, or that is too long.
    #[error("not a valid spool name")]
    SpoolName,
    /// Something is larger than its limit.
    #[error("{what} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// An I/O error, told apart from a full disk.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if is_disk_full(&source) {
            return Self::DiskFull;
        }
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// An engine's error, told apart from a full disk wherever the chain of causes shows it.
    pub(crate) fn engine(kind: EngineKind, source: impl Error + Send + Sync + 'static) -> Self {
        if chain_says_disk_full(&source) {
            return Self::DiskFull;
        }
        Self::Engine { kind, source: Box::new(source) }
    }

    /// The log engine's error, told apart from a full disk.
    pub(crate) fn log(source: raft_engine::Error) -> Self {
        if let raft_engine::Error::Io(io_error) = &source
            && is_disk_full(io_error)
        {
            return Self::DiskFull;
        }
        Self::Log(source)
    }
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn chain_says_disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.downcast_ref::<io::Error>().is_some_and(is_disk_full) {
            return true;
        }
        cause = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_full_is_told_from_other_errors() {
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
