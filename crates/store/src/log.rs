//! The Raft logs of all replicas of a node in one shared log.
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
//! - a record can be read as soon as `append` has returned, synced or not (openraft requires it): what is not yet on disk is
//!   served from memory;
//! - `save_committed` causes no sync of its own: it is written with the next batch;
//! - every batch is synced before the next one is begun, so at most the last one can be torn;
//! - indexes are checked here, because raft-engine panics on a hole;
//! - after a failed write or fsync every later call fails until the process restarts;
//! - a destroyed replica leaves a tombstone, and its id is refused for ever.

mod check;
mod open;
mod queue;
mod record;
mod replica;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use custodia_profile::ReplicaId;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::catch_panic::catch_panic;
use crate::error::StoreError;
use crate::poison::Poison;
use queue::{Operation, Queue};
use replica::ReplicaLog;

/// Called when an operation is durable or has failed. It runs on the log's writer thread, or on the caller's thread if the
/// operation is rejected at once. It must be short and must not call back into the log.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One entry of a replica's log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its index; consecutive within a replica.
    pub index: u64,
    /// Its bytes; opaque to the log.
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
    /// The caller's own encoding of the log id, saved with it.
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
    /// At this size a file is closed and the next one begun.
    pub file_bytes: u64,
    /// Above this size old files are rewritten and removed.
    pub purge_above_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file_bytes: 32 * 1024 * 1024, purge_above_bytes: 256 * 1024 * 1024 }
    }
}

/// The node's log. Clones share it; dropping the last one closes it.
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
    generation: Uuid,
    replicas: RwLock<Replicas>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What callers and the writer thread share.
#[derive(Default)]
struct Shared {
    queue: Queue,
    poison: Poison,
    purge_wanted: Mutex<BTreeSet<ReplicaId>>,
}

#[derive(Default)]
struct Replicas {
    live: BTreeMap<ReplicaId, Arc<Mutex<ReplicaLog>>>,
    destroyed: BTreeSet<ReplicaId>,
}

impl SharedLog {
    /// Opens or creates the log in a folder. A last batch that a crash tore is dropped.
    ///
    /// # Errors
    /// [`StoreError::LogCorrupt`] when anything before the end is damaged, [`StoreError::LogFileMissing`],
    /// [`StoreError::Io`] and [`StoreError::DiskFull`] when the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, LogOptions::default())
    }

    /// [`SharedLog::open`] with other file sizes.
    ///
    /// # Errors
    /// As [`SharedLog::open`].
    pub fn open_with(folder: &Path, options: LogOptions) -> Result<Self, StoreError> {
        let (engine, generation, replicas) = open::open(folder, options)?;
        let shared = Arc::<Shared>::default();
        let threads = writer::start(&engine, &shared, options)?;
        let inner =
            Inner { engine: Some(engine), generation, replicas: RwLock::new(replicas), shared, threads };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether a folder holds a log.
    pub(crate) fn exists(folder: &Path) -> Result<bool, StoreError> {
        check::exists(folder)
    }

    /// The id that this log got when it was created: a log made anew in its place has another one.
    #[must_use]
    pub fn generation(&self) -> Uuid {
        self.inner.generation
    }

    /// Appends records that continue the replica's log. They can be read when this returns. When `done` is called they are
    /// durable, and so is everything before them.
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

    /// Saves the replica's committed log id without a sync: after a crash an older one may be found.
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

    /// Removes every record after `index`; all of them if `None`.
    pub fn truncate_after(&self, replica: ReplicaId, index: impl Into<Option<u64>>, done: Done) {
        let index = index.into();
        self.submit(replica, done, |log| {
            log.truncate_after(replica, index, |index| self.inner.read_disk(replica, index, index + 1, 1))
        });
    }

    /// Removes every record through `index` and saves `marker` with it. `index` may be beyond the last record (after a
    /// snapshot): the log then continues after it. The caller makes sure that the state is durable through `index`.
    pub fn purge_through(&self, replica: ReplicaId, index: u64, marker: impl Into<Bytes>, done: Done) {
        self.submit(replica, done, |log| Ok(log.purge_through(Purged { index, marker: marker.into() })));
    }

    /// The existing records of `[from, to_exclusive)`: at least one, and about `bytes_max` bytes at most.
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

    /// Removes everything of a replica and refuses its id for ever. Durable on `Ok`; blocks for one fsync.
    ///
    /// # Errors
    /// When the log is or becomes poisoned. Destroying a replica twice is not an error.
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
                // The receiver is gone only if the caller's thread is.
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

    /// The replicas whose old records have kept files from being removed since the last call: purging them frees space.
    #[must_use]
    pub fn take_purge_wanted(&self) -> BTreeSet<ReplicaId> {
        std::mem::take(&mut *self.inner.shared.purge_wanted.lock())
    }

    /// Bytes that the log's files occupy.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        crate::files::folder_bytes(Path::new(self.inner.engine_path()))
    }

    /// Stops the log after its first failed write.
    #[must_use]
    pub fn poison(&self) -> &Poison {
        &self.inner.shared.poison
    }

    /// Runs an operation under its replica's lock, so that memory and queue have the same order.
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
            // If a callback held the last handle, this is the writer thread itself; it ends on its own.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("log thread panicked");
            }
        }
        // raft-engine syncs as it closes, and panics if that fails.
        let engine = self.engine.take();
        let close = || {
            drop(engine);
            Ok(())
        };
        if catch_panic(StoreError::LogPanicked, close).is_err() {
            tracing::error!("log engine panicked while closing");
        }
    }
}
