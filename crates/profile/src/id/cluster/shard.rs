//! Owns the shard: a contiguous range of slots. Always: with `n` shards, shard `i` owns the slots
//! `[i·4096/n, (i+1)·4096/n)`, so every slot has exactly one shard.

use std::ops::RangeInclusive;

use super::{SlotId, number_id};
use crate::{
    error::ProfileError,
    limits::{SHARDS_MAX, SLOTS},
};

number_id! {
    /// A shard: one Raft group.
    pub struct ShardId(u16), as_u16, 0..SHARDS_MAX, "shard_id": "less than 4096"
}

impl ShardId {
    /// Whether a cluster may have this number of shards.
    ///
    /// # Errors
    /// `Malformed` unless it is a power of two of at most 4,096.
    pub const fn check_count(shards: u16) -> Result<(), ProfileError> {
        if shards > SHARDS_MAX || !shards.is_power_of_two() {
            return Err(ProfileError::Malformed {
                field: "shards",
                expected: "a power of two of at most 4096",
            });
        }
        Ok(())
    }

    /// The shard that owns a slot in a cluster of this number of shards (a power of two of at most 4,096).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "slot < 4,096, so the quotient is below `shards`")]
    pub const fn of(slot: SlotId, shards: u16) -> Self {
        Self((slot.as_u16() as u32 * shards as u32 / SLOTS as u32) as u16)
    }

    /// The slots that the shard owns; none if there is no such shard.
    #[must_use]
    pub fn slots(self, shards: u16) -> Option<RangeInclusive<SlotId>> {
        Self::check_count(shards).ok()?;
        let width = SLOTS / shards;
        if self.0 >= shards {
            return None;
        }
        let first = self.0 * width;
        Some(SlotId::new(first).ok()?..=SlotId::new(first + (width - 1)).ok()?)
    }
}
