//! Checks the newest log file before raft-engine opens it, and tells a torn end from damage.
//!
//! The failure: raft-engine treats the first invalid record of its newest file as a torn end and drops it with all that
//! follows. After a bit flip that silently loses synced entries and votes. When it opens a file it also does not check the
//! checksum of a record's entries, so a torn record can pass, and its entries cannot be read later.
//!
//! Why the two can be told apart: the writer syncs every batch before it begins the next one (`log.rs`), so only the last
//! record can be torn. If any valid record follows the invalid one, the invalid one was synced and is damaged.
//! ```text
//! header 68: magic 52 │ version BE 8 │ alignment BE 8
//! record:    length BE 7 │ compression u8 │ footer offset BE 8 │ entries … crc32 LE 4 │ footer … (crc32 ^ file number) LE 4
//! ```
//! Only the newest file needs this: older ones were closed with an fsync, and raft-engine refuses damage in them.

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
const SUFFIX: &str = ".raftlog";

/// Cuts a torn end off the newest file.
///
/// # Errors
/// [`StoreError::LogCorrupt`] when synced records are damaged.
pub(super) fn cut_torn_end(folder: &Path) -> Result<(), StoreError> {
    let Some((number, path)) = files::newest_numbered(folder, SUFFIX)? else { return Ok(()) };
    let bytes = fs::read(&path).map_err(|error| StoreError::io("read", &path, error))?;
    let Some(end) = end_of_records(&bytes, number).map_err(|offset| corrupt(&path, offset))? else {
        return Ok(());
    };
    tracing::warn!(path = %path.display(), offset = end, "end of the log torn; cut off");
    files::truncate(&path, as_u64(end))
}

fn corrupt(path: &Path, offset: usize) -> StoreError {
    StoreError::LogCorrupt { path: path.to_path_buf(), offset: as_u64(offset) }
}

fn as_u64(offset: usize) -> u64 {
    u64::try_from(offset).unwrap_or(u64::MAX)
}

/// Where to cut, if anywhere; the offset of the damage as `Err`.
fn end_of_records(bytes: &[u8], number: u64) -> Result<Option<usize>, usize> {
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
    let later =
        (1..rest.len()).any(|at| rest.get(at..).is_some_and(|rest| record_length(rest, number).is_some()));
    if later { Err(end) } else { Ok(Some(end)) }
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
