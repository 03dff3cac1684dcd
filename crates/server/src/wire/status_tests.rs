//! How every error looks on the wire.

use custodia_profile::{EncodingFault, GppStringError, NodeId, ProfileError, TcStringError};

use super::*;
use crate::identity::{Role, RoleSet};

fn hint() -> LeaderHint {
    LeaderHint { node: NodeId::new(3).expect("a node"), address: "h3:7".to_owned() }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("every error has its reason").reason
}

#[test]
fn an_invalid_field_is_named_with_its_path() {
    let error = ServiceError::missing("value").within("observations[2]");
    let status = Status::from(error);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_REQUIRED"));
    let bad = status.get_details_bad_request().expect("a field");
    assert_eq!(bad.field_violations[0].field, "observations[2].value");
    assert_eq!(status.message(), "observations[2].value: is required");
}

#[test]
fn a_node_that_does_not_lead_names_the_one_that_does() {
    let status = Status::from(ServiceError::NotLeader { leader: Some(hint()) });
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.metadata().get(LEADER_METADATA).expect("a hint"), "3@h3:7");
    assert!(status.get_details_retry_info().expect("when to retry").retry_delay.is_some());
    assert_eq!(parse_leader("3@h3:7"), Some(hint()));
}

#[test]
fn an_unknown_outcome_names_no_leader_so_clients_do_not_take_it_for_unsent() {
    for error in [ServiceError::OutcomeUnknown, ServiceError::LeaderUnreachable { leader: hint() }] {
        assert!(Status::from(error).metadata().get(LEADER_METADATA).is_none());
    }
}

#[test]
fn a_row_has_the_same_facts_as_a_call() {
    let row = row_error(ServiceError::field("purpose", FieldFault::PurposeUnknown));
    let status = Status::from(ServiceError::field("purpose", FieldFault::PurposeUnknown));
    let forwarded = row_error(ServiceError::Forwarded(Box::new(status)));
    assert_eq!(row, forwarded);
    assert_eq!((row.code, row.reason.as_str(), row.field.as_str()), (3, "PURPOSE_UNKNOWN", "purpose"));
}

#[test]
fn a_stale_etag_is_aborted_and_an_unreadable_record_is_data_loss() {
    assert_eq!(Status::from(ServiceError::EtagStale).code(), Code::Aborted);
    assert_eq!(Status::from(ServiceError::Unreadable).code(), Code::DataLoss);
    assert_eq!(Status::from(ServiceError::CustomerNotFound).code(), Code::NotFound);
}

fn of_profile(error: ProfileError) -> (Code, String, String, String) {
    let status = Status::from(ServiceError::from(error));
    let info = status.get_details_error_info().expect("every error has its reason");
    let bad = status.get_details_bad_request();
    let field = bad.and_then(|bad| bad.field_violations.first().map(|first| first.field.clone()));
    let detail = [REASON_DETAIL, FAULT_DETAIL].iter().find_map(|key| info.metadata.get(*key).cloned());
    (status.code(), info.reason, field.unwrap_or_default(), detail.unwrap_or_default())
}

#[test]
fn a_decision_that_cannot_be_recorded_names_the_reason_and_the_field() {
    use RefusalReason as Reason;
    for (reason, code, field) in [
        (Reason::PurposeDeprecated, Code::InvalidArgument, "purpose"),
        (Reason::BasisNotAllowed, Code::InvalidArgument, "lawful_basis"),
        (Reason::PreTicked, Code::InvalidArgument, "evidence.act"),
        (Reason::Silence, Code::InvalidArgument, "evidence.act"),
        (Reason::Bundled, Code::InvalidArgument, "evidence.bundled"),
        (Reason::OptOutNotAllowed, Code::FailedPrecondition, "method"),
        (Reason::GuardianConsentNeeded, Code::FailedPrecondition, "evidence.decided_by"),
        (Reason::GuardianNotEntitled, Code::FailedPrecondition, "evidence.decided_by"),
        (Reason::IllegalTransition, Code::FailedPrecondition, "status"),
    ] {
        let name = reason.name().to_owned();
        let expected = (code, name.clone(), field.to_owned(), name);
        assert_eq!(of_profile(ProfileError::NotRecordable { reason }), expected);
    }
    let objected = of_profile(ProfileError::ObjectionStands);
    let expected = (Code::FailedPrecondition, "OBJECTION_STANDS", "", "OBJECTED");
    assert_eq!((objected.0, &*objected.1, &*objected.2, &*objected.3), expected);
}

#[test]
fn what_stands_is_named_with_its_reason_and_the_field_that_would_answer_it() {
    let withdrawn = RefusalReason::ConsentWithdrawn;
    for (error, expected) in [
        (
            ProfileError::NoStands { reason: withdrawn },
            (Code::FailedPrecondition, "NO_STANDS", "consent_revision", "CONSENT_WITHDRAWN"),
        ),
        (
            ProfileError::NewerStands { reason: withdrawn },
            (Code::FailedPrecondition, "NEWER_DECISION_STANDS", "status", "CONSENT_WITHDRAWN"),
        ),
        (
            ProfileError::ConsentRevisionStale,
            (Code::Aborted, "CONSENT_REVISION_STALE", "consent_revision", ""),
        ),
        (
            ProfileError::LiftsUnseen { limit: "the restriction" },
            (Code::FailedPrecondition, "ETAG_REQUIRED", "etag", ""),
        ),
        (ProfileError::RequestSuperseded, (Code::Aborted, "REQUEST_SUPERSEDED", "", "")),
        (ProfileError::TcStringSuperseded, (Code::FailedPrecondition, "TC_STRING_SUPERSEDED", "", "")),
    ] {
        let told = of_profile(error);
        assert_eq!((told.0, &*told.1, &*told.2, &*told.3), expected);
    }
}

#[test]
fn a_refused_consent_string_names_its_fault() {
    let refused = of_profile(TcStringError::NoDisclosedVendors.into());
    let expected = (Code::InvalidArgument, "TC_STRING_INVALID", "tc_string", "NO_DISCLOSED_VENDORS");
    assert_eq!((refused.0, &*refused.1, &*refused.2, &*refused.3), expected);
    assert_eq!(of_profile(TcStringError::TooLong.into()).1, "LIMIT_EXCEEDED");
    let refused = of_profile(GppStringError::Tcf(TcStringError::Truncated).into());
    let expected = (Code::InvalidArgument, "GPP_STRING_INVALID", "gpp_string", "TRUNCATED");
    assert_eq!((refused.0, &*refused.1, &*refused.2, &*refused.3), expected);
    assert_eq!(of_profile(GppStringError::TooLong.into()).1, "LIMIT_EXCEEDED");
    let padded = of_profile(TcStringError::from(EncodingFault::Padding).into());
    assert_eq!((&*padded.1, &*padded.3), ("TC_STRING_INVALID", "PADDING"));
}

#[test]
fn a_field_that_requires_a_role_is_named_with_the_role() {
    let error = ServiceError::field("data_subject.legal_hold", FieldFault::RoleNeeded(Role::Privacy));
    let status = Status::from(error);
    let info = status.get_details_error_info().expect("every error has its reason");
    assert_eq!((status.code(), info.reason.as_str()), (Code::PermissionDenied, "ROLE_NOT_ALLOWED"));
    assert_eq!(info.metadata.get(ROLE_DETAIL).map(String::as_str), Some("privacy"));
    let bad = status.get_details_bad_request().expect("a field");
    assert_eq!(bad.field_violations[0].field, "data_subject.legal_hold");
}

#[test]
fn a_full_node_names_the_limit_and_when_to_retry() {
    let status: Status = Refusal::Full { limit: "node_calls_max", most: 7 }.into();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("node_calls_max is 7"), "{}", status.message());
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.metadata["limit"].as_str()), ("LIMIT_EXCEEDED", "node_calls_max"));
    assert!(details.retry_info().is_some());
}

#[test]
fn a_caller_without_the_role_learns_which_roles_are_allowed() {
    let status: Status =
        (Refusal::NotAllowed { allowed: RoleSet::of(&[Role::Ingest, Role::Privacy]) }).into();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().ends_with("ingest, privacy"), "{}", status.message());
    assert_eq!(status.get_error_details().error_info().expect("an ErrorInfo").reason, "ROLE_NOT_ALLOWED");
}
