//! What a state engine must hold after a number of batches.
//!
//! Batch `n` is a fixed function of `n`, so the last applied number alone determines every value. Each batch also sets the
//! applied number, as consensus does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::{CustomerId, GroupId, PoolId, ShardId};
use custodia_store::{
    Batch, EngineKind, Key, KeyPrefix, ReplicaEntry, StateEngine, StatePartitions, StoreError, ValueHeader,
    open_engine,
};

use crate::random::Random;

/// What a suite tests: one engine, or the partitions of a node over engines of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Engine(EngineKind),
    Partitions(EngineKind),
}

impl Subject {
    pub(crate) const ON_DISK: [Self; 4] = [
        Self::Engine(EngineKind::Fjall),
        Self::Engine(EngineKind::Sled),
        Self::Partitions(EngineKind::Fjall),
        Self::Partitions(EngineKind::Sled),
    ];

    /// The engine, and the folders that were set aside.
    pub(crate) fn open(self, path: &Path) -> Result<(Arc<dyn StateEngine>, Vec<PathBuf>), StoreError> {
        match self {
            Self::Engine(kind) => {
                let opened = open_engine(path, kind, CACHE_BYTES)?;
                Ok((opened.engine, opened.set_aside.into_iter().collect()))
            }
            Self::Partitions(kind) => {
                let opened = StatePartitions::open(path, kind, CACHE_BYTES)?;
                Ok((Arc::new(opened.partitions), opened.set_aside))
            }
        }
    }
}

pub(crate) const CACHE_BYTES: u64 = 8 * 1024 * 1024;

const CUSTOMERS: u64 = 200;

pub(crate) fn group() -> GroupId {
    GroupId::Shard(ShardId::new(3).unwrap())
}

fn applied_key() -> Key {
    Key::replica(group(), ReplicaEntry::Applied)
}

fn customer_key(number: u64) -> Key {
    let customer = CustomerId::from_parts(1_700_000_000_000 + number, [7; 10], PoolId::DEFAULT);
    Key::core(group(), &customer)
}

/// What batch `number` does: about a dozen puts and a few deletes.
fn operations(number: u64) -> Vec<(Key, Option<Bytes>)> {
    let mut random = Random::of(number, 1);
    let count = 8 + random.below(10);
    (0..count)
        .map(|_| {
            let key = customer_key(random.below(CUSTOMERS));
            let payload: Vec<u8> = (0..random.below(400)).map(|_| random.next().to_le_bytes()[0]).collect();
            let header = ValueHeader { revision: number, guard: 1, bucket: 2 };
            (key, (random.below(8) > 0).then(|| header.encode(&payload)))
        })
        .collect()
}

pub(crate) fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in operations(number) {
        batch.set(key.into_bytes(), value);
    }
    let header = ValueHeader { revision: number, ..ValueHeader::default() };
    batch.put(applied_key(), header.encode(&number.to_be_bytes()));
    batch
}

/// The values after batches 1 to `number`.
pub(crate) fn after(number: u64) -> BTreeMap<Key, Bytes> {
    let mut state = BTreeMap::new();
    for (key, value) in (1..=number).flat_map(operations) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    state
}

/// The number of the last batch, from the engine's applied entry.
pub(crate) fn applied(engine: &dyn StateEngine) -> Result<u64, String> {
    let Some(value) = engine.get(applied_key().as_ref()).map_err(|error| error.to_string())? else {
        return Ok(0);
    };
    let (_, payload) = ValueHeader::decode(&value).map_err(|error| error.to_string())?;
    Ok(u64::from_be_bytes(payload[..].try_into().unwrap()))
}

/// What an engine was found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Exactly the state after this batch.
    Whole(u64),
    /// Damage, reported as an error.
    Refused,
}

/// Reads everything, by get and by scan, and panics if a wrong value is returned without an error.
pub(crate) fn verify(engine: &dyn StateEngine) -> Found {
    let Ok(applied) = applied(engine) else { return Found::Refused };
    let expected = after(applied);
    let mut refused = false;
    for number in 0..CUSTOMERS {
        let key = customer_key(number);
        match engine.get(key.as_ref()).and_then(|value| value.map(|value| checked(&value)).transpose()) {
            Ok(value) => {
                assert_eq!(value.as_ref(), expected.get(&key), "{key:?} number {number} after {applied}")
            }
            Err(_) => refused = true,
        }
    }
    let prefix = KeyPrefix::kind(group(), custodia_store::KeyKind::Core);
    match engine.scan(prefix.as_bytes(), None, usize::MAX) {
        Ok(pairs) if pairs.iter().all(|(_, value)| checked(value).is_ok()) => {
            let found: Vec<_> = pairs.into_iter().collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
            assert_eq!(found.len(), expected.len(), "after {applied}");
            assert!(found == expected, "a scan differs after {applied}");
        }
        Ok(_) | Err(_) => refused = true,
    }
    if refused { Found::Refused } else { Found::Whole(applied) }
}

fn checked(value: &Bytes) -> Result<Bytes, StoreError> {
    ValueHeader::read(value).map(|_| value.clone())
}
