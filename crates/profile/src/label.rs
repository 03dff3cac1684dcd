//! Owns short free texts, and the checks of texts and lists against their limits. Always: 1 to `BYTES_MAX` bytes without control characters; redacted in `Debug`, because
//! an event's id or a contract's reference can name a person.

use std::collections::BTreeSet;

use crate::{error::ProfileError, limits};

/// A short text of at most `BYTES_MAX` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label<const BYTES_MAX: usize>(Box<str>);

/// The version of a notice.
pub type NoticeId = Label<{ limits::NOTICE_BYTES_MAX }>;
/// Who collected a consent.
pub type Collector = Label<{ limits::COLLECTOR_BYTES_MAX }>;
/// The contract, law, incident or balancing test that a ground rests on.
pub type Reference = Label<{ limits::REFERENCE_BYTES_MAX }>;
/// The channel of an event or of a decision.
pub type Channel = Label<{ limits::CHANNEL_BYTES_MAX }>;
/// A language tag (BCP 47).
pub type Language = Label<{ limits::LANGUAGE_BYTES_MAX }>;
/// How a customer is reached on a channel.
pub type Address = Label<{ limits::ADDRESS_BYTES_MAX }>;
/// An identifier as the source wrote it.
pub type OriginalText = Label<{ limits::IDENTIFIER_ORIGINAL_BYTES_MAX }>;
/// The source's id of an event.
pub type EventId = Label<{ limits::EVENT_NAME_BYTES_MAX }>;
/// The name of an event.
pub type EventName = Label<{ limits::EVENT_NAME_BYTES_MAX }>;
/// The name of an event's property.
pub type PropertyName = Label<{ limits::PROPERTY_NAME_BYTES_MAX }>;
/// Which matter of its type one is: the number of a case, of an order …
pub type MatterKey = Label<{ limits::MATTER_KEY_BYTES_MAX }>;

impl<const BYTES_MAX: usize> Label<BYTES_MAX> {
    /// Checks the text of `field`.
    ///
    /// # Errors
    /// Names the field and the limit if the text is empty, too long or has control characters.
    pub fn new(field: &'static str, text: &str) -> Result<Self, ProfileError> {
        check_text(field, text, BYTES_MAX)?;
        if text.is_empty() { Err(ProfileError::Empty { field }) } else { Ok(Self(text.into())) }
    }

    /// The same for an optional field: none if the text is empty.
    ///
    /// # Errors
    /// As [`Label::new`].
    pub fn optional(field: &'static str, text: &str) -> Result<Option<Self>, ProfileError> {
        if text.is_empty() { Ok(None) } else { Self::new(field, text).map(Some) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const BYTES_MAX: usize> std::fmt::Debug for Label<BYTES_MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Label({} bytes)", self.0.len())
    }
}

/// Whether a text is at most `bytes_max` long and free of control characters.
pub(crate) fn check_text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), ProfileError> {
    check_characters(field, text, bytes_max, |_| false, "text without control characters")
}

/// The same, but for line ends and tabs.
pub(crate) fn check_lines(field: &'static str, text: &str, bytes_max: usize) -> Result<(), ProfileError> {
    let layout = |one| matches!(one, '\n' | '\r' | '\t');
    check_characters(field, text, bytes_max, layout, "text without control characters but line ends and tabs")
}

fn check_characters(
    field: &'static str,
    text: &str,
    bytes_max: usize,
    is_allowed: impl Fn(char) -> bool,
    expected: &'static str,
) -> Result<(), ProfileError> {
    if text.len() > bytes_max {
        return Err(ProfileError::TooLong { field, bytes_max });
    }
    // One pass over the bytes without a branch settles most texts: control characters are below 0x20, 0x7f, or begin
    // with 0xc2. Every text of a record is checked here at every read.
    let suspect =
        text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2));
    if suspect && text.chars().any(|one| one.is_control() && !is_allowed(one)) {
        return Err(ProfileError::Malformed { field, expected });
    }
    Ok(())
}

/// Whether a list is within its limit and has no duplicates.
pub(crate) fn check_list<T: Ord>(
    field: &'static str,
    entries: &[T],
    count_max: usize,
) -> Result<(), ProfileError> {
    if entries.len() > count_max {
        return Err(ProfileError::TooMany { field, count_max });
    }
    check_distinct(field, entries)
}

/// Whether a short list has no duplicates.
pub(crate) fn check_distinct<T: Ord>(field: &'static str, entries: &[T]) -> Result<(), ProfileError> {
    let distinct: BTreeSet<_> = entries.iter().collect();
    if distinct.len() == entries.len() { Ok(()) } else { Err(ProfileError::Duplicate { field }) }
}
