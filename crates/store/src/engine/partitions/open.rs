//! Opens the partitions at the start of a node, and an empty one in the place of a lost one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::StatePartitions;
use crate::catch_panic::catch_panic;
use crate::engine::StateEngine;
use crate::engine::open::{BlockCache, open_engine_with};
use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::files;
use crate::partition_id::PartitionId;

/// How long to wait for calls that are still inside a lost engine.
const IN_USE_WAIT: Duration = Duration::from_secs(10);
const IN_USE_POLL: Duration = Duration::from_millis(10);

/// The open partitions, and the folders of damaged ones that were replaced.
#[derive(Debug)]
pub struct OpenedPartitions {
    /// The partitions.
    pub partitions: StatePartitions,
    /// Where damaged ones were moved: the replicas in them must be rebuilt.
    pub set_aside: Vec<PathBuf>,
}

impl StatePartitions {
    /// Opens the partitions in a folder, creating them if need be, all at the same time. They share `cache_bytes` of memory.
    ///
    /// # Errors
    /// When a folder is in use, or cannot be read or written. Damage is not an error: see [`OpenedPartitions::set_aside`].
    pub fn open(path: &Path, kind: EngineKind, cache_bytes: u64) -> Result<OpenedPartitions, StoreError> {
        files::create_folder(path)?;
        let opener = Opener {
            path: path.to_path_buf(),
            cache: BlockCache::new(kind, cache_bytes, PartitionId::COUNT.into()),
        };
        let opened: Vec<_> = thread::scope(|scope| {
            let opener = &opener;
            let open = |id| (id, scope.spawn(move || opener.open(id)));
            let threads: Vec<_> = PartitionId::all().map(open).collect();
            let panicked = || Err(StoreError::EnginePanicked { kind });
            threads
                .into_iter()
                .map(|(id, thread)| (id, thread.join().unwrap_or_else(|_| panicked())))
                .collect()
        });
        let mut engines = Vec::with_capacity(opened.len());
        let mut set_aside = Vec::new();
        for (id, opened) in opened {
            let (engine, aside) = opened?;
            engines.push((id, engine));
            set_aside.extend(aside);
        }
        Ok(OpenedPartitions { partitions: Self::new(kind, Some(opener), engines.into_iter()), set_aside })
    }
}

/// What opens a partition.
pub(super) struct Opener {
    path: PathBuf,
    cache: BlockCache,
}

impl Opener {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self, id: PartitionId) -> PathBuf {
        self.path.join(id.to_string())
    }

    fn open(&self, id: PartitionId) -> Result<(Arc<dyn StateEngine>, Option<PathBuf>), StoreError> {
        let opened = open_engine_with(&self.folder(id), &self.cache)?;
        Ok((opened.engine, opened.set_aside))
    }

    /// Keeps the folder of a closed engine under another name; where it is. `None` without a folder: the engine is in memory,
    /// or an earlier attempt renamed it.
    pub(super) fn set_aside(&self, id: PartitionId) -> Result<Option<PathBuf>, StoreError> {
        let folder = self.folder(id);
        let aside = files::aside_path(&folder);
        match files::rename(&folder, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the partition in a folder that does not exist, or that an earlier attempt has left.
    pub(super) fn open_empty(&self, id: PartitionId) -> Result<Arc<dyn StateEngine>, StoreError> {
        Ok(self.open(id)?.0)
    }
}

/// Closes an engine once no call is inside it; gives it back if one stays. (An engine that is renamed while it is open would
/// write into the folder that takes its place.)
#[expect(clippy::disallowed_methods, reason = "a partition is replaced on a thread that may block")]
pub(super) fn close(engine: Arc<dyn StateEngine>) -> Result<(), Arc<dyn StateEngine>> {
    let deadline = Instant::now() + IN_USE_WAIT;
    // Nobody else can get a new handle: that of the partition was taken.
    while Arc::strong_count(&engine) > 1 {
        if Instant::now() >= deadline {
            return Err(engine);
        }
        thread::sleep(IN_USE_POLL);
    }
    let kind = engine.kind();
    let close = || {
        drop(engine);
        Ok(())
    };
    if catch_panic(StoreError::EnginePanicked { kind }, close).is_err() {
        tracing::warn!(engine = %kind, "a damaged state engine panicked while closing");
    }
    Ok(())
}
