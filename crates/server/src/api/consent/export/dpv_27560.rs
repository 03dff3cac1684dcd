//! Consent records as ISO/IEC TS 27560:2023 structures them, in JSON-LD with the terms of W3C's Data Privacy Vocabulary.
//!
//! Invariant: there is one record for each purpose on which consent is recorded, so that no status is mistaken for that of
//! another purpose, with one status for each decision; and every field that the guide requires is present. Source: W3C Data Privacy Vocabularies and Controls Community Group,
//! Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV, <https://w3id.org/dpv/guides/consent-27560>, profile
//! `dpv-27560#record`; terms that DPV 2.0 to 2.3 have in common, <https://w3id.org/dpv>.

use custodia_profile::{
    ConsentMethod, ConsentModel, DecidedBy, GroundState, GroundStatus, LawfulBasis, Purpose, RefusalReason,
    TimestampMs, Verdict, dpv_personal_data,
};
use data_encoding::HEXLOWER;

use super::dpv_nodes::{
    ContactPoint, Document, Duration, Entity, NoticeNode, PREFIXES, Place, PostalAddress, Process, Record,
    Source, Status, StorageCondition, TYPED, Term, Thing,
};
use super::{
    Exported, Ground, NO_LANGUAGE, NOT_STATED, act, entity_iri, evidence, iso_8601, language_of, notice_of,
    optional, stated, title,
};
use crate::config::ControllerConfig;

const NOTICE: &str = "dpv:ConsentNotice";
const CONFORMS_TO: &str = "https://w3id.org/dpv/schema/dpv-27560#record";

/// The document with the records of all purposes.
pub(crate) fn document(exported: &Exported<'_>) -> Document {
    let prefixes = PREFIXES.into_iter().map(|(name, iri)| (name, Term::Prefix(iri)));
    let typed = TYPED.into_iter().map(|(name, kind)| (name, Term::Typed { kind }));
    Document {
        context: prefixes.chain(typed).collect(),
        graph: exported
            .purposes
            .iter()
            .filter(|purpose| rests_on_consent(exported, purpose))
            .map(|purpose| record(exported, purpose))
            .collect(),
    }
}

/// Whether a purpose is one of consent: consent is recorded, or it may rest on consent and no other ground is recorded.
/// What rests on a contract alone is no consent record.
fn rests_on_consent(exported: &Exported<'_>, purpose: &Purpose) -> bool {
    let mut recorded = exported.grounds(purpose).map(|ground| ground.basis).peekable();
    match recorded.peek() {
        None => purpose.has_basis(LawfulBasis::Consent),
        Some(_) => recorded.any(|basis| basis == LawfulBasis::Consent),
    }
}

fn controller_iri(controller: &ControllerConfig) -> String {
    entity_iri("controller", &controller.name)
}

fn record<'a>(exported: &Exported<'a>, purpose: &'a Purpose) -> Record {
    let grounds: Vec<Ground<'_>> = exported.grounds(purpose).collect();
    let consent = grounds.iter().find(|ground| ground.basis == LawfulBasis::Consent);
    let id = exported.identifier(&["dpv-27560", purpose.id.as_str()]);
    let laws = exported.jurisdictions().into_iter().map(|jurisdiction| Thing {
        kind: "dpv:Law",
        identifier: Some(jurisdiction.id.as_str().to_owned()),
        title: Some(stated(&jurisdiction.law)),
        ..Thing::default()
    });
    let exercised_at = Some(stated(&exported.controller.rights_url));
    let right = Thing {
        kind: "dpv:DataSubjectRight",
        title: Some("Right to withdraw consent".to_owned()),
        exercised_at: exercised_at.clone(),
        ..Thing::default()
    };
    let statuses = statuses(exported, purpose, consent);
    Record {
        id: id.urn().to_string(),
        kind: "dpv:ConsentRecord",
        identifier: id.to_string(),
        conforms_to: CONFORMS_TO,
        issued: iso_8601(exported.now),
        data_subject: Thing {
            kind: "dpv:DataSubject",
            id: Some(exported.identifier(&["data-subject"]).urn().to_string()),
            identifier: Some(exported.customer.to_string()),
            ..Thing::default()
        },
        data_controller: controller_iri(exported.controller),
        jurisdictions: jurisdictions(exported),
        laws: laws.collect(),
        notices: notices(&statuses),
        process: process(exported, purpose, &grounds),
        consent_control: Thing { kind: "dpv:WithdrawConsent", exercised_at, ..Thing::default() },
        rights: vec![right],
        entities: vec![entity(exported.controller)],
        statuses,
    }
}

/// Each region is a term of DPV's locations; without a region, the default jurisdiction is described.
fn jurisdictions(exported: &Exported<'_>) -> Vec<Place> {
    let subject = &exported.record.subject;
    let mut places: Vec<Place> =
        subject.regions.iter().map(|region| Place::Term(format!("loc:{}", region.as_str()))).collect();
    if subject.regions.is_empty() || subject.region_unknown {
        places.push(Place::Told(Thing {
            kind: "dpv:Location",
            title: Some(exported.catalogue.jurisdiction_of(None).display_name.clone()),
            ..Thing::default()
        }));
    }
    places
}

/// Every notice that was shown for one of the decisions, in the order of these.
fn notices(statuses: &[Status]) -> Vec<NoticeNode> {
    let mut shown: Vec<NoticeNode> = Vec::new();
    for notice in statuses.iter().filter_map(|status| status.notice.as_ref()) {
        if !shown.contains(notice) {
            shown.push(notice.clone());
        }
    }
    if shown.is_empty() {
        shown.push(NoticeNode {
            kind: NOTICE,
            identifier: NOT_STATED.to_owned(),
            language: NO_LANGUAGE.to_owned(),
            sha256: None,
        });
    }
    shown
}

/// The notice that was shown for a decision. What takes a consent back names the notice of that consent: nobody was shown
/// it then.
fn notice(purpose: &Purpose, state: &GroundState) -> Option<NoticeNode> {
    let takes_back =
        matches!(state.status, GroundStatus::Withdrawn | GroundStatus::Revoked | GroundStatus::Invalidated);
    let version = state.notice.as_ref().filter(|_| !takes_back)?;
    let known = notice_of(purpose, state);
    Some(NoticeNode {
        kind: NOTICE,
        identifier: format!("{}/{}", purpose.id.as_str(), version.as_str()),
        language: language_of(purpose, state),
        sha256: known.and_then(|notice| notice.text_sha256).map(|hash| HEXLOWER.encode(&hash)),
    })
}

fn process(exported: &Exported<'_>, purpose: &Purpose, grounds: &[Ground<'_>]) -> Process {
    let data = exported.data(purpose).into_iter().map(|(name, is_sensitive)| Thing {
        kind: if is_sensitive { "dpv:SpecialCategoryPersonalData" } else { "dpv:PersonalData" },
        identifier: Some(name.to_owned()),
        broader: Some(category(name, is_sensitive)),
        ..Thing::default()
    });
    let mut personal_data: Vec<Thing> = data.collect();
    if personal_data.is_empty() {
        let unknown = Some(NOT_STATED.to_owned());
        let broader = Some("dpv:PersonalData".to_owned());
        personal_data.push(Thing {
            kind: "dpv:PersonalData",
            identifier: unknown,
            broader,
            ..Thing::default()
        });
    }
    let controller = Thing {
        kind: "dpv:DataController",
        id: Some(controller_iri(exported.controller)),
        title: Some(stated(&exported.controller.name)),
        ..Thing::default()
    };
    let applications = exported.recipients(purpose).map(|recipient| Thing {
        kind: if recipient.third_party { "dpv:ThirdParty" } else { "dpv:Recipient" },
        id: Some(entity_iri("recipient", recipient.id.as_str())),
        identifier: Some(recipient.id.as_str().to_owned()),
        title: optional(&recipient.display_name),
        ..Thing::default()
    });
    let in_force = grounds.iter().filter(|ground| matches!(ground.verdict, Verdict::Permit { .. }));
    Process {
        kind: "dpv:Process",
        purpose: Thing {
            kind: "dpv:Purpose",
            identifier: Some(purpose.id.as_str().to_owned()),
            title: Some(title(purpose)),
            description: optional(&purpose.description),
            broader: optional(&purpose.dpv),
            ..Thing::default()
        },
        personal_data,
        legal_bases: in_force.map(legal_basis).collect(),
        recipients: std::iter::once(controller).chain(applications).collect(),
        storage: storage(exported, purpose),
    }
}

/// The vocabulary's category of data: that of the same name, else the most general one that is true.
fn category(name: &str, is_sensitive: bool) -> String {
    let general = if is_sensitive { "dpv:SensitivePersonalData" } else { "dpv:PersonalData" };
    dpv_personal_data(name).unwrap_or_else(|| general.to_owned())
}

fn storage(exported: &Exported<'_>, purpose: &Purpose) -> Vec<StorageCondition> {
    let pool = Thing {
        kind: "dpv:Location",
        identifier: Some(format!("pool-{}", exported.customer.pool())),
        ..Thing::default()
    };
    let duration = match purpose.retention_days {
        0 => Duration { kind: "dpv:UntilEventDuration", value: "withdrawal or erasure".to_owned() },
        days => Duration { kind: "dpv:TemporalDuration", value: format!("P{days}D") },
    };
    vec![
        StorageCondition { kind: "dpv:StorageLocation", location: Some(pool), duration: None },
        StorageCondition { kind: "dpv:StorageDuration", location: None, duration: Some(duration) },
    ]
}

const fn legal_basis(ground: &Ground<'_>) -> &'static str {
    match ground.basis {
        LawfulBasis::Consent => consent_type(ground.state.method),
        LawfulBasis::Contract => "dpv:Contract",
        LawfulBasis::LegalObligation => "dpv:LegalObligation",
        LawfulBasis::VitalInterests => "dpv:VitalInterest",
        LawfulBasis::PublicTask => "dpv:PublicInterest",
        LawfulBasis::LegitimateInterests => "dpv:LegitimateInterest",
    }
}

const fn consent_type(method: Option<ConsentMethod>) -> &'static str {
    match method {
        Some(ConsentMethod::Unambiguous) => "dpv:ExpressedConsent",
        Some(ConsentMethod::Explicit) => "dpv:ExplicitlyExpressedConsent",
        Some(ConsentMethod::OptOut) => "dpv:ImpliedConsent",
        // No consent is recorded by a soft opt-in.
        Some(ConsentMethod::SoftOptIn) | None => "dpv:Consent",
    }
}

fn entity(controller: &ControllerConfig) -> Entity {
    Entity {
        id: controller_iri(controller),
        kind: "dpv:DataController",
        name: stated(&controller.name),
        identifier: controller_iri(controller),
        contact: ContactPoint {
            kind: "schema:ContactPoint",
            name: stated(&controller.contact),
            email: optional(&controller.email),
            telephone: optional(&controller.phone),
        },
        address: PostalAddress {
            kind: "schema:PostalAddress",
            street: stated(&controller.street),
            postal_code: optional(&controller.postal_code),
            locality: optional(&controller.locality),
            country: optional(&controller.country),
        },
        url: optional(&controller.policy_url),
    }
}

/// A status for each decision about consent, in the order in which they were recorded, then the one that counts now if no
/// decision has it: a consent ends without a decision. If nothing is recorded, unknown as of now.
fn statuses(exported: &Exported<'_>, purpose: &Purpose, consent: Option<&Ground<'_>>) -> Vec<Status> {
    let by_controller = |status, of_type, at| Status {
        kinds: vec![status, of_type],
        at: iso_8601(at),
        by: controller_iri(exported.controller),
        duration: until_decision(),
        method: None,
        notice: None,
        source: None,
    };
    let Some(current) = consent else {
        return vec![by_controller("dpv:ConsentUnknown", asked_type(exported), exported.now)];
    };
    let earlier = exported.earlier_consents(purpose).iter().map(|state| (state, None));
    let mut given = None;
    let mut statuses = Vec::new();
    for (state, ground) in earlier.chain([(current.state, Some(current))]) {
        // A no says nothing about how consent is expressed; it is of the type that was given or asked for.
        given = state.method.or(given);
        let proof = evidence(state).and_then(|evidence| evidence.statement_sha256);
        statuses.push(Status {
            kinds: vec![as_decided(state), of_type(exported, given)],
            at: iso_8601(state.decided_at),
            by: decided_by(exported, state),
            duration: ground.map_or_else(|| stated_duration(state.expires_at), duration),
            method: act(state),
            notice: notice(purpose, state),
            source: proof
                .map(|sha256| Source { kind: "schema:MediaObject", sha256: HEXLOWER.encode(&sha256) }),
        });
    }
    let ended = ended(exported, purpose, current);
    statuses.extend(ended.map(|(status, at)| by_controller(status, of_type(exported, given), at)));
    statuses
}

fn of_type(exported: &Exported<'_>, given: Option<ConsentMethod>) -> &'static str {
    given.map_or_else(|| asked_type(exported), |method| consent_type(Some(method)))
}

/// The status of a consent that was given and is not in force, and since when.
fn ended(
    exported: &Exported<'_>,
    purpose: &Purpose,
    current: &Ground<'_>,
) -> Option<(&'static str, TimestampMs)> {
    let (GroundStatus::Given, Verdict::Refuse(reason)) = (current.state.status, current.verdict) else {
        return None;
    };
    let state = current.state;
    let version = state.notice.as_ref().filter(|_| reason == RefusalReason::NoticeOutdated);
    let asked_again = version.and_then(|version| purpose.notice_ends_at(version, state.decided_at));
    let expired = state.expires_at.filter(|_| reason == RefusalReason::ConsentExpired);
    // A notice that is valid at once does not say since when.
    let since = expired.or(asked_again).filter(|since| *since <= exported.now);
    let is_over = matches!(reason, RefusalReason::ConsentExpired | RefusalReason::NoticeOutdated);
    let status = if is_over { "dpv:ConsentExpired" } else { "dpv:ConsentStatusInvalidForProcessing" };
    Some((status, since.unwrap_or(exported.now)))
}

/// The type of consent that the customer's jurisdictions ask for: implied only where all of them take silence for consent.
fn asked_type(exported: &Exported<'_>) -> &'static str {
    let jurisdictions = exported.jurisdictions();
    let opt_out = jurisdictions.iter().all(|of| of.consent_model == ConsentModel::OptOut);
    consent_type(Some(if opt_out { ConsentMethod::OptOut } else { ConsentMethod::Unambiguous }))
}

/// The status that a decision had when it was taken.
const fn as_decided(state: &GroundState) -> &'static str {
    match state.status {
        GroundStatus::Given => "dpv:ConsentGiven",
        GroundStatus::Refused => "dpv:ConsentRefused",
        GroundStatus::Withdrawn => "dpv:ConsentWithdrawn",
        GroundStatus::Requested => "dpv:ConsentRequested",
        GroundStatus::Revoked => "dpv:ConsentRevoked",
        GroundStatus::Invalidated => "dpv:ConsentInvalidated",
    }
}

/// Who decided: the controller for a request, otherwise whoever the evidence names, by default the data subject.
fn decided_by(exported: &Exported<'_>, state: &GroundState) -> String {
    match state.decided_by() {
        _ if state.status == GroundStatus::Requested => controller_iri(exported.controller),
        DecidedBy::DataSubject => "dpv:DataSubject".to_owned(),
        DecidedBy::Guardian => "dpv:GuardianOfDataSubject".to_owned(),
        DecidedBy::Controller => controller_iri(exported.controller),
        DecidedBy::Authority => "dpv:Authority".to_owned(),
    }
}

fn duration(ground: &Ground<'_>) -> Duration {
    let end = match ground.verdict {
        Verdict::Permit { until, .. } => until,
        Verdict::Refuse(_) => ground.state.expires_at,
    };
    stated_duration(end)
}

fn stated_duration(end: Option<TimestampMs>) -> Duration {
    match end {
        Some(end) => Duration { kind: "dpv:UntilTimeDuration", value: iso_8601(end) },
        None => until_decision(),
    }
}

fn until_decision() -> Duration {
    Duration { kind: "dpv:UntilEventDuration", value: "another decision of the data subject".to_owned() }
}
