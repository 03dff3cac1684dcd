//! A consent receipt for the customer.
//!
//! Invariant: a purpose is among the services only if its ground is in force, so that a reader who knows only the
//! specification never mistakes a no for a yes. Everything else is listed separately, with the reason. Where consent was
//! never given there is no receipt: it is one for a consent. Source: Kantara
//! Initiative, Consent Receipt Specification 1.1.0 (2018-02-20), section 4; its JSON schema,
//! <https://github.com/KantaraInitiative/consent-receipt-v-next/tree/master/CR_v1_1>.

use std::collections::BTreeSet;

use custodia_profile::{ConsentMethod, LawfulBasis, Purpose, RefusalReason, TimestampMs, Verdict};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{Exported, Ground, NOT_STATED, act, iso_8601, language_of, notice_of, optional, stated, title};
use crate::{config::ControllerConfig, wire::ServiceError};

const VERSION: &str = "KI-CR-v1.1.0";

/// The whole document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    version: &'static str,
    jurisdiction: String,
    consent_timestamp: i64,
    collection_method: String,
    #[serde(rename = "consentReceiptID")]
    consent_receipt_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    pii_principal_id: String,
    pii_controllers: Vec<PiiController>,
    policy_url: String,
    services: Vec<Service>,
    sensitive: bool,
    spi_cat: Vec<String>,
    issued_at: i64,
    not_in_force: Vec<NotInForce>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PiiController {
    pii_controller: String,
    contact: String,
    address: Address,
    email: String,
    phone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pii_controller_url: Option<String>,
}

/// As <https://schema.org/PostalAddress>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    street_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_country: Option<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    service: String,
    purposes: Vec<PurposeEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PurposeEntry {
    purpose: String,
    purpose_category: Vec<String>,
    consent_type: String,
    pii_category: Vec<String>,
    termination: String,
    third_party_disclosure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    third_party_name: Option<String>,
    lawful_basis: &'static str,
    decided_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice_sha256: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotInForce {
    purpose: String,
    lawful_basis: &'static str,
    reason: &'static str,
    explanation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<i64>,
}

/// A purpose with one of its recorded grounds.
type Recorded<'a> = (&'a Purpose, Ground<'a>);

/// The receipt of all purposes.
///
/// # Errors
/// `NothingConsented` if consent to none of them was ever given.
pub(crate) fn document(exported: &Exported<'_>) -> Result<Receipt, ServiceError> {
    let consented_at = exported.purposes.iter().filter_map(|purpose| exported.consented_at(purpose)).max();
    let consented_at = consented_at.ok_or(ServiceError::NothingConsented)?;
    let recorded: Vec<Recorded<'_>> = exported
        .purposes
        .iter()
        .flat_map(|purpose| exported.grounds(purpose).map(move |ground| (*purpose, ground)))
        .collect();
    let (in_force, lapsed): (Vec<_>, Vec<_>) =
        recorded.into_iter().partition(|(_, ground)| matches!(ground.verdict, Verdict::Permit { .. }));
    let sensitive = sensitive(exported, &in_force);
    Ok(Receipt {
        version: VERSION,
        jurisdiction: jurisdiction(exported),
        consent_timestamp: seconds(consented_at),
        collection_method: collection_method(&in_force),
        consent_receipt_id: receipt_id(exported),
        language: in_force.iter().max_by_key(|recorded| decided_at(recorded)).and_then(two_letters),
        pii_principal_id: exported.customer.to_string(),
        pii_controllers: vec![controller(exported.controller)],
        policy_url: stated(&exported.controller.policy_url),
        services: services(exported, &in_force),
        sensitive: !sensitive.is_empty(),
        spi_cat: sensitive.into_iter().map(str::to_owned).collect(),
        issued_at: seconds(exported.now),
        not_in_force: not_in_force(exported, &lapsed),
    })
}

fn decided_at((_, ground): &Recorded<'_>) -> TimestampMs {
    ground.state.decided_at
}

/// The language of the notice as ISO 639-1 has it, two letters: `de` of the tag `de-CH`; none where none is known.
fn two_letters((purpose, ground): &Recorded<'_>) -> Option<String> {
    let tag = language_of(purpose, ground.state);
    let language = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    (language.len() == 2).then_some(language)
}

/// Seconds since 1970, as the specification requires; earlier times become 0.
fn seconds(moment: TimestampMs) -> i64 {
    moment.as_ms().div_euclid(1_000).max(0)
}

fn jurisdiction(exported: &Exported<'_>) -> String {
    let subject = &exported.record.subject;
    let mut names: Vec<&str> = subject.regions.iter().map(|region| region.as_str()).collect();
    if subject.regions.is_empty() || subject.region_unknown {
        names.push(&exported.catalogue.jurisdiction_of(None).display_name);
    }
    stated(&names.join(", "))
}

/// What the data subject did and through which channel, each distinct way once.
fn collection_method(in_force: &[Recorded<'_>]) -> String {
    let methods: BTreeSet<String> = in_force.iter().filter_map(|(_, ground)| act(ground.state)).collect();
    stated(&methods.into_iter().collect::<Vec<_>>().join("; "))
}

/// The id is derived from time and purposes, so different receipts have different ids.
fn receipt_id(exported: &Exported<'_>) -> String {
    let now = exported.now.as_ms().to_string();
    let names = exported.purposes.iter().map(|purpose| purpose.id.as_str());
    let parts: Vec<&str> = ["receipt", now.as_str()].into_iter().chain(names).collect();
    exported.identifier(&parts).to_string()
}

fn controller(controller: &ControllerConfig) -> PiiController {
    PiiController {
        pii_controller: stated(&controller.name),
        contact: stated(&controller.contact),
        address: Address {
            street_address: stated(&controller.street),
            postal_code: optional(&controller.postal_code),
            address_locality: optional(&controller.locality),
            address_country: optional(&controller.country),
        },
        email: stated(&controller.email),
        phone: stated(&controller.phone),
        pii_controller_url: optional(&controller.rights_url),
    }
}

/// The sensitive categories of data that the purposes in force may use.
fn sensitive<'a>(exported: &'a Exported<'_>, in_force: &'a [Recorded<'_>]) -> BTreeSet<&'a str> {
    let data = in_force.iter().flat_map(|(purpose, _)| exported.data(purpose));
    data.filter(|(_, is_sensitive)| *is_sensitive).map(|(name, _)| name).collect()
}

fn services(exported: &Exported<'_>, in_force: &[Recorded<'_>]) -> Vec<Service> {
    if in_force.is_empty() {
        return Vec::new();
    }
    let purposes = in_force.iter().map(|(purpose, ground)| entry(exported, purpose, ground)).collect();
    vec![Service { service: stated(&exported.controller.name), purposes }]
}

fn entry(exported: &Exported<'_>, purpose: &Purpose, ground: &Ground<'_>) -> PurposeEntry {
    let mut categories: Vec<String> = exported.data(purpose).into_keys().map(str::to_owned).collect();
    if categories.is_empty() {
        categories.push(NOT_STATED.to_owned());
    }
    let names: Vec<&str> = exported
        .recipients(purpose)
        .filter(|to| to.third_party)
        .map(|to| if to.display_name.is_empty() { to.id.as_str() } else { &to.display_name })
        .collect();
    // The controller's own systems are no third parties. A purpose of sale discloses even before the buyer is registered.
    let is_disclosed = !names.is_empty() || purpose.sale_or_sharing;
    let category = if purpose.dpv.is_empty() { purpose.id.as_str() } else { &purpose.dpv };
    PurposeEntry {
        purpose: title(purpose),
        purpose_category: vec![category.to_owned()],
        consent_type: consent_type(ground),
        pii_category: categories,
        termination: termination(purpose, ground),
        third_party_disclosure: is_disclosed,
        third_party_name: is_disclosed.then(|| stated(&names.join(", "))),
        lawful_basis: basis_name(ground.basis),
        decided_at: seconds(ground.state.decided_at),
        notice_version: ground.state.notice.as_ref().map(|notice| notice.as_str().to_owned()),
        notice_sha256: notice_of(purpose, ground.state)
            .and_then(|notice| notice.text_sha256)
            .map(|hash| HEXLOWER.encode(&hash)),
    }
}

/// `EXPLICIT`, or how consent was expressed; `N/A` if the ground is not consent.
fn consent_type(ground: &Ground<'_>) -> String {
    let act = || act(ground.state).map(|act| format!(": {act}")).unwrap_or_default();
    match (ground.basis, ground.state.method) {
        (LawfulBasis::Consent, Some(ConsentMethod::Explicit)) => "EXPLICIT".to_owned(),
        (LawfulBasis::Consent, Some(ConsentMethod::OptOut)) => format!("Not opted out{}", act()),
        // No consent is recorded by a soft opt-in.
        (LawfulBasis::Consent, Some(ConsentMethod::Unambiguous | ConsentMethod::SoftOptIn) | None) => {
            format!("A clear affirmative act{}", act())
        }
        (
            LawfulBasis::Contract
            | LawfulBasis::LegalObligation
            | LawfulBasis::VitalInterests
            | LawfulBasis::PublicTask
            | LawfulBasis::LegitimateInterests,
            _,
        ) => "N/A".to_owned(),
    }
}

fn termination(purpose: &Purpose, ground: &Ground<'_>) -> String {
    let until = match ground.verdict {
        Verdict::Permit { until, .. } => until,
        Verdict::Refuse(_) => None,
    };
    let mut ways: Vec<String> = until.map(|end| format!("on {}", iso_8601(end))).into_iter().collect();
    match ground.basis {
        LawfulBasis::Consent => ways.push("when consent is withdrawn".to_owned()),
        LawfulBasis::PublicTask | LawfulBasis::LegitimateInterests => {
            ways.push("when the customer objects".to_owned());
        }
        LawfulBasis::Contract | LawfulBasis::LegalObligation | LawfulBasis::VitalInterests => {
            ways.push("when the ground ends".to_owned());
        }
    }
    let retention = match purpose.retention_days {
        0 => String::new(),
        days => format!("; data is used for at most {days} days"),
    };
    format!("Ends {}{retention}", ways.join(" or "))
}

/// The API's name of a basis, without its prefix.
const fn basis_name(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => "CONSENT",
        LawfulBasis::Contract => "CONTRACT",
        LawfulBasis::LegalObligation => "LEGAL_OBLIGATION",
        LawfulBasis::VitalInterests => "VITAL_INTERESTS",
        LawfulBasis::PublicTask => "PUBLIC_TASK",
        LawfulBasis::LegitimateInterests => "LEGITIMATE_INTERESTS",
    }
}

/// The grounds that are not in force, and the purposes without any.
fn not_in_force(exported: &Exported<'_>, lapsed: &[Recorded<'_>]) -> Vec<NotInForce> {
    let listed = |purpose: &Purpose, basis, reason: RefusalReason, decided_at| NotInForce {
        purpose: title(purpose),
        lawful_basis: basis_name(basis),
        reason: reason.name(),
        explanation: reason.explanation(),
        decided_at,
    };
    let lapsed = lapsed.iter().map(|(purpose, ground)| {
        let reason = ground.verdict.reason().unwrap_or(RefusalReason::NoGround);
        listed(purpose, ground.basis, reason, Some(seconds(ground.state.decided_at)))
    });
    let unrecorded = exported.purposes.iter().filter(|purpose| exported.grounds(purpose).next().is_none());
    let unrecorded =
        unrecorded.map(|purpose| listed(purpose, LawfulBasis::Consent, RefusalReason::NoGround, None));
    lapsed.chain(unrecorded).collect()
}
