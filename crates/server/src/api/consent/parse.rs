//! Parses the requests of the consent service.

use std::collections::BTreeSet;

use custodia_profile::{
    Channel, Collector, Date, Decision, FieldChange, GroundStatus, LawfulBasis, NoticeId, PrivacySignal,
    PurposeId, PurposeNumber, Recording, Reference, Region, SubjectChange,
};
use custodia_proto::v1;

use crate::{
    identity::{Role, RoleSet},
    wire::{
        FieldFault, ServiceError,
        parse::{self, each, named},
        parse_optional,
    },
};

/// The fields of a data subject that can be changed.
const SUBJECT_FIELDS: [&str; 4] = ["regions", "birth_date", "restriction", "legal_hold"];
/// Those that only the privacy office may change.
const PRIVACY_FIELDS: [&str; 2] = ["restriction", "legal_hold"];

/// Parses a RecordConsent by a caller with these roles; `number` finds the number of its purpose.
pub(super) fn record_consent(
    request: &v1::RecordConsentRequest,
    roles: RoleSet,
    number: impl FnOnce(&PurposeId) -> Result<PurposeNumber, ServiceError>,
) -> Result<Decision, ServiceError> {
    let purpose = parse::purpose(&request.purpose, "purpose")?;
    let status = status(request.status)?;
    let proof = parse::proof(request.evidence.as_ref()).map_err(|error| error.within("evidence"))?;
    Ok(Decision {
        status,
        recording: recording(request, roles)?,
        basis: parse::lawful_basis(request.lawful_basis)?.unwrap_or(LawfulBasis::Consent),
        notice: NoticeId::optional("notice_version", &request.notice_version)?,
        method: parse::consent_method(request.method)?,
        evidence: proof.evidence,
        bundled: proof.bundled,
        collector: Collector::optional("collector", &request.collector)?,
        reference: Reference::optional("reference", &request.reference)?,
        channel: Channel::optional("channel", &request.channel)?,
        decided_at: parse_optional(request.decided_at.as_ref(), "decided_at")?,
        valid_from: parse_optional(request.valid_from.as_ref(), "valid_from")?,
        expires_at: parse_optional(request.expires_at.as_ref(), "expires_at")?,
        purpose: number(&purpose)?,
    })
}

/// How the decision reaches the store: only the privacy office imports.
fn recording(request: &v1::RecordConsentRequest, roles: RoleSet) -> Result<Recording, ServiceError> {
    let answers = Some(request.consent_revision).filter(|revision| *revision != 0);
    match parse::recording(request.recording, roles, Role::Privacy)? {
        Recording::Live { .. } => Ok(Recording::Live { answers }),
        Recording::Imported if answers.is_some() => {
            Err(ServiceError::invalid("consent_revision", "expected none with an imported decision"))
        }
        Recording::Imported => Ok(Recording::Imported),
    }
}

/// The status to record. Withdrawals have a call of their own, and expiry is computed.
fn status(number: i32) -> Result<GroundStatus, ServiceError> {
    match v1::ConsentStatus::try_from(number) {
        Ok(v1::ConsentStatus::Given) => Ok(GroundStatus::Given),
        Ok(v1::ConsentStatus::Refused) => Ok(GroundStatus::Refused),
        Ok(v1::ConsentStatus::Requested) => Ok(GroundStatus::Requested),
        Ok(v1::ConsentStatus::Revoked) => Ok(GroundStatus::Revoked),
        Ok(v1::ConsentStatus::Invalidated) => Ok(GroundStatus::Invalidated),
        Ok(v1::ConsentStatus::Unspecified) => Err(ServiceError::missing("status")),
        Ok(v1::ConsentStatus::Withdrawn | v1::ConsentStatus::Expired) | Err(_) => {
            Err(ServiceError::invalid("status", "expected GIVEN, REFUSED, REQUESTED, REVOKED or INVALIDATED"))
        }
    }
}

/// Parses the signal of a RecordPrivacySignal.
pub(super) fn privacy_signal(number: i32) -> Result<PrivacySignal, ServiceError> {
    let signal = parse::chosen(number, PrivacySignal::from_number).map_err(named("signal"))?;
    signal.ok_or_else(|| ServiceError::missing("signal"))
}

/// The data subject of an UpdateDataSubject.
pub(super) fn data_subject(request: &v1::UpdateDataSubjectRequest) -> Result<&v1::DataSubject, ServiceError> {
    request.data_subject.as_ref().ok_or_else(|| ServiceError::missing("data_subject"))
}

/// Parses an UpdateDataSubject by a caller with these roles.
pub(super) fn subject_change(
    request: &v1::UpdateDataSubjectRequest,
    roles: RoleSet,
) -> Result<SubjectChange, ServiceError> {
    let wire = data_subject(request)?;
    let masked = subject_mask(request)?;
    let forbidden = |field: &&&str| masked.contains(**field) && !roles.contains(Role::Privacy);
    if let Some(field) = PRIVACY_FIELDS.iter().find(forbidden) {
        return Err(of_subject(ServiceError::field(field, FieldFault::RoleNeeded(Role::Privacy))));
    }
    changed_fields(wire, &masked).map_err(of_subject)
}

/// The same error, with the field's path in the request.
pub(super) fn of_subject(error: ServiceError) -> ServiceError {
    error.within("data_subject")
}

fn subject_mask(request: &v1::UpdateDataSubjectRequest) -> Result<BTreeSet<&str>, ServiceError> {
    let mask = request.update_mask.as_ref().filter(|mask| !mask.paths.is_empty());
    let mask = mask.ok_or_else(|| ServiceError::missing("update_mask"))?;
    let masked: BTreeSet<&str> = mask.paths.iter().map(String::as_str).collect();
    if masked.iter().all(|path| SUBJECT_FIELDS.contains(path)) {
        Ok(masked)
    } else {
        Err(ServiceError::invalid("update_mask", "expected regions, birth_date, restriction or legal_hold"))
    }
}

fn changed_fields(wire: &v1::DataSubject, masked: &BTreeSet<&str>) -> Result<SubjectChange, ServiceError> {
    let mut change = SubjectChange::default();
    if masked.contains("regions") {
        let regions = regions(&wire.regions)?;
        change.regions = set_or_clear((!regions.is_empty()).then_some(regions));
    }
    if masked.contains("birth_date") {
        change.birth_date = set_or_clear(birth_date(&wire.birth_date)?);
    }
    if masked.contains("restriction") {
        let reason =
            wire.restriction.as_ref().map(|stated| Reference::new("restriction.reason", &stated.reason));
        change.restriction = set_or_clear(reason.transpose()?);
    }
    if masked.contains("legal_hold") {
        let matter =
            wire.legal_hold.as_ref().map(|stated| Reference::new("legal_hold.reference", &stated.reference));
        change.legal_hold = set_or_clear(matter.transpose()?);
    }
    Ok(change)
}

fn set_or_clear<T>(stated: Option<T>) -> FieldChange<T> {
    stated.map_or(FieldChange::Clear, FieldChange::Set)
}

fn regions(wire: &[String]) -> Result<BTreeSet<Region>, ServiceError> {
    let region = |text: &String| Region::new(text).map_err(named(""));
    let stated = each("regions", wire, region)?;
    let regions: BTreeSet<Region> = stated.into_iter().collect();
    if regions.len() == wire.len() {
        Ok(regions)
    } else {
        Err(ServiceError::invalid("regions", "has a duplicate entry"))
    }
}

fn birth_date(text: &str) -> Result<Option<Date>, ServiceError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(named("birth_date")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> (String, FieldFault) {
        match result {
            Err(ServiceError::Field { field, fault }) => (field, fault),
            other => panic!("expected a field error, got {other:?}"),
        }
    }

    fn record_consent(request: &v1::RecordConsentRequest) -> Result<Decision, ServiceError> {
        super::record_consent(request, SOURCE, |_purpose| Ok(PurposeNumber::new(1)?))
    }

    #[test]
    fn every_status_but_withdrawn_and_expired_can_be_recorded() {
        let mut request = v1::RecordConsentRequest { purpose: "marketing".to_owned(), ..Default::default() };
        assert_eq!(field(record_consent(&request)), ("status".to_owned(), FieldFault::Missing));
        for status in [v1::ConsentStatus::Withdrawn.into(), v1::ConsentStatus::Expired.into(), 99] {
            request.status = status;
            assert_eq!(field(record_consent(&request)).0, "status");
        }
        for (status, expected) in [
            (v1::ConsentStatus::Given, GroundStatus::Given),
            (v1::ConsentStatus::Refused, GroundStatus::Refused),
            (v1::ConsentStatus::Requested, GroundStatus::Requested),
            (v1::ConsentStatus::Revoked, GroundStatus::Revoked),
            (v1::ConsentStatus::Invalidated, GroundStatus::Invalidated),
        ] {
            request.status = status.into();
            assert_eq!(record_consent(&request).expect("valid").status, expected);
        }
        request.evidence = Some(v1::ConsentEvidence { act: 99, ..Default::default() });
        assert_eq!(field(record_consent(&request)).0, "evidence.act");
    }

    fn update(paths: &[&str], subject: v1::DataSubject) -> v1::UpdateDataSubjectRequest {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        v1::UpdateDataSubjectRequest {
            data_subject: Some(subject),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        }
    }

    fn whole() -> v1::DataSubject {
        v1::DataSubject {
            regions: vec!["US-CA".to_owned(), "DE".to_owned()],
            birth_date: "2010-02-28".to_owned(),
            restriction: Some(v1::Restriction { reason: "accuracy".to_owned(), since: None }),
            legal_hold: Some(v1::LegalHold { reference: "case 7".to_owned(), since: None }),
            ..Default::default()
        }
    }

    const SOURCE: RoleSet = RoleSet::of(&[Role::Ingest]);
    const OFFICE: RoleSet = RoleSet::of(&[Role::Privacy]);

    #[test]
    fn an_update_changes_only_the_masked_fields() {
        let change = subject_change(&update(&["birth_date"], whole()), SOURCE).expect("valid");
        let date = "2010-02-28".parse().expect("a date");
        assert_eq!(change, SubjectChange { birth_date: FieldChange::Set(date), ..SubjectChange::default() });
        let cleared = subject_change(&update(&SUBJECT_FIELDS, v1::DataSubject::default()), OFFICE);
        let expected = SubjectChange {
            regions: FieldChange::Clear,
            birth_date: FieldChange::Clear,
            restriction: FieldChange::Clear,
            legal_hold: FieldChange::Clear,
        };
        assert_eq!(cleared.expect("valid"), expected);
        assert_eq!(field(subject_change(&update(&[], whole()), OFFICE)).0, "update_mask");
        for path in ["*", "etag", "regions.0"] {
            assert_eq!(field(subject_change(&update(&[path], whole()), OFFICE)).0, "update_mask", "{path}");
        }
        let nobody = v1::UpdateDataSubjectRequest::default();
        assert_eq!(field(subject_change(&nobody, OFFICE)), ("data_subject".to_owned(), FieldFault::Missing));
    }

    #[test]
    fn only_the_privacy_office_changes_restriction_and_hold() {
        for path in PRIVACY_FIELDS {
            let request = update(&["regions", path], whole());
            let denied = (format!("data_subject.{path}"), FieldFault::RoleNeeded(Role::Privacy));
            assert_eq!(field(subject_change(&request, SOURCE)), denied);
            subject_change(&request, OFFICE).expect("allowed");
        }
        subject_change(&update(&["regions", "birth_date"], whole()), SOURCE).expect("allowed");
    }

    #[test]
    fn an_invalid_field_of_a_data_subject_is_named_with_its_path() {
        let fault = |change: fn(&mut v1::DataSubject)| {
            let mut subject = whole();
            change(&mut subject);
            field(subject_change(&update(&SUBJECT_FIELDS, subject), OFFICE)).0
        };
        assert_eq!(fault(|subject| subject.regions[1] = "Germany".to_owned()), "data_subject.regions[1]");
        assert_eq!(fault(|subject| subject.regions[1] = "US-CA".to_owned()), "data_subject.regions");
        assert_eq!(fault(|subject| subject.birth_date = "2010-02-30".to_owned()), "data_subject.birth_date");
        assert_eq!(
            fault(|subject| subject.restriction = Some(v1::Restriction::default())),
            "data_subject.restriction.reason"
        );
        assert_eq!(
            fault(|subject| subject.legal_hold = Some(v1::LegalHold::default())),
            "data_subject.legal_hold.reference"
        );
    }

    #[test]
    fn only_known_signals_are_accepted() {
        assert_eq!(privacy_signal(1).expect("GPC"), PrivacySignal::Gpc);
        assert_eq!(field(privacy_signal(0)), ("signal".to_owned(), FieldFault::Missing));
        assert_eq!(privacy_signal(2).expect("an opt-out"), PrivacySignal::DoNotSell);
        assert_eq!(privacy_signal(3).expect("a limit"), PrivacySignal::LimitSensitive);
        assert_eq!(field(privacy_signal(4)).0, "signal");
    }
}
