//! Checks the manifests of fjall's keyspaces before fjall opens them.
//!
//! The failure: fjall does not compare a manifest with its checksum. Some damage makes it panic while it holds a lock, and then
//! again while it cleans up, which no one can catch: the process aborts, and again at each start.
//! ```text
//! keyspaces/N/current   version LE 8 │ xxh3-128 of the manifest LE 16 │ 0 u8
//! keyspaces/N/vVERSION  the manifest
//! ```

use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::StoreError;

/// # Errors
/// [`StoreError::Corrupt`] where a manifest is not the one that its keyspace names. What is missing or cannot be read is left
/// to fjall.
pub(super) fn check(folder: &Path) -> Result<(), StoreError> {
    let Ok(keyspaces) = fs::read_dir(folder.join("keyspaces")) else { return Ok(()) };
    for keyspace in keyspaces.filter_map(Result::ok) {
        if is_damaged(&keyspace.path()).unwrap_or(false) {
            return Err(StoreError::Corrupt { what: "a manifest of the state engine" });
        }
    }
    Ok(())
}

fn is_damaged(keyspace: &Path) -> Option<bool> {
    let current = fs::read(keyspace.join("current")).ok()?;
    let (version, rest) = current.split_first_chunk::<8>()?;
    let sum = rest.first_chunk::<16>()?;
    let manifest = fs::read(keyspace.join(format!("v{}", u64::from_le_bytes(*version)))).ok()?;
    Some(xxh3_128(&manifest) != u128::from_le_bytes(*sum))
}
