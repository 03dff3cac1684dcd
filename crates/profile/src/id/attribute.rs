//! Owns the two names of an attribute: the slug for people, and the number on disk.

use super::{number_text, slug::slug};

slug!(
    /// An attribute's name: 1 to 64 of `[a-z0-9_]`, starts with a letter.
    AttributeName,
    "attribute",
    b"_",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9_], starting with a letter"
);

/// An attribute's number on disk: assigned by the catalogue, never reused, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeNumber(u32);

impl AttributeNumber {
    /// Takes a number of at least 1.
    ///
    /// # Errors
    /// `Malformed` for 0.
    pub const fn new(number: u32) -> Result<Self, crate::error::ProfileError> {
        if number == 0 {
            return Err(crate::error::ProfileError::Malformed {
                field: "attribute number",
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

number_text!(AttributeNumber, u32, "attribute number");
