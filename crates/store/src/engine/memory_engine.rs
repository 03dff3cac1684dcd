//! The state in memory, for simulation and unit tests.
//!
//! A snapshot copies the handles of its pairs (not their bytes), which makes it consistent.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::RwLock;

use super::{Batch, EngineSnapshot, KeyRange, Pair, StateEngine, prefix_end, prefix_range, take_chunk};
use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::poison::Poison;

/// Keeps the state in memory only.
#[derive(Default)]
pub struct MemoryEngine {
    pairs: RwLock<BTreeMap<Bytes, Bytes>>,
    /// Set only by a simulation.
    poison: Poison,
}

impl std::fmt::Debug for MemoryEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryEngine").finish_non_exhaustive()
    }
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn collect(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
        let end = prefix_end(prefix);
        let Some(range) = prefix_range(prefix, start_after, end.as_deref()) else {
            return Vec::new();
        };
        let pairs = self.pairs.read();
        let range = pairs.range::<[u8], KeyRange<'_>>(range);
        range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl StateEngine for MemoryEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Memory
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.poison.check()?;
        Ok(self.pairs.read().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.poison.check()?;
        Ok(self.collect(prefix, start_after, limit))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.poison.check()?;
        let mut pairs = self.pairs.write();
        for (key, value) in batch.into_operations() {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.poison.check()
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        self.poison.check()?;
        let pairs = self.collect(prefix, None, usize::MAX);
        Ok(Box::new(MemorySnapshot { pairs: pairs.into_iter() }))
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn poison(&self) -> &Poison {
        &self.poison
    }
}

struct MemorySnapshot {
    pairs: std::vec::IntoIter<Pair>,
}

impl std::fmt::Debug for MemorySnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemorySnapshot").finish_non_exhaustive()
    }
}

impl EngineSnapshot for MemorySnapshot {
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        take_chunk(bytes_max, &mut self.pairs.by_ref().map(Ok))
    }
}
