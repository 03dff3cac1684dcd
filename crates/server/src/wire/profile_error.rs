//! Owns what a call answers to an error of `profile`: which field is named, and with which fault.

use custodia_profile::{
    GppStringError, ProfileError, RefusalReason, TcStringError,
    limits::{GPP_STRING_BYTES_MAX, TC_STRING_BYTES_MAX},
};

use super::error::{FieldFault, ServiceError};

impl From<ProfileError> for ServiceError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Empty { field } => Self::field(field, FieldFault::Missing),
            ProfileError::TooLong { field, bytes_max } => Self::field(field, FieldFault::TooLong(bytes_max)),
            ProfileError::TooMany { field, count_max } => Self::field(field, FieldFault::TooMany(count_max)),
            ProfileError::Malformed { field, expected } => {
                Self::invalid(field, format!("expected {expected}"))
            }
            ProfileError::Duplicate { field } => Self::invalid(field, "has a duplicate entry"),
            ProfileError::Unknown { field: field @ "notice_version" } => {
                Self::field(field, FieldFault::NoticeUnknown)
            }
            ProfileError::Unknown { field } => Self::field(field, FieldFault::PurposeUnknown),
            ProfileError::Immutable { field } => Self::invalid(field, "cannot change"),
            ProfileError::InFuture { field, ahead_max_ms } => {
                Self::invalid(field, format!("is more than {ahead_max_ms} ms in the future"))
            }
            ProfileError::NotRecordable { reason } => {
                Self::field(field_of_decision(reason), FieldFault::NotRecordable(reason))
            }
            ProfileError::NoStands { reason } => {
                Self::field("consent_revision", FieldFault::NoStands(reason))
            }
            ProfileError::ConsentRevisionStale => Self::field("consent_revision", FieldFault::RevisionStale),
            ProfileError::NewerStands { reason } => Self::field("status", FieldFault::NewerStands(reason)),
            ProfileError::LiftsUnseen { limit } => Self::field("etag", FieldFault::EtagNeeded(limit)),
            ProfileError::RequestSuperseded => Self::RequestSuperseded,
            ProfileError::TcStringSuperseded => Self::TcStringSuperseded,
            ProfileError::ObjectionStands => Self::ObjectionStands,
            ProfileError::IdentifierNotFound => Self::IdentifierNotFound,
            ProfileError::HeldForClaim => Self::HeldForClaim,
            ProfileError::TcString { fault: TcStringError::TooLong } => {
                Self::field("tc_string", FieldFault::TooLong(TC_STRING_BYTES_MAX))
            }
            ProfileError::TcString { fault } => Self::field("tc_string", FieldFault::TcString(fault)),
            ProfileError::GppString { fault: GppStringError::TooLong } => {
                Self::field("gpp_string", FieldFault::TooLong(GPP_STRING_BYTES_MAX))
            }
            ProfileError::GppString { fault } => Self::field("gpp_string", FieldFault::GppString(fault)),
            ProfileError::UnsupportedVersion { .. }
            | ProfileError::Corrupt { .. }
            | ProfileError::CorruptField { .. } => Self::Unreadable,
        }
    }
}

/// The field that prevents a decision from being recorded.
fn field_of_decision(reason: RefusalReason) -> &'static str {
    const FIELDS: [(RefusalReason, &str); 8] = [
        (RefusalReason::PurposeDeprecated, "purpose"),
        (RefusalReason::PreTicked, "evidence.act"),
        (RefusalReason::Silence, "evidence.act"),
        (RefusalReason::Bundled, "evidence.bundled"),
        (RefusalReason::GuardianConsentNeeded, "evidence.decided_by"),
        (RefusalReason::GuardianNotEntitled, "evidence.decided_by"),
        (RefusalReason::OptOutNotAllowed, "method"),
        (RefusalReason::IllegalTransition, "status"),
    ];
    FIELDS.iter().find(|(refusal, _)| *refusal == reason).map_or("lawful_basis", |(_, field)| field)
}
