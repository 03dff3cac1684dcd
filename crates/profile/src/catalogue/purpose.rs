//! Owns a purpose: why data may be used, and what allows it. Always: at least one lawful basis; notices only grow.

use std::ops::Deref;

use crate::{
    LawfulBasis, NoticeId, ProfileError, PurposeId, PurposeNumber, Revision,
    label::check_text,
    limits::{DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, DPV_BYTES_MAX, LANGUAGE_BYTES_MAX, NOTICES_MAX},
};

/// One version of the text that customers are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The version.
    pub version: NoticeId,
    /// SHA-256 of the text, where it is known.
    pub text_sha256: Option<[u8; 32]>,
    /// The language (BCP 47); may be empty.
    pub language: String,
    /// Consent to an older version is no longer enough.
    pub asks_again: bool,
}

/// A purpose's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeFields {
    /// What the disk holds.
    pub number: PurposeNumber,
    /// What people use.
    pub id: PurposeId,
    /// The name for people.
    pub display_name: String,
    /// What the customer is told.
    pub description: String,
    /// W3C DPV identifier; may be empty.
    pub dpv: String,
    /// The allowed bases, in the order in which they are tried.
    pub lawful_bases: Vec<LawfulBasis>,
    /// The notices, in the order of validity.
    pub notices: Vec<Notice>,
    /// Allowed bases that need nothing recorded per customer.
    pub standing_bases: Vec<LawfulBasis>,
    /// No longer in use.
    pub deprecated: bool,
    /// Of this entry: its etag.
    pub revision: Revision,
}

/// A purpose. Reads as its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose(PurposeFields);

impl Purpose {
    /// Checks and takes the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: PurposeFields) -> Result<Self, ProfileError> {
        check_text("purpose.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("purpose.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        check_text("purpose.dpv", &fields.dpv, DPV_BYTES_MAX)?;
        if fields.lawful_bases.is_empty() {
            return Err(ProfileError::Empty { field: "purpose.lawful_bases" });
        }
        check_distinct("purpose.lawful_bases", &fields.lawful_bases)?;
        check_distinct("purpose.standing_bases", &fields.standing_bases)?;
        let may_stand =
            |basis: &LawfulBasis| *basis != LawfulBasis::Consent && fields.lawful_bases.contains(basis);
        if !fields.standing_bases.iter().all(may_stand) {
            return Err(ProfileError::Malformed {
                field: "purpose.standing_bases",
                expected: "some of lawful_bases, without consent",
            });
        }
        if fields.notices.len() > NOTICES_MAX {
            return Err(ProfileError::TooMany { field: "purpose.notices", count_max: NOTICES_MAX });
        }
        for notice in &fields.notices {
            check_text("purpose.notices.language", &notice.language, LANGUAGE_BYTES_MAX)?;
        }
        let versions: Vec<_> = fields.notices.iter().map(|notice| &notice.version).collect();
        check_distinct("purpose.notices", &versions)?;
        Ok(Self(fields))
    }

    /// Whether consent to a version of the notice is enough today: the purpose knows it, and no newer one asks again.
    #[must_use]
    pub fn accepts_notice(&self, version: &NoticeId) -> bool {
        let known = self.notices.iter().position(|notice| notice.version == *version);
        let asked_last = self.notices.iter().rposition(|notice| notice.asks_again);
        known.is_some_and(|known| asked_last.is_none_or(|asked| known >= asked))
    }

    /// Whether the purpose has the notice, new or old.
    #[must_use]
    pub fn has_notice(&self, version: &NoticeId) -> bool {
        self.notices.iter().any(|notice| notice.version == *version)
    }

    /// A published notice stays as it was: consents name it.
    pub(super) fn check_replacement(&self, new: &Self) -> Result<(), ProfileError> {
        if self.id != new.id {
            return Err(ProfileError::Immutable { field: "purpose.id" });
        }
        if !new.notices.starts_with(&self.notices) {
            return Err(ProfileError::Immutable { field: "purpose.notices" });
        }
        Ok(())
    }
}

impl Deref for Purpose {
    type Target = PurposeFields;

    fn deref(&self) -> &PurposeFields {
        &self.0
    }
}

/// Whether no entry of a short list occurs twice.
pub(super) fn check_distinct<T: Ord>(field: &'static str, entries: &[T]) -> Result<(), ProfileError> {
    let distinct: std::collections::BTreeSet<_> = entries.iter().collect();
    if distinct.len() == entries.len() { Ok(()) } else { Err(ProfileError::Duplicate { field }) }
}
