//! Owns the hash slot. Always: less than 4,096; slots do not move.

use super::number_id;
use crate::limits::SLOTS;

number_id! {
    /// One of the 4,096 hash slots.
    pub struct SlotId(u16), as_u16, 0..SLOTS, "slot": "less than 4096"
}

impl SlotId {
    /// The slot of a hash: its low twelve bits.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 4,096")]
    pub(in crate::id) const fn of_hash(hash: u64) -> Self {
        Self((hash % SLOTS as u64) as u16)
    }
}
