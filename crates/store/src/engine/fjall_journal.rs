//! Cuts fjall's newest journal back to its last whole batch when fjall cannot open it.
//!
//! The failure: a power cut may keep any of the unsynced pages. fjall recovers from a journal that simply ends, but refuses one
//! with a batch that has its end and lacks its middle. When a whole site loses power this happens to all nodes at once, and
//! if each sets its state aside, no node is left to rebuild from.
//!
//! Why cutting is safe: what remains is the whole state after some earlier batch, and its applied index says which. The Raft
//! log still holds what came after (it is purged only through what was flushed); where it does not, the replica is rebuilt.
//! ```text
//! batch: 1 u8 │ items LE 4 │ number LE 8 │ item … │ 3 u8 │ xxh3-64 of the items LE 8 │ "FJL" 3
//! item:  2 u8 │ type u8 │ compression u8 (0) │ keyspace LE 8 │ key length LE 2 │ value length LE 4 │ the same on disk LE 4 │ key │ value
//! item:  4 u8 │ keyspace LE 8                                 a keyspace is cleared
//! ```

use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;
use crate::files;

const SUFFIX: &str = ".jnl";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
const NOT_COMPRESSED: u8 = 0;

/// Returns whether anything was cut.
pub(super) fn cut_to_whole_batches(folder: &Path) -> Result<bool, StoreError> {
    let Some((_, path)) = files::numbered(folder, SUFFIX)?.pop() else { return Ok(false) };
    let bytes = fs::read(&path).map_err(|error| StoreError::io("read", &path, error))?;
    let mut rest = &bytes[..];
    while let Some(after) = skip_batch(rest) {
        rest = after;
    }
    if rest.iter().all(|&byte| byte == 0) {
        return Ok(false);
    }
    let end = u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX);
    tracing::warn!(path = %path.display(), offset = end, "state journal torn; cut to its last whole batch");
    files::truncate(&path, end)?;
    Ok(true)
}

/// What follows the first batch, if that batch is whole.
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
