//! The interface to a node's state: get, prefix scan, atomic batch, consistent snapshot, durable flush.
//!
//! What must hold for every engine (`tests/store/engine_*.rs` and `tests/kill/engine.rs` run one suite over all):
//! - scans, snapshots and the state after a crash show a batch whole or not at all;
//! - batches keep the order of their writes: a crash may lose the last ones, never one in the middle;
//! - when [`StateEngine::write`] returns, the batch survives the death of the process;
//! - when [`StateEngine::flush`] returns, every batch before it survives a power cut;
//! - after a failed write every later call fails, until the process starts again.

mod fjall_engine;
mod fjall_journal;
mod fjall_manifest;
mod memory_engine;
mod open;
mod partitions;
mod sled_engine;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

pub use fjall_engine::FjallEngine;
pub use memory_engine::MemoryEngine;
pub use open::{Opened, open_engine};
pub use partitions::{OnLost, OpenedPartitions, Partition, StatePartitions};
pub use sled_engine::SledEngine;

use crate::catch_panic::catch_panic_and_poison;
use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::poison::Poison;

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Puts and deletes that are applied together. A later operation on a key replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    operations: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.set(key.into(), Some(value.into()));
    }

    /// Removes a key if it exists.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.set(key.into(), None);
    }

    /// Puts (`Some`) or deletes (`None`).
    pub fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.operations.insert(key, value);
    }

    /// Number of keys touched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it touches no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes of all keys and values that were set, replaced ones included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn into_operations(self) -> impl ExactSizeIterator<Item = (Bytes, Option<Bytes>)> {
        self.operations.into_iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.operations.keys()
    }
}

/// A state engine. See the module for what must hold.
pub trait StateEngine: Send + Sync + fmt::Debug {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// The value of a key.
    ///
    /// # Errors
    /// When the engine cannot read, finds damage, or is poisoned.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Up to `limit` pairs whose keys begin with `prefix`, in key order, after `start_after` if given.
    /// One call sees one state; two calls may see two.
    ///
    /// # Errors
    /// As [`StateEngine::get`].
    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// Applies a batch: atomic, ordered, survives the death of the process.
    ///
    /// # Errors
    /// When the engine cannot write; from then on it is poisoned, or the partition is lost.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Makes every batch written so far durable on disk.
    ///
    /// # Errors
    /// As [`StateEngine::write`].
    fn flush(&self) -> Result<(), StoreError>;

    /// A consistent view of everything under a prefix as of now, read in chunks.
    ///
    /// # Errors
    /// As [`StateEngine::get`].
    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError>;

    /// Bytes that the engine occupies on disk.
    fn disk_bytes(&self) -> u64;

    /// Stops the engine after its first failed write.
    fn poison(&self) -> &Poison;
}

/// A consistent view, read from front to back.
pub trait EngineSnapshot: Send + fmt::Debug {
    /// The next pairs in key order: at least one, and about `bytes_max` bytes; empty at the end.
    ///
    /// # Errors
    /// As [`StateEngine::get`].
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError>;
}

/// Calls an engine on disk; a panic inside it becomes an error and poisons the engine.
pub(crate) fn call_engine<T>(
    kind: EngineKind,
    poison: &Poison,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_panic_and_poison(poison, StoreError::EnginePanicked { kind }, call)
}

/// The next pairs of an iterator: about `bytes_max` bytes, at least one pair while there are any.
pub(crate) fn take_chunk(
    bytes_max: usize,
    pairs: &mut dyn Iterator<Item = Result<Pair, StoreError>>,
) -> Result<Vec<Pair>, StoreError> {
    let mut bytes = 0;
    let mut chunk = Vec::new();
    while bytes < bytes_max.max(1) {
        let Some((key, value)) = pairs.next().transpose()? else { break };
        bytes += key.len() + value.len();
        chunk.push((key, value));
    }
    Ok(chunk)
}

/// The first key after every key that begins with the prefix.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// Both ends of a range of keys.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The range of a prefix, from just after `start_after` if given.
pub(crate) fn prefix_range<'a>(
    prefix: &'a [u8],
    start_after: Option<&'a [u8]>,
    end: Option<&'a [u8]>,
) -> Option<KeyRange<'a>> {
    let lower = match start_after {
        Some(key) if key >= prefix => {
            if end.is_some_and(|end| key >= end) {
                return None;
            }
            Bound::Excluded(key)
        }
        Some(_) | None => Bound::Included(prefix),
    };
    Some((lower, end.map_or(Bound::Unbounded, Bound::Excluded)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefix_of_all_ones_has_no_end() {
        assert_eq!(prefix_end(&[0xff, 0xff]), None);
        assert_eq!(prefix_end(&[]), None);
        assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
    }

    #[test]
    fn last_operation_on_a_key_is_the_one_that_counts() {
        let mut batch = Batch::new();
        batch.put(&b"key"[..], &b"1"[..]);
        batch.delete(&b"key"[..]);
        assert_eq!(batch.into_operations().collect::<Vec<_>>(), [(Bytes::from_static(b"key"), None)]);
    }

    proptest! {
        #[test]
        fn prefix_end_parts_the_keys(prefix: Vec<u8>, key: Vec<u8>) {
            let inside = key.starts_with(&prefix);
            let below_end = prefix_end(&prefix).is_none_or(|end| key < end);
            prop_assert_eq!(inside, key >= prefix && below_end);
        }
    }
}
