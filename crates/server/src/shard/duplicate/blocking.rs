//! The change of the index of blocking keys that belongs to a change of a record.
//!
//! ```text
//! BlockingSet ‖ customer                  header{revision} ‖ the keys, the refining values
//! BlockingKey ‖ key ‖ customer            header ‖ the refining values, 5 × u32 BE        one for each key of the set
//! ```
//! The set is stored beside its entries, so a write takes away what was stored, whatever the catalogue, the normal forms or
//! the key were then. Its revision is a condition of each command that changes it, and it is never removed.

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Expected, Write};
use custodia_linkage::{Features, blocking_keys, refinements};
use custodia_profile::{BLOCK_REFINEMENTS, BlockingSet, Catalogue, CustomerId, CustomerRecord, Stored as _};
use custodia_seal::BlindingKey;
use custodia_store::{Key, ValueHeader};

use super::features::{features, is_compared, values};
use crate::{keys::CustomerWriter, routing::CustomerLocation, shard::ShardContext, wire::ServiceError};

/// What a command must do to the index.
#[derive(Debug)]
pub(in crate::shard) struct BlockingChange {
    location: CustomerLocation,
    /// Revision of the stored set; 0: there is none.
    revision: u64,
    before: BlockingSet,
    after: BlockingSet,
}

impl BlockingChange {
    /// Whether the index is as it should be.
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// Adds the change, and that the stored set is still the one that was read.
    pub(in crate::shard) fn add_to(self, command: &mut Command, writer: &CustomerWriter) {
        let (group, customer) = (self.location.group(), &self.location.customer);
        let place = Key::blocking_set(group, customer);
        let expected = Expected::as_read(self.revision);
        command.conditions.push(Condition { key: place.as_bytes().clone(), expected });
        if self.is_empty() {
            return;
        }
        let revision = self.revision.saturating_add(1);
        let Entries { removed, put } = Entries::between(&self.before, &self.after);
        for key in removed {
            let key = Key::blocking_key(group, key, customer).into_bytes();
            command.writes.push(Write { key, value: None });
        }
        let payload: Vec<u8> =
            self.after.refinements().iter().flat_map(|value| value.to_be_bytes()).collect();
        for key in put {
            let key = Key::blocking_key(group, key, customer);
            command.writes.push(writer.clear(&key, revision, 0, &payload));
        }
        command.writes.push(writer.clear(&place, revision, 0, &self.after.encode()));
    }
}

/// The entries by which two sets differ.
struct Entries {
    removed: Vec<u64>,
    /// New, or with other refining values.
    put: Vec<u64>,
}

impl Entries {
    fn between(before: &BlockingSet, after: &BlockingSet) -> Self {
        let has = |set: &BlockingSet, key: &u64| set.keys().binary_search(key).is_ok();
        let refined_alike = before.refinements() == after.refinements();
        let stays = |key: &u64| refined_alike && has(before, key);
        Self {
            removed: before.keys().iter().copied().filter(|key| !has(after, key)).collect(),
            put: after.keys().iter().copied().filter(|key| !stays(key)).collect(),
        }
    }
}

/// The refining values in an entry of the index.
pub(super) fn refinements_in(stored: &Bytes) -> Result<[u32; BLOCK_REFINEMENTS], ServiceError> {
    let (_, payload) = ValueHeader::decode(stored)?;
    let mut refinements = [0; BLOCK_REFINEMENTS];
    let (values, rest) = payload.as_chunks::<4>();
    if values.len() != BLOCK_REFINEMENTS || !rest.is_empty() {
        return Err(ServiceError::Unreadable);
    }
    for (refinement, value) in refinements.iter_mut().zip(values) {
        *refinement = u32::from_be_bytes(*value);
    }
    Ok(refinements)
}

impl ShardContext {
    /// The change of the index that belongs to a record, which the customer is about to have. `key` is the newest that the customer's
    /// shard knows of.
    pub(in crate::shard) fn blocking_change(
        &self,
        location: CustomerLocation,
        record: &CustomerRecord,
        catalogue: &Catalogue,
        key: &BlindingKey,
    ) -> Result<BlockingChange, ServiceError> {
        let (revision, before) = self.stored_blocking_set(location)?;
        let after = blocking_set_of(location.customer, record, catalogue, key);
        Ok(BlockingChange { location, revision, before, after })
    }

    fn stored_blocking_set(&self, location: CustomerLocation) -> Result<(u64, BlockingSet), ServiceError> {
        let place = Key::blocking_set(location.group(), &location.customer);
        let Some(stored) = self.engine().get(place.as_ref())? else {
            return Ok((0, BlockingSet::default()));
        };
        let (header, payload) = ValueHeader::decode(&stored)?;
        Ok((header.revision, BlockingSet::decode(&payload)?))
    }
}

fn blocking_set_of(
    customer: CustomerId,
    record: &CustomerRecord,
    catalogue: &Catalogue,
    key: &BlindingKey,
) -> BlockingSet {
    if is_compared(record) {
        blocking_set(&features(customer, &values(record, catalogue)), key)
    } else {
        BlockingSet::default()
    }
}

/// The blinded blocking keys of a record.
pub(super) fn blocking_set(features: &Features, key: &BlindingKey) -> BlockingSet {
    let keys = blocking_keys(features);
    let keys = keys.iter().map(|of| key.blind_block(of.kind as u8, &of.bytes)).collect();
    let mut refining = refinements(features);
    for (place, value) in (0..).zip(&mut refining) {
        if *value != 0 {
            *value = key.blind_refinement(place, *value);
        }
    }
    BlockingSet::new(keys, refining)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = BlockingSet> {
        let keys = prop::collection::vec(0..30_u64, 0..20);
        (keys, 0..3_u32).prop_map(|(keys, refinement)| BlockingSet::new(keys, [refinement; 5]))
    }

    proptest! {
        /// ID-4: no key of what a record was is left, and none of what it is lacks.
        #[test]
        fn the_entries_are_those_of_the_last_set(sets in prop::collection::vec(set(), 1..6)) {
            let mut entries = BTreeMap::new();
            let mut before = BlockingSet::default();
            for after in sets {
                let Entries { removed, put } = Entries::between(&before, &after);
                for key in removed {
                    prop_assert!(entries.remove(&key).is_some());
                }
                for key in put {
                    prop_assert_ne!(entries.insert(key, *after.refinements()), Some(*after.refinements()));
                }
                let expected = after.keys().iter().map(|key| (*key, *after.refinements()));
                prop_assert_eq!(&entries, &expected.collect::<BTreeMap<_, _>>());
                before = after;
            }
        }
    }
}
