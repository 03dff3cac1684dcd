//! Owns what can be wrong with a TC string. Always: a fault names a rule of the framework, never what the string says
//! about the customer.

use crate::limits::TC_STRING_BYTES_MAX;

/// Why a TC string is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TcStringError {
    /// Longer than the limit.
    #[error("is longer than {TC_STRING_BYTES_MAX} bytes")]
    TooLong,
    /// A segment is empty or has a character outside `[A-Za-z0-9_-]`. The specification has no padding.
    #[error("is not base64url without padding")]
    Encoding,
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
    /// Made under an older policy than that of TCF 2.3, so the customer was asked other questions.
    #[error("was made under policy version {found}; TCF 2.3 requires at least 5")]
    PolicyVersion {
        /// The version found.
        found: u8,
    },
    /// Global scope, invalid since 1 September 2021.
    #[error("has global scope, which the framework no longer supports")]
    GlobalScope,
    /// No segment of disclosed vendors: not TCF 2.3, which every string made after 28 February 2026 must be.
    #[error("has no segment of disclosed vendors, which TCF 2.3 requires")]
    NoDisclosedVendors,
    /// Older than the 13 months after which customers must be asked again.
    #[error("was last updated more than 13 months ago")]
    Outdated,
    /// Made or updated more than five minutes ahead of the clock.
    #[error("was last updated in the future")]
    InFuture,
}
