//! Replaces a group's state by a snapshot, so that a crash at any point leaves it to be finished, never half of each.
//!
//! ```text
//! 1  read the whole spool through: whole, this group's keys only, in order
//! 2  write the marker {spool, what to set at the end}, drop the applied state; flush     ◄─ from here on: redone on open
//! 3  delete every key of the group but the replica's own
//! 4  put every pair of the spool, in batches
//! 5  one batch: set the applied state, drop the marker; flush                            ◄─ the new state
//! ```
//! Between 2 and 5 the replica has no applied state. If the spool is lost meanwhile, the group's keys are removed and the
//! replica is as fresh: below its log's purge point, so it is rebuilt from the others.

use std::path::Path;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use custodia_profile::GroupId;

use crate::engine::{Batch, EngineSnapshot, Pair, StateEngine};
use crate::error::StoreError;
use crate::key::{Key, KeyKind, KeyParts, KeyPrefix, ReplicaEntry};
use crate::spool::{SpoolReader, SpoolWriter, verify_spool};
use crate::value::ValueHeader;

/// A frame of a snapshot holds about this much.
pub const INSTALL_FRAME_BYTES: usize = 1024 * 1024;
/// Keys deleted in one batch.
const DELETE_KEYS: usize = 4096;

/// What was found when a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// No install was under way.
    Nothing,
    /// One was, and it is now finished.
    Finished,
    /// One was, but its spool is gone or corrupt: the group is empty and must be rebuilt.
    SpoolLost,
}

/// Writes what a snapshot of a group holds into a spool, but what the replica keeps for itself.
///
/// # Errors
/// When the snapshot cannot be read or the spool not written.
pub fn spool_snapshot(snapshot: &mut dyn EngineSnapshot, spool: &mut SpoolWriter) -> Result<(), StoreError> {
    loop {
        let chunk = snapshot.next_chunk(INSTALL_FRAME_BYTES)?;
        if chunk.is_empty() {
            return Ok(());
        }
        let mut frame = BytesMut::new();
        for (key, value) in &chunk {
            if KeyParts::parse(key)?.kind != KeyKind::Replica {
                put_pair(&mut frame, key, value)?;
            }
        }
        if !frame.is_empty() {
            spool.write_frame(&frame)?;
        }
    }
}

/// Replaces the state of a group by a spool. `applied` are the replica's own entries that hold from then on.
///
/// # Errors
/// Before anything is changed: when the spool is corrupt or holds another group's keys. After: when the engine fails.
pub fn install_spool(
    engine: &dyn StateEngine,
    spools: &Path,
    name: &str,
    group: GroupId,
    applied: &[(ReplicaEntry, Bytes)],
) -> Result<(), StoreError> {
    verify_spool(spools, name)?;
    each_pair(spools, name, |_, pair| check_pair(group, pair))?;
    let marker = Marker { spool: name.to_owned(), applied: applied_pairs(group, applied) };
    let mut begin = Batch::new();
    begin.put(Key::replica(group, ReplicaEntry::Install), marker.encode()?);
    begin.delete(Key::replica(group, ReplicaEntry::Applied));
    begin.delete(Key::replica(group, ReplicaEntry::Snapshot));
    engine.write(begin)?;
    engine.flush()?;
    replace(engine, spools, group, marker)
}

/// Finishes an install that a crash has cut off. To be called for every group before it is used.
///
/// # Errors
/// When the engine fails or the marker is corrupt.
pub fn resume_install(
    engine: &dyn StateEngine,
    spools: &Path,
    group: GroupId,
) -> Result<Resumed, StoreError> {
    let Some(value) = engine.get(Key::replica(group, ReplicaEntry::Install).as_ref())? else {
        return Ok(Resumed::Nothing);
    };
    let marker = Marker::decode(&value)?;
    if let Err(error) = verify_spool(spools, &marker.spool) {
        tracing::error!(%group, error = %error, "the snapshot of an unfinished install is lost, the replica starts empty");
        delete_group(engine, group)?;
        let mut end = Batch::new();
        end.delete(Key::replica(group, ReplicaEntry::Install));
        engine.write(end)?;
        engine.flush()?;
        return Ok(Resumed::SpoolLost);
    }
    replace(engine, spools, group, marker)?;
    Ok(Resumed::Finished)
}

/// Removes every key of a group but the replica's own; for a destroyed replica, together with those.
///
/// # Errors
/// When the engine fails.
pub fn delete_group(engine: &dyn StateEngine, group: GroupId) -> Result<(), StoreError> {
    let prefix = KeyPrefix::group(group);
    let mut after = Key::replica(group, ReplicaEntry::Install).into_bytes();
    loop {
        let pairs = engine.scan(prefix.as_bytes(), Some(&after), DELETE_KEYS)?;
        let Some((last, _)) = pairs.last() else { return Ok(()) };
        after = last.clone();
        let mut batch = Batch::new();
        for (key, _) in pairs {
            batch.delete(key);
        }
        engine.write(batch)?;
    }
}

fn replace(
    engine: &dyn StateEngine,
    spools: &Path,
    group: GroupId,
    marker: Marker,
) -> Result<(), StoreError> {
    delete_group(engine, group)?;
    let mut batch = Batch::new();
    let mut frame = 0;
    each_pair(spools, &marker.spool, |number, (key, value)| {
        if number != frame {
            frame = number;
            engine.write(std::mem::take(&mut batch))?;
        }
        batch.put(key, value);
        Ok(())
    })?;
    engine.write(batch)?;
    let mut end = Batch::new();
    for (key, value) in marker.applied {
        end.put(key, value);
    }
    end.delete(Key::replica(group, ReplicaEntry::Install));
    engine.write(end)?;
    engine.flush()
}

fn applied_pairs(group: GroupId, applied: &[(ReplicaEntry, Bytes)]) -> Vec<Pair> {
    applied.iter().map(|(entry, value)| (Key::replica(group, *entry).into_bytes(), value.clone())).collect()
}

fn check_pair(group: GroupId, (key, _): Pair) -> Result<(), StoreError> {
    let parts = KeyParts::parse(&key)?;
    if parts.group == group && parts.kind != KeyKind::Replica {
        return Ok(());
    }
    Err(StoreError::Corrupt { what: "a snapshot's key" })
}

/// Calls `each` with every pair of a spool and the number of its frame.
fn each_pair(
    spools: &Path,
    name: &str,
    mut each: impl FnMut(u64, Pair) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut reader = SpoolReader::open(spools, name)?;
    let mut number = 0;
    while let Some(mut frame) = reader.next_frame()? {
        while let Some(pair) = take_pair(&mut frame)? {
            each(number, pair)?;
        }
        number += 1;
    }
    Ok(())
}

/// ```text
/// key length BE 4 │ key … │ value length BE 4 │ value …
/// ```
fn put_pair(frame: &mut BytesMut, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    for bytes in [key, value] {
        let length = u32::try_from(bytes.len());
        frame.put_u32(length.or(Err(StoreError::TooLarge { what: "a pair", limit_bytes: usize::MAX }))?);
        frame.put_slice(bytes);
    }
    Ok(())
}

fn take_pair(frame: &mut Bytes) -> Result<Option<Pair>, StoreError> {
    if frame.is_empty() {
        return Ok(None);
    }
    Ok(Some((take_bytes(frame)?, take_bytes(frame)?)))
}

fn take_bytes(frame: &mut Bytes) -> Result<Bytes, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt { what: "a snapshot's pair" };
    let length = frame.try_get_u32().ok().and_then(|length| usize::try_from(length).ok()).ok_or(CORRUPT)?;
    if length > frame.len() {
        return Err(CORRUPT);
    }
    Ok(frame.split_to(length))
}

/// The install that is under way: a stored value whose payload is `name length BE 4 │ name │ pairs …`.
struct Marker {
    spool: String,
    applied: Vec<Pair>,
}

impl Marker {
    fn encode(&self) -> Result<Bytes, StoreError> {
        let mut payload = BytesMut::new();
        put_pair(&mut payload, self.spool.as_bytes(), b"")?;
        for (key, value) in &self.applied {
            put_pair(&mut payload, key, value)?;
        }
        Ok(ValueHeader::default().encode(&payload))
    }

    fn decode(value: &Bytes) -> Result<Self, StoreError> {
        const CORRUPT: StoreError = StoreError::Corrupt { what: "an install marker" };
        let (_, mut payload) = ValueHeader::decode(value)?;
        let (name, _) = take_pair(&mut payload)?.ok_or(CORRUPT)?;
        let spool = String::from_utf8(name.to_vec()).or(Err(CORRUPT))?;
        let mut applied = Vec::new();
        while let Some(pair) = take_pair(&mut payload)? {
            applied.push(pair);
        }
        Ok(Self { spool, applied })
    }
}
