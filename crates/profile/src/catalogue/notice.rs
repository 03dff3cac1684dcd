//! Owns the versions of the text that customers are shown. Always: a list is ordered by validity, each version once.

use crate::{
    error::ProfileError,
    id::TimestampMs,
    label::{NoticeId, check_text},
    limits::{LANGUAGE_BYTES_MAX, NOTICES_MAX},
};

use super::check_list;

/// One version of the text that customers are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The version.
    pub version: NoticeId,
    /// SHA-256 of the text, if known.
    pub text_sha256: Option<[u8; 32]>,
    /// The language (BCP 47); may be empty.
    pub language: String,
    /// Consent to an older version is no longer enough.
    pub asks_again: bool,
    /// From when it is valid; none: at once. Until then consent to an older version is still enough.
    pub valid_from: Option<TimestampMs>,
}

impl Notice {
    /// Whether older versions are no longer enough at a moment.
    pub(super) fn has_asked_again(&self, now: TimestampMs) -> bool {
        self.asks_again && self.valid_from.is_none_or(|from| from <= now)
    }
}

/// Whether a purpose may have these notices.
pub(super) fn check(notices: &[Notice]) -> Result<(), ProfileError> {
    let versions: Vec<_> = notices.iter().map(|notice| &notice.version).collect();
    check_list("purpose.notices", &versions, NOTICES_MAX)?;
    for notice in notices {
        check_text("purpose.notices.language", &notice.language, LANGUAGE_BYTES_MAX)?;
    }
    if !notices.iter().filter_map(|notice| notice.valid_from).is_sorted() {
        return Err(ProfileError::Malformed {
            field: "purpose.notices.valid_from",
            expected: "a moment not before that of an older notice",
        });
    }
    Ok(())
}
