//! The format of log records and of a replica's metadata in raft-engine.
//!
//! ```text
//! record  format u8 (1) │ index BE 8 │ bytes …        the payload of a protobuf BytesValue, as raft-engine requires
//! "v"     vote          │ format u8 (1) │ bytes …
//! "c"     committed     │ format u8 (1) │ bytes …
//! "p"     purged        │ format u8 (1) │ index BE 8 │ marker …
//! ```
//! Region 0, which belongs to no replica, holds the generation of the log and the tombstones:
//! ```text
//! "generation"      format u8 (1) │ UUID 16
//! replica id BE 8   format u8 (1)
//! ```

use bytes::Bytes;
use custodia_profile::ReplicaId;
use protobuf::well_known_types::BytesValue;
use raft_engine::{Engine, MessageExt};
use uuid::Uuid;

use super::{LogRecord, Purged};
use crate::catch_panic::catch_panic;
use crate::error::StoreError;

pub(super) const VOTE: &[u8] = b"v";
pub(super) const COMMITTED: &[u8] = b"c";
pub(super) const PURGED: &[u8] = b"p";
/// The region that belongs to no replica.
pub(super) const OF_THE_LOG: u64 = 0;
pub(super) const GENERATION: &[u8] = b"generation";

const CORRUPT: StoreError = StoreError::Corrupt { what: "log record" };

const FORMAT_1: u8 = 1;
const INDEX_BYTES: usize = 8;

/// Tells raft-engine where to find a record's index.
pub(super) struct RecordCodec;

impl MessageExt for RecordCodec {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        // raft-engine compares this with the index that it expects, so 0 fails for a malformed record.
        parse_record(&entry.value).map_or(0, |(index, _)| index)
    }
}

pub(super) fn encode_record(record: &LogRecord) -> BytesValue {
    let mut entry = BytesValue::new();
    entry.value = encode_indexed(record.index, &record.bytes);
    entry
}

fn parse_record(value: &[u8]) -> Option<(u64, usize)> {
    let (&format, rest) = value.split_first()?;
    let (index, _) = rest.split_first_chunk::<INDEX_BYTES>()?;
    (format == FORMAT_1).then_some((u64::from_be_bytes(*index), 1 + INDEX_BYTES))
}

pub(super) fn encode_purged(purged: &Purged) -> Vec<u8> {
    encode_indexed(purged.index, &purged.marker)
}

fn encode_indexed(index: u64, bytes: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + INDEX_BYTES + bytes.len());
    value.push(FORMAT_1);
    value.extend_from_slice(&index.to_be_bytes());
    value.extend_from_slice(bytes);
    value
}

pub(super) fn encode_metadata(bytes: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + bytes.len());
    value.push(FORMAT_1);
    value.extend_from_slice(bytes);
    value
}

pub(super) fn decode_metadata(value: Vec<u8>) -> Result<Bytes, StoreError> {
    match value.first() {
        Some(&FORMAT_1) => Ok(Bytes::from(value).slice(1..)),
        Some(&format) => Err(StoreError::UnknownFormat { what: "log metadata", version: u32::from(format) }),
        None => Err(StoreError::Corrupt { what: "log metadata" }),
    }
}

pub(super) fn decode_generation(value: Vec<u8>) -> Result<Uuid, StoreError> {
    let bytes = decode_metadata(value)?;
    Uuid::from_slice(&bytes).or(Err(StoreError::Corrupt { what: "log generation" }))
}

pub(super) fn decode_purged(value: Vec<u8>) -> Result<Purged, StoreError> {
    let rest = decode_metadata(value)?;
    let index = rest.first_chunk::<INDEX_BYTES>().ok_or(StoreError::Corrupt { what: "log metadata" })?;
    Ok(Purged { index: u64::from_be_bytes(*index), marker: rest.slice(INDEX_BYTES..) })
}

/// Reads records from the files. raft-engine panics when a record is not the one it expects.
pub(super) fn fetch(
    engine: &Engine,
    replica: ReplicaId,
    from: u64,
    to: u64,
    bytes_max: usize,
) -> Result<Vec<LogRecord>, StoreError> {
    let mut entries = Vec::new();
    let fetched = catch_panic(CORRUPT, || {
        match engine.fetch_entries_to::<RecordCodec>(
            replica.as_u64(),
            from,
            to,
            Some(bytes_max),
            &mut entries,
        ) {
            Ok(_) => Ok(()),
            // Purged between the plan and the read: the range no longer exists, so the answer is empty.
            Err(raft_engine::Error::EntryCompacted) => {
                entries.clear();
                Ok(())
            }
            Err(raft_engine::Error::Corruption(_)) => Err(CORRUPT),
            Err(error) => Err(StoreError::log(error)),
        }
    });
    fetched?;
    entries.into_iter().zip(from..).map(|(entry, index)| decode_record(entry, index)).collect()
}

fn decode_record(entry: BytesValue, expected: u64) -> Result<LogRecord, StoreError> {
    let value = Bytes::from(entry.value);
    match parse_record(&value) {
        Some((index, start)) if index == expected => Ok(LogRecord { index, bytes: value.slice(start..) }),
        Some(_) | None => Err(CORRUPT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn format_1_is_pinned() {
        let record = LogRecord { index: 258, bytes: Bytes::from_static(b"ab") };
        assert_eq!(encode_record(&record).value, [1, 0, 0, 0, 0, 0, 0, 1, 2, b'a', b'b']);
        let purged = Purged { index: 258, marker: Bytes::from_static(b"m") };
        assert_eq!(encode_purged(&purged), [1, 0, 0, 0, 0, 0, 0, 1, 2, b'm']);
        assert_eq!(encode_metadata(b"vote"), [1, b'v', b'o', b't', b'e']);
    }

    #[test]
    fn later_format_is_refused() {
        assert!(matches!(decode_metadata(vec![2, 0]), Err(StoreError::UnknownFormat { version: 2, .. })));
        assert!(decode_metadata(Vec::new()).is_err());
        assert!(decode_purged(vec![1, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn records_and_metadata_survive_the_round_trip(index: u64, bytes: Vec<u8>) {
            let record = LogRecord { index, bytes: bytes.clone().into() };
            prop_assert_eq!(decode_record(encode_record(&record), index).unwrap(), record);
            let purged = Purged { index, marker: bytes.clone().into() };
            prop_assert_eq!(decode_purged(encode_purged(&purged)).unwrap(), purged);
            prop_assert_eq!(&decode_metadata(encode_metadata(&bytes)).unwrap()[..], &bytes[..]);
        }
    }
}
