//! Checks every log file before raft-engine opens it, and tells a torn end from damage.
//!
//! The failure: raft-engine drops damage in silence. The first invalid record of the newest file of a queue ends that file, and
//! all that follows is lost. A last record whose entries are damaged is cut off, in every file. Where a file is missing, all
//! files before it are dropped. Each of these may lose synced entries and votes.
//!
//! Why a torn end can be told from damage: the writer syncs every batch before it begins the next one (`log.rs`), so in the
//! queue of appends only the last record of the newest file can be torn. If any valid record follows the invalid one, the
//! invalid one was synced and is damaged. Older files were closed with an fsync, so nothing in them is torn.
//!
//! The queue of rewrites takes over the records of old files so that these can be removed. Several records share an fsync
//! there, and the old files go only after it. So whatever is torn there stands in the old files too, but only while a
//! clean-up is under way. The file `CLEANING` marks that time (`writer.rs`); without it every record must be whole, and no
//! file may be missing.
//! ```text
//! header 68: magic 52 │ version BE 8 │ alignment BE 8
//! record:    length BE 7 │ compression u8 │ footer offset BE 8 │ entries … crc32 LE 4 │ footer … (crc32 ^ file number) LE 4
//! ```
//! What cannot be told: damage of the very last append, which looks torn; a newest file that ends before its last records,
//! with zeros or nothing in their place, or that is gone as a whole; and damage of the newest rewrites while a clean-up is
//! under way.

use std::fs;
use std::path::Path;

use crate::error::StoreError;
use crate::files;

const FILE_MAGIC: &[u8] = b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5";
const FILE_HEADER_BYTES: usize = FILE_MAGIC.len() + 16;
const RECORD_HEADER_BYTES: usize = 16;
const SUM_BYTES: usize = 4;
/// `open.rs` turns compression off, and no checksum covers this byte.
const NOT_COMPRESSED: u64 = 0;
/// The files of the two queues.
const APPENDS: &str = ".raftlog";
const REWRITES: &str = ".rewrite";
const CLEANING: &str = "CLEANING";

/// Whether the folder holds a log.
pub(super) fn exists(folder: &Path) -> Result<bool, StoreError> {
    Ok(folder.is_dir() && !files::numbered(folder, APPENDS)?.is_empty())
}

/// Marks durably that a clean-up is under way.
pub(super) fn begin_cleaning(folder: &Path) -> Result<(), StoreError> {
    files::replace_file(&folder.join(CLEANING), b"")
}

/// Marks that no clean-up is under way, once the removal of old files is durable.
pub(super) fn end_cleaning(folder: &Path) -> Result<(), StoreError> {
    files::sync_folder(folder)?;
    files::remove_file(&folder.join(CLEANING))
}

/// What the newest file of a queue may end with, besides a whole record.
#[derive(Clone, Copy)]
enum TornEnd {
    /// Nothing else.
    Refused,
    /// One invalid record; a valid one behind it shows that it was synced.
    LastRecord,
    /// Anything.
    Unsynced,
}

/// Checks both queues and cuts torn ends off.
///
/// # Errors
/// [`StoreError::LogCorrupt`] when synced records are damaged, [`StoreError::LogFileMissing`].
pub(super) fn check_files(folder: &Path) -> Result<(), StoreError> {
    let cleaning = folder.join(CLEANING).exists();
    let rewrites = if cleaning { TornEnd::Unsynced } else { TornEnd::Refused };
    for (suffix, torn_end) in [(APPENDS, TornEnd::LastRecord), (REWRITES, rewrites)] {
        let mut files = files::numbered(folder, suffix)?;
        let newest = files.pop();
        let mut expected = newest.as_ref().map(|(number, _)| *number);
        for (number, path) in files.iter().rev() {
            expected = expected.and_then(|number| number.checked_sub(1));
            if Some(*number) == expected {
                check_file(path, *number, TornEnd::Refused)?;
            } else if cleaning {
                // It was being removed, with all before it.
                files::remove_file(path)?;
                expected = None;
            } else {
                return Err(StoreError::LogFileMissing { after: path.clone() });
            }
        }
        if let Some((number, path)) = newest {
            check_file(&path, number, torn_end)?;
        }
    }
    if cleaning { end_cleaning(folder) } else { Ok(()) }
}

fn check_file(path: &Path, number: u64, torn_end: TornEnd) -> Result<(), StoreError> {
    let bytes = fs::read(path).map_err(|error| StoreError::io("read", path, error))?;
    let Some(end) = end_of_records(&bytes, number, torn_end).map_err(|offset| corrupt(path, offset))? else {
        return Ok(());
    };
    tracing::warn!(path = %path.display(), offset = end, "end of the log torn; cut off");
    files::truncate(path, as_u64(end))
}

fn corrupt(path: &Path, offset: usize) -> StoreError {
    StoreError::LogCorrupt { path: path.to_path_buf(), offset: as_u64(offset) }
}

fn as_u64(offset: usize) -> u64 {
    u64::try_from(offset).unwrap_or(u64::MAX)
}

/// Where to cut, if anywhere; the offset of the damage as `Err`.
fn end_of_records(bytes: &[u8], number: u64, torn_end: TornEnd) -> Result<Option<usize>, usize> {
    let Some(mut rest) = bytes.get(FILE_HEADER_BYTES..) else { return Ok(None) };
    if !bytes.starts_with(FILE_MAGIC) || bytes.get(FILE_MAGIC.len()..FILE_HEADER_BYTES) != Some(&VERSION_2) {
        // The header is synced before the first record is written.
        return if is_zero(rest) { Ok(None) } else { Err(0) };
    }
    while let Some(length) = record_length(rest, number) {
        rest = rest.get(length..).unwrap_or_default();
    }
    let end = bytes.len() - rest.len();
    if is_zero(rest) {
        // Preallocated, or the end itself; raft-engine handles both.
        return Ok(None);
    }
    let valid_later =
        || (1..rest.len()).any(|at| rest.get(at..).is_some_and(|rest| record_length(rest, number).is_some()));
    match torn_end {
        TornEnd::Unsynced => Ok(Some(end)),
        TornEnd::LastRecord if !valid_later() => Ok(Some(end)),
        TornEnd::LastRecord | TornEnd::Refused => Err(end),
    }
}

/// Version 2, no alignment.
const VERSION_2: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The length of the first record, if there is one and both of its checksums are right.
fn record_length(bytes: &[u8], number: u64) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let footer_at = usize::try_from(u64::from_be_bytes(*rest.first_chunk::<8>()?)).ok()?;
    let length = u64::from_be_bytes(*length);
    if length & 0xff != NOT_COMPRESSED {
        return None;
    }
    let length = usize::try_from(length >> 8).ok()?;
    let record = bytes.get(..length)?;
    let entries = record.get(RECORD_HEADER_BYTES..footer_at)?;
    let footer = record.get(footer_at..)?;
    // The low half of the file's number goes into the checksum.
    let signature = u32::try_from(number & u64::from(u32::MAX)).ok()?;
    let whole = (entries.is_empty() || sum_is_right(entries, 0)) && sum_is_right(footer, signature);
    whole.then_some(length)
}

fn sum_is_right(bytes: &[u8], signature: u32) -> bool {
    let Some((content, sum)) = bytes.split_last_chunk::<SUM_BYTES>() else { return false };
    !content.is_empty() && crc32fast::hash(content) == u32::from_le_bytes(*sum) ^ signature
}
