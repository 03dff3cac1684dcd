//! Owns identifiers: what a customer is found by, in one normal form for each way to write it (ID-2, GO-4). Always: an
//! [`IdentifierValue`] is a normal form, so equal identifiers are equal bytes; it never shows in `Debug`.
//!
//! ```text
//!   as written ──trim──▶ placeholder? ──▶ form of the kind ──▶ blocked? ──▶ normal form
//!                          BLOCKED          INVALID              BLOCKED
//! ```
//! Why it is idempotent: whatever is checked of the text as written is checked of the normal form too, and each kind's
//! form maps its own results to themselves. Property tests show it.

mod blocked;
mod characters;
mod email;
mod phone;
mod text;

use crate::{
    error::ProfileError,
    id::NamespaceId,
    label::{OriginalText, check_text},
    limits::{IDENTIFIER_BYTES_MAX, IDENTIFIER_ORIGINAL_BYTES_MAX},
    reason::RefusalReason,
};
use blocked::Blocked;
pub(crate) use blocked::is_placeholder;
pub(crate) use characters::{digit, is_control_or_format, lower_case, nfc, trim};
pub(crate) use email::{EmailRules, normal_domain};
pub(crate) use phone::PhoneRules;
pub(crate) use text::TextRules;

/// An identifier's normal form: 1 to 256 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierValue(Box<str>);

impl IdentifierValue {
    /// A normal form that was stored.
    ///
    /// # Errors
    /// Names the field and the limit if the text is empty, too long or has control characters.
    pub(crate) fn stored(text: &str) -> Result<Self, ProfileError> {
        check_text("identifier", text, IDENTIFIER_BYTES_MAX)?;
        if text.is_empty() { Err(ProfileError::Empty { field: "identifier" }) } else { Ok(Self(text.into())) }
    }

    /// What is stored as this very text, whatever the rules are now; none if nothing can be.
    #[must_use]
    pub fn as_stored(text: &str) -> Option<Self> {
        Self::stored(trim(text)).ok()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for IdentifierValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentifierValue({} bytes)", self.0.len())
    }
}

/// One identifier: unique among all namespaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The normal form of the value.
    pub value: IdentifierValue,
}

/// An identifier as a source wrote it, without what stands at its ends.
///
/// # Errors
/// Names the limit that an identifier of no namespace passes.
pub(crate) fn original(raw: &str) -> Result<OriginalText, ProfileError> {
    OriginalText::new("identifier", trim(raw))
}

/// How the values of one kind are written in one way.
#[derive(Debug, Clone)]
pub(crate) enum NormalForm {
    /// Mail addresses.
    Email(EmailRules),
    /// Telephone numbers.
    Phone(PhoneRules),
    /// All others.
    Text(TextRules),
}

impl NormalForm {
    /// The normal form of a text; none if the text is not of this kind.
    fn of(&self, text: &str) -> Option<IdentifierValue> {
        let text = match self {
            Self::Email(rules) => rules.normalise(text),
            Self::Phone(rules) => rules.normalise(text),
            Self::Text(rules) => rules.normalise(text),
        }?;
        IdentifierValue::stored(&text).ok()
    }
}

/// The normal forms of a namespace, and what it blocks.
#[derive(Debug, Clone)]
pub(crate) struct Normaliser {
    form: NormalForm,
    blocked: Blocked,
}

impl Normaliser {
    pub(crate) fn new(form: NormalForm, blocked_values: &[String]) -> Self {
        let blocked = Blocked::new(&form, blocked_values);
        Self { form, blocked }
    }

    /// The normal form of a value as a source wrote it.
    pub(crate) fn normalise(&self, raw: &str) -> Result<IdentifierValue, RefusalReason> {
        if raw.len() > IDENTIFIER_ORIGINAL_BYTES_MAX {
            return Err(RefusalReason::IdentifierInvalid);
        }
        let text = trim(raw);
        if self.blocked.contains(text) {
            return Err(RefusalReason::IdentifierBlocked);
        }
        let value = self.form.of(text).ok_or(RefusalReason::IdentifierInvalid)?;
        if self.blocked.contains(value.as_str()) { Err(RefusalReason::IdentifierBlocked) } else { Ok(value) }
    }
}
