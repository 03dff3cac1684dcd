//! Opens the configured engine, and sets a damaged one aside.
//!
//! ```text
//! open ──ok──────────────────────────────────────────────────► engine
//!   ├─ in use, disk full, no permission: not the data's fault ─► error, nothing touched; in use: after a moment
//!   └─ refuses or panics
//!        ├─ fjall, torn journal: cut to its last whole batch ─ok─► engine, at an earlier state
//!        └─ rename to NAME.aside-N ─► open fresh ──────────────► engine + where the old one went
//! ```
//!
//! Why not stop: a power cut can leave an engine that never opens again (measured: sled, 10 of 15). The node's replicas are
//! rebuilt from the other nodes; a crash loop would wait for an operator. The old folder is kept for one who looks.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EngineKind, FjallEngine, MemoryEngine, SledEngine, StateEngine, fjall_journal};
use crate::error::StoreError;
use crate::files;

/// How long an engine in use is waited for. The threads of one that was just closed, and a process that is about to end,
/// let go of it a moment later.
const IN_USE_WAIT: Duration = Duration::from_secs(2);
const IN_USE_POLL: Duration = Duration::from_millis(10);

/// An open engine, and the folder of the damaged one that it replaces.
#[derive(Debug)]
pub struct Opened {
    /// The engine.
    pub engine: Arc<dyn StateEngine>,
    /// Where the damaged one is, if there was one: every replica of this node must be rebuilt.
    pub set_aside: Option<PathBuf>,
}

/// Opens the engine in a folder, creating it if need be.
///
/// # Errors
/// When the folder is in use or cannot be read or written. Damage is no error: see [`Opened::set_aside`].
pub fn open_engine(path: &Path, kind: EngineKind, cache_bytes: u64) -> Result<Opened, StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    files::create_folder(parent)?;
    match open_when_free(path, kind, cache_bytes) {
        Ok(engine) => Ok(Opened { engine, set_aside: None }),
        Err(error) if !is_damage(&error) => Err(error),
        Err(error) => {
            if let Some(engine) = open_after_cut(path, kind, cache_bytes)? {
                return Ok(Opened { engine, set_aside: None });
            }
            let aside = files::aside_path(path);
            files::rename(path, &aside)?;
            tracing::error!(
                engine = %kind, path = %path.display(), aside = %aside.display(), error = %error,
                cause = error.source().map(tracing::field::display),
                "state engine does not open, set aside"
            );
            let engine = open_shielded(path, kind, cache_bytes)?;
            Ok(Opened { engine, set_aside: Some(aside) })
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "engines are opened on a thread that may block")]
fn open_when_free(
    path: &Path,
    kind: EngineKind,
    cache_bytes: u64,
) -> Result<Arc<dyn StateEngine>, StoreError> {
    let deadline = Instant::now() + IN_USE_WAIT;
    loop {
        match open_shielded(path, kind, cache_bytes) {
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => std::thread::sleep(IN_USE_POLL),
            outcome => return outcome,
        }
    }
}

/// Tries once more with a torn journal cut back; `None` when there is nothing to cut or it does not help.
fn open_after_cut(
    path: &Path,
    kind: EngineKind,
    cache_bytes: u64,
) -> Result<Option<Arc<dyn StateEngine>>, StoreError> {
    if kind != EngineKind::Fjall || !fjall_journal::cut_to_whole_batches(path)? {
        return Ok(None);
    }
    match open_shielded(path, kind, cache_bytes) {
        Ok(engine) => Ok(Some(engine)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_shielded(
    path: &Path,
    kind: EngineKind,
    cache_bytes: u64,
) -> Result<Arc<dyn StateEngine>, StoreError> {
    let open = || -> Result<Arc<dyn StateEngine>, StoreError> {
        Ok(match kind {
            EngineKind::Fjall => Arc::new(FjallEngine::open(path, cache_bytes)?),
            EngineKind::Sled => Arc::new(SledEngine::open(path, cache_bytes)?),
            EngineKind::Memory => Arc::new(MemoryEngine::new()),
        })
    };
    catch_unwind(AssertUnwindSafe(open)).unwrap_or(Err(StoreError::EnginePanicked { kind }))
}

/// Whether the failure speaks about the data. One that speaks about the machine (no space, no permission, too many
/// open files, a broken disk) would hit the fresh engine too, and must not cost the node its state.
fn is_damage(error: &StoreError) -> bool {
    if let StoreError::Engine { source, .. } = error {
        let mut cause: Option<&(dyn Error + 'static)> = Some(source.as_ref());
        while let Some(current) = cause {
            if let Some(io_error) = current.downcast_ref::<io::Error>() {
                return !speaks_of_the_machine(io_error);
            }
            cause = current.source();
        }
        return true;
    }
    matches!(error, StoreError::EnginePanicked { .. } | StoreError::Corrupt { .. })
}

fn speaks_of_the_machine(error: &io::Error) -> bool {
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
    fn trouble_of_the_machine_does_not_cost_the_state() {
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
