//! Maps every [`ServiceError`] and [`Refusal`] to gRPC, and nothing else does: code, `google.rpc.ErrorInfo` with a reason
//! that programs can rely on, `BadRequest` with the field, `RetryInfo` if a retry can help, and the metadata
//! `custodia-leader: <node id>@<address>` if the caller should ask another node.
//!
//! Invariant: the map is total and has no wildcard arm, so a new variant does not compile before its code is chosen.

use std::{collections::HashMap, time::Duration};

use custodia_consensus::ConsensusError;
use custodia_profile::RefusalReason;
use custodia_proto::{LEADER_METADATA, v1};
use custodia_store::StoreError;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::error::Redirection;
use super::{FieldFault, LeaderHint, ServiceError};
use crate::{counters::count_error, keys::KeysError, refusal::Refusal};

/// `google.rpc.ErrorInfo.domain` of every error.
const ERROR_DOMAIN: &str = "custodia";

/// Key in `google.rpc.ErrorInfo.metadata`: the same leader, so that it survives the hop between nodes.
const LEADER_DETAIL: &str = "leader";
/// Reasons that nodes tell each other, and the details that go with them.
pub(crate) const CUSTOMER_MERGED: &str = "CUSTOMER_MERGED";
pub(crate) const MERGE_NOT_IN_FORCE: &str = "MERGE_NOT_IN_FORCE";
const SURVIVOR_DETAIL: &str = "survivor";
const MERGE_DETAIL: &str = "merge";

/// Key in `google.rpc.ErrorInfo.metadata`: the purpose that the caller may not state.
const PURPOSE_DETAIL: &str = "purpose";

/// Key in `google.rpc.ErrorInfo.metadata`: the law's reason, a `RefusalReason` without its prefix.
const REASON_DETAIL: &str = "reason";

/// Key in `google.rpc.ErrorInfo.metadata`: what is wrong with a consent string.
const FAULT_DETAIL: &str = "fault";

/// Key in `google.rpc.ErrorInfo.metadata`: the role that the field requires.
const ROLE_DETAIL: &str = "role";

/// Retry delay if no leader is known: half of an election timeout.
const RETRY_AFTER_NO_LEADER: Duration = Duration::from_millis(300);
/// Retry delay if the leader is known, or nothing stands in the way: it can be asked at once.
const RETRY_AFTER_OTHER_LEADER: Duration = Duration::from_millis(1);
/// Retry delay if a queue or the node is full.
const RETRY_AFTER_BUSY: Duration = Duration::from_millis(100);
/// Retry delay if the node is shutting down: another node takes the call at once.
const RETRY_AFTER_DRAINING: Duration = Duration::from_millis(10);

/// The gRPC form of an error, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Class {
    code: Code,
    reason: &'static str,
    retry_after: Option<Duration>,
}

const fn permanent(code: Code, reason: &'static str) -> Class {
    Class { code, reason, retry_after: None }
}

const fn retryable(code: Code, reason: &'static str, retry_after: Duration) -> Class {
    Class { code, reason, retry_after: Some(retry_after) }
}

/// Until a leader, or a replica that runs, can be reached.
const fn leaderless(reason: &'static str) -> Class {
    retryable(Code::Unavailable, reason, RETRY_AFTER_NO_LEADER)
}

/// The class of every call that a draining node refuses, whether admission or routing refuses it.
const DRAINING: Class = retryable(Code::Unavailable, "DRAINING", RETRY_AFTER_DRAINING);

fn class_of_fault(fault: &FieldFault) -> Class {
    let reason = match fault {
        FieldFault::Missing => "FIELD_REQUIRED",
        FieldFault::Invalid(_) => "FIELD_INVALID",
        FieldFault::TooMany(_) | FieldFault::TooLong(_) => "LIMIT_EXCEEDED",
        FieldFault::PurposeUnknown => "PURPOSE_UNKNOWN",
        FieldFault::ChannelUnknown => "CHANNEL_UNKNOWN",
        FieldFault::NamespaceUnknown => "NAMESPACE_UNKNOWN",
        FieldFault::JurisdictionUnknown => "JURISDICTION_UNKNOWN",
        FieldFault::AttributeUnknown => "ATTRIBUTE_UNKNOWN",
        FieldFault::NoticeUnknown => "NOTICE_UNKNOWN",
        FieldFault::NotRecordable(refusal) if depends_on_customer(*refusal) => {
            return permanent(Code::FailedPrecondition, refusal.name());
        }
        FieldFault::NotRecordable(refusal) => refusal.name(),
        FieldFault::TcString(_) => "TC_STRING_INVALID",
        FieldFault::GppString(_) => "GPP_STRING_INVALID",
        FieldFault::RoleNeeded(_) => return permanent(Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
        FieldFault::ReaderNeeded => return permanent(Code::PermissionDenied, "VERSION_NOT_READABLE"),
        FieldFault::NoStands(_) => return permanent(Code::FailedPrecondition, "NO_STANDS"),
        FieldFault::NewerStands(_) => return permanent(Code::FailedPrecondition, "NEWER_DECISION_STANDS"),
        FieldFault::EtagNeeded(_) => return permanent(Code::FailedPrecondition, "ETAG_REQUIRED"),
        FieldFault::RevisionStale => return permanent(Code::Aborted, "CONSENT_REVISION_STALE"),
        FieldFault::RequestIdReused => "REQUEST_ID_REUSED",
    };
    permanent(Code::InvalidArgument, reason)
}

/// Whether the customer's state forbids the decision, so that it could be recorded for another customer.
const fn depends_on_customer(refusal: RefusalReason) -> bool {
    matches!(
        refusal,
        RefusalReason::OptOutNotAllowed
            | RefusalReason::GuardianConsentNeeded
            | RefusalReason::GuardianNotEntitled
            | RefusalReason::IllegalTransition
    )
}

fn class_of(error: &ServiceError) -> Class {
    match error {
        ServiceError::Field { fault, .. } => class_of_fault(fault),
        ServiceError::ObjectionStands => permanent(Code::FailedPrecondition, "OBJECTION_STANDS"),
        ServiceError::ReaderRefused { reason, .. }
        | ServiceError::WriterRefused { reason, .. }
        | ServiceError::NamespaceRefused { reason, .. } => permanent(Code::PermissionDenied, reason.name()),
        ServiceError::KeyRefused { reason } => permanent(Code::FailedPrecondition, reason.name()),
        ServiceError::PurposeRefused { reason, .. } => permanent(Code::FailedPrecondition, reason.name()),
        ServiceError::CustomerNotFound => permanent(Code::NotFound, "CUSTOMER_NOT_FOUND"),
        ServiceError::SplitRefused { reason } => permanent(Code::FailedPrecondition, reason.name()),
        ServiceError::SplitIncomplete { .. } => permanent(Code::FailedPrecondition, "IDENTIFIER_NOT_GIVEN"),
        ServiceError::IdentifierMoved => retryable(Code::Aborted, "IDENTIFIER_MOVED", RETRY_AFTER_BUSY),
        ServiceError::TcStringNotFound => permanent(Code::NotFound, "TC_STRING_NOT_FOUND"),
        ServiceError::GppStringNotFound => permanent(Code::NotFound, "GPP_STRING_NOT_FOUND"),
        ServiceError::IdentifierNotFound => permanent(Code::NotFound, "IDENTIFIER_NOT_FOUND"),
        ServiceError::NothingCompared => permanent(Code::FailedPrecondition, "NOTHING_COMPARED"),
        ServiceError::BlindingKeyRotating => permanent(Code::FailedPrecondition, "BLINDING_KEY_ROTATING"),
        ServiceError::PairNotFound => permanent(Code::NotFound, "PAIR_NOT_FOUND"),
        ServiceError::HeldForClaim => permanent(Code::FailedPrecondition, "LEGAL_HOLD"),
        ServiceError::NothingConsented => permanent(Code::FailedPrecondition, "NOTHING_CONSENTED"),
        ServiceError::EntryNotFound { .. } => permanent(Code::NotFound, "ENTRY_NOT_FOUND"),
        ServiceError::EntryExists { .. } => permanent(Code::AlreadyExists, "ENTRY_EXISTS"),
        ServiceError::CatalogueFull { .. } => permanent(Code::ResourceExhausted, "CATALOGUE_FULL"),
        ServiceError::EtagStale => permanent(Code::Aborted, "ETAG_STALE"),
        ServiceError::RequestSuperseded => permanent(Code::Aborted, "REQUEST_SUPERSEDED"),
        ServiceError::TcStringSuperseded => permanent(Code::FailedPrecondition, "TC_STRING_SUPERSEDED"),
        ServiceError::RequestMalformed => permanent(Code::InvalidArgument, "REQUEST_MALFORMED"),
        ServiceError::MethodUnknown => permanent(Code::Unimplemented, "METHOD_UNKNOWN"),
        ServiceError::NotLeader { leader: Some(_) } => {
            retryable(Code::Unavailable, "NOT_LEADER", RETRY_AFTER_OTHER_LEADER)
        }
        ServiceError::NotLeader { leader: None } => leaderless("NO_LEADER"),
        ServiceError::Draining { .. } => DRAINING,
        ServiceError::LeaderUnreachable { .. } => leaderless("LEADER_UNREACHABLE"),
        ServiceError::ResponseTooLarge { .. } => permanent(Code::ResourceExhausted, "LIMIT_EXCEEDED"),
        ServiceError::CatalogueUnavailable => leaderless("CATALOGUE_UNAVAILABLE"),
        ServiceError::IndexUnavailable => leaderless("INDEX_UNAVAILABLE"),
        ServiceError::OtherShardUnavailable => leaderless("LEADER_UNREACHABLE"),
        ServiceError::OtherCustomerNotFound => permanent(Code::NotFound, "OTHER_CUSTOMER_NOT_FOUND"),
        ServiceError::CustomerMerged { .. } => permanent(Code::FailedPrecondition, CUSTOMER_MERGED),
        ServiceError::MergeNotInForce => permanent(Code::FailedPrecondition, MERGE_NOT_IN_FORCE),
        ServiceError::SameCustomer => permanent(Code::FailedPrecondition, "SAME_CUSTOMER"),
        ServiceError::MergedElsewhere => permanent(Code::FailedPrecondition, "MERGED_ELSEWHERE"),
        ServiceError::MergedThen { .. } => permanent(Code::FailedPrecondition, "MERGED_THEN"),
        ServiceError::NotMerged(_) => permanent(Code::FailedPrecondition, "NOT_MERGED"),
        ServiceError::TooManyEventsToMove => permanent(Code::FailedPrecondition, "LIMIT_EXCEEDED"),
        ServiceError::CustomerBusy => retryable(Code::ResourceExhausted, "CUSTOMER_BUSY", RETRY_AFTER_BUSY),
        ServiceError::Contended { .. } => retryable(Code::Aborted, "CONTENDED", RETRY_AFTER_BUSY),
        ServiceError::DeadlinePassed => permanent(Code::DeadlineExceeded, "DEADLINE_PASSED"),
        ServiceError::OutcomeUnknown => permanent(Code::DeadlineExceeded, "OUTCOME_UNKNOWN"),
        ServiceError::LeadershipLost => leaderless("OUTCOME_UNKNOWN"),
        ServiceError::Unreadable => permanent(Code::DataLoss, "RECORD_UNREADABLE"),
        ServiceError::Internal { .. } => permanent(Code::Internal, "INTERNAL"),
        ServiceError::Consensus(error) => class_of_consensus(error),
        ServiceError::Keys(error) => class_of_keys(error),
        ServiceError::Forwarded(status) => permanent(status.code(), "FORWARDED"),
    }
}

/// The class of a failure of consensus. The shard is not named: callers cannot act on it.
fn class_of_consensus(error: &ConsensusError) -> Class {
    match error {
        ConsensusError::NotLeader { .. } | ConsensusError::NoReplica { .. } => leaderless("NOT_LEADER"),
        ConsensusError::NoQuorum => leaderless("NO_QUORUM"),
        ConsensusError::Timeout => permanent(Code::DeadlineExceeded, "OUTCOME_UNKNOWN"),
        ConsensusError::Overloaded { .. } => {
            retryable(Code::ResourceExhausted, "OVERLOADED", RETRY_AFTER_BUSY)
        }
        ConsensusError::TooLarge { .. } => permanent(Code::ResourceExhausted, "LIMIT_EXCEEDED"),
        ConsensusError::NotInitialised => permanent(Code::FailedPrecondition, "NOT_INITIALISED"),
        ConsensusError::AlreadyInitialised { .. } => permanent(Code::AlreadyExists, "ALREADY_INITIALISED"),
        ConsensusError::OtherShape => permanent(Code::AlreadyExists, "OTHER_SHAPE"),
        ConsensusError::InvalidShape { .. } => permanent(Code::InvalidArgument, "INVALID_SHAPE"),
        ConsensusError::Stopped => leaderless("NODE_STOPPING"),
        ConsensusError::Store(StoreError::DiskFull) => permanent(Code::ResourceExhausted, "DISK_FULL"),
        ConsensusError::Store(StoreError::PartitionLost { .. }) => leaderless("REPLICA_LOST"),
        ConsensusError::Store(_) => permanent(Code::Internal, "STORAGE_FAILED"),
        ConsensusError::Peer { .. } => leaderless("NODE_UNREACHABLE"),
        ConsensusError::Refused { .. } => permanent(Code::FailedPrecondition, "NODE_REFUSED"),
        ConsensusError::ForeignKey { .. }
        | ConsensusError::PartFailed { .. }
        | ConsensusError::LogLost { .. }
        | ConsensusError::Replica { .. }
        | ConsensusError::Malformed { .. } => permanent(Code::Internal, "INTERNAL"),
    }
}

/// The class of a failure of the keys. Faults of one customer's keys have become other errors before.
const fn class_of_keys(error: &KeysError) -> Class {
    match error {
        KeysError::Seal(_) => permanent(Code::FailedPrecondition, "ROOT_KEY_UNUSABLE"),
        KeysError::Store(StoreError::PartitionLost { .. }) => leaderless("REPLICA_LOST"),
        KeysError::Store(_) => permanent(Code::Internal, "STORAGE_FAILED"),
        KeysError::BlindingKeyMissing => leaderless("CATALOGUE_UNAVAILABLE"),
        KeysError::Barrier(_) | KeysError::Consensus(_) => leaderless("NO_QUORUM"),
        KeysError::ShardKeyMissing { .. }
        | KeysError::BucketKeyMissing { .. }
        | KeysError::CustomerKeyMissing { .. }
        | KeysError::EpochGone { .. }
        | KeysError::Malformed { .. } => permanent(Code::DataLoss, "KEY_UNREADABLE"),
        KeysError::Destroyed | KeysError::NoCustomer => permanent(Code::NotFound, "CUSTOMER_NOT_FOUND"),
        KeysError::Contended { .. } => retryable(Code::Aborted, "CONTENDED", RETRY_AFTER_BUSY),
        KeysError::Exhausted { .. } => permanent(Code::Internal, "INTERNAL"),
    }
}

/// The class of a refusal by admission.
const fn class_of_refusal(refusal: Refusal) -> Class {
    match refusal {
        Refusal::Unauthenticated => permanent(Code::Unauthenticated, "UNAUTHENTICATED"),
        Refusal::NotAllowed { .. } => permanent(Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
        Refusal::NamelessNode => permanent(Code::PermissionDenied, "NODE_UNNAMED"),
        Refusal::NotMember => permanent(Code::PermissionDenied, "NODE_NOT_MEMBER"),
        Refusal::DirectoryMissing => leaderless("DIRECTORY_MISSING"),
        Refusal::MethodUnknown => permanent(Code::Unimplemented, "METHOD_UNKNOWN"),
        Refusal::MetadataTooLarge { .. } => permanent(Code::ResourceExhausted, "LIMIT_EXCEEDED"),
        Refusal::TimeoutMalformed => permanent(Code::InvalidArgument, "TIMEOUT_MALFORMED"),
        Refusal::DeadlinePassed => permanent(Code::DeadlineExceeded, "DEADLINE_PASSED"),
        Refusal::OutcomeUnknown => permanent(Code::DeadlineExceeded, "OUTCOME_UNKNOWN"),
        Refusal::Full { .. } => retryable(Code::ResourceExhausted, "LIMIT_EXCEEDED", RETRY_AFTER_BUSY),
        Refusal::MessageTooLarge { .. } | Refusal::AnswerTooLarge { .. } => {
            permanent(Code::ResourceExhausted, "LIMIT_EXCEEDED")
        }
        Refusal::Draining => DRAINING,
        Refusal::StreamIdle { .. } => retryable(Code::Unavailable, "STREAM_IDLE", RETRY_AFTER_OTHER_LEADER),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let class = class_of_refusal(refusal);
        let exceeded = match refusal {
            Refusal::Full { limit, most } => Some((limit, most)),
            Refusal::MessageTooLarge { most } => Some(("message_bytes_max", most)),
            Refusal::AnswerTooLarge { most } => Some(("response_bytes_max", most)),
            Refusal::MetadataTooLarge { most } => Some(("metadata_bytes", most)),
            Refusal::Unauthenticated
            | Refusal::NotAllowed { .. }
            | Refusal::NamelessNode
            | Refusal::NotMember
            | Refusal::DirectoryMissing
            | Refusal::MethodUnknown
            | Refusal::TimeoutMalformed
            | Refusal::DeadlinePassed
            | Refusal::OutcomeUnknown
            | Refusal::Draining
            | Refusal::StreamIdle { .. } => None,
        };
        let facts = exceeded.map_or_else(HashMap::new, |(limit, most)| {
            HashMap::from([("limit".to_owned(), limit.to_owned()), ("most".to_owned(), most.to_string())])
        });
        let mut details = ErrorDetails::with_error_info(class.reason, ERROR_DOMAIN, facts);
        if let Some(delay) = class.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(class.code, refusal.to_string(), details)
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        if let ServiceError::Forwarded(status) = error {
            return *status;
        }
        let class = class_of(&error);
        log(&error, class);
        let mut details = ErrorDetails::new();
        let leader = leader_of(&error);
        details.set_error_info(class.reason, ERROR_DOMAIN, facts_of(&error));
        if let Some(field) = field_of(&error) {
            details.add_bad_request_violation(field, message_of(&error));
        }
        if let Some(delay) = class.retry_after {
            details.set_retry_info(Some(delay));
        }
        let mut metadata = MetadataMap::new();
        if let Some(leader) = leader {
            name_leader(&mut metadata, leader);
        }
        Self::with_error_details_and_metadata(class.code, error.to_string(), details, metadata)
    }
}

/// The same facts for one item of a stream or batch.
pub(crate) fn row_error(error: ServiceError) -> v1::RowError {
    if let ServiceError::Forwarded(status) = error {
        return row_of_status(&status);
    }
    let class = class_of(&error);
    log(&error, class);
    v1::RowError {
        code: class.code.into(),
        reason: class.reason.to_owned(),
        message: error.to_string(),
        field: field_of(&error).unwrap_or_default().to_owned(),
    }
}

fn row_of_status(status: &Status) -> v1::RowError {
    let details = status.get_error_details();
    let field = details.bad_request().and_then(|bad| bad.field_violations.first());
    v1::RowError {
        code: status.code().into(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        field: field.map(|violation| violation.field.clone()).unwrap_or_default(),
    }
}

/// Adds the shard's leader to the metadata of an answer.
pub(crate) fn name_leader(metadata: &mut MetadataMap, leader: &LeaderHint) {
    if let Ok(value) = leader_text(leader).parse() {
        metadata.insert(LEADER_METADATA, value);
    }
}

fn leader_text(leader: &LeaderHint) -> String {
    format!("{}@{}", leader.node, leader.address)
}

/// The leader in the details of another node's status.
pub(crate) fn leader_in(status: &Status) -> Option<LeaderHint> {
    let info = status.get_details_error_info()?;
    parse_leader(info.metadata.get(LEADER_DETAIL)?)
}

/// Where a call goes on, as another node says in the details of its status.
pub(super) fn redirection_in(status: &Status) -> Option<Redirection> {
    let info = status.get_details_error_info()?;
    match info.reason.as_str() {
        CUSTOMER_MERGED => Some(Redirection::Merged {
            survivor: info.metadata.get(SURVIVOR_DETAIL)?.parse().ok()?,
            merge: info.metadata.get(MERGE_DETAIL)?.parse().ok()?,
        }),
        MERGE_NOT_IN_FORCE => Some(Redirection::NotInForce),
        _ => None,
    }
}

/// The reason in the details of another node's status.
pub(super) fn reason_in(status: &Status) -> Option<String> {
    Some(status.get_details_error_info()?.reason)
}

fn parse_leader(text: &str) -> Option<LeaderHint> {
    let (node, address) = text.split_once('@')?;
    Some(LeaderHint { node: node.parse().ok()?, address: address.to_owned() })
}

fn leader_of(error: &ServiceError) -> Option<&LeaderHint> {
    if let ServiceError::NotLeader { leader } | ServiceError::Draining { leader } = error {
        leader.as_ref()
    } else {
        None
    }
}

/// Facts for programs, besides the reason.
fn facts_of(error: &ServiceError) -> HashMap<String, String> {
    let leader = leader_of(error).map(|leader| (LEADER_DETAIL.to_owned(), leader_text(leader)));
    let mut facts: HashMap<_, _> = leader.into_iter().collect();
    if let ServiceError::ReaderRefused { purpose, .. }
    | ServiceError::NamespaceRefused { purpose, .. }
    | ServiceError::WriterRefused { purpose: Some(purpose), .. }
    | ServiceError::PurposeRefused { purpose, .. } = error
    {
        facts.insert(PURPOSE_DETAIL.to_owned(), purpose.as_str().to_owned());
    }
    if let ServiceError::CustomerMerged { survivor, merge } = error {
        facts.insert(SURVIVOR_DETAIL.to_owned(), survivor.to_string());
        facts.insert(MERGE_DETAIL.to_owned(), merge.to_string());
    }
    if let Some(reason) = refusal_of(error) {
        facts.insert(REASON_DETAIL.to_owned(), reason.name().to_owned());
    }
    if let Some(fault) = string_fault(error) {
        facts.insert(FAULT_DETAIL.to_owned(), fault.to_owned());
    }
    if let ServiceError::Field { fault: FieldFault::RoleNeeded(role), .. } = error {
        facts.insert(ROLE_DETAIL.to_owned(), role.name().to_owned());
    }
    facts
}

/// The name of a consent string's fault.
const fn string_fault(error: &ServiceError) -> Option<&'static str> {
    if let ServiceError::Field { fault: FieldFault::TcString(fault), .. } = error {
        return Some(fault.name());
    }
    if let ServiceError::Field { fault: FieldFault::GppString(fault), .. } = error {
        return Some(fault.name());
    }
    None
}

/// The law's reason, if the law refused.
fn refusal_of(error: &ServiceError) -> Option<RefusalReason> {
    if let ServiceError::Field {
        fault:
            FieldFault::NotRecordable(reason) | FieldFault::NoStands(reason) | FieldFault::NewerStands(reason),
        ..
    }
    | ServiceError::ReaderRefused { reason, .. }
    | ServiceError::NamespaceRefused { reason, .. }
    | ServiceError::WriterRefused { reason, .. }
    | ServiceError::KeyRefused { reason }
    | ServiceError::SplitRefused { reason }
    | ServiceError::SplitIncomplete { reason }
    | ServiceError::PurposeRefused { reason, .. } = error
    {
        return Some(*reason);
    }
    matches!(error, ServiceError::ObjectionStands).then_some(RefusalReason::Objected)
}

fn field_of(error: &ServiceError) -> Option<&str> {
    if let ServiceError::Field { field, .. } = error {
        return Some(field);
    }
    matches!(error, ServiceError::EtagStale).then_some("etag")
}

fn message_of(error: &ServiceError) -> String {
    if let ServiceError::Field { fault, .. } = error { fault.to_string() } else { error.to_string() }
}

/// Logs an error as it leaves the node. Callers' mistakes are counted but not logged.
fn log(error: &ServiceError, class: Class) {
    count_error(class.reason);
    if let ServiceError::Internal { context } = error {
        tracing::error!(context, "call failed: broken invariant");
    } else if let ServiceError::Keys(cause) = error {
        tracing::error!(error = %Chain(cause), reason = class.reason, "call failed: keys unavailable");
    } else if let ServiceError::Consensus(cause) = error
        && class.code == Code::Internal
    {
        tracing::error!(error = %Chain(cause), "call failed in consensus");
    }
}

/// Formats an error and its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
