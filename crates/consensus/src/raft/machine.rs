//! The state machine of one replica: it compares revisions, puts bytes and reports the outcome.
//!
//! ```text
//! entries ─► chunk ─► for each command: conditions against (the chunk's own writes, then the engine) ─► one atomic batch
//!                                                                  with the applied log id and the membership
//! ```
//! What must hold:
//! - the result of apply depends on the entries and the state alone: not on a clock, randomness or the order of a hash map.
//!   So all replicas are byte-identical at the same index, except for what a replica keeps for itself (kind 0);
//! - data, applied log id and membership are in one batch: a crash may lose a suffix, never something in the middle;
//! - a snapshot is built only when everything before it is durable, because the library then purges the log;
//! - no proposer gets its outcome before the batch is written;
//! - a chunk ends with a verification, so the view that is verified holds exactly what was applied through that entry.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::GroupId;
use custodia_store::{Batch, Key, KeyPrefix, Partition, ReplicaEntry, StateEngine, StoreError, ValueHeader};
use futures::{Stream, TryStreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio_util::sync::DropGuard;

use super::log::ReplicaLog;
use super::record::Applied;
use super::snapshot_files::{Snapshot, SnapshotData};
use super::storage::Storage;
use super::types::{Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use super::verifier::Verifier;
use crate::command::{Command, Expected, Outcome};
use crate::error::{ConsensusError, as_io};

/// A chunk is written when it has this many entries or bytes.
const CHUNK_ENTRIES_MAX: usize = 256;
const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A larger chunk may make the engine wait for its disk, so it is applied on a thread that may block.
const IN_PLACE_BYTES_MAX: usize = 256 * 1024;

/// The Raft library's handle to one replica.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// A replica's state machine.
#[derive(Debug)]
pub(crate) struct StateMachine {
    group: GroupId,
    storage: Arc<Storage>,
    state: Partition,
    log: ReplicaLog,
    verifier: Verifier,
    applied: Option<LogId>,
    membership: StoredMembership,
    _end: DropGuard,
}

impl StateMachine {
    /// Opens it at what its partition of the state holds. `end` is dropped with it: when the library stops, or after a panic in
    /// here.
    pub(crate) fn open(
        group: GroupId,
        storage: Arc<Storage>,
        state: Partition,
        log: ReplicaLog,
        verifier: Verifier,
        end: DropGuard,
    ) -> Result<Self, ConsensusError> {
        let (applied, membership) = read_applied(&state, group)?;
        if applied.is_some() {
            log.set_membership(membership.clone());
        }
        Ok(Self { group, storage, state, log, verifier, applied, membership, _end: end })
    }

    async fn apply_chunk(&mut self, chunk: Chunk) -> Result<(), io::Error> {
        let Chunk { entries, responders, bytes, verification } = chunk;
        if entries.is_empty() {
            return Ok(());
        }
        let before = (self.applied, self.membership.clone());
        let (group, state) = (self.group, self.state.clone());
        let run = move || apply(&state, group, before, &entries);
        let applied = if bytes <= IN_PLACE_BYTES_MAX {
            run()
        } else {
            tokio::task::spawn_blocking(run).await.unwrap_or(Err(ConsensusError::Stopped))
        }
        .map_err(|error| {
            // A stored value that is not what was written, although its database noticed nothing.
            if let ConsensusError::Store(damage @ StoreError::Corrupt { .. }) = &error {
                self.state.lose(damage);
            }
            as_io(error)
        })?;
        self.applied = applied.log_id;
        if self.membership != applied.membership {
            self.membership = applied.membership;
            self.log.set_membership(self.membership.clone());
        }
        self.storage.state_changed(&self.state, self.group, self.applied);
        if let Some((index, seed)) = verification {
            let prefix = KeyPrefix::group(self.group);
            self.verifier.begin(index, seed, self.state.snapshot(prefix.as_bytes()));
        }
        for (responder, outcomes) in responders.into_iter().zip(applied.outcomes) {
            if let Some(responder) = responder {
                responder.send(outcomes);
            }
        }
        Ok(())
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

/// The applied log id and membership that the engine holds for a group.
pub(crate) fn read_applied(
    engine: &dyn StateEngine,
    group: GroupId,
) -> Result<(Option<LogId>, StoredMembership), ConsensusError> {
    match engine.get(Key::replica(group, ReplicaEntry::Applied).as_ref())? {
        None => Ok((None, StoredMembership::default())),
        Some(bytes) => {
            let applied = Applied::decode(&bytes)?;
            Ok((applied.log_id(), applied.membership()?))
        }
    }
}

#[derive(Default)]
struct Chunk {
    entries: Vec<Entry>,
    responders: Vec<Option<ApplyResponder<TypeConfig>>>,
    bytes: usize,
    /// The index and the seed of the verification that is its last entry.
    verification: Option<(u64, u64)>,
}

impl Chunk {
    fn push(&mut self, (entry, responder): EntryResponder<TypeConfig>) {
        if let EntryPayload::Normal(batch) = &entry.payload {
            self.bytes += batch.bytes().len();
            self.verification = batch.verification_seed().map(|seed| (entry.log_id.index, seed));
        }
        self.entries.push(entry);
        self.responders.push(responder);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= CHUNK_ENTRIES_MAX
            || self.bytes >= CHUNK_BYTES_MAX
            || self.verification.is_some()
    }
}

pub(crate) struct AppliedChunk {
    pub(crate) log_id: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) outcomes: Vec<Vec<Outcome>>,
}

/// Applies entries in one atomic batch.
pub(crate) fn apply(
    engine: &dyn StateEngine,
    group: GroupId,
    (mut log_id, mut membership): (Option<LogId>, StoredMembership),
    entries: &[Entry],
) -> Result<AppliedChunk, ConsensusError> {
    let mut overlay = Overlay { engine, written: BTreeMap::new() };
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        log_id = Some(entry.log_id);
        let of_entry = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(new) => {
                membership = StoredMembership::new(log_id, new.clone());
                Vec::new()
            }
            EntryPayload::Normal(batch) => {
                let index = entry.log_id.index;
                let commands = batch.commands()?;
                commands.into_iter().map(|command| overlay.apply(command, index)).collect::<Result<_, _>>()?
            }
        };
        outcomes.push(of_entry);
    }
    let mut batch = Batch::new();
    for (key, value) in overlay.written {
        batch.set(key, value);
    }
    batch.put(Key::replica(group, ReplicaEntry::Applied), Applied::new(log_id, &membership).encode());
    engine.write(batch)?;
    Ok(AppliedChunk { log_id, membership, outcomes })
}

/// The state as the next command sees it: what this chunk has written so far, then the engine.
struct Overlay<'a> {
    engine: &'a dyn StateEngine,
    written: BTreeMap<Bytes, Option<Bytes>>,
}

impl Overlay<'_> {
    fn apply(&mut self, command: Command, index: u64) -> Result<Outcome, ConsensusError> {
        for condition in command.conditions {
            if !self.holds(&condition.key, condition.expected)? {
                return Ok(Outcome::Conflict { key: condition.key });
            }
        }
        for write in command.writes {
            self.written.insert(write.key, write.value);
        }
        Ok(Outcome::Applied { index })
    }

    fn holds(&self, key: &Bytes, expected: Expected) -> Result<bool, ConsensusError> {
        let from_engine;
        let value = match self.written.get(key) {
            Some(value) => value.as_ref(),
            None => {
                from_engine = self.engine.get(key)?;
                from_engine.as_ref()
            }
        };
        let header = value.map(|value| ValueHeader::read(value)).transpose()?;
        Ok(match (expected, header) {
            (Expected::Absent, header) => header.is_none(),
            (Expected::Revision(revision), Some(header)) => header.revision == revision,
            (Expected::Guard(revision), Some(header)) => header.guard == revision,
            (Expected::Both { revision, guard }, Some(header)) => {
                header.revision == revision && header.guard == guard
            }
            (Expected::Revision(_) | Expected::Guard(_) | Expected::Both { .. }, None) => false,
        })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut chunk = Chunk::default();
        while let Some(entry) = entries.try_next().await? {
            chunk.push(entry);
            if chunk.is_full() {
                self.apply_chunk(std::mem::take(&mut chunk)).await?;
            }
        }
        self.apply_chunk(chunk).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { meta: self.meta(), storage: Arc::clone(&self.storage), state: self.state.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> Result<(), io::Error> {
        self.storage.snapshot_files.install(&self.state, self.group, meta, data).await.map_err(as_io)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.log.set_membership(self.membership.clone());
        self.storage.state_changed(&self.state, self.group, self.applied);
        Ok(())
    }

    /// A view of the engine's current state. It may be newer than the last snapshot that was built; the library learns from
    /// the metadata what the follower then has.
    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        if self.applied.is_none() {
            return Ok(None);
        }
        let prefix = KeyPrefix::group(self.group);
        let view = self.state.snapshot(prefix.as_bytes()).map_err(as_io)?;
        Ok(Some(Snapshot { meta: self.meta(), snapshot: SnapshotData::View(view) }))
    }
}

/// Makes durable what a snapshot covers. It copies nothing: the data is sent from a view of the engine.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    meta: SnapshotMeta,
    storage: Arc<Storage>,
    state: Partition,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        self.storage.flush_partition(self.state.clone()).await.map_err(as_io)?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: SnapshotData::Durable })
    }
}
