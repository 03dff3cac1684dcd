//! The decision table of docs/consent.md, row by row: what the privacy office reads is what the law does.

mod cells;
mod contacts;

use std::collections::{BTreeMap, BTreeSet};

use cells::{
    ASKED, Asked, OTHER, Parsed, Thing, UNKNOWN, asked_for, basis_name, expected, purpose_of, reader, record,
    value,
};
use custodia_profile::{
    AttributeDefinition, AttributeFields, Catalogue, ChannelKind, Classification, ConsentModel,
    CustomerRecord, DayOfWeek, GroundOrigin, Jurisdiction, LawfulBasis, NoContactHours, Party, Permission,
    Provenance, Purpose, PurposeFields, Reader, Recipient, RefusalReason, Region, SensitiveConsent,
    StoredEvent, ValueType, Verdict,
};

use super::question::{DecisionRequest, Subject, decide};
use crate::world::{attribute, attribute_fields, event, purpose, purpose_fields};

const PAGE: &str = include_str!("../../../../../docs/consent.md");
const HEADER: &str = "| No. | On record | Customer | Purpose allows | Asked for | By | Decision | Because |";
/// The same, with the source of each row, which the test does not read.
const OF_JURISDICTIONS: &str =
    "| No. | On record | Customer | Purpose allows | Asked for | By | Decision | Because | Source |";
const ROWS_MIN: usize = 30;

/// One row, ready to be decided.
struct Row {
    catalogue: Catalogue,
    record: CustomerRecord,
    purpose: u32,
    asked: Asked,
    reader: Option<Recipient>,
    registered: bool,
    expected: Verdict,
}

fn catalogue(asked: &Asked, fields: Option<PurposeFields>) -> Parsed<Catalogue> {
    let mut catalogue = Catalogue::new();
    let number = if fields.is_some() { ASKED } else { OTHER };
    let other = purpose_fields(OTHER, "other", &[LawfulBasis::Consent]);
    for fields in fields.into_iter().chain([other]) {
        let purpose = Purpose::new(fields).map_err(|error| error.to_string())?;
        catalogue.put_purpose(purpose).map_err(|error| error.to_string())?;
    }
    let about = match &asked.thing {
        Thing::Attribute { about: Some(category), .. } => Some(value(category)?),
        Thing::Attribute { .. } | Thing::Event { .. } | Thing::Purpose => None,
    };
    let plain = AttributeFields {
        data_category: about,
        retention_days: asked.kept_days,
        ..attribute_fields(1, "plain", ValueType::Text, &[number])
    };
    let sensitive = AttributeFields {
        classification: Classification::Sensitive,
        ..attribute_fields(3, "sensitive", ValueType::Text, &[number])
    };
    for fields in [plain, attribute_fields(2, "elsewhere", ValueType::Text, &[OTHER]), sensitive] {
        catalogue
            .put_attribute(AttributeDefinition::new(fields).map_err(|error| error.to_string())?)
            .unwrap();
    }
    Ok(catalogue)
}

fn row(line: &str) -> Parsed<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [_, on_record, customer, purpose_allows, asked, by, decision, because, source @ ..] =
        cells.as_slice()
    else {
        return Err(format!("{} cells", cells.len()));
    };
    if source.len() > 1 || source == [""] {
        return Err("a row has one source at most".to_owned());
    }
    let asked = asked_for(asked)?;
    let fields = purpose_of(purpose_allows)?;
    let (registered, reader) = reader(by)?;
    Ok(Row {
        purpose: if fields.is_some() { ASKED } else { UNKNOWN },
        catalogue: catalogue(&asked, fields)?,
        record: record(on_record, customer)?,
        asked,
        reader,
        registered,
        expected: expected(decision, because)?,
    })
}

impl Row {
    fn reader(&self) -> Reader<'_> {
        match &self.reader {
            Some(recipient) => Reader::Registered(recipient),
            None if self.registered => Reader::Controller,
            None => Reader::Unregistered,
        }
    }

    fn decided(&self) -> Verdict {
        let Asked { thing, basis, observed_at, collected_for, now, .. } = &self.asked;
        if let (Some(basis), Some(purpose)) = (basis, self.catalogue.purpose(purpose(self.purpose))) {
            return Permission::for_basis(
                purpose,
                *basis,
                self.reader(),
                &self.record,
                &self.catalogue,
                *now,
            )
            .verdict();
        }
        let stored = |collected_for| StoredEvent {
            event: event("1", observed_at.unwrap_or(*now)),
            provenance: Provenance {
                source: "shop".parse().unwrap(),
                observed_at: observed_at.unwrap_or(*now),
                recorded_at: *now,
                purpose: purpose(collected_for),
                basis: LawfulBasis::Consent,
                party: Party::First,
            },
        };
        let kept;
        let subject = match thing {
            Thing::Purpose => Subject::Purpose,
            Thing::Attribute { number, .. } if collected_for.is_some() => {
                kept = stored(collected_for.unwrap());
                Subject::Value { number: attribute(*number), provenance: &kept.provenance }
            }
            Thing::Attribute { number, .. } => {
                Subject::Attribute { number: attribute(*number), observed_at: *observed_at }
            }
            Thing::Event { collected_for } => {
                kept = stored(*collected_for);
                Subject::Event(&kept)
            }
        };
        let question =
            DecisionRequest { purpose: purpose(self.purpose), subject, reader: self.reader(), now: *now };
        decide(&question, &self.record, &self.catalogue)
    }
}

/// The rows of the table with this header.
fn table(header: &str) -> Vec<&'static str> {
    let mut lines = PAGE.lines().skip_while(|line| *line != header).skip(1);
    assert!(lines.next().is_some_and(|line| line.starts_with("|---")), "the table stands in docs/consent.md");
    lines.take_while(|line| line.starts_with('|')).collect()
}

fn lines() -> Vec<&'static str> {
    [table(HEADER), table(OF_JURISDICTIONS)].concat()
}

/// `Sa Su 00:00-00:00 in FR for text message, call`.
fn no_contact(of: &NoContactHours) -> String {
    let NoContactHours { hours, regions, kinds: of_kinds } = of;
    let day = |day: &DayOfWeek| format!("{day:?}").chars().take(2).collect::<String>();
    let days: Vec<_> = hours.days.iter().map(day).collect();
    let separator = if days.is_empty() { "" } else { " " };
    let regions: Vec<_> = regions.iter().map(|region| format!(" {region}")).collect();
    let within = if regions.is_empty() { String::new() } else { format!(" in{}", regions.concat()) };
    let on = if of_kinds.is_empty() { String::new() } else { format!(" for {}", kinds(of_kinds)) };
    format!("{}{separator}{}-{}{within}{on}", days.join(" "), hours.begins, hours.ends)
}

/// `electronic mail, call`.
fn kinds(kinds: &[ChannelKind]) -> String {
    let words = |kind: &ChannelKind| {
        let lower = |letter: char| {
            if letter.is_uppercase() { format!(" {}", letter.to_lowercase()) } else { letter.into() }
        };
        format!("{kind:?}").chars().map(lower).collect::<String>().trim().to_owned()
    };
    if kinds.is_empty() { "-".to_owned() } else { kinds.iter().map(words).collect::<Vec<_>>().join(", ") }
}

/// What the page says about a jurisdiction.
fn jurisdiction_row(jurisdiction: &Jurisdiction) -> String {
    let regions: Vec<_> = jurisdiction.regions.iter().map(Region::as_str).collect();
    let model = match jurisdiction.consent_model {
        ConsentModel::OptIn => "opt-in",
        ConsentModel::OptOut => "opt-out",
    };
    let age = |years: u8| if years == 0 { "-".to_owned() } else { years.to_string() };
    let mut ages: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for regional in &jurisdiction.regional_ages {
        ages.entry(regional.guardian_below_age).or_default().push(regional.region.as_str());
    }
    let ages = ages.into_iter().map(|(years, regions)| format!("; {years} in {}", regions.join(" ")));
    let unknown = LawfulBasis::ALL.into_iter().filter(|basis| !jurisdiction.knows(*basis)).map(basis_name);
    let form = match jurisdiction.sensitive_consent {
        SensitiveConsent::NotRefused => "",
        SensitiveConsent::OptIn => "opt-in ",
        SensitiveConsent::Explicit => "explicit ",
        SensitiveConsent::Signed => "signed ",
    };
    let sensitive = jurisdiction.sensitive_bases.iter().map(|basis| {
        format!("{}{}", if *basis == LawfulBasis::Consent { form } else { "" }, basis_name(*basis))
    });
    let by_letter =
        if jurisdiction.sensitive_needs_ground { "; but for consent on a ground of Art. 9(2)" } else { "" };
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let cells = [
        jurisdiction.id.to_string(),
        or_dash(regions.join(" ")),
        format!("{model}{}", if jurisdiction.honours_gpc { ", GPC" } else { "" }),
        age(jurisdiction.opt_in_below_age),
        age(jurisdiction.sale_forbidden_below_age),
        age(jurisdiction.guardian_below_age) + &ages.collect::<String>(),
        or_dash(unknown.collect::<Vec<_>>().join(", ")),
        sensitive.collect::<Vec<_>>().join(", ") + by_letter,
        jurisdiction.no_contact_hours.iter().map(no_contact).collect::<Vec<_>>().join("; "),
        kinds(&jurisdiction.consent_channels),
        kinds(&jurisdiction.soft_opt_in_channels),
        jurisdiction.law.strip_suffix(" A starting point for counsel.").unwrap().to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

/// CO-9. Whoever changes one of these changes what a new cluster permits, and how a decision
/// of the past is replayed.
#[test]
fn the_page_shows_the_built_in_jurisdictions_as_they_are() {
    let catalogue = Catalogue::new();
    let expected: Vec<_> = catalogue.jurisdictions().map(|of| jurisdiction_row(of)).collect();
    let shown: Vec<_> =
        PAGE.lines().skip_while(|line| !line.starts_with("| Name | Regions |")).skip(2).collect();
    let shown: Vec<_> = shown.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(shown, expected, "the page must show:\n{}", expected.join("\n"));
}

/// The reasons that a decision can give. The match has no wildcard, so that a new reason is put on one side or the
/// other.
pub(crate) fn reasons_of_a_decision() -> BTreeSet<RefusalReason> {
    use RefusalReason as R;
    let of_a_decision = |reason: &RefusalReason| match reason {
        R::NoGround
        | R::ConsentRefused
        | R::ConsentWithdrawn
        | R::ConsentExpired
        | R::NoticeOutdated
        | R::PurposeNotAllowed
        | R::BasisNotAllowed
        | R::UnknownAttribute
        | R::PurposeDeprecated
        | R::ConsentRequested
        | R::ConsentRevoked
        | R::ConsentInvalidated
        | R::Objected
        | R::GroundNotYetValid
        | R::ProcessingRestricted
        | R::GuardianConsentNeeded
        | R::ExplicitConsentNeeded
        | R::CategoryNotAllowed
        | R::RecipientNotRegistered
        | R::RecipientNotAllowed
        | R::RetentionPassed
        | R::UnknownPurpose
        | R::SensitiveLimited
        | R::ConsentReliedOn
        | R::GuardianNotEntitled
        | R::SignedConsentNeeded
        | R::SaleForbiddenBelowAge => true,
        R::LegalHold
        | R::WrongType
        | R::ValueTooLong
        | R::InvalidFormat
        | R::ObservedInFuture
        | R::ObservedBeforeStored
        | R::Unreadable
        | R::EventIdReused
        | R::PreTicked
        | R::Bundled
        | R::Silence
        | R::OptOutNotAllowed
        | R::IllegalTransition
        | R::ChannelNotAllowed
        | R::TopicNotWanted
        | R::QuietHours
        | R::FrequencyCap
        | R::UnknownChannel
        | R::CallingHours
        | R::TimeZoneUnknown
        | R::MarketingConsentNeeded
        | R::UnknownNamespace
        | R::IdentifierInvalid
        | R::IdentifierBlocked
        | R::IdentifierTaken
        | R::IdentifierLimit
        | R::IdentifierSharedLimit => false,
    };
    RefusalReason::ALL.into_iter().filter(of_a_decision).collect()
}

#[test]
fn every_row_of_the_table_holds() {
    let mut failed = Vec::new();
    for (header, prefix) in [(HEADER, ""), (OF_JURISDICTIONS, "J")] {
        for (position, line) in table(header).into_iter().enumerate() {
            let row = row(line).unwrap_or_else(|fault| panic!("{fault}:\n{line}"));
            if row.decided() != row.expected {
                failed.push(format!("{line}\n  is {:?}", row.decided()));
            }
            let number = format!("| {prefix}{} |", position + 1);
            assert!(line.starts_with(&number), "rows are numbered from 1: {line}");
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_reason_that_a_decision_can_give_stands_in_a_row() {
    let rows: Vec<Row> = lines().into_iter().map(|line| row(line).unwrap()).collect();
    assert!(rows.len() >= ROWS_MIN);
    let given: BTreeSet<RefusalReason> = rows.iter().filter_map(|row| row.expected.reason()).collect();
    assert_eq!(given, reasons_of_a_decision());
    for origin in GroundOrigin::ALL {
        let met = |row: &Row| matches!(row.expected, Verdict::Permit { origin: of, .. } if of == origin);
        assert!(rows.iter().any(met), "{origin:?}");
    }
    let distinct: BTreeSet<&str> =
        lines().iter().filter_map(|line| Some(line.split_once("| ")?.1.split_once(' ')?.1)).collect();
    assert_eq!(distinct.len(), rows.len(), "no row stands twice");
}

#[test]
fn a_row_that_does_not_parse_is_a_fault() {
    let good =
        "| 1 | consent given | DE | consent | the purpose | the controller | permit | consent, recorded |";
    assert!(row(good).is_ok());
    for (part, bad) in [
        ("consent given", "consent granted"),
        ("consent given", "consent given until tomorrow"),
        ("consent given", "consent given until 2026-06-15T12:00Z"),
        ("| DE |", "| Germany |"),
        ("| DE |", "| DE; aged 12 |"),
        ("| consent |", "| consents |"),
        ("| consent |", "| consent; kept long |"),
        ("the purpose", "a purpose"),
        ("the controller", "somebody"),
        ("permit", "allow"),
        ("consent, recorded", "consent"),
        ("consent, recorded", "consent, recorded (GDPR"),
        ("consent, recorded", "consent, recorded; from 2026-06-16"),
        ("| the controller |", "|"),
    ] {
        assert!(row(&good.replacen(part, bad, 1)).is_err(), "{bad}");
    }
}
