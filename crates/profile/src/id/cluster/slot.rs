//! Owns the hash slot. Always: less than 4,096; slots do not move.

use super::number_text;
use crate::{error::ProfileError, limits::SLOTS};

/// One of the 4,096 hash slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u16);

impl SlotId {
    /// Takes a number below 4,096.
    ///
    /// # Errors
    /// `Malformed` otherwise.
    pub const fn new(number: u16) -> Result<Self, ProfileError> {
        if number >= SLOTS {
            return Err(ProfileError::Malformed { field: "slot", expected: "less than 4096" });
        }
        Ok(Self(number))
    }

    /// The slot of a hash: its low twelve bits.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 4,096")]
    pub(in crate::id) const fn of_hash(hash: u64) -> Self {
        Self((hash % SLOTS as u64) as u16)
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

number_text!(SlotId, u16, "slot");
