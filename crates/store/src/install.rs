//! Replaces a group's state with a snapshot. A crash at any point leaves an install to finish, never a mixture.
//!
//! ```text
//! 1  read the snapshot file to its end: it is whole and has keys of this group only
//! 2  write the marker {file name, entries to set at the end}, delete the applied state; flush  ◄─ from here: redone on open
//! 3  delete every key of the group except the replica's own
//! 4  put every pair of the file, in batches
//! 5  one batch: set the applied state, delete the marker; flush                                ◄─ the new state
//! ```
//! Between 2 and 5 the replica has no applied state. If the snapshot file is lost meanwhile, the group's keys are removed and
//! the replica is empty: it is below its log's purge point, so it is rebuilt from the other nodes.

use std::path::Path;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use custodia_profile::GroupId;

use crate::engine::{Batch, EngineSnapshot, Pair, StateEngine};
use crate::error::StoreError;
use crate::key::{Key, KeyKind, KeyParts, KeyPrefix, ReplicaEntry};
use crate::snapshot_file::{SnapshotFileReader, SnapshotFileWriter, verify_snapshot_file};
use crate::value::ValueHeader;

/// Approximate size of a frame of a snapshot file.
const INSTALL_FRAME_BYTES: usize = 1024 * 1024;
/// Most keys deleted in one batch.
const DELETE_KEYS: usize = 4096;

/// What [`resume_install`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// No install was under way.
    Nothing,
    /// One was, and it is now complete.
    Finished,
    /// One was, but its snapshot file is missing or corrupt: the group is empty and must be rebuilt.
    SnapshotFileLost,
}

/// Writes a snapshot of a group into a file, except the replica's own entries.
///
/// # Errors
/// When the snapshot cannot be read or the file cannot be written.
pub fn write_snapshot_file(
    snapshot: &mut dyn EngineSnapshot,
    file: &mut SnapshotFileWriter,
) -> Result<(), StoreError> {
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
            file.write_frame(&frame)?;
        }
    }
}

/// Replaces the state of a group with a snapshot file. `applied` are the replica's own entries after the install.
///
/// # Errors
/// Before anything is changed: when the file is corrupt or has another group's keys. After: when the engine fails.
pub fn install_snapshot_file(
    engine: &dyn StateEngine,
    snapshots: &Path,
    name: &str,
    group: GroupId,
    applied: &[(ReplicaEntry, Bytes)],
) -> Result<(), StoreError> {
    verify_snapshot_file(snapshots, name)?;
    each_pair(snapshots, name, |_, pair| check_pair(group, pair))?;
    let marker = Marker { file: name.to_owned(), applied: applied_pairs(group, applied) };
    let mut begin = Batch::new();
    begin.put(Key::replica(group, ReplicaEntry::Install), marker.encode()?);
    begin.delete(Key::replica(group, ReplicaEntry::Applied));
    engine.write(begin)?;
    engine.flush()?;
    replace(engine, snapshots, group, marker)
}

/// Completes an install that a crash interrupted. Call it for every group before the group is used.
///
/// # Errors
/// When the engine fails or the marker is corrupt.
pub fn resume_install(
    engine: &dyn StateEngine,
    snapshots: &Path,
    group: GroupId,
) -> Result<Resumed, StoreError> {
    let Some(value) = engine.get(Key::replica(group, ReplicaEntry::Install).as_ref())? else {
        return Ok(Resumed::Nothing);
    };
    let marker = Marker::decode(&value)?;
    if let Err(error) = verify_snapshot_file(snapshots, &marker.file) {
        tracing::error!(%group, error = %error, "snapshot file of an unfinished install lost; replica starts empty");
        delete_group(engine, group)?;
        let mut end = Batch::new();
        end.delete(Key::replica(group, ReplicaEntry::Install));
        engine.write(end)?;
        engine.flush()?;
        return Ok(Resumed::SnapshotFileLost);
    }
    replace(engine, snapshots, group, marker)?;
    Ok(Resumed::Finished)
}

/// Removes every key of a group except the replica's own.
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
    snapshots: &Path,
    group: GroupId,
    marker: Marker,
) -> Result<(), StoreError> {
    delete_group(engine, group)?;
    let mut batch = Batch::new();
    let mut frame = 0;
    each_pair(snapshots, &marker.file, |number, (key, value)| {
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
    Err(StoreError::Corrupt { what: "snapshot key" })
}

/// Calls `each` with every pair of a snapshot file and the number of its frame.
fn each_pair(
    snapshots: &Path,
    name: &str,
    mut each: impl FnMut(u64, Pair) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut reader = SnapshotFileReader::open(snapshots, name)?;
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
        frame.put_u32(
            length.or(Err(StoreError::TooLarge { what: "snapshot pair", limit_bytes: usize::MAX }))?,
        );
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
    const CORRUPT: StoreError = StoreError::Corrupt { what: "snapshot pair" };
    let length = frame.try_get_u32().ok().and_then(|length| usize::try_from(length).ok()).ok_or(CORRUPT)?;
    if length > frame.len() {
        return Err(CORRUPT);
    }
    Ok(frame.split_to(length))
}

/// The install in progress: a stored value whose payload is pairs. The first is `(file name, "")`, the rest are set at the end.
struct Marker {
    file: String,
    applied: Vec<Pair>,
}

impl Marker {
    fn encode(&self) -> Result<Bytes, StoreError> {
        let mut payload = BytesMut::new();
        put_pair(&mut payload, self.file.as_bytes(), b"")?;
        for (key, value) in &self.applied {
            put_pair(&mut payload, key, value)?;
        }
        Ok(ValueHeader::default().encode(&payload))
    }

    fn decode(value: &Bytes) -> Result<Self, StoreError> {
        const CORRUPT: StoreError = StoreError::Corrupt { what: "install marker" };
        let (_, mut payload) = ValueHeader::decode(value)?;
        let (name, empty) = take_pair(&mut payload)?.ok_or(CORRUPT)?;
        if !empty.is_empty() {
            return Err(CORRUPT);
        }
        let file = String::from_utf8(name.to_vec()).or(Err(CORRUPT))?;
        let mut applied = Vec::new();
        while let Some(pair) = take_pair(&mut payload)? {
            applied.push(pair);
        }
        Ok(Self { file, applied })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marker_is_pinned() {
        let applied = vec![(Bytes::from_static(b"k"), Bytes::from_static(b"v"))];
        let marker = Marker { file: "f".to_owned(), applied }.encode().unwrap();
        let (_, payload) = ValueHeader::decode(&marker).unwrap();
        assert_eq!(payload, &b"\0\0\0\x01f\0\0\0\0\0\0\0\x01k\0\0\0\x01v"[..]);
    }

    proptest! {
        #[test]
        fn marker_payload_decodes_only_if_it_encodes_to_the_same_bytes(
            lengths in proptest::collection::vec((0..4_u32, 0..4_u32), 0..4), cut in 0..3_usize
        ) {
            let mut payload = Vec::new();
            for (key, value) in &lengths {
                for length in [key, value] {
                    payload.extend_from_slice(&length.to_be_bytes());
                    payload.extend(std::iter::repeat_n(b'x', usize::try_from(*length).unwrap()));
                }
            }
            let whole = cut == 0 || lengths.is_empty();
            payload.truncate(payload.len().saturating_sub(cut));
            match Marker::decode(&ValueHeader::default().encode(&payload)) {
                Ok(marker) => {
                    prop_assert!(whole && !lengths.is_empty());
                    prop_assert_eq!(lengths.first().map(|first| first.1), Some(0));
                    prop_assert_eq!(marker.encode().unwrap().slice(crate::value::VALUE_HEADER_BYTES..), payload);
                }
                Err(_) => prop_assert!(!whole || lengths.first().is_none_or(|first| first.1 > 0)),
            }
        }
    }
}
