//! ExportConsent: what is recorded about consent, in standard formats.
//!
//! ```text
//! grounds ‖ consents of the past ‖ region ‖ catalogue ‖ controller ‖ now ──▶ Exported ──▶ dpv_27560.rs | receipt.rs ──▶ JSON
//! ```
//! Invariant: a document is a pure function of these. It has what the data subject may see and nothing else:
//! [`Exported`] has no values, addresses, restriction or legal hold, and no format includes a collector or a reference.
//! docs/consent-exports.md lists every field, and the tests check the documents against that page.

mod dpv_27560;
mod dpv_nodes;
mod receipt;

use std::collections::{BTreeMap, BTreeSet};

use custodia_profile::{
    AffirmativeAct, Catalogue, Classification, CustomerId, CustomerRecord, DataSubject, Evidence,
    GroundState, GroundStatus, Jurisdiction, LawfulBasis, Notice, Permission, Purpose, PurposeNumber, Reader,
    Recipient, TimestampMs, Verdict, limits::PURPOSES_MAX,
};
use custodia_proto::v1;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{get_consents, history};
use crate::{
    catalogue::CatalogueView,
    config::ControllerConfig,
    shard::{CustomerRead, ProfileView, ReadAccess},
    wire::{
        ServiceError,
        parse::{self, within_limit},
        timestamp,
    },
};

/// The text where a format requires something that nobody has stated.
const NOT_STATED: &str = "not stated";
/// The language tag if none is known: undetermined (ISO 639-2).
const NO_LANGUAGE: &str = "und";

impl CustomerRead for v1::ExportConsentRequest {
    /// The format and the requested purposes; if empty, all purposes on which something is recorded.
    type Query = (Format, BTreeSet<PurposeNumber>);
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, view: &CatalogueView) -> Result<Self::Query, ServiceError> {
        Ok((Format::parse(self.format)?, wanted(&self.purposes, view)?))
    }

    fn knows(_query: &Self::Query, record: &CustomerRecord, view: &CatalogueView) -> bool {
        get_consents::knows(record, view)
    }

    async fn answer(
        (format, wanted): Self::Query,
        profile: ProfileView<'_>,
    ) -> Result<v1::ExportConsentResponse, ServiceError> {
        let past = history::consents(profile.context, profile.location, profile.record()).await?;
        export(format, wanted, past, &profile)
    }
}

/// Every state of consent to a purpose, in the order of the ledger.
type PastConsents = BTreeMap<PurposeNumber, Vec<GroundState>>;

fn export(
    format: Format,
    wanted: BTreeSet<PurposeNumber>,
    past: PastConsents,
    profile: &ProfileView<'_>,
) -> Result<v1::ExportConsentResponse, ServiceError> {
    let (record, customer) = (profile.record(), profile.location.customer);
    let purposes = purposes(record, wanted, profile.view);
    let (catalogue, controller) = (&profile.view.catalogue, profile.context.controller());
    let mut exported = Exported::new(customer, record, purposes, catalogue, controller, profile.now);
    exported.past = past;
    Ok(v1::ExportConsentResponse {
        customer_id: customer.to_string(),
        media_type: format.media_type().to_owned(),
        document: format.document(&exported)?,
    })
}

/// A document format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Dpv27560,
    Receipt,
}

impl Format {
    fn parse(number: i32) -> Result<Self, ServiceError> {
        match v1::ConsentExportFormat::try_from(number) {
            Ok(v1::ConsentExportFormat::Dpv27560) => Ok(Self::Dpv27560),
            Ok(v1::ConsentExportFormat::Receipt) => Ok(Self::Receipt),
            Ok(v1::ConsentExportFormat::Unspecified) => Err(ServiceError::missing("format")),
            Err(_unknown) => Err(ServiceError::invalid("format", "expected DPV_27560 or RECEIPT")),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Dpv27560 => "application/ld+json",
            Self::Receipt => "application/json",
        }
    }

    fn document(self, exported: &Exported<'_>) -> Result<String, ServiceError> {
        let document = match self {
            Self::Dpv27560 => serde_json::to_string_pretty(&dpv_27560::document(exported)),
            Self::Receipt => serde_json::to_string_pretty(&receipt::document(exported)?),
        };
        document.map_err(|_unwritable| ServiceError::Internal {
            context: "a consent document does not serialise",
        })
    }
}

fn wanted(names: &[String], view: &CatalogueView) -> Result<BTreeSet<PurposeNumber>, ServiceError> {
    within_limit("purposes", names.len(), PURPOSES_MAX)?;
    let number = |(at, name): (usize, &String)| {
        let field = format!("purposes[{at}]");
        view.purpose_number(&parse::purpose(name, &field)?, &field)
    };
    names.iter().enumerate().map(number).collect()
}

/// The purposes to export, sorted by name.
fn purposes<'a>(
    record: &CustomerRecord,
    wanted: BTreeSet<PurposeNumber>,
    view: &'a CatalogueView,
) -> Vec<&'a Purpose> {
    let recorded = || record.grounds.keys().map(|(number, _)| *number).collect();
    let numbers = if wanted.is_empty() { recorded() } else { wanted };
    let found = |number| view.catalogue.purpose(number).map(|found| &**found);
    let mut found: Vec<&Purpose> = numbers.into_iter().filter_map(found).collect();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    found
}

/// The input of a document.
#[derive(Debug)]
struct Exported<'a> {
    customer: CustomerId,
    /// Only the grounds and the region. Restriction and legal hold are left out: they do not change what was decided, and
    /// the data subject may not be told about a hold.
    record: CustomerRecord,
    past: PastConsents,
    purposes: Vec<&'a Purpose>,
    catalogue: &'a Catalogue,
    controller: &'a ControllerConfig,
    now: TimestampMs,
}

impl<'a> Exported<'a> {
    fn new(
        customer: CustomerId,
        record: &CustomerRecord,
        purposes: Vec<&'a Purpose>,
        catalogue: &'a Catalogue,
        controller: &'a ControllerConfig,
        now: TimestampMs,
    ) -> Self {
        let subject = DataSubject { restriction: None, legal_hold: None, ..record.subject.clone() };
        let record = CustomerRecord { grounds: record.grounds.clone(), subject, ..CustomerRecord::new(now) };
        Self { customer, record, past: PastConsents::new(), purposes, catalogue, controller, now }
    }

    /// The grounds recorded for a purpose, by basis, with the law's current verdicts.
    fn grounds(&self, purpose: &'a Purpose) -> impl Iterator<Item = Ground<'_>> {
        LawfulBasis::ALL.into_iter().filter_map(move |basis| {
            let state = self.record.ground(purpose.number, basis)?;
            let law = Permission::for_basis(
                purpose,
                basis,
                Reader::Controller,
                &self.record,
                self.catalogue,
                self.now,
            );
            Some(Ground { basis, state, verdict: law.verdict() })
        })
    }

    /// The states of consent to a purpose before the recorded one, in the order in which they were recorded.
    fn earlier_consents(&self, purpose: &Purpose) -> &[GroundState] {
        let states = self.past.get(&purpose.number).map_or(&[][..], Vec::as_slice);
        states.split_last().map_or(&[], |(_recorded, earlier)| earlier)
    }

    /// When consent to a purpose was last given, in force or not; none if it never was.
    fn consented_at(&self, purpose: &Purpose) -> Option<TimestampMs> {
        let recorded = self.record.ground(purpose.number, LawfulBasis::Consent);
        let states = self.earlier_consents(purpose).iter().chain(recorded);
        states.filter(|state| state.status == GroundStatus::Given).map(|state| state.decided_at).max()
    }

    /// The categories of data that a purpose may use, and whether each has sensitive data. An attribute without a category
    /// is a category of its own.
    fn data<'b>(&'b self, purpose: &'b Purpose) -> BTreeMap<&'b str, bool> {
        let stated = purpose.data_categories.iter().map(|category| (category.as_str(), false));
        let mut found: BTreeMap<&str, bool> = stated.collect();
        for attribute in self.catalogue.attributes().filter(|attribute| attribute.allows(purpose.number)) {
            let category = attribute.data_category.as_ref();
            let may_be_used = purpose.data_categories.is_empty()
                || category.is_some_and(|category| purpose.data_categories.contains(category));
            if may_be_used && attribute.classification != Classification::Anonymous {
                let name = category.map_or(attribute.name.as_str(), |category| category.as_str());
                *found.entry(name).or_default() |= attribute.classification == Classification::Sensitive;
            }
        }
        found
    }

    /// The recipients that may read for a purpose.
    fn recipients(&self, purpose: &Purpose) -> impl Iterator<Item = &'a Recipient> {
        let recipients = self.catalogue.recipients().map(|recipient| &**recipient);
        recipients.filter(|recipient| Reader::Registered(recipient).refused(purpose).is_none())
    }

    /// The jurisdictions that apply to the data subject, each once.
    fn jurisdictions(&self) -> Vec<&'a Jurisdiction> {
        let mut found: Vec<&Jurisdiction> = Vec::new();
        for jurisdiction in self.record.subject.jurisdictions(self.catalogue) {
            if found.iter().all(|other| other.id != jurisdiction.id) {
                found.push(jurisdiction);
            }
        }
        found
    }

    /// The same id for the same customer and parts.
    fn identifier(&self, parts: &[&str]) -> Uuid {
        identifier(self.customer.as_bytes(), parts)
    }
}

/// The IRI of an entity that is not the customer: the same in all documents.
fn entity_iri(role: &str, name: &str) -> String {
    identifier(role.as_bytes(), &[name]).urn().to_string()
}

/// The same id for the same parts: a UUIDv8 (RFC 9562, section 5.8), since nothing here is random.
fn identifier(prefix: &[u8], parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new_with_prefix(prefix);
    for part in parts {
        hash.update([0]);
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}

/// A recorded ground with the law's current verdict.
#[derive(Debug)]
struct Ground<'a> {
    basis: LawfulBasis,
    state: &'a GroundState,
    verdict: Verdict,
}

/// The evidence of the decision itself. A withdrawal keeps that of the consent which it takes back.
fn evidence(state: &GroundState) -> Option<&Evidence> {
    state.evidence.as_ref().filter(|_| state.status != GroundStatus::Withdrawn)
}

/// A description of what was done to decide, and through which channel.
fn act(state: &GroundState) -> Option<String> {
    let act = evidence(state).and_then(|evidence| evidence.act).map(act_in_words);
    let channel = state.channel.as_ref().map(|channel| channel.as_str());
    match (act, channel) {
        (None, None) => None,
        (Some(act), None) => Some(act.to_owned()),
        (None, Some(channel)) => Some(format!("via {channel}")),
        (Some(act), Some(channel)) => Some(format!("{act}, via {channel}")),
    }
}

/// The notice that the data subject saw, as it is in the catalogue.
fn notice_of<'a>(purpose: &'a Purpose, state: &GroundState) -> Option<&'a Notice> {
    let version = state.notice.as_ref()?;
    purpose.notices.iter().find(|notice| notice.version == *version)
}

/// The language in which the notice was shown, otherwise the one in which it is written.
fn language_of(purpose: &Purpose, state: &GroundState) -> String {
    let shown = state.evidence.as_ref().and_then(|evidence| evidence.language.as_ref());
    let shown = shown.map(|language| language.as_str().to_owned());
    let written = || notice_of(purpose, state).map(|notice| notice.language.clone());
    shown.or_else(written).filter(|tag| !tag.is_empty()).unwrap_or_else(|| NO_LANGUAGE.to_owned())
}

const fn act_in_words(act: AffirmativeAct) -> &'static str {
    match act {
        AffirmativeAct::TickedBox => "ticked a box",
        AffirmativeAct::Clicked => "clicked a button or a switch",
        AffirmativeAct::Spoken => "said so",
        AffirmativeAct::Signed => "signed",
        AffirmativeAct::DoubleOptIn => "confirmed through a link sent to them",
        AffirmativeAct::PreTickedBox => "left a pre-ticked box ticked",
        AffirmativeAct::Silence => "said nothing",
        AffirmativeAct::ContinuedUse => "continued to use the service",
    }
}

/// A purpose's display name.
fn title(purpose: &Purpose) -> String {
    let name = if purpose.display_name.is_empty() { purpose.id.as_str() } else { &purpose.display_name };
    name.to_owned()
}

/// A text, or `NOT_STATED` if it is empty.
fn stated(text: &str) -> String {
    if text.is_empty() { NOT_STATED.to_owned() } else { text.to_owned() }
}

/// A text, or `None` if it is empty.
fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A time in ISO 8601, in UTC.
fn iso_8601(moment: TimestampMs) -> String {
    timestamp(moment).to_string()
}

#[cfg(test)]
mod tests;
