//! Owns the revision of a stored value: the API's etag. Always: grows by one with every change; 0 is never stored.

use super::number_text;
use crate::ProfileError;

/// The revision of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

impl Revision {
    /// The revision of what does not exist yet.
    pub const NONE: Self = Self(0);

    /// Takes a number.
    ///
    /// # Errors
    /// Never; every number is a revision.
    pub const fn new(number: u64) -> Result<Self, ProfileError> {
        Ok(Self(number))
    }

    /// The revision of a number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The revision after this one. At a change each nanosecond the numbers last for five centuries.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

number_text!(Revision, u64, "etag");
