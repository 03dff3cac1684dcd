//! Owns the crate's errors. Always: the text names the field and the limit, never the value.

mod encoding;
mod gpp_string;
mod tc_string;

pub use encoding::EncodingFault;
pub use gpp_string::GppStringError;
pub use tc_string::TcStringError;

use crate::reason::RefusalReason;

/// What can be wrong with a caller's input or with stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A required field is empty.
    #[error("{field} is required")]
    Empty {
        /// The field at fault.
        field: &'static str,
    },
    /// A text is longer than its limit.
    #[error("{field} is longer than {bytes_max} bytes")]
    TooLong {
        /// The field at fault.
        field: &'static str,
        /// The limit.
        bytes_max: usize,
    },
    /// A list is longer than its limit.
    #[error("{field} has more than {count_max} entries")]
    TooMany {
        /// The field at fault.
        field: &'static str,
        /// The limit.
        count_max: usize,
    },
    /// A field does not have the expected form.
    #[error("{field} is malformed, expected {expected}")]
    Malformed {
        /// The field at fault.
        field: &'static str,
        /// The expected form.
        expected: &'static str,
    },
    /// An entry occurs twice.
    #[error("{field} has a duplicate entry")]
    Duplicate {
        /// The field at fault.
        field: &'static str,
    },
    /// A field names something that is not in the catalogue.
    #[error("{field} is not in the catalogue")]
    Unknown {
        /// The field at fault.
        field: &'static str,
    },
    /// A change of a catalogue entry's field that must never change.
    #[error("{field} cannot change")]
    Immutable {
        /// The field at fault.
        field: &'static str,
    },
    /// A moment is further ahead of the clock than allowed.
    #[error("{field} is more than {ahead_max_ms} ms in the future")]
    InFuture {
        /// The field at fault.
        field: &'static str,
        /// The limit.
        ahead_max_ms: i64,
    },
    /// A permission cannot be recorded for this purpose.
    #[error("the decision cannot be recorded: {}", reason.explanation())]
    NotRecordable {
        /// Why.
        reason: RefusalReason,
    },
    /// The customer's no stands, and the ground to record does not name the consent revision that it answers.
    #[error("the customer said no: a consent that answers it names the consent revision that was seen")]
    NoStands {
        /// What the no is.
        reason: RefusalReason,
    },
    /// A newer decision on the same ground stands.
    #[error("a newer decision stands")]
    NewerStands {
        /// What it is.
        reason: RefusalReason,
    },
    /// The consent state has changed since the named revision.
    #[error("the consent state has changed since the named revision")]
    ConsentRevisionStale,
    /// The value was changed after the request was made.
    #[error("the value was changed after this request was made")]
    RequestSuperseded,
    /// A TC string of a later day is recorded.
    #[error("a TC string that was updated on a later day is recorded")]
    TcStringSuperseded,
    /// The change lifts what limits the use of the data, and does not name the version that it saw.
    #[error("a change that lifts {limit} names the etag that was read")]
    LiftsUnseen {
        /// What it would lift.
        limit: &'static str,
    },
    /// The customer has objected; recording the ground again does not lift that.
    #[error("the customer has objected to this purpose; only the customer's own consent permits it again")]
    ObjectionStands,
    /// The customer does not have the identifier.
    #[error("the customer does not have this identifier")]
    IdentifierNotFound,
    /// Something stored would be removed or replaced under a legal hold.
    #[error("the customer's data is held for a legal claim: what is stored stays as it is")]
    HeldForClaim,
    /// A TC string that is malformed or not in force.
    #[error("tc_string {fault}")]
    TcString {
        /// What is wrong with it.
        fault: TcStringError,
    },
    /// A GPP string that is malformed.
    #[error("gpp_string {fault}")]
    GppString {
        /// What is wrong with it.
        fault: GppStringError,
    },
    /// Stored bytes have another format version than this release reads.
    #[error("stored {kind} has format version {found}; this release reads version {supported} only")]
    UnsupportedVersion {
        /// What the bytes should hold.
        kind: &'static str,
        /// The version found.
        found: u8,
        /// The version that can be read.
        supported: u8,
    },
    /// Stored bytes cannot be read.
    #[error("stored {kind} cannot be read")]
    Corrupt {
        /// What the bytes should hold.
        kind: &'static str,
        /// What protobuf says.
        #[source]
        source: prost::DecodeError,
    },
    /// Stored bytes can be read, but a field has a value that this crate never writes.
    #[error("stored {kind} has an invalid {field}")]
    CorruptField {
        /// What the bytes should hold.
        kind: &'static str,
        /// The field at fault.
        field: &'static str,
    },
}

impl ProfileError {
    /// The field at fault, for google.rpc.BadRequest.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Empty { field }
            | Self::TooLong { field, .. }
            | Self::TooMany { field, .. }
            | Self::Malformed { field, .. }
            | Self::Duplicate { field }
            | Self::Unknown { field }
            | Self::Immutable { field }
            | Self::InFuture { field, .. }
            | Self::CorruptField { field, .. } => Some(field),
            Self::NoStands { .. } | Self::ConsentRevisionStale => Some("consent_revision"),
            Self::LiftsUnseen { .. } => Some("etag"),
            Self::TcString { .. } => Some("tc_string"),
            Self::GppString { .. } => Some("gpp_string"),
            Self::NotRecordable { .. }
            | Self::NewerStands { .. }
            | Self::RequestSuperseded
            | Self::TcStringSuperseded
            | Self::ObjectionStands
            | Self::IdentifierNotFound
            | Self::HeldForClaim
            | Self::UnsupportedVersion { .. }
            | Self::Corrupt { .. } => None,
        }
    }

    /// Whether stored bytes are at fault, not the caller.
    #[must_use]
    pub fn is_stored_data(&self) -> bool {
        matches!(self, Self::UnsupportedVersion { .. } | Self::Corrupt { .. } | Self::CorruptField { .. })
    }
}

impl From<TcStringError> for ProfileError {
    fn from(fault: TcStringError) -> Self {
        Self::TcString { fault }
    }
}

impl From<GppStringError> for ProfileError {
    fn from(fault: GppStringError) -> Self {
        Self::GppString { fault }
    }
}
