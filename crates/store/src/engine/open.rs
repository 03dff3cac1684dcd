//! Opens the configured engine and sets a damaged one aside.
//!
//! ```text
//! open ──ok──────────────────────────────────────────────────► engine
//!   ├─ in use, disk full, no permission: the data is sound ─► error, nothing touched; in use: after a short wait
//!   └─ error or panic
//!        ├─ fjall, torn journal: cut to its last whole batch ─ok─► engine, at an earlier state
//!        └─ rename to NAME.aside-N ─► open an empty one ───────► engine + path of the old one
//! ```
//!
//! Why not stop: a power cut can leave an engine that never opens again (measured: sled, 10 of 15). The node rebuilds its
//! replicas from the other nodes; a crash loop would need an operator. The old folder is kept for inspection.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FjallEngine, MemoryEngine, SledEngine, StateEngine, fjall_journal};
use crate::catch_panic::catch_panic;
use crate::engine_kind::EngineKind;
use crate::error::{StoreError, causes};
use crate::files;

/// How long to wait for an engine in use. The threads of an engine that was just closed, and a process that is about to end,
/// release it a moment later.
const IN_USE_WAIT: Duration = Duration::from_secs(2);
const IN_USE_POLL: Duration = Duration::from_millis(10);

/// An open engine, and the folder of the damaged one that it replaces.
#[derive(Debug)]
pub struct Opened {
    /// The engine.
    pub engine: Arc<dyn StateEngine>,
    /// Where the damaged engine was moved, if there was one: every replica of this node must be rebuilt.
    pub set_aside: Option<PathBuf>,
}

/// Opens the engine in a folder, creating it if need be.
///
/// # Errors
/// When the folder is in use, or cannot be read or written. Damage is not an error: see [`Opened::set_aside`].
pub fn open_engine(path: &Path, kind: EngineKind, cache_bytes: u64) -> Result<Opened, StoreError> {
    open_engine_with(path, &BlockCache::new(kind, cache_bytes, 1))
}

/// Memory for blocks, shared by the engines of a node.
pub(crate) enum BlockCache {
    /// The cache that all databases share, in a configuration, because its type is private.
    Fjall(fjall::Config),
    /// The bytes of each database, because their caches are apart.
    Sled(u64),
    Memory,
}

impl BlockCache {
    /// For as many engines as there will be at a time.
    pub(crate) fn new(kind: EngineKind, bytes: u64, engines: u64) -> Self {
        match kind {
            EngineKind::Fjall => Self::Fjall(FjallEngine::shared_cache(bytes)),
            EngineKind::Sled => Self::Sled(bytes / engines.max(1)),
            EngineKind::Memory => Self::Memory,
        }
    }

    fn kind(&self) -> EngineKind {
        match self {
            Self::Fjall(_) => EngineKind::Fjall,
            Self::Sled(_) => EngineKind::Sled,
            Self::Memory => EngineKind::Memory,
        }
    }
}

/// [`open_engine`] with memory that other engines use too.
pub(crate) fn open_engine_with(path: &Path, cache: &BlockCache) -> Result<Opened, StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    files::create_folder(parent)?;
    match open_when_free(path, cache) {
        Ok(engine) => Ok(Opened { engine, set_aside: None }),
        Err(error) if !is_damage(&error) => Err(error),
        Err(error) => {
            if let Some(engine) = open_after_cut(path, cache)? {
                return Ok(Opened { engine, set_aside: None });
            }
            let aside = files::aside_path(path);
            files::rename(path, &aside)?;
            tracing::error!(
                engine = %cache.kind(), path = %path.display(), aside = %aside.display(), error = %error,
                cause = error.source().map(tracing::field::display),
                "state engine does not open; moved aside"
            );
            let engine = open_once(path, cache)?;
            Ok(Opened { engine, set_aside: Some(aside) })
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "engines are opened on a thread that may block")]
fn open_when_free(path: &Path, cache: &BlockCache) -> Result<Arc<dyn StateEngine>, StoreError> {
    let deadline = Instant::now() + IN_USE_WAIT;
    loop {
        match open_once(path, cache) {
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => std::thread::sleep(IN_USE_POLL),
            outcome => return outcome,
        }
    }
}

/// Tries again with a torn journal cut back; `None` when there is nothing to cut or cutting does not help.
fn open_after_cut(path: &Path, cache: &BlockCache) -> Result<Option<Arc<dyn StateEngine>>, StoreError> {
    if cache.kind() != EngineKind::Fjall || !fjall_journal::cut_to_whole_batches(path)? {
        return Ok(None);
    }
    match open_once(path, cache) {
        Ok(engine) => Ok(Some(engine)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_once(path: &Path, cache: &BlockCache) -> Result<Arc<dyn StateEngine>, StoreError> {
    let open = || -> Result<Arc<dyn StateEngine>, StoreError> {
        Ok(match cache {
            BlockCache::Fjall(shared) => Arc::new(FjallEngine::open(path, shared)?),
            BlockCache::Sled(bytes) => Arc::new(SledEngine::open(path, *bytes)?),
            BlockCache::Memory => Arc::new(MemoryEngine::new()),
        })
    };
    catch_panic(StoreError::EnginePanicked { kind: cache.kind() }, open)
}

/// Whether the data is at fault. A failure of the machine (no space, no permission, too many open files, a broken disk)
/// would hit an empty engine too, and must not cost the node its state.
pub(super) fn is_damage(error: &StoreError) -> bool {
    if let StoreError::Engine { source, .. } = error {
        let io_error = causes(source.as_ref()).find_map(|cause| cause.downcast_ref());
        return !io_error.is_some_and(is_machine_failure);
    }
    matches!(error, StoreError::EnginePanicked { .. } | StoreError::Corrupt { .. })
}

fn is_machine_failure(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
        || matches!(
            error.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::OutOfMemory
                | ErrorKind::NotADirectory
                | ErrorKind::ResourceBusy
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_failure_does_not_cost_the_state() {
        for number in [5, 13, 23, 24, 30] {
            let error = StoreError::engine(EngineKind::Fjall, io::Error::from_raw_os_error(number));
            assert!(!is_damage(&error), "errno {number}");
        }
        assert!(!is_damage(&StoreError::DiskFull));
        assert!(!is_damage(&StoreError::Locked { path: PathBuf::new() }));
    }

    #[test]
    fn damage_is_recognised() {
        assert!(is_damage(&StoreError::EnginePanicked { kind: EngineKind::Sled }));
        assert!(is_damage(&StoreError::engine(EngineKind::Fjall, fjall::Error::Unrecoverable)));
        let cut = io::Error::from(ErrorKind::UnexpectedEof);
        assert!(is_damage(&StoreError::engine(EngineKind::Fjall, cut)));
    }
}
