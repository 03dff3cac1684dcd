//! Owns the epoch of a key. Always: the first is 1, and each new key at the same position of the key tree has a
//! larger one.

use super::number_text;
use crate::error::ProfileError;

/// The epoch of a key at one position of the key tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch(u32);

impl KeyEpoch {
    /// The first epoch.
    pub const FIRST: Self = Self(1);

    /// Takes a number of at least 1.
    ///
    /// # Errors
    /// `Malformed` for 0.
    pub const fn new(number: u32) -> Result<Self, ProfileError> {
        if number == 0 {
            return Err(ProfileError::Malformed { field: "key epoch", expected: "at least 1" });
        }
        Ok(Self(number))
    }

    /// The epoch after this one; none after the last, so that no epoch is ever used twice.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

number_text!(KeyEpoch, u32, "key epoch");
