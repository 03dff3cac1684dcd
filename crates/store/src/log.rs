//! The Raft logs of all replicas of a node, in one shared log.
//!
//! ```text
//!  replica A ─┐  append, vote, truncate, purge     ┌─────────────┐ one batch, one fsync ┌─────────────┐
//!  replica B ─┼──────────────► queue ────────────► │ writer      │ ───────────────────► │ raft-engine │
//!  replica C ─┘    (order kept, bounded)           │ thread      │ ◄─ done callbacks ── └─────────────┘
//!                                                  └─────────────┘        in order
//! ```
//!
//! What must hold:
//! - an operation's `done` is called after its bytes are synced, in the order of the calls;
//! - a record can be read as soon as `append` has returned, synced or not (openraft asks for that): what is not yet on
//!   disk is served from memory;
//! - `save_committed` is never synced for its own sake: it rides along with the next batch;
//! - so every batch that reaches the disk is synced before the next one is begun, and at most the last one can be torn;
//! - indexes are checked here, because raft-engine panics on a hole;
//! - after a failed write or fsync every later call fails, until the process starts again;
//! - a destroyed replica leaves a tombstone and its id is refused for ever.

mod check;
mod open;
mod queue;
mod record;
mod replica;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use custodia_profile::ReplicaId;
use parking_lot::{Mutex, RwLock};

use crate::error::StoreError;
use crate::poison::Poison;
use queue::{Operation, Queue};
use replica::ReplicaLog;

/// Called once an operation is durable, or has failed. It runs on the log's writer thread (or, when an operation is
/// refused at once, on the caller's): it must be short and must not call back into the log.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One entry of a replica's log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its index; consecutive within a replica.
    pub index: u64,
    /// Its bytes, opaque here.
    pub bytes: Bytes,
}

impl fmt::Debug for LogRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogRecord({}, {} bytes)", self.index, self.bytes.len())
    }
}

/// The end of what was purged from a replica's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// The last purged index.
    pub index: u64,
    /// What the caller saved with it: its own encoding of the log id.
    pub marker: Bytes,
}

/// What a replica's log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// The first index held, if any.
    pub first: Option<u64>,
    /// The last index held, if any.
    pub last: Option<u64>,
    /// The end of what was purged, if anything was.
    pub purged: Option<Purged>,
}

/// Sizes of the log's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// A file is closed and the next begun at this size.
    pub file_bytes: u64,
    /// Above this size old files are rewritten and removed.
    pub purge_above_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file_bytes: 32 * 1024 * 1024, purge_above_bytes: 256 * 1024 * 1024 }
    }
}

/// The node's log. Clones share it; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct SharedLog {
    inner: Arc<Inner>,
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedLog").field("path", &self.inner.engine_path()).finish_non_exhaustive()
    }
}

struct Inner {
    engine: Option<Arc<raft_engine::Engine>>,
    replicas: RwLock<Replicas>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What callers and the writer thread share.
#[derive(Default)]
struct Shared {
    queue: Queue,
    poison: Poison,
    purge_wanted: Mutex<Vec<ReplicaId>>,
}

#[derive(Default)]
struct Replicas {
    live: BTreeMap<ReplicaId, Arc<Mutex<ReplicaLog>>>,
    destroyed: BTreeSet<ReplicaId>,
}

impl SharedLog {
    /// Opens or creates the log in a folder. A batch torn by a crash at the very end is dropped.
    ///
    /// # Errors
    /// [`StoreError::LogCorrupt`] when something before the end is damaged, [`StoreError::Io`] and
    /// [`StoreError::DiskFull`] when the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, LogOptions::default())
    }

    /// [`SharedLog::open`] with file sizes of one's own.
    ///
    /// # Errors
    /// As [`SharedLog::open`].
    pub fn open_with(folder: &Path, options: LogOptions) -> Result<Self, StoreError> {
        let (engine, replicas) = open::open(folder, options)?;
        let shared = Arc::<Shared>::default();
        let threads = writer::start(&engine, &shared)?;
        let inner = Inner { engine: Some(engine), replicas: RwLock::new(replicas), shared, threads };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends records that continue the replica's log. They can be read when this returns; `done` says when they are
    /// durable, and then so is everything before.
    pub fn append(&self, replica: ReplicaId, records: Vec<LogRecord>, done: Done) {
        self.submit(replica, done, |log| log.append(replica, records));
    }

    /// Saves the replica's vote.
    pub fn save_vote(&self, replica: ReplicaId, vote: impl Into<Bytes>, done: Done) {
        self.submit(replica, done, |log| {
            let vote = vote.into();
            log.vote = Some(vote.clone());
            Ok(Operation::Vote(vote))
        });
    }

    /// Saves the replica's committed log id, not synced: after a crash an older one may be found.
    ///
    /// # Errors
    /// When the log is poisoned or the replica destroyed.
    pub fn save_committed(&self, replica: ReplicaId, committed: impl Into<Bytes>) -> Result<(), StoreError> {
        let log = self.inner.replica(replica)?;
        let mut log = log.lock();
        log.check(replica)?;
        let committed = committed.into();
        log.committed = Some(committed.clone());
        self.inner.shared.queue.save_committed(replica, committed);
        Ok(())
    }

    /// Removes every record after `index`, or all of them with `None`.
    pub fn truncate_after(&self, replica: ReplicaId, index: impl Into<Option<u64>>, done: Done) {
        let index = index.into();
        self.submit(replica, done, |log| {
            log.truncate_after(replica, index, |index| self.inner.read_disk(replica, index, index + 1, 1))
        });
    }

    /// Removes every record through `index`, which may lie beyond the last one (after a snapshot): the log then goes on
    /// behind it. `marker` is kept with it. The caller makes sure that the state is durable to that index.
    pub fn purge_through(&self, replica: ReplicaId, index: u64, marker: impl Into<Bytes>, done: Done) {
        self.submit(replica, done, |log| Ok(log.purge_through(Purged { index, marker: marker.into() })));
    }

    /// The records of `[from, to_exclusive)` that exist, up to about `bytes_max` bytes but at least one.
    ///
    /// # Errors
    /// When the log is damaged or poisoned, or the replica destroyed.
    pub fn read(
        &self,
        replica: ReplicaId,
        from: u64,
        to_exclusive: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let log = self.inner.replica(replica)?;
        let plan = log.lock().plan_read(from, to_exclusive, bytes_max);
        let Some((from, to_exclusive)) = plan.on_disk else {
            return Ok(plan.in_memory);
        };
        self.inner.read_disk(replica, from, to_exclusive, bytes_max)
    }

    /// What the replica's log holds.
    ///
    /// # Errors
    /// When the log is poisoned or the replica destroyed.
    pub fn bounds(&self, replica: ReplicaId) -> Result<LogBounds, StoreError> {
        Ok(self.inner.replica(replica)?.lock().bounds())
    }

    /// The vote saved last.
    ///
    /// # Errors
    /// As [`SharedLog::bounds`].
    pub fn read_vote(&self, replica: ReplicaId) -> Result<Option<Bytes>, StoreError> {
        Ok(self.inner.replica(replica)?.lock().vote.clone())
    }

    /// The committed log id saved last.
    ///
    /// # Errors
    /// As [`SharedLog::bounds`].
    pub fn read_committed(&self, replica: ReplicaId) -> Result<Option<Bytes>, StoreError> {
        Ok(self.inner.replica(replica)?.lock().committed.clone())
    }

    /// Removes everything of a replica and refuses its id for ever. Durable when it returns; blocks for one fsync.
    ///
    /// # Errors
    /// When the log is or becomes poisoned. That the replica is already destroyed is no error.
    pub fn destroy(&self, replica: ReplicaId) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        shared.poison.check()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        {
            let mut replicas = self.inner.replicas.write();
            if !replicas.destroyed.insert(replica) {
                return Ok(());
            }
            if let Some(log) = replicas.live.remove(&replica) {
                log.lock().destroyed = true;
            }
            let done: Done = Box::new(move |result| {
                // Nobody listens any more only if the caller's thread is gone.
                sender.try_send(result).unwrap_or_default();
            });
            shared.queue.push(replica, Operation::Destroy, done);
        }
        receiver.recv().unwrap_or(Err(StoreError::LogClosed))
    }

    /// The replicas that have anything in the log.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaId> {
        self.inner.replicas.read().live.keys().copied().collect()
    }

    /// Whether a replica was destroyed.
    #[must_use]
    pub fn is_destroyed(&self, replica: ReplicaId) -> bool {
        self.inner.replicas.read().destroyed.contains(&replica)
    }

    /// The replicas whose old records keep files from being removed, as of the last clean-up: purging these helps.
    #[must_use]
    pub fn purge_wanted(&self) -> Vec<ReplicaId> {
        self.inner.shared.purge_wanted.lock().clone()
    }

    /// Bytes that the log's files occupy.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        crate::files::folder_bytes(Path::new(self.inner.engine_path()))
    }

    /// The latch that stops the log after its first failed write.
    #[must_use]
    pub fn poison(&self) -> &Poison {
        &self.inner.shared.poison
    }

    /// Runs an operation under its replica's lock, so that the order in memory is the order in the queue.
    fn submit(
        &self,
        replica: ReplicaId,
        done: Done,
        operation: impl FnOnce(&mut ReplicaLog) -> Result<Operation, StoreError>,
    ) {
        let log = match self.inner.replica(replica) {
            Ok(log) => log,
            Err(error) => return done(Err(error)),
        };
        let mut log = log.lock();
        match log.check(replica).and_then(|()| operation(&mut log)) {
            Ok(operation) => {
                let queue = &self.inner.shared.queue;
                let sequence = queue.push(replica, operation, done);
                log.pushed(sequence, queue.durable());
            }
            Err(error) => {
                drop(log);
                done(Err(error));
            }
        }
    }
}

impl Inner {
    fn engine_path(&self) -> &str {
        self.engine.as_ref().map_or("", |engine| engine.path())
    }

    fn replica(&self, replica: ReplicaId) -> Result<Arc<Mutex<ReplicaLog>>, StoreError> {
        self.shared.poison.check()?;
        {
            let replicas = self.replicas.read();
            if let Some(log) = replicas.live.get(&replica) {
                return Ok(Arc::clone(log));
            }
            if replicas.destroyed.contains(&replica) {
                return Err(StoreError::ReplicaDestroyed { replica });
            }
        }
        let mut replicas = self.replicas.write();
        if replicas.destroyed.contains(&replica) {
            return Err(StoreError::ReplicaDestroyed { replica });
        }
        Ok(Arc::clone(replicas.live.entry(replica).or_default()))
    }

    fn read_disk(
        &self,
        replica: ReplicaId,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let engine = self.engine.as_ref().ok_or(StoreError::LogClosed)?;
        record::fetch(engine, replica, from, to, bytes_max)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // A callback may hold the last handle; then this is the writer thread itself, which ends by its own.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
        // raft-engine syncs as it closes, and panics if that fails.
        let engine = self.engine.take();
        if catch_unwind(AssertUnwindSafe(|| drop(engine))).is_err() {
            tracing::error!("the log panicked while it was closed");
        }
    }
}
