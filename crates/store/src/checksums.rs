//! Checksums of a group's state, by which its replicas are compared.
//!
//! ```text
//! every key of the group except kind 0 ─► xxh3-128(seed; key length BE 4 ‖ key ‖ value) ─► summed by (kind, slot), mod 2^128
//! ```
//! What must hold:
//! - equal states have equal checksums, in whatever order and chunks they are read. Other states have others, except with a
//!   probability of about 2^-128;
//! - nothing in here names a customer: a slot has one in 4,096 of them all;
//! - the seed is new for each comparison, so nobody can alter a disk in advance so that the sums stay equal.

use std::collections::BTreeMap;

use custodia_profile::SlotId;
use xxhash_rust::xxh3::Xxh3;

use crate::engine::Pair;
use crate::key::{KeyKind, KeyParts};

/// The keys that share a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    /// What is stored under them; `None` for keys that this program does not write.
    pub kind: Option<KeyKind>,
    /// The slot of their customers; `None` for keys without a customer.
    pub slot: Option<SlotId>,
}

impl KeyRange {
    /// The name of its kind; `unknown` without one.
    #[must_use]
    pub fn kind_name(self) -> &'static str {
        self.kind.map_or("unknown", KeyKind::name)
    }

    fn of(key: &[u8]) -> Self {
        let parts = KeyParts::parse(key).ok();
        let slot = parts.and_then(|parts| parts.customer).map(|customer| customer.slot());
        Self { kind: parts.map(|parts| parts.kind), slot }
    }
}

/// The checksums of a state. Ranges without a key have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateChecksums(BTreeMap<KeyRange, u128>);

impl StateChecksums {
    /// Adds pairs that were not added before. A replica's own entries do not count.
    pub fn add(&mut self, seed: u64, pairs: &[Pair]) {
        let mut hasher = Xxh3::with_seed(seed);
        for (key, value) in pairs {
            let range = KeyRange::of(key);
            if range.kind != Some(KeyKind::Replica) {
                let sum = self.0.entry(range).or_default();
                *sum = sum.wrapping_add(hash(&mut hasher, key, value));
            }
        }
    }

    /// The first range in which two states differ.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<KeyRange> {
        let (ours, theirs) = (self.0.keys(), other.0.keys());
        ours.chain(theirs).filter(|range| self.0.get(range) != other.0.get(range)).min().copied()
    }

    /// Every range and its sum, in order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyRange, u128)> {
        self.0.iter().map(|(range, sum)| (*range, *sum))
    }
}

impl FromIterator<(KeyRange, u128)> for StateChecksums {
    fn from_iter<T: IntoIterator<Item = (KeyRange, u128)>>(sums: T) -> Self {
        Self(sums.into_iter().collect())
    }
}

/// The length keeps the bytes of a key apart from those of its value.
fn hash(hasher: &mut Xxh3, key: &[u8], value: &[u8]) -> u128 {
    // The seed stays.
    hasher.reset();
    hasher.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use custodia_profile::{CustomerId, GroupId, PoolId, ShardId};
    use proptest::prelude::*;

    use super::*;
    use crate::key::{Key, ReplicaEntry};

    fn key(number: u8) -> Bytes {
        let group = GroupId::Shard(ShardId::new(3).unwrap());
        let customer = CustomerId::from_parts(u64::from(number / 4), [0; 10], PoolId::DEFAULT);
        match number % 4 {
            0 => Key::core(group, &customer),
            1 => Key::ledger(group, &customer, 7),
            2 => Key::bucket_key(group, number.into()),
            _ => Key::replica(group, ReplicaEntry::Applied),
        }
        .into_bytes()
    }

    /// States of up to 16 keys.
    fn state() -> impl Strategy<Value = BTreeMap<u8, Vec<u8>>> {
        proptest::collection::btree_map(0..16_u8, proptest::collection::vec(0..3_u8, 0..3), 0..12)
    }

    fn pairs(state: &BTreeMap<u8, Vec<u8>>) -> Vec<Pair> {
        state.iter().map(|(number, value)| (key(*number), Bytes::from(value.clone()))).collect()
    }

    fn checksums(pairs: &[Pair], chunk: usize) -> StateChecksums {
        let mut sums = StateChecksums::default();
        pairs.chunks(chunk).for_each(|chunk| sums.add(5, chunk));
        sums
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn states_have_equal_checksums_exactly_if_they_are_equal(
            one in state(), other in state(), chunks in (1..9_usize, 1..9_usize), copied: bool,
        ) {
            let other = if copied { one.clone() } else { other };
            let shared = |state: &BTreeMap<u8, Vec<u8>>| -> BTreeMap<u8, Vec<u8>> {
                state.clone().into_iter().filter(|(number, _)| number % 4 != 3).collect()
            };
            let mut reversed = pairs(&other);
            reversed.reverse();
            let (ours, theirs) = (checksums(&pairs(&one), chunks.0), checksums(&reversed, chunks.1));
            prop_assert_eq!(ours == theirs, shared(&one) == shared(&other));
            let differing = shared(&one).into_iter().chain(shared(&other)).filter(|(number, value)| {
                one.get(number) != Some(value) || other.get(number) != Some(value)
            });
            let first = differing.map(|(number, _)| KeyRange::of(&key(number))).min();
            prop_assert_eq!(ours.first_difference(&theirs), first);
            prop_assert_eq!(theirs.first_difference(&ours), first);
        }
    }

    #[test]
    fn byte_that_moves_from_key_to_value_and_another_seed_change_the_sum() {
        let hash = |seed, key: &[u8], value: &[u8]| hash(&mut Xxh3::with_seed(seed), key, value);
        assert_ne!(hash(1, b"ab", b"c"), hash(1, b"a", b"bc"));
        assert_ne!(hash(1, b"ab", b"c"), hash(2, b"ab", b"c"));
    }

    #[test]
    fn key_that_nobody_writes_counts_and_has_no_kind() {
        let mut sums = StateChecksums::default();
        sums.add(1, &[(Bytes::from_static(b"?"), Bytes::new())]);
        assert_eq!(
            sums.iter().map(|(range, _)| range).collect::<Vec<_>>(),
            [KeyRange { kind: None, slot: None }]
        );
    }
}
