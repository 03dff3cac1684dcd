//! The state in fjall, a log-structured tree: the default.
//!
//! One keyspace holds all groups of the node, told apart by the key's prefix (opens 8 × faster than one for each group).
//! A batch goes into fjall's journal as one checksummed record and is handed to the operating system before `write`
//! returns (`PersistMode::Buffer`): it survives the process. `flush` is `PersistMode::SyncAll`, an fsync of the journal,
//! which covers every batch before it: older journals are synced when they are sealed, tables when they are written.
//!
//! `get` reads the newest value without taking a snapshot; scans take one, because fjall's plain range would see the
//! first half of a batch that is being applied.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::shield::shielded;
use super::{Batch, EngineKind, EngineSnapshot, Pair, StateEngine, prefix_end, prefix_range};
use crate::error::StoreError;
use crate::files;
use crate::poison::Poison;

/// A memtable is written out at this size; up to five of them exist at a time under load.
const FJALL_MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// Journals are kept below this size together (fjall's least is 64 MiB).
const FJALL_JOURNALS_BYTES: u64 = 128 * 1024 * 1024;
/// Threads that write out memtables and compact tables.
const FJALL_WORKER_THREADS: usize = 2;
/// Table files that are kept open.
const FJALL_OPEN_FILES: usize = 256;

const KEYSPACE: &str = "state";
const BLOCK_BYTES: u32 = 4 * 1024;

/// Keeps the state in a fjall database.
pub struct FjallEngine {
    path: PathBuf,
    keyspace: Keyspace,
    database: Database,
    poison: Poison,
}

impl std::fmt::Debug for FjallEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FjallEngine").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FjallEngine {
    /// Opens or creates the database in a folder.
    ///
    /// # Errors
    /// When it is locked, damaged or cannot be read. May panic on damage: [`super::open_engine`] catches that.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let open = || -> fjall::Result<(Database, Keyspace)> {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .max_journaling_size(FJALL_JOURNALS_BYTES)
                .journal_compression(CompressionType::None)
                .worker_threads(FJALL_WORKER_THREADS)
                .max_cached_files(Some(FJALL_OPEN_FILES))
                .open()?;
            let keyspace = database.keyspace(KEYSPACE, keyspace_options)?;
            Ok((database, keyspace))
        };
        let (database, keyspace) = open().map_err(|error| {
            let locked = matches!(error, fjall::Error::Locked);
            if locked { StoreError::Locked { path: path.to_path_buf() } } else { failed(error) }
        })?;
        Ok(Self { path: path.to_path_buf(), keyspace, database, poison: Poison::default() })
    }

    fn shielded<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        shielded(EngineKind::Fjall, &self.poison, call)
    }
}

/// Values are sealed, so compressing them gains nothing. Bloom filters stay on at every level (fjall's default), as
/// many lookups are for keys that do not exist: requests not seen before, events not seen before.
fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(FJALL_MEMTABLE_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .data_block_compression_policy(CompressionPolicy::disabled())
        .index_block_compression_policy(CompressionPolicy::disabled())
        .expect_point_read_hits(false)
}

fn failed(error: fjall::Error) -> StoreError {
    StoreError::engine(EngineKind::Fjall, error)
}

impl StateEngine for FjallEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Fjall
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.shielded(|| Ok(self.keyspace.get(key).map_err(failed)?.map(Bytes::from)))
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let end = prefix_end(prefix);
        let Some(range) = prefix_range(prefix, start_after, end.as_deref()) else {
            return Ok(Vec::new());
        };
        self.shielded(|| {
            let view = self.database.snapshot();
            view.range::<&[u8], _>(&self.keyspace, range).take(limit).map(pair).collect()
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return self.poison.check();
        }
        self.shielded(|| {
            let mut write = self.database.batch().durability(Some(PersistMode::Buffer));
            for (key, value) in batch.into_operations() {
                match value {
                    Some(value) => write.insert(&self.keyspace, key, value),
                    None => write.remove(&self.keyspace, key),
                }
            }
            self.poison.watch(write.commit().map_err(failed))
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.shielded(|| self.poison.watch(self.database.persist(PersistMode::SyncAll).map_err(failed)))
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        let pairs = self.shielded(|| Ok(self.database.snapshot().prefix(&self.keyspace, prefix)))?;
        Ok(Box::new(FjallSnapshot { pairs, poison: Poison::default() }))
    }

    fn disk_bytes(&self) -> u64 {
        files::folder_bytes(&self.path)
    }

    fn poison(&self) -> &Poison {
        &self.poison
    }
}

fn pair(guard: fjall::Guard) -> Result<Pair, StoreError> {
    let (key, value) = guard.into_inner().map_err(failed)?;
    Ok((key.into(), value.into()))
}

struct FjallSnapshot {
    pairs: fjall::Iter,
    poison: Poison,
}

impl std::fmt::Debug for FjallSnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FjallSnapshot").finish_non_exhaustive()
    }
}

impl EngineSnapshot for FjallSnapshot {
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        let Self { pairs, poison } = self;
        shielded(EngineKind::Fjall, poison, || {
            let mut bytes = 0;
            let mut chunk = Vec::new();
            while bytes < bytes_max.max(1) {
                let Some(guard) = pairs.next() else { break };
                let (key, value) = pair(guard)?;
                bytes += key.len() + value.len();
                chunk.push((key, value));
            }
            Ok(chunk)
        })
    }
}
