//! Owns what can be wrong with a GPP string. Always: a fault names a rule of the specification, never what the string
//! says about the customer.

use super::{EncodingFault, TcStringError};
use crate::limits::GPP_STRING_BYTES_MAX;

/// Why a GPP string is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GppStringError {
    /// Longer than the limit.
    #[error("is longer than {GPP_STRING_BYTES_MAX} bytes")]
    TooLong,
    /// A character or a segment that the specification does not allow.
    #[error("{0}")]
    Encoding(EncodingFault),
    /// A TC string on its own.
    #[error("is a TC string, not a GPP string")]
    TcString,
    /// The first part is not a header of type 3.
    #[error("has a header of type {found}, expected 3")]
    HeaderType {
        /// The type found.
        found: u8,
    },
    /// Another version of the string. There has been one so far.
    #[error("has version {found}, expected 1")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The header ends before its last field.
    #[error("has a truncated header")]
    HeaderTruncated,
    /// A section id above 65,535.
    #[error("has an invalid section id in its header")]
    SectionId,
    /// The header lists other sections than there are.
    #[error("lists {listed} sections in its header and has {found}")]
    SectionCount {
        /// How many ids the header lists; at most one more than `found` is counted.
        listed: usize,
        /// How many sections follow the header.
        found: usize,
    },
    /// The TCF section, 2, is malformed.
    #[error("has in section 2 (tcfeuv2) a TC string that {0}")]
    Tcf(TcStringError),
    /// A section ends before its last field.
    #[error("is truncated in section {section}")]
    Truncated {
        /// The section.
        section: u16,
    },
    /// Not four characters of the US Privacy string: a digit, then `Y`, `N` or `-`.
    #[error("has in section 6 (uspv1) no US Privacy string such as \"1YNN\"")]
    UsPrivacy,
}

impl GppStringError {
    /// The name of the fault, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "TOO_LONG",
            Self::Encoding(fault) => fault.name(),
            Self::TcString => "TC_STRING",
            Self::HeaderType { .. } => "HEADER_TYPE",
            Self::Version { .. } => "VERSION",
            Self::HeaderTruncated => "HEADER_TRUNCATED",
            Self::SectionId => "SECTION_ID",
            Self::SectionCount { .. } => "SECTION_COUNT",
            Self::Tcf(fault) => fault.name(),
            Self::Truncated { .. } => "TRUNCATED",
            Self::UsPrivacy => "US_PRIVACY",
        }
    }
}

impl From<EncodingFault> for GppStringError {
    fn from(fault: EncodingFault) -> Self {
        Self::Encoding(fault)
    }
}
