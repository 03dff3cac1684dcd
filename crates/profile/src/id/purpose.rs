//! Owns the two names of a purpose: the slug for people, and the number on disk.

use super::{number_text, slug::slug};

slug!(
    /// A purpose's name: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    PurposeId,
    "purpose",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);

/// A purpose's number on disk: assigned by the catalogue, never reused, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PurposeNumber(u32);

impl PurposeNumber {
    /// Takes a number of at least 1.
    ///
    /// # Errors
    /// `Malformed` for 0.
    pub const fn new(number: u32) -> Result<Self, crate::error::ProfileError> {
        if number == 0 {
            return Err(crate::error::ProfileError::Malformed {
                field: "purpose number",
                expected: "at least 1",
            });
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

number_text!(PurposeNumber, u32, "purpose number");
