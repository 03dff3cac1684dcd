//! Owns the revision of a stored value: the API's etag. Always: grows by one with every change; 0 is never stored.

use crate::error::ProfileError;

/// The revision of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

impl Revision {
    /// The revision of what does not exist yet.
    pub const NONE: Self = Self(0);

    /// The revision with a number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The revision after this one. With one change per nanosecond the numbers last for five centuries.
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

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for Revision {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let malformed = ProfileError::Malformed { field: "etag", expected: "a decimal number" };
        text.parse().map_or(Err(malformed), |number| Ok(Self(number)))
    }
}
