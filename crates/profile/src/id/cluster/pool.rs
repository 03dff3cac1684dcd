//! Owns the residency pool: which country's nodes may hold a customer. Always: six bits, 0 is the default pool.

use super::number_text;
use crate::error::ProfileError;

/// A residency pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PoolId(u8);

impl PoolId {
    /// The default pool.
    pub const DEFAULT: Self = Self(0);
    /// The largest pool.
    pub const MAX: u8 = 0x3f;

    /// Takes a number of at most 63.
    ///
    /// # Errors
    /// `Malformed` above 63.
    pub const fn new(number: u8) -> Result<Self, ProfileError> {
        if number > Self::MAX {
            return Err(ProfileError::Malformed { field: "pool", expected: "at most 63" });
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0
    }
}

number_text!(PoolId, u8, "pool");
