//! How far a shard is with the blinding keys.
//!
//! ```text
//! BlindingStage    header{revision, guard: epoch × 256 + phase} ‖ 1 ‖ epoch BE 4 ‖ phase ‖ where the walk of the phase is
//! ```
//! Without the entry a shard has dropped whatever was before the first key: no rotation has come to it yet. The guard tells stages
//! apart, and stays where only the walk goes on.

use bytes::{BufMut as _, Bytes};
use custodia_consensus::{Command, Condition, Expected, Write};
use custodia_profile::{GroupId, KeyEpoch};
use custodia_store::{Key, ValueHeader};

use crate::{shard::ShardContext, wire::ServiceError};

const VERSION: u8 = 1;
const PHASES: u64 = 256;

/// What a shard does about the newest key that it knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlindingPhase {
    /// Claims are under both keys. Some of the shard's customers are not yet in the index under the new one.
    Filling = 1,
    /// All are.
    Filled = 2,
    /// Lookups are answered by the new key alone.
    Switched = 3,
    /// Claims are under the new key alone. Entries under the old one are removed.
    Dropping = 4,
    /// There are none.
    Dropped = 5,
}

impl BlindingPhase {
    const ALL: [Self; 5] = [Self::Filling, Self::Filled, Self::Switched, Self::Dropping, Self::Dropped];

    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase as u32 == number)
    }
}

/// A stage. Stages only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stage {
    /// Of the newest key that the shard knows of.
    pub(crate) epoch: KeyEpoch,
    pub(crate) phase: BlindingPhase,
}

impl Stage {
    /// Before the first rotation.
    const FIRST: Self = Self { epoch: KeyEpoch::FIRST, phase: BlindingPhase::Dropped };

    /// The stage from which a shard begins to be filled under a key; none under the first.
    pub(super) fn before(epoch: KeyEpoch) -> Option<Self> {
        Some(Self { epoch: epoch_before(epoch)?, phase: BlindingPhase::Dropped })
    }

    /// The epochs under which the shard's customers claim their identifiers.
    pub(crate) fn claimed_under(self) -> impl Iterator<Item = KeyEpoch> {
        let before = epoch_before(self.epoch).filter(|_| self.phase < BlindingPhase::Dropping);
        before.into_iter().chain([self.epoch])
    }

    /// Whether entries under a key are put here. After the last were removed, nothing needs them.
    pub(crate) fn keeps(self, epoch: KeyEpoch) -> bool {
        epoch >= self.epoch || self.claimed_under().any(|claimed| claimed == epoch)
    }

    /// Whether a lookup under a key is answered here.
    pub(crate) fn answers(self, epoch: KeyEpoch) -> bool {
        epoch >= self.epoch || (self.phase < BlindingPhase::Switched && self.keeps(epoch))
    }

    /// The key that the blocking keys of all customers of the shard are under; none while they change.
    pub(crate) fn blocks_under(self) -> Option<KeyEpoch> {
        (self.phase > BlindingPhase::Filling).then_some(self.epoch)
    }

    fn guard(self) -> u64 {
        u64::from(self.epoch.as_u32()) * PHASES + self.phase as u64
    }
}

fn epoch_before(epoch: KeyEpoch) -> Option<KeyEpoch> {
    KeyEpoch::new(epoch.as_u32().checked_sub(1)?).ok()
}

/// A stage as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredStage {
    pub(crate) stage: Stage,
    /// Where the walk of the phase is: the end of the last key; empty at its begin.
    after: Bytes,
    /// 0: there is no entry.
    pub(super) revision: u64,
    place: Key,
}

impl StoredStage {
    fn decode(place: Key, value: &Bytes) -> Result<Self, ServiceError> {
        let (ValueHeader { revision, .. }, payload) = ValueHeader::decode(value)?;
        let [VERSION, a, b, c, d, phase, after @ ..] = &*payload else {
            return Err(ServiceError::Unreadable);
        };
        let epoch = KeyEpoch::new(u32::from_be_bytes([*a, *b, *c, *d]))?;
        let phase = BlindingPhase::from_number((*phase).into()).ok_or(ServiceError::Unreadable)?;
        let after = Bytes::copy_from_slice(after);
        Ok(Self { stage: Stage { epoch, phase }, after, revision, place })
    }

    /// The stage of a group without an entry.
    pub(crate) fn first(group: GroupId) -> Self {
        let place = Key::blinding_stage(group);
        Self { stage: Stage::FIRST, after: Bytes::new(), revision: 0, place }
    }

    /// The last key that was walked, of those with this prefix; none at the begin of the walk.
    pub(super) fn walked_to(&self, prefix: &[u8]) -> Option<Vec<u8>> {
        (!self.after.is_empty()).then(|| [prefix, &self.after[..]].concat())
    }

    /// Holds as long as the shard is in this stage.
    pub(crate) fn condition(&self) -> Condition {
        let guard = Expected::Guard(self.stage.guard());
        let expected = if self.revision == 0 { Expected::Absent } else { guard };
        Condition { key: self.place.as_bytes().clone(), expected }
    }

    /// The command that brings the shard to a stage, or the walk on, if nothing about the stage has changed.
    pub(super) fn replaced(&self, stage: Stage, after: &[u8]) -> Command {
        let key = self.place.as_bytes();
        let header = ValueHeader {
            revision: self.revision.saturating_add(1),
            guard: stage.guard(),
            ..ValueHeader::default()
        };
        let mut payload = vec![VERSION];
        payload.put_u32(stage.epoch.as_u32());
        payload.put_u8(stage.phase as u8);
        payload.extend_from_slice(after);
        let expected = Expected::as_read(self.revision);
        Command {
            conditions: vec![Condition { key: key.clone(), expected }],
            writes: vec![Write { key: key.clone(), value: Some(header.encode(&payload)) }],
        }
    }
}

impl ShardContext {
    /// The stage of a shard in the engine. The caller must have passed the read barrier, or make it a condition.
    pub(in crate::shard) fn stage(&self, group: GroupId) -> Result<StoredStage, ServiceError> {
        let place = Key::blinding_stage(group);
        match self.engine().get(place.as_ref())? {
            Some(value) => StoredStage::decode(place, &value),
            None => Ok(StoredStage::first(group)),
        }
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::ShardId;

    use super::*;

    fn stages() -> Vec<Stage> {
        let of = |epoch: u32| {
            let epoch = KeyEpoch::new(epoch).expect("an epoch");
            BlindingPhase::ALL.map(|phase| Stage { epoch, phase })
        };
        let all = (1..4).flat_map(of);
        all.filter(|stage| *stage >= Stage::FIRST).collect()
    }

    /// What identity.md rests on: of two shards one phase apart, each claims under a key that the other looks up by or will.
    #[test]
    fn adjacent_stages_have_a_key_in_common_under_which_both_claim() {
        for pair in stages().windows(2) {
            let [one, next] = pair else { unreachable!("two") };
            assert!(one < next);
            let claimed: Vec<_> = next.claimed_under().collect();
            assert!(one.claimed_under().any(|epoch| claimed.contains(&epoch)), "{one:?} {next:?}");
        }
    }

    #[test]
    fn no_stage_answers_a_lookup_under_a_key_that_it_or_the_next_does_not_claim_under() {
        for pair in stages().windows(2) {
            let [one, next] = pair else { unreachable!("two") };
            for epoch in (1..=one.epoch.as_u32()).map(|epoch| KeyEpoch::new(epoch).expect("an epoch")) {
                if one.answers(epoch) {
                    assert!(one.claimed_under().any(|claimed| claimed == epoch), "{one:?} {epoch}");
                    assert!(next.claimed_under().any(|claimed| claimed == epoch), "{next:?} {epoch}");
                }
                assert!(!one.answers(epoch) || one.keeps(epoch));
            }
        }
    }

    #[test]
    fn a_stage_is_read_as_it_was_written_and_is_a_condition_on_its_guard() {
        let group = GroupId::Shard(ShardId::new(3).expect("a shard"));
        let mut stored = StoredStage::first(group);
        assert_eq!(stored.condition().expected, Expected::Absent);
        for stage in stages() {
            let command = stored.replaced(stage, b"last");
            assert_eq!(command.conditions[0].expected, Expected::as_read(stored.revision));
            let value = command.writes[0].value.clone().expect("a value");
            let again = StoredStage::decode(Key::blinding_stage(group), &value).expect("decodes");
            assert_eq!((again.stage, &again.after[..]), (stage, &b"last"[..]));
            let header = ValueHeader::read(&value).expect("a header");
            assert_eq!(again.condition().expected, Expected::Guard(header.guard));
            stored = again;
        }
    }
}
