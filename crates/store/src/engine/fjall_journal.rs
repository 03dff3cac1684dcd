//! Cuts fjall's newest journal back to its last whole batch, when fjall does not open by itself.
//!
//! The failure: a power cut may keep any of the unsynced pages. fjall recovers from a journal that simply ends, but refuses one
//! with a batch that has its end and lacks its middle. That happens to all nodes at once when a whole site loses power, and
//! if each sets its state aside there is nobody left to rebuild from.
//!
//! Why cutting is safe: what remains is the state after some earlier batch, whole. Its applied index says so, the Raft log
//! still holds what came after (it is purged only through what was flushed), and where it does not, the replica is rebuilt.
//! ```text
//! batch: 1 u8 │ items LE 4 │ number LE 8 │ item … │ 3 u8 │ xxh3-64 of the items LE 8 │ "FJL" 3
//! item:  2 u8 │ type u8 │ compression u8 (0) │ keyspace LE 8 │ key length LE 2 │ value length LE 4 │ the same on disk LE 4 │ key │ value
//! item:  4 u8 │ keyspace LE 8                                 a keyspace is cleared
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
const NOT_COMPRESSED: u8 = 0;

/// Says whether anything was cut.
pub(super) fn cut_to_whole_batches(folder: &Path) -> Result<bool, StoreError> {
    let Some(path) = newest_journal(folder)? else { return Ok(false) };
    let bytes = fs::read(&path).map_err(|error| StoreError::io("read", &path, error))?;
    let mut rest = &bytes[..];
    while let Some(after) = skip_batch(rest) {
        rest = after;
    }
    if rest.iter().all(|&byte| byte == 0) {
        return Ok(false);
    }
    let end = u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX);
    tracing::warn!(path = %path.display(), offset = end, "the state's journal is torn, it is cut to its last whole batch");
    let failed = |error| StoreError::io("cut", &path, error);
    let file = File::options().write(true).open(&path).map_err(failed)?;
    file.set_len(end).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(true)
}

fn newest_journal(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let failed = |error| StoreError::io("read", folder, error);
    let mut newest = None;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        newest = newest.max(number.map(|number| (number, path)));
    }
    Ok(newest.map(|(_, path)| path))
}

/// What follows the batch at the beginning, if a whole one is there.
fn skip_batch(bytes: &[u8]) -> Option<&[u8]> {
    let rest = tagged(bytes, START)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (_, items) = rest.split_first_chunk::<8>()?;
    let mut rest = items;
    for _ in 0..u32::from_le_bytes(*count) {
        rest = skip_item(rest)?;
    }
    let items = items.get(..items.len() - rest.len())?;
    let (sum, rest) = tagged(rest, END)?.split_first_chunk::<8>()?;
    let rest = rest.strip_prefix(TRAILER)?;
    (xxh3_64(items) == u64::from_le_bytes(*sum)).then_some(rest)
}

fn skip_item(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(cleared) = tagged(bytes, CLEAR) {
        return cleared.get(8..);
    }
    let (_, rest) = tagged(bytes, ITEM)?.split_first()?;
    let rest = tagged(rest, NOT_COMPRESSED)?.get(8..)?;
    let (key_length, rest) = rest.split_first_chunk::<2>()?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let rest = rest.get(usize::from(u16::from_le_bytes(*key_length))..)?;
    rest.get(usize::try_from(u32::from_le_bytes(*value_length)).ok()?..)
}

fn tagged(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    (first == tag).then_some(rest)
}
