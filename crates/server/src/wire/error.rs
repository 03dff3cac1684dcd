//! What a call can end in, besides an answer.
//!
//! Must always hold: no variant carries a value that a caller sent or the cluster stores, only names of fields,
//! limits, purposes of the catalogue and fixed sentences, so that no error text can hold personal data. `status.rs` alone knows how a
//! variant looks on the wire.

use std::borrow::Cow;

use custodia_consensus::ConsensusError;
use custodia_profile::{
    NodeId, ProfileError, PurposeId, RefusalReason, TcStringError, limits::TC_STRING_BYTES_MAX,
};
use custodia_store::StoreError;

use crate::{identity::Role, keys::KeysError};

/// Where the leader of a shard is, for the caller's next try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaderHint {
    /// The leading node.
    pub(crate) node: NodeId,
    /// Its address, `host:port`.
    pub(crate) address: String,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldFault {
    /// It is empty, and every such request must carry it.
    #[error("is required")]
    Missing,
    /// It does not parse.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The list is over its limit.
    #[error("at most {0} are allowed")]
    TooMany(usize),
    /// The text is over its limit.
    #[error("at most {0} bytes are allowed")]
    TooLong(usize),
    /// The catalogue has no such purpose.
    #[error("the catalogue has no such purpose")]
    PurposeUnknown,
    /// The catalogue has no such jurisdiction.
    #[error("the catalogue has no such jurisdiction")]
    JurisdictionUnknown,
    /// The catalogue has no such attribute.
    #[error("the catalogue has no such attribute")]
    AttributeUnknown,
    /// The purpose has no such notice version.
    #[error("the purpose has no notice of this version")]
    NoticeUnknown,
    /// The decision cannot be recorded because of it.
    #[error("{}", .0.explanation())]
    NotRecordable(RefusalReason),
    /// It is no TC string in force.
    #[error("{0}")]
    TcString(TcStringError),
    /// The caller's roles do not allow changing it.
    #[error("only a caller with the role {0} may change it")]
    RoleNeeded(Role),
    /// The same request id came with another request.
    #[error("used before for another request")]
    RequestIdReused,
}

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// One field is at fault.
    #[error("{field}: {fault}")]
    Field {
        /// The path of the field, e.g. `observations[2].value`.
        field: String,
        /// What is wrong with it.
        #[source]
        fault: FieldFault,
    },
    /// A ground is recorded over the customer's objection.
    #[error("the customer has objected to this purpose, only the customer's own consent permits it again")]
    ObjectionStands,
    /// No TC string is recorded for the customer.
    #[error("no TC string is recorded for this customer")]
    TcStringNotFound,
    /// The caller is no recipient of data for the purpose.
    #[error("{}", reason.explanation())]
    ReaderRefused {
        /// `RECIPIENT_NOT_REGISTERED` or `RECIPIENT_NOT_ALLOWED`.
        reason: RefusalReason,
        /// For which it asked.
        purpose: PurposeId,
    },
    /// The law does not permit the purpose under which something would be collected.
    #[error("{}", reason.explanation())]
    PurposeRefused {
        /// Why.
        reason: RefusalReason,
        /// The purpose.
        purpose: PurposeId,
    },
    /// The customer has no record.
    #[error("no such customer")]
    CustomerNotFound,
    /// The catalogue has no such entry.
    #[error("no such {kind}")]
    EntryNotFound {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
    },
    /// The catalogue has this entry already.
    #[error("this {kind} exists already")]
    EntryExists {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
    },
    /// The catalogue is full.
    #[error("the catalogue holds at most {limit} of this {kind}")]
    CatalogueFull {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The etag names another revision than the current one.
    #[error("the etag is stale: read again and repeat")]
    EtagStale,
    /// The request is no message of its method.
    #[error("the request does not decode as the method's message")]
    RequestMalformed,
    /// This method is not forwarded between nodes.
    #[error("no such method between nodes")]
    MethodUnknown,
    /// Another node leads, or none does right now.
    #[error("this node does not lead the shard")]
    NotLeader {
        /// Who does, if known.
        leader: Option<LeaderHint>,
    },
    /// The leader was asked and could not be reached.
    #[error("the leader of the shard cannot be reached")]
    LeaderUnreachable {
        /// Who was asked.
        leader: LeaderHint,
    },
    /// A name is unknown on this node, and the directory's leader cannot be asked whether it is new.
    #[error("a name is unknown here, and the catalogue's leader cannot be asked about it")]
    CatalogueUnavailable,
    /// The answer would be over a limit.
    #[error("the answer is over the limit {limit}: ask for fewer at a time")]
    ResponseTooLarge {
        /// The limit's key in the configuration.
        limit: &'static str,
    },
    /// The writes of one customer are queueing up.
    #[error("too many writes of one customer at once")]
    CustomerBusy,
    /// The record changed under every try.
    #[error("the record was changed by others at each of {tries} tries")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// The caller's time is up and nothing was done.
    #[error("the deadline passed before the work was done")]
    DeadlinePassed,
    /// The caller's time is up and whether the write took place is not known.
    #[error("the outcome is unknown: repeat with the same request_id")]
    OutcomeUnknown,
    /// Another node took over while the write was on its way, so whether it took place is not known.
    #[error("leadership changed, the outcome is unknown: repeat with the same request_id")]
    LeadershipLost,
    /// The stored bytes do not authenticate or do not decode.
    #[error("the stored record cannot be read; it is under repair")]
    Unreadable,
    /// A broken invariant of this node.
    #[error("internal error")]
    Internal {
        /// What was being done, for the log.
        context: &'static str,
    },
    /// Consensus or the store below it failed.
    #[error("{0}")]
    Consensus(ConsensusError),
    /// The customer's key could not be had.
    #[error("the keys could not be served")]
    Keys(#[source] KeysError),
    /// Another node answered with this status.
    #[error("answered by another node")]
    Forwarded(Box<tonic::Status>),
}

impl ServiceError {
    /// One field is at fault.
    pub(crate) fn field(field: &str, fault: FieldFault) -> Self {
        Self::Field { field: field.to_owned(), fault }
    }

    /// A required field is empty.
    pub(crate) fn missing(field: &str) -> Self {
        Self::field(field, FieldFault::Missing)
    }

    /// A field does not parse.
    pub(crate) fn invalid(field: &str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::field(field, FieldFault::Invalid(problem.into()))
    }

    /// The same error, of a field that has another name here.
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        if let Self::Field { field, .. } = &mut self {
            name.clone_into(field);
        }
        self
    }

    /// The same error, where it is about a field that has another name here.
    #[must_use]
    pub(crate) fn renamed(mut self, rename: impl FnOnce(&str) -> Option<String>) -> Self {
        if let Self::Field { field, .. } = &mut self
            && let Some(name) = rename(field)
        {
            *field = name;
        }
        self
    }

    /// The same error, of a message that stands at `path` of a larger one.
    #[must_use]
    pub(crate) fn within(mut self, path: &str) -> Self {
        if let Self::Field { field, .. } = &mut self {
            *field = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
        }
        self
    }
}

impl ServiceError {
    /// Whether a newer catalogue may bring another result: it names what this one does not have, or the caller is refused.
    pub(crate) const fn may_be_of_an_old_catalogue(&self) -> bool {
        matches!(
            self,
            Self::ReaderRefused { .. }
                | Self::EntryNotFound { .. }
                | Self::Field { fault: FieldFault::PurposeUnknown | FieldFault::AttributeUnknown, .. }
        )
    }
}

impl From<ConsensusError> for ServiceError {
    fn from(error: ConsensusError) -> Self {
        Self::Consensus(error)
    }
}

impl From<KeysError> for ServiceError {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::Consensus(ConsensusError::Store(error))
    }
}

impl From<ProfileError> for ServiceError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Empty { field } => Self::field(field, FieldFault::Missing),
            ProfileError::TooLong { field, bytes_max } => Self::field(field, FieldFault::TooLong(bytes_max)),
            ProfileError::TooMany { field, count_max } => Self::field(field, FieldFault::TooMany(count_max)),
            ProfileError::Malformed { field, expected } => {
                Self::invalid(field, format!("expected {expected}"))
            }
            ProfileError::Duplicate { field } => Self::invalid(field, "has an entry twice"),
            ProfileError::Unknown { field: field @ "notice_version" } => {
                Self::field(field, FieldFault::NoticeUnknown)
            }
            ProfileError::Unknown { field } => Self::field(field, FieldFault::PurposeUnknown),
            ProfileError::Immutable { field } => Self::invalid(field, "cannot change"),
            ProfileError::InFuture { field, ahead_max_ms } => {
                Self::invalid(field, format!("lies more than {ahead_max_ms} ms in the future"))
            }
            ProfileError::NotRecordable { reason } => {
                Self::field(field_of_decision(reason), FieldFault::NotRecordable(reason))
            }
            ProfileError::ObjectionStands => Self::ObjectionStands,
            ProfileError::TcString { fault: TcStringError::TooLong } => {
                Self::field("tc_string", FieldFault::TooLong(TC_STRING_BYTES_MAX))
            }
            ProfileError::TcString { fault } => Self::field("tc_string", FieldFault::TcString(fault)),
            ProfileError::UnsupportedVersion { .. }
            | ProfileError::Corrupt { .. }
            | ProfileError::CorruptField { .. } => Self::Unreadable,
        }
    }
}

/// The field of a decision because of which it cannot be recorded.
fn field_of_decision(reason: RefusalReason) -> &'static str {
    const FIELDS: [(RefusalReason, &str); 7] = [
        (RefusalReason::PurposeDeprecated, "purpose"),
        (RefusalReason::PreTicked, "evidence.act"),
        (RefusalReason::Silence, "evidence.act"),
        (RefusalReason::Bundled, "evidence.bundled"),
        (RefusalReason::GuardianConsentNeeded, "evidence.decided_by"),
        (RefusalReason::OptOutNotAllowed, "method"),
        (RefusalReason::IllegalTransition, "status"),
    ];
    FIELDS.iter().find(|(refusal, _)| *refusal == reason).map_or("lawful_basis", |(_, field)| field)
}
