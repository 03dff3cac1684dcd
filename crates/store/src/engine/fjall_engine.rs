//! The state in fjall, a log-structured merge tree: the default.
//!
//! One keyspace holds all groups of a partition, separated by the key's prefix (it opens 8 × faster than one keyspace for each
//! group). A node has many such databases (`partitions.rs`), so each is small: their memtables add up. A batch goes into
//! fjall's journal as one checksummed record, which the operating system has before `write` returns (`PersistMode::Buffer`): it
//! survives the death of the process. `flush` is `PersistMode::SyncAll`, an fsync of the journal, which covers every batch
//! before it: older journals are synced when they are sealed, tables when they are written.
//!
//! `get` reads the newest value without taking a snapshot; scans take one, because fjall's plain range would see the
//! first half of a batch that is being applied.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{Batch, EngineSnapshot, Pair, StateEngine, call_engine, prefix_end, prefix_range, take_chunk};
use super::{fjall_journal, fjall_manifest};
use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::files;
use crate::poison::Poison;

/// A memtable is written to disk at this size; under load up to five exist at a time.
const FJALL_MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Total size that the journals stay below: fjall's minimum.
const FJALL_JOURNALS_BYTES: u64 = 64 * 1024 * 1024;
/// Threads that write memtables to disk and compact tables.
const FJALL_WORKER_THREADS: usize = 1;
/// Table files kept open.
const FJALL_OPEN_FILES: usize = 64;

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
    /// A configuration whose cache serves every database that is opened with it. Its blocks are told apart by a number that
    /// each opened tree draws anew in this process. (Its path is never used; fjall wants one.)
    pub(super) fn shared_cache(bytes: u64) -> fjall::Config {
        Database::builder(".").cache_size(bytes).into_config()
    }

    /// Opens or creates the database in a folder, with a [`Self::shared_cache`].
    ///
    /// # Errors
    /// When it is locked, damaged or unreadable. May panic on damage: [`super::open_engine`] catches that.
    pub(super) fn open(path: &Path, shared: &fjall::Config) -> Result<Self, StoreError> {
        fjall_manifest::check(path)?;
        let replay = fjall_journal::check(path)?;
        let open = || -> fjall::Result<(Database, Keyspace)> {
            let mut config = Database::builder(path)
                .max_journaling_size(FJALL_JOURNALS_BYTES)
                .journal_compression(CompressionType::None)
                .worker_threads(FJALL_WORKER_THREADS)
                .max_cached_files(Some(FJALL_OPEN_FILES))
                .into_config();
            config.cache = std::sync::Arc::clone(&shared.cache);
            let database = Database::open(config)?;
            let keyspace = database.keyspace(KEYSPACE, keyspace_options)?;
            Ok((database, keyspace))
        };
        let (database, keyspace) = open().map_err(|error| {
            let locked = matches!(error, fjall::Error::Locked);
            if locked { StoreError::Locked { path: path.to_path_buf() } } else { failed(error) }
        })?;
        replay.check(&keyspace)?;
        Ok(Self { path: path.to_path_buf(), keyspace, database, poison: Poison::default() })
    }

    fn call<T>(&self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        call_engine(EngineKind::Fjall, &self.poison, call)
    }
}

/// Values are sealed, so compressing them gains nothing. Bloom filters stay on at every level (fjall's default), because
/// many lookups are for keys that do not exist: requests and events not seen before.
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
        self.call(|| Ok(self.keyspace.get(key).map_err(failed)?.map(Bytes::from)))
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let end = prefix_end(prefix);
        let Some(range) = prefix_range(prefix, start_after, end.as_deref()) else {
            return Ok(Vec::new());
        };
        self.call(|| {
            let view = self.database.snapshot();
            view.range::<&[u8], _>(&self.keyspace, range).take(limit).map(pair).collect()
        })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return self.poison.check();
        }
        self.call(|| {
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
        self.call(|| self.poison.watch(self.database.persist(PersistMode::SyncAll).map_err(failed)))
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        let pairs = self.call(|| Ok(self.database.snapshot().prefix(&self.keyspace, prefix)))?;
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
        call_engine(EngineKind::Fjall, poison, || take_chunk(bytes_max, &mut pairs.by_ref().map(pair)))
    }
}
