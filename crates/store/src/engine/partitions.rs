//! The state of a node in partitions, each a database of its own, so that damage in one leaves the others alone.
//!
//! Why: a database that meets a damaged block in the background stops as a whole, and stops again after a restart. If all
//! groups shared it, one flipped bit would cost the node all of its replicas.
//!
//! ```text
//! DATA/state/00 … 15      the shards, by shard number modulo 16
//! DATA/state/directory    the directory
//!
//!             damage met by a read, a write or in the background
//!   open ──────────────────────────────────────────────────────► lost ──replace──► open: empty, the next incarnation
//!    │ a write or an fsync failed for want of space or by I/O      │ lost for the fourth time in this process
//!    ▼                                                             ▼
//!   every partition is poisoned: the node stops                   stays lost until the process starts again
//! ```
//! What must hold:
//! - a [`Partition`] is one incarnation: once that is lost, nothing is read or written through it any more, so what was begun
//!   on the old state can neither change the new one nor mix both;
//! - a lost partition is renamed and kept, never removed;
//! - a batch has keys of one group, and so is in one partition and atomic.
//!
//! Losing a partition is always safe: the Raft log, which has the votes and what was acknowledged, is not in it. That is why
//! a database that stopped for an unknown reason counts as lost if the disk can still be written and synced.

mod open;
mod probe;

use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::GroupId;
use parking_lot::{Mutex, RwLock};

pub use self::open::OpenedPartitions;
use self::open::Opener;
use super::open::is_damage;
use super::{Batch, EngineSnapshot, Pair, StateEngine};
use crate::engine_kind::EngineKind;
use crate::error::{StoreError, with_causes};
use crate::key::group_of;
use crate::partition_id::PartitionId;
use crate::poison::Poison;

/// How often a partition is replaced before it stays lost: a disk that damages what is written to it, or a fault of this
/// program, must not fill the disk with kept folders.
const REPLACEMENTS_MAX: u64 = 3;

/// Called when a partition is lost, on the thread whose call met the damage. It must be short and must not call back.
pub type OnLost = Box<dyn Fn() + Send + Sync>;

/// The state of a node. As a [`StateEngine`], each call goes to the partition of its keys.
pub struct StatePartitions {
    shared: Arc<Shared>,
    slots: Box<[Arc<Slot>]>,
}

impl fmt::Debug for StatePartitions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StatePartitions").field("kind", &self.shared.kind).finish_non_exhaustive()
    }
}

struct Shared {
    kind: EngineKind,
    /// `None`: the engine was given as it is, and a lost partition cannot be replaced.
    opener: Option<Opener>,
    poison: Poison,
    on_lost: Mutex<Vec<OnLost>>,
}

/// One partition, whichever incarnation.
struct Slot {
    id: PartitionId,
    current: RwLock<Incarnation>,
    /// Held by the one call that replaces it.
    replacing: Mutex<()>,
}

struct Incarnation {
    /// How often the partition was replaced.
    number: u64,
    held: Held,
    lost: Option<Arc<str>>,
}

/// How far a lost incarnation was put away; one that is not lost is open.
enum Held {
    Open(Arc<dyn StateEngine>),
    /// Its folder is still in its place.
    Closed,
    /// Nothing of it is in the place of the next one.
    SetAside,
}

impl Incarnation {
    /// Whether this is the incarnation of that number, and not lost.
    fn is(&self, number: u64) -> bool {
        self.number == number && self.lost.is_none()
    }

    fn engine(&self) -> Option<&Arc<dyn StateEngine>> {
        match &self.held {
            Held::Open(engine) => Some(engine),
            Held::Closed | Held::SetAside => None,
        }
    }

    fn error(&self, partition: PartitionId) -> StoreError {
        let cause = self.lost.clone().unwrap_or_else(|| "replaced".into());
        StoreError::PartitionLost { partition, cause }
    }
}

impl StatePartitions {
    /// All groups in one engine; damage in it cannot be repaired while the process runs. For simulation and unit tests.
    #[must_use]
    pub fn single(engine: Arc<dyn StateEngine>) -> Self {
        let kind = engine.kind();
        Self::new(kind, None, PartitionId::all().map(|id| (id, Arc::clone(&engine))))
    }

    fn new(
        kind: EngineKind,
        opener: Option<Opener>,
        engines: impl Iterator<Item = (PartitionId, Arc<dyn StateEngine>)>,
    ) -> Self {
        let slots = engines.map(|(id, engine)| {
            let current = Incarnation { number: 0, held: Held::Open(engine), lost: None };
            Arc::new(Slot { id, current: RwLock::new(current), replacing: Mutex::default() })
        });
        let shared = Shared { kind, opener, poison: Poison::default(), on_lost: Mutex::default() };
        Self { shared: Arc::new(shared), slots: slots.collect() }
    }

    /// The current incarnation of a group's partition, lost or not.
    #[must_use]
    pub fn partition(&self, group: GroupId) -> Partition {
        self.at(PartitionId::of(group))
    }

    fn at(&self, id: PartitionId) -> Partition {
        let slot = Arc::clone(self.slot(id));
        let number = slot.current.read().number;
        Partition { slot, number, shared: Arc::clone(&self.shared) }
    }

    /// Calls `callback` whenever a partition is lost, and now if one already is.
    pub fn on_lost(&self, callback: OnLost) {
        if !self.lost().is_empty() {
            callback();
        }
        self.shared.on_lost.lock().push(callback);
    }

    /// The partitions that are lost and wait for [`Self::replace`].
    #[must_use]
    pub fn lost(&self) -> Vec<PartitionId> {
        self.slots.iter().filter(|slot| slot.current.read().lost.is_some()).map(|slot| slot.id).collect()
    }

    /// Closes a lost partition, renames its folder and opens an empty one in its place. Returns where the old one is, unless
    /// an earlier attempt has moved it or it has no folder. Blocks.
    ///
    /// # Errors
    /// [`StoreError::PartitionLost`] if it was replaced too often, [`StoreError::Locked`] if a call stays inside it, and the
    /// errors of renaming and opening. It then stays lost, and the call can be repeated.
    pub fn replace(&self, id: PartitionId) -> Result<Option<PathBuf>, StoreError> {
        let slot = self.slot(id);
        let _replacing = slot.replacing.lock();
        let Some(opener) = &self.shared.opener else { return Err(slot.current.read().error(id)) };
        let (number, held) = {
            let mut current = slot.current.write();
            if current.number >= REPLACEMENTS_MAX || current.lost.is_none() {
                return Err(current.error(id));
            }
            (current.number, mem::replace(&mut current.held, Held::Closed))
        };
        let aside = match held {
            Held::Open(engine) => {
                if let Err(in_use) = open::close(engine) {
                    slot.current.write().held = Held::Open(in_use);
                    return Err(StoreError::Locked { path: opener.folder(id) });
                }
                opener.set_aside(id)?
            }
            Held::Closed => opener.set_aside(id)?,
            Held::SetAside => None,
        };
        slot.current.write().held = Held::SetAside;
        let engine = opener.open_empty(id)?;
        *slot.current.write() = Incarnation { number: number + 1, held: Held::Open(engine), lost: None };
        Ok(aside)
    }

    #[expect(clippy::indexing_slicing, reason = "there is a slot for every partition")]
    fn slot(&self, id: PartitionId) -> &Arc<Slot> {
        &self.slots[id.index()]
    }

    fn of_key(&self, key: &[u8]) -> Result<Partition, StoreError> {
        Ok(self.partition(group_of(key)?))
    }
}

impl StateEngine for StatePartitions {
    fn kind(&self) -> EngineKind {
        self.shared.kind
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.of_key(key)?.get(key)
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.of_key(prefix)?.scan(prefix, start_after, limit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let Some(first) = batch.keys().next() else { return self.shared.poison.check() };
        let partition = self.of_key(first)?;
        partition.write(batch)
    }

    /// Of every partition that is not lost: a lost one has nothing to make durable.
    fn flush(&self) -> Result<(), StoreError> {
        for id in PartitionId::all() {
            match self.at(id).flush() {
                Ok(()) | Err(StoreError::PartitionLost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.shared.poison.check()
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        self.of_key(prefix)?.snapshot(prefix)
    }

    fn disk_bytes(&self) -> u64 {
        let engines = self.slots.iter().filter_map(|slot| slot.current.read().engine().cloned());
        engines.map(|engine| engine.disk_bytes()).sum()
    }

    fn poison(&self) -> &Poison {
        &self.shared.poison
    }
}

/// One incarnation of one partition.
#[derive(Clone)]
pub struct Partition {
    slot: Arc<Slot>,
    number: u64,
    shared: Arc<Shared>,
}

impl fmt::Debug for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Partition")
            .field("id", &self.slot.id)
            .field("incarnation", &self.number)
            .finish()
    }
}

impl Partition {
    /// Which partition it is of.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.slot.id
    }

    /// Whether this incarnation is lost. It stays so when the partition is replaced.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.slot.current.read().is(self.number)
    }

    /// Fails once this incarnation is lost, or the node's state is poisoned.
    ///
    /// # Errors
    /// [`StoreError::PartitionLost`], [`StoreError::Poisoned`], [`StoreError::DiskFull`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.engine().map(|_| ())
    }

    /// Declares this incarnation lost. For who finds damage in what it returned, and for a simulation.
    pub fn lose(&self, error: &StoreError) {
        let damage = with_causes(error);
        {
            let mut current = self.slot.current.write();
            if !current.is(self.number) {
                return;
            }
            let too_often = "; it was replaced too often: check the disk, then restart the node";
            let hint = if current.number >= REPLACEMENTS_MAX { too_often } else { "" };
            current.lost = Some(format!("{damage}{hint}").into());
        }
        tracing::error!(partition = %self.slot.id, error = damage, "damaged state: a partition is lost");
        self.shared.on_lost.lock().iter().for_each(|callback| callback());
    }

    fn engine(&self) -> Result<Arc<dyn StateEngine>, StoreError> {
        self.shared.poison.check()?;
        let current = self.slot.current.read();
        match current.engine() {
            Some(engine) if current.is(self.number) => Ok(Arc::clone(engine)),
            Some(_) | None => Err(current.error(self.slot.id)),
        }
    }

    /// Runs a call that reads. Only damage has consequences.
    fn reading<T>(
        &self,
        call: impl FnOnce(&dyn StateEngine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = call(self.engine()?.as_ref());
        outcome.map_err(|error| self.failed_read(error))
    }

    fn failed_read(&self, error: StoreError) -> StoreError {
        if is_damage(&error) { self.lost_by(&error) } else { error }
    }

    /// Declares this incarnation lost; the error of its calls from then on.
    fn lost_by(&self, error: &StoreError) -> StoreError {
        self.lose(error);
        self.slot.current.read().error(self.slot.id)
    }

    /// Runs a call that writes. If it fails, either this partition is lost, or all are poisoned.
    fn writing<T>(
        &self,
        call: impl FnOnce(&dyn StateEngine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = call(self.engine()?.as_ref());
        outcome.map_err(|error| {
            // An engine that stopped in another call, or in the background, says here only that it has.
            let stopped = is_damage(&error) || matches!(error, StoreError::Poisoned { .. });
            let folder = self.shared.opener.as_ref().map(Opener::path);
            if stopped && folder.is_none_or(|folder| probe::can_write(folder, self.slot.id)) {
                return self.lost_by(&error);
            }
            self.shared.poison.set(&error);
            error
        })
    }
}

impl StateEngine for Partition {
    fn kind(&self) -> EngineKind {
        self.shared.kind
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reading(|engine| engine.get(key))
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.reading(|engine| engine.scan(prefix, start_after, limit))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let group = batch.keys().next().and_then(|key| key.get(..2));
        if let Some(group) = group
            && batch.keys().any(|key| !key.starts_with(group))
        {
            return Err(StoreError::NotOneGroup);
        }
        self.writing(|engine| engine.write(batch))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.writing(|engine| engine.flush())
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        let inner = self.reading(|engine| engine.snapshot(prefix))?;
        Ok(Box::new(PartitionSnapshot { inner, partition: self.clone() }))
    }

    fn disk_bytes(&self) -> u64 {
        self.engine().map_or(0, |engine| engine.disk_bytes())
    }

    fn poison(&self) -> &Poison {
        &self.shared.poison
    }
}

#[derive(Debug)]
struct PartitionSnapshot {
    inner: Box<dyn EngineSnapshot>,
    partition: Partition,
}

impl EngineSnapshot for PartitionSnapshot {
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        self.partition.check()?;
        self.inner.next_chunk(bytes_max).map_err(|error| self.partition.failed_read(error))
    }
}
