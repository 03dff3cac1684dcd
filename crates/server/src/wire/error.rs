//! The errors in which a call can end.
//!
//! Invariant: no variant contains a value that a caller sent or the cluster stores, only names of fields, limits,
//! purposes of the catalogue and fixed sentences, so no error text can reveal personal data. Only `status.rs` knows how a
//! variant looks on the wire.

use std::borrow::Cow;

use custodia_consensus::ConsensusError;
use custodia_profile::{
    CustomerId, GppStringError, MergeId, NodeId, PurposeId, RefusalReason, TcStringError,
};
use custodia_store::StoreError;

use super::status::{reason_in, redirection_in};
use crate::{identity::Role, keys::KeysError};

/// The leader of a shard, so that the caller can retry there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaderHint {
    /// The leader's number.
    pub(crate) node: NodeId,
    /// Its address, `host:port`.
    pub(crate) address: String,
}

/// Where a call about a customer who was merged goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirection {
    /// With the survivor.
    Merged { survivor: CustomerId, merge: MergeId },
    /// Back: the merge that led there is not in force.
    NotInForce,
}

/// What is wrong with a field. The field's path precedes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldFault {
    /// A required field is empty.
    #[error("is required")]
    Missing,
    /// The field does not parse; the text says what was expected.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The list is longer than its limit.
    #[error("at most {0} entries are allowed")]
    TooMany(usize),
    /// The text is longer than its limit.
    #[error("at most {0} bytes are allowed")]
    TooLong(usize),
    /// The purpose is not in the catalogue.
    #[error("the catalogue has no such purpose")]
    PurposeUnknown,
    /// The jurisdiction is not in the catalogue.
    #[error("the catalogue has no such jurisdiction")]
    JurisdictionUnknown,
    /// The namespace is not in the catalogue.
    #[error("the catalogue has no such namespace")]
    NamespaceUnknown,
    /// The channel is not in the catalogue.
    #[error("the catalogue has no such channel")]
    ChannelUnknown,
    /// The attribute is not in the catalogue.
    #[error("the catalogue has no such attribute")]
    AttributeUnknown,
    /// The purpose has no notice of this version.
    #[error("the purpose has no notice of this version")]
    NoticeUnknown,
    /// The decision cannot be recorded, because of this field.
    #[error("{}", .0.explanation())]
    NotRecordable(RefusalReason),
    /// The TC string is invalid or not in force.
    #[error("{0}")]
    TcString(TcStringError),
    /// The GPP string is malformed.
    #[error("{0}")]
    GppString(GppStringError),
    /// Changing the field needs a role that the caller lacks.
    #[error("only a caller with the role {0} may change it")]
    RoleNeeded(Role),
    /// Only a caller who may read for the purpose can know a version.
    #[error("only a caller who may read for the purpose may name it")]
    ReaderNeeded,
    /// A no stands, and the decision does not name the consent revision that it answers.
    #[error("is required, since a no stands: send the revision that was read. {}", .0.explanation())]
    NoStands(RefusalReason),
    /// The consent state has changed since the named revision.
    #[error("is stale: read the current consents and ask again")]
    RevisionStale,
    /// A newer decision with another status stands.
    #[error("a newer decision stands: {}", .0.explanation())]
    NewerStands(RefusalReason),
    /// Lifting a limit requires the etag that was read.
    #[error("is required to lift {0}: send the one that was read")]
    EtagNeeded(&'static str),
    /// The request id was used for a different request.
    #[error("was already used for a different request")]
    RequestIdReused,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// One field is invalid.
    #[error("{field}: {fault}")]
    Field {
        /// The path of the field, e.g. `observations[2].value`.
        field: String,
        /// What is wrong with it.
        #[source]
        fault: FieldFault,
    },
    /// The customer has objected, and the ground to record does not prevail over the objection.
    #[error("the customer has objected to this purpose; only the customer's own consent permits it again")]
    ObjectionStands,
    /// No TC string is recorded for the customer.
    #[error("no TC string is recorded for this customer")]
    TcStringNotFound,
    /// No GPP string is recorded for the customer.
    #[error("no GPP string is recorded for this customer")]
    GppStringNotFound,
    /// The customer does not have the identifier.
    #[error("the customer does not have this identifier")]
    IdentifierNotFound,
    /// Something stored would be removed or replaced under a legal hold.
    #[error("the customer's data is held for a legal claim: what is stored stays as it is")]
    HeldForClaim,
    /// A receipt was asked for where nothing was consented to.
    #[error("there is no receipt: the customer never consented to any of these purposes")]
    NothingConsented,
    /// The caller is not a registered recipient for the purpose.
    #[error("{}", reason.explanation())]
    ReaderRefused {
        /// `RECIPIENT_NOT_REGISTERED` or `RECIPIENT_NOT_ALLOWED`.
        reason: RefusalReason,
        /// The purpose that the call stated.
        purpose: PurposeId,
    },
    /// The caller is not registered to collect under the purpose.
    #[error("{}", reason.explanation())]
    WriterRefused {
        /// `RECIPIENT_NOT_REGISTERED` or `RECIPIENT_NOT_ALLOWED`.
        reason: RefusalReason,
        /// The purpose of the collection, if the call has one.
        purpose: Option<PurposeId>,
    },
    /// The law does not permit the stated purpose.
    #[error("{}", reason.explanation())]
    PurposeRefused {
        /// The law's reason.
        reason: RefusalReason,
        /// The refused purpose.
        purpose: PurposeId,
    },
    /// A record's key at its source is no identifier of a customer, or may not be stored.
    #[error("the key cannot be stored as an identifier: {}", reason.explanation())]
    KeyRefused {
        /// Why.
        reason: RefusalReason,
    },
    /// The namespace may not be used for the stated purpose.
    #[error("the namespace of the identifier is not in use for this purpose")]
    NamespaceRefused {
        /// `PURPOSE_NOT_ALLOWED`.
        reason: RefusalReason,
        /// The purpose that the call stated.
        purpose: PurposeId,
    },
    /// The customer who was found by an identifier does not hold it any more, or another customer does by now.
    #[error("the identifiers are held by another customer by now: find the customer again")]
    IdentifierMoved,
    /// The customer has no record.
    #[error("no such customer")]
    CustomerNotFound,
    /// The other customer of a merge has no record.
    #[error("the other customer does not exist")]
    OtherCustomerNotFound,
    /// The customer was merged into another. Between nodes only: the node that took the call asks about the survivor.
    #[error("the customer was merged into another")]
    CustomerMerged {
        /// The customer who goes on.
        survivor: CustomerId,
        /// The merge.
        merge: MergeId,
    },
    /// The merge that led to the customer is not in force. Between nodes only.
    #[error("the merge is not in force")]
    MergeNotInForce,
    /// The survivor of a merge, as it was named, was merged into the other customer.
    #[error("the two customers are one already")]
    SameCustomer,
    /// The other customer of a merge was merged into somebody else.
    #[error("the other customer was merged into another one: name that one, or undo that merge first")]
    MergedElsewhere,
    /// The other customer of a split may not have the identifier. Nothing was changed.
    #[error("the other customer may not have it: {}", reason.explanation())]
    SplitRefused { reason: RefusalReason },
    /// The same, found out when the first customer had lost it already.
    #[error("it was taken away, but the other customer may not have it: {}", reason.explanation())]
    SplitIncomplete { reason: RefusalReason },
    /// At that time, another customer's ledger counted.
    #[error("at that time the customer was merged into another: ask about {survivor}")]
    MergedThen {
        /// The customer to ask about.
        survivor: CustomerId,
    },
    /// There is nothing to undo, or something else must be undone first.
    #[error("{0}")]
    NotMerged(&'static str),
    /// A merge is undone, and too many events would move.
    #[error(
        "too many events came since the merge from the other customer's sources: at most 10,000 can move"
    )]
    TooManyEventsToMove,
    /// The entry is not in the catalogue.
    #[error("no such {kind}")]
    EntryNotFound {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
    },
    /// The entry is already in the catalogue.
    #[error("this {kind} exists already")]
    EntryExists {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
    },
    /// The catalogue has the maximum number of entries of this kind.
    #[error("the catalogue is full: at most {limit} entries of kind {kind}")]
    CatalogueFull {
        /// `purpose`, `attribute`, `jurisdiction` or `recipient`.
        kind: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The etag differs from the current revision.
    #[error("the etag is stale: read the current version and retry")]
    EtagStale,
    /// The value was changed after the request was made.
    #[error(
        "the value was changed after this request was made: read the current version and send a new request"
    )]
    RequestSuperseded,
    /// A TC string of a later day is recorded.
    #[error("a TC string that was updated on a later day is recorded: this one is out of date")]
    TcStringSuperseded,
    /// The request does not decode as its method's message.
    #[error("the request does not decode as the method's message")]
    RequestMalformed,
    /// A node forwarded a method that is never forwarded.
    #[error("this method is not forwarded between nodes")]
    MethodUnknown,
    /// Another node leads, or currently none.
    #[error("this node does not lead the shard")]
    NotLeader {
        /// The leader, if known.
        leader: Option<LeaderHint>,
    },
    /// This node is shutting down. Nothing was done.
    #[error("the node is shutting down: retry on another node")]
    Draining {
        /// Another node that answers the call.
        leader: Option<LeaderHint>,
    },
    /// The call was forwarded, but the leader could not be reached.
    #[error("the shard's leader is unreachable")]
    LeaderUnreachable {
        /// The leader that was tried.
        leader: LeaderHint,
    },
    /// This node's catalogue may be out of date, and the node could not catch up in time.
    #[error("the catalogue on this node may be out of date and could not catch up in time")]
    CatalogueUnavailable,
    /// The node that keeps an entry of an index, or the record it points to, did not answer. Nothing was changed.
    #[error("the index cannot be reached: the leader of another shard did not answer")]
    IndexUnavailable,
    /// The shard of the other customer of a merge did not answer.
    #[error("the shard's leader is unreachable")]
    OtherShardUnavailable,
    /// Duplicates cannot be sought: the catalogue does not say what is compared.
    #[error("no attribute of the catalogue says what it is compared as: set match_as")]
    NothingCompared,
    /// Customers cannot be compared block by block: the keys of their blocks are being changed.
    #[error("the blinding key is being rotated: scan again when every shard is filled under the new key")]
    BlindingKeyRotating,
    /// The two customers are no suspected pair.
    #[error("no scan has found these two customers to be alike")]
    PairNotFound,
    /// The response would exceed a limit.
    #[error("the response exceeds {limit}: request fewer entries")]
    ResponseTooLarge {
        /// The limit's key in the configuration.
        limit: &'static str,
    },
    /// Too many writes to one customer wait for its lock.
    #[error("too many concurrent writes to this customer")]
    CustomerBusy,
    /// Every proposal met a conflict.
    #[error("gave up after {tries} conflicts with other writes")]
    Contended {
        /// The number of proposals.
        tries: u32,
    },
    /// The deadline passed before the call was executed.
    #[error("the deadline passed before the call was executed")]
    DeadlinePassed,
    /// The deadline passed, and a write may have been applied.
    #[error("outcome unknown: retry with the same request_id")]
    OutcomeUnknown,
    /// Another node became leader while the write was pending, so it may have been applied.
    #[error("leadership changed, outcome unknown: retry with the same request_id")]
    LeadershipLost,
    /// The stored bytes do not authenticate or decode.
    #[error("the stored record cannot be read and is under repair")]
    Unreadable,
    /// An invariant of this node is broken.
    #[error("internal error")]
    Internal {
        /// Which one, for the log.
        context: &'static str,
    },
    /// Consensus, or the store below it, failed.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The customer's keys are unavailable.
    #[error("the keys are unavailable")]
    Keys(#[from] KeysError),
    /// The error that another node returned.
    #[error("error from another node")]
    Forwarded(Box<tonic::Status>),
}

impl ServiceError {
    /// One field is invalid.
    pub(crate) fn field(field: &str, fault: FieldFault) -> Self {
        Self::Field { field: field.to_owned(), fault }
    }

    /// A required field is empty.
    pub(crate) fn missing(field: &str) -> Self {
        Self::field(field, FieldFault::Missing)
    }

    /// A field does not parse; `problem` says what was expected.
    pub(crate) fn invalid(field: &str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::field(field, FieldFault::Invalid(problem.into()))
    }

    /// Whether the call failed because there is no such customer, here or on the node that it was forwarded to.
    pub(crate) fn is_customer_not_found(&self) -> bool {
        if let Self::Forwarded(status) = self {
            return status.code() == tonic::Code::NotFound;
        }
        matches!(self, Self::CustomerNotFound)
    }

    /// Whether the customer must be found again, as this node or the one that the call was forwarded to says.
    pub(crate) fn is_identifier_moved(&self) -> bool {
        if let Self::Forwarded(status) = self {
            return reason_in(status).as_deref() == Some("IDENTIFIER_MOVED");
        }
        matches!(self, Self::IdentifierMoved)
    }

    /// Whether the leader of a shard failed to answer. Where that is another shard than the customer's, the leader that the error may name is
    /// not the customer's.
    pub(crate) const fn is_of_shard(&self) -> bool {
        matches!(
            self,
            Self::NotLeader { .. }
                | Self::LeaderUnreachable { .. }
                | Self::LeadershipLost
                | Self::OutcomeUnknown
                | Self::Consensus(_)
        )
    }

    /// Where a call goes on, if the customer whom it is about was merged, here or as the node that it was forwarded to says.
    pub(crate) fn redirection(&self) -> Option<Redirection> {
        if let Self::CustomerMerged { survivor, merge } = self {
            return Some(Redirection::Merged { survivor: *survivor, merge: *merge });
        }
        if let Self::Forwarded(status) = self {
            return redirection_in(status);
        }
        matches!(self, Self::MergeNotInForce).then_some(Redirection::NotInForce)
    }

    /// The same error with the field's name replaced.
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        if let Self::Field { field, .. } = &mut self {
            name.clone_into(field);
        }
        self
    }

    /// The same error with the field's name replaced, if `rename` returns one.
    #[must_use]
    pub(crate) fn renamed(mut self, rename: impl FnOnce(&str) -> Option<String>) -> Self {
        if let Self::Field { field, .. } = &mut self
            && let Some(name) = rename(field)
        {
            *field = name;
        }
        self
    }

    /// The same error with the field below `path` of an enclosing message.
    #[must_use]
    pub(crate) fn within(mut self, path: &str) -> Self {
        if let Self::Field { field, .. } = &mut self {
            *field = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
        }
        self
    }
}

impl ServiceError {
    /// Whether a newer catalogue may lead to another result: the error is about an unknown name, or a refusal of the
    /// caller.
    pub(crate) const fn may_depend_on_a_newer_catalogue(&self) -> bool {
        matches!(
            self,
            Self::ReaderRefused { .. }
                | Self::WriterRefused { .. }
                | Self::NamespaceRefused { .. }
                | Self::EntryNotFound { .. }
                | Self::Field {
                    fault: FieldFault::PurposeUnknown
                        | FieldFault::AttributeUnknown
                        | FieldFault::NamespaceUnknown
                        | FieldFault::ChannelUnknown,
                    ..
                }
        )
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::Consensus(ConsensusError::Store(error))
    }
}
