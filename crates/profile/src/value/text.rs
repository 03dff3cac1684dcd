//! Owns text values. Always: at most 4,096 bytes of UTF-8, without control characters but line ends and tabs, which
//! addresses and notes have.

use crate::{error::ProfileError, label::check_lines, limits::TEXT_BYTES_MAX};

/// A text value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Box<str>);

impl Text {
    /// Checks a text.
    ///
    /// # Errors
    /// `TooLong`, or `Malformed` for control characters other than line ends and tabs.
    pub fn new(text: &str) -> Result<Self, ProfileError> {
        check_lines("value", text, TEXT_BYTES_MAX)?;
        Ok(Self(text.into()))
    }

    /// The same without a copy.
    ///
    /// # Errors
    /// As [`Text::new`].
    pub fn from_string(text: String) -> Result<Self, ProfileError> {
        check_lines("value", &text, TEXT_BYTES_MAX)?;
        Ok(Self(text.into_boxed_str()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}
