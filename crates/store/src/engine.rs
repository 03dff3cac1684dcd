//! The narrow door to the state of a node: get, prefix scan, atomic batch, consistent snapshot, durable flush.
//!
//! What must hold for every adapter, and is held by one suite (`tests/engine_conformance.rs`, `tests/engine_crash.rs`):
//! - a batch is seen whole or not at all, by scans, by snapshots and after a crash;
//! - batches are kept in the order of their writes: after a crash a suffix may be gone, never a middle;
//! - when [`StateEngine::write`] returns, the batch survives the death of the process;
//! - when [`StateEngine::flush`] returns, every batch before it survives a power cut;
//! - after a failed write every later call fails, until the process starts again.

mod fjall_engine;
mod fjall_journal;
mod memory_engine;
mod open;
mod shield;
mod sled_engine;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use bytes::Bytes;

pub use fjall_engine::FjallEngine;
pub use memory_engine::MemoryEngine;
pub use open::{Opened, open_engine};
pub use sled_engine::SledEngine;

use crate::error::StoreError;
use crate::poison::Poison;

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Which adapter keeps the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineKind {
    /// The log-structured tree, the default.
    #[default]
    Fjall,
    /// The B-tree that the configuration can ask for.
    Sled,
    /// Nothing on disk; for simulation and unit tests.
    Memory,
}

impl EngineKind {
    /// Its name in the configuration and in the identity file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The configuration names an engine that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state engine, expected fjall, sled or memory")]
pub struct UnknownEngine;

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        [Self::Fjall, Self::Sled, Self::Memory]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(UnknownEngine)
    }
}

/// Puts and deletes that happen together. A later operation on a key replaces an earlier one.
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

    /// Removes a key, if it is there.
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

    /// Whether nothing is touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes of the keys and values that were set; replaced ones count too.
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

/// The state of a node. See the module for what must hold.
pub trait StateEngine: Send + Sync + fmt::Debug {
    /// Which adapter this is.
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
    /// When the engine cannot write; from then on it is poisoned.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Makes every batch before durable on disk.
    ///
    /// # Errors
    /// As [`StateEngine::write`].
    fn flush(&self) -> Result<(), StoreError>;

    /// A consistent view of everything under a prefix, as of now, read piece by piece.
    ///
    /// # Errors
    /// As [`StateEngine::get`].
    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError>;

    /// Bytes that it occupies on disk.
    fn disk_bytes(&self) -> u64;

    /// The latch that stops it after its first failed write.
    fn poison(&self) -> &Poison;
}

/// A consistent view that is read from front to back.
pub trait EngineSnapshot: Send + fmt::Debug {
    /// The next pairs in key order: at least one, and about `bytes_max` bytes; empty at the end.
    ///
    /// # Errors
    /// As [`StateEngine::get`].
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError>;
}

/// Where a prefix ends: the first key after every key that begins with it.
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

    #[test]
    fn engine_names_parse_back() {
        for kind in [EngineKind::Fjall, EngineKind::Sled, EngineKind::Memory] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("rocksdb".parse::<EngineKind>(), Err(UnknownEngine));
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
