//! Owns what can be wrong with a TC string. Always: a fault names a rule of the framework, never what the string says
//! about the customer.

use super::EncodingFault;
use crate::limits::TC_STRING_BYTES_MAX;

/// Why a TC string is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TcStringError {
    /// Longer than the limit.
    #[error("is longer than {TC_STRING_BYTES_MAX} bytes")]
    TooLong,
    /// A character or a segment that the specification does not allow.
    #[error("{0}")]
    Encoding(EncodingFault),
    /// A string of another framework.
    #[error("is a {kind}, not a TC string")]
    OtherString {
        /// What it is.
        kind: &'static str,
    },
    /// A segment ends before its last field.
    #[error("is truncated")]
    Truncated,
    /// A field has a value that the framework does not allow.
    #[error("has an invalid {field}")]
    Field {
        /// The field at fault.
        field: &'static str,
    },
    /// A segment of an unknown type, or one that occurs twice.
    #[error("has an unknown or duplicate segment")]
    Segment,
    /// Not version 2 of the encoding. Version 1 has been invalid since 30 September 2020.
    #[error("has format version {found}, expected 2")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Made under an older policy than that of its day, so the customer was asked other questions.
    #[error(
        "was made under policy version {found}; the framework required at least {required} when it was made"
    )]
    PolicyVersion {
        /// The version found.
        found: u8,
        /// The least version: 4 (TCF 2.2) before 28 February 2026, 5 (TCF 2.3) from then on.
        required: u8,
    },
    /// Global scope, invalid since 1 September 2021.
    #[error("has global scope, which the framework no longer supports")]
    GlobalScope,
    /// No segment of disclosed vendors: not TCF 2.3, which every string made from 28 February 2026 on must be.
    #[error("has no segment of disclosed vendors, which TCF 2.3 requires from 28 February 2026 on")]
    NoDisclosedVendors,
    /// Older than the 13 months after which customers must be asked again.
    #[error("was last updated more than 13 months ago")]
    Outdated,
    /// Made or updated more than five minutes ahead of the clock.
    #[error("was last updated in the future")]
    InFuture,
}

impl TcStringError {
    /// The name of the fault, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "TOO_LONG",
            Self::Encoding(fault) => fault.name(),
            Self::OtherString { .. } => "OTHER_STRING",
            Self::Truncated => "TRUNCATED",
            Self::Field { .. } => "FIELD",
            Self::Segment => "SEGMENT",
            Self::Version { .. } => "VERSION",
            Self::PolicyVersion { .. } => "POLICY_VERSION",
            Self::GlobalScope => "GLOBAL_SCOPE",
            Self::NoDisclosedVendors => "NO_DISCLOSED_VENDORS",
            Self::Outdated => "OUTDATED",
            Self::InFuture => "IN_FUTURE",
        }
    }
}

impl From<EncodingFault> for TcStringError {
    fn from(fault: EncodingFault) -> Self {
        Self::Encoding(fault)
    }
}
