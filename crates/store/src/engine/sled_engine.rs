//! The state in sled, selected by `state_engine = "sled"`.
//!
//! Three things that sled 0.34.7 lacks are done here:
//! - *Process death*: sled keeps a batch in its own buffers until a flush, so `write` waits for one. A single thread flushes
//!   for all waiting writes together, because concurrent flushes deadlock (sled issue 1308).
//! - *Whole batches in scans*: sled's iterator takes its lock for every pair again. `order` keeps scans and batches apart.
//! - *Snapshots*: a snapshot reads the live tree. Before a later batch changes a key, it copies the old value into the
//!   snapshot's overlay. The tree seen through the overlay is the tree as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use super::{Batch, EngineSnapshot, KeyRange, Pair, StateEngine, call_engine, prefix_end, prefix_range};
use crate::catch_panic::catch_panic;
use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::files;
use crate::poison::Poison;

/// Keeps the state in a sled database.
pub struct SledEngine {
    path: PathBuf,
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SledEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SledEngine").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Shared {
    database: sled::Db,
    poison: Poison,
    /// Held for writing while a batch is applied, for reading while pairs are scanned.
    order: RwLock<Vec<Weak<Overlay>>>,
    flushes: Mutex<Flushes>,
    flush_asked: Condvar,
    flush_done: Condvar,
}

#[derive(Default)]
struct Flushes {
    /// Number of the last flush that a caller waits for.
    asked: u64,
    /// Every batch applied before this number was asked for is on disk.
    done: u64,
    closed: bool,
}

impl SledEngine {
    /// Opens or creates the database in a folder.
    ///
    /// # Errors
    /// When it is locked, damaged or unreadable. May panic on damage: [`super::open_engine`] catches that.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let database = config.open().map_err(|error| {
            let locked = error.to_string().contains("could not acquire lock");
            if locked { StoreError::Locked { path: path.to_path_buf() } } else { failed(error) }
        })?;
        let shared = Arc::new(Shared {
            database,
            poison: Poison::default(),
            order: RwLock::default(),
            flushes: Mutex::default(),
            flush_asked: Condvar::new(),
            flush_done: Condvar::new(),
        });
        let flusher = {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name("state-flush".to_owned());
            let spawned = builder.spawn(move || shared.flush_when_asked());
            spawned.map_err(|source| StoreError::Thread { name: "state-flush", source })?
        };
        Ok(Self { path: path.to_path_buf(), shared, flusher: Some(flusher) })
    }

    fn call<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        call_engine(EngineKind::Sled, &self.shared.poison, call)
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        self.shared.flushes.lock().closed = true;
        self.shared.flush_asked.notify_all();
        if self.flusher.take().is_some_and(|flusher| flusher.join().is_err()) {
            tracing::error!("state engine flush thread panicked");
        }
    }
}

/// sled does not give an I/O error as its source, so it is unwrapped here.
fn failed(error: sled::Error) -> StoreError {
    if let sled::Error::Io(io_error) = error {
        return StoreError::engine(EngineKind::Sled, io_error);
    }
    StoreError::engine(EngineKind::Sled, error)
}

fn to_bytes(bytes: &sled::IVec) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl Shared {
    /// Waits until everything applied so far is on disk.
    fn flush(&self) -> Result<(), StoreError> {
        let mut flushes = self.flushes.lock();
        flushes.asked += 1;
        let ticket = flushes.asked;
        self.flush_asked.notify_one();
        while flushes.done < ticket {
            self.poison.check()?;
            self.flush_done.wait(&mut flushes);
        }
        Ok(())
    }

    fn flush_when_asked(&self) {
        let mut flushes = self.flushes.lock();
        loop {
            while flushes.asked == flushes.done && !flushes.closed {
                self.flush_asked.wait(&mut flushes);
            }
            if flushes.asked == flushes.done {
                return;
            }
            let covered = flushes.asked;
            drop(flushes);
            let flush = || self.database.flush().map(|_| ()).map_err(failed);
            let result = catch_panic(StoreError::EnginePanicked { kind: EngineKind::Sled }, flush);
            flushes = self.flushes.lock();
            let stopped = self.poison.watch(result).is_err();
            if !stopped {
                flushes.done = covered;
            }
            self.flush_done.notify_all();
            if stopped {
                return;
            }
        }
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut overlays = self.order.write();
        overlays.retain(|overlay| match overlay.upgrade() {
            Some(overlay) => {
                overlay.keep_old_values(&self.database, &batch);
                true
            }
            None => false,
        });
        let mut write = sled::Batch::default();
        for (key, value) in batch.into_operations() {
            match value {
                Some(value) => write.insert(&key[..], &value[..]),
                None => write.remove(&key[..]),
            }
        }
        self.database.apply_batch(write).map_err(failed)
    }
}

impl StateEngine for SledEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Sled
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.call(|| Ok(self.shared.database.get(key).map_err(failed)?.map(|value| to_bytes(&value))))
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let end = prefix_end(prefix);
        let Some(range) = prefix_range(prefix, start_after, end.as_deref()) else {
            return Ok(Vec::new());
        };
        self.call(|| {
            let _apart_from_batches = self.shared.order.read();
            let pairs = self.shared.database.range::<&[u8], _>(range).take(limit);
            pairs
                .map(|pair| pair.map(|(key, value)| (to_bytes(&key), to_bytes(&value))).map_err(failed))
                .collect()
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return self.shared.poison.check();
        }
        self.call(|| {
            self.shared.poison.watch(self.shared.apply(batch))?;
            self.shared.flush()
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.call(|| self.shared.flush())
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        self.call(|| {
            let overlay = Arc::new(Overlay {
                prefix: prefix.to_vec(),
                end: prefix_end(prefix),
                state: Mutex::default(),
            });
            self.shared.order.write().push(Arc::downgrade(&overlay));
            let snapshot: Box<dyn EngineSnapshot> =
                Box::new(SledSnapshot { shared: Arc::clone(&self.shared), overlay });
            Ok(snapshot)
        })
    }

    fn disk_bytes(&self) -> u64 {
        files::folder_bytes(&self.path)
    }

    fn poison(&self) -> &Poison {
        &self.shared.poison
    }
}

/// What a snapshot must see instead of the live tree.
struct Overlay {
    prefix: Vec<u8>,
    end: Option<Vec<u8>>,
    state: Mutex<OverlayState>,
}

#[derive(Default)]
struct OverlayState {
    /// The last key returned; later changes up to it no longer matter.
    through: Option<Bytes>,
    finished: bool,
    /// Old values by key, from before a later batch. `None`: the key did not exist.
    old: BTreeMap<Bytes, Option<Bytes>>,
    /// An old value could not be read, so the snapshot cannot be completed.
    broken: bool,
}

impl Overlay {
    fn keep_old_values(&self, tree: &sled::Tree, batch: &Batch) {
        let mut state = self.state.lock();
        for key in batch.keys() {
            let returned = state.finished || state.through.as_ref().is_some_and(|through| key <= through);
            if returned || !key.starts_with(&self.prefix) || state.old.contains_key(key) {
                continue;
            }
            match tree.get(key) {
                Ok(value) => {
                    state.old.insert(key.clone(), value.map(|value| to_bytes(&value)));
                }
                Err(_) => state.broken = true,
            }
        }
    }
}

struct SledSnapshot {
    shared: Arc<Shared>,
    overlay: Arc<Overlay>,
}

impl std::fmt::Debug for SledSnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SledSnapshot").finish_non_exhaustive()
    }
}

impl SledSnapshot {
    fn read(&self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        let _apart_from_batches = self.shared.order.read();
        let mut state = self.overlay.state.lock();
        if state.broken {
            return Err(StoreError::Corrupt { what: "a snapshot of the sled engine" });
        }
        let through = state.through.clone();
        let range = prefix_range(&self.overlay.prefix, through.as_deref(), self.overlay.end.as_deref());
        let Some(range) = range.filter(|_| !state.finished) else {
            return Ok(Vec::new());
        };
        let mut live = self.shared.database.range::<&[u8], _>(range).peekable();
        let mut old = state.old.range::<[u8], KeyRange<'_>>(range).peekable();
        let mut chunk: Vec<Pair> = Vec::new();
        let mut bytes = 0;
        let mut finished = false;
        while bytes < bytes_max.max(1) {
            // An unreadable pair sorts first, so that it is reported and never skipped.
            let live_key = live.peek().map(|pair| pair.as_ref().map_or(&[][..], |(key, _)| &key[..]));
            let old_key = old.peek().map(|(key, _)| &key[..]);
            let take_old = match (live_key, old_key) {
                (None, None) => {
                    finished = true;
                    break;
                }
                (Some(live_key), Some(old_key)) => old_key <= live_key,
                (live_key, _) => live_key.is_none(),
            };
            let both = take_old && live_key == old_key;
            let taken = if take_old {
                old.next().and_then(|(key, value)| Some((key.clone(), value.clone()?)))
            } else {
                let pair = live.next().transpose().map_err(failed)?;
                pair.map(|(key, value)| (to_bytes(&key), to_bytes(&value)))
            };
            if both {
                live.next().transpose().map_err(failed)?;
            }
            if let Some((key, value)) = taken {
                bytes += key.len() + value.len();
                chunk.push((key, value));
            }
        }
        state.finished = finished;
        if let Some((key, _)) = chunk.last() {
            state.through = Some(key.clone());
            let rest = state.old.split_off(key);
            state.old = rest;
            state.old.remove(key);
        }
        Ok(chunk)
    }
}

impl EngineSnapshot for SledSnapshot {
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        call_engine(EngineKind::Sled, &self.shared.poison, || self.read(bytes_max))
    }
}
