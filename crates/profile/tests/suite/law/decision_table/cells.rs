//! The words of the decision table: what each cell says, or why it says nothing.

use std::str::FromStr;

use custodia_profile::{
    AffirmativeAct, ConsentMethod, CustomerRecord, Date, DecidedBy, Evidence, GroundOrigin, GroundState,
    GroundStatus, JurisdictionBases, Label, LawfulBasis, LegalHold, Notice, PurposeFields, Recipient,
    RecipientFields, RefusalReason, Restriction, Revision, SpecialCategoryGround, SpecialUse, TimestampMs,
    Verdict,
};

use crate::world::{notice, purpose, purpose_fields, state};

/// The purpose that is asked for, and another one.
pub(super) const ASKED: u32 = 1;
pub(super) const OTHER: u32 = 2;
/// Stands for no entry of the catalogue.
pub(super) const UNKNOWN: u32 = 99;

pub(super) type Parsed<T> = Result<T, String>;

pub(super) struct Asked {
    pub(super) thing: Thing,
    pub(super) basis: Option<LawfulBasis>,
    pub(super) observed_at: Option<TimestampMs>,
    /// The purpose to which the consent was given by which a stored value was collected.
    pub(super) collected_for: Option<u32>,
    pub(super) kept_days: u32,
    pub(super) now: TimestampMs,
}

pub(super) enum Thing {
    Purpose,
    Attribute { number: u32, about: Option<String> },
    Event { collected_for: u32 },
}

pub(super) fn clauses(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';').map(str::trim)
}

/// The value of a text, by the library's own parser.
pub(super) fn value<T: FromStr>(text: &str) -> Parsed<T> {
    text.parse().ok().ok_or_else(|| format!("`{text}` has not the form that it must have"))
}

pub(super) fn unknown<T>(clause: &str) -> Parsed<T> {
    Err(format!("`{clause}` says nothing that the table knows"))
}

/// A day, or a moment to the millisecond.
pub(super) fn moment(text: &str) -> Parsed<TimestampMs> {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00.000Z"));
    let day: Date = value(day)?;
    let pattern = "hh:mm:ss.mmmZ";
    let fits = time.len() == pattern.len()
        && time.bytes().zip(pattern.bytes()).all(|(byte, form)| match form {
            b'h' | b'm' | b's' => byte.is_ascii_digit(),
            _ => byte == form,
        });
    if !fits {
        return Err(format!("`{text}` is no moment"));
    }
    let digits = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let seconds = (digits(0, 2) * 60 + digits(3, 5)) * 60 + digits(6, 8);
    Ok(TimestampMs::from_ms(i64::from(day.as_days()) * 86_400_000 + seconds * 1_000 + digits(9, 12)))
}

fn days(text: &str) -> Parsed<u32> {
    let number = text.strip_suffix(" days").and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("`{text}` is no number of days"))
}

const BASES: [(&str, LawfulBasis); 6] = [
    ("consent", LawfulBasis::Consent),
    ("contract", LawfulBasis::Contract),
    ("legal obligation", LawfulBasis::LegalObligation),
    ("vital interests", LawfulBasis::VitalInterests),
    ("public task", LawfulBasis::PublicTask),
    ("legitimate interests", LawfulBasis::LegitimateInterests),
];

pub(super) fn basis_name(basis: LawfulBasis) -> &'static str {
    BASES.into_iter().find(|(_, of)| *of == basis).unwrap().0
}

/// The basis with which a text begins, and what follows.
pub(super) fn basis(text: &str) -> Parsed<(LawfulBasis, &str)> {
    let found = BASES.into_iter().find_map(|(name, basis)| Some((basis, text.strip_prefix(name)?)));
    found.ok_or_else(|| format!("`{text}` begins with no lawful basis"))
}

fn whole_basis(text: &str) -> Parsed<LawfulBasis> {
    match basis(text)? {
        (basis, "") => Ok(basis),
        _ => unknown(text),
    }
}

fn status(text: &str) -> Parsed<(GroundStatus, &str)> {
    let names = [
        ("given", GroundStatus::Given),
        ("refused", GroundStatus::Refused),
        ("withdrawn", GroundStatus::Withdrawn),
        ("requested", GroundStatus::Requested),
        ("revoked", GroundStatus::Revoked),
        ("invalidated", GroundStatus::Invalidated),
    ];
    let found = names.into_iter().find_map(|(name, status)| Some((status, text.strip_prefix(name)?)));
    found.ok_or_else(|| format!("`{text}` begins with no status"))
}

/// `consent given on notice 1 by a guardian until 2026-07-01`.
fn ground(clause: &str) -> Parsed<(u32, LawfulBasis, GroundState)> {
    let (basis, rest) = basis(clause)?;
    let (number, rest) = match rest.strip_prefix(" of another purpose") {
        Some(rest) => (OTHER, rest),
        None => (ASKED, rest),
    };
    let (status, mut rest) = status(rest.trim_start())?;
    let mut ground = GroundState {
        notice: Some(notice("2")),
        method: Some(ConsentMethod::Unambiguous),
        ..state(status, moment("2026-06-01")?)
    };
    while !rest.is_empty() {
        let word = |text: &'_ str| -> Parsed<(usize, TimestampMs)> {
            let end = text.find(' ').unwrap_or(text.len());
            Ok((end, moment(&text[..end])?))
        };
        rest = if let Some(after) = rest.strip_prefix(" on notice ") {
            let end = after.find(' ').unwrap_or(after.len());
            ground.notice = Some(notice(&after[..end]));
            &after[end..]
        } else if let Some(after) = rest.strip_prefix(" on ") {
            let (end, at) = word(after)?;
            (ground.decided_at, ground.recorded_at) = (at, at);
            &after[end..]
        } else if let Some(after) = rest.strip_prefix(" from ") {
            let (end, at) = word(after)?;
            ground.valid_from = Some(at);
            &after[end..]
        } else if let Some(after) = rest.strip_prefix(" until ") {
            let (end, at) = word(after)?;
            ground.expires_at = Some(at);
            &after[end..]
        } else if let Some(after) = rest.strip_prefix(" by a guardian") {
            ground.evidence = Some(Evidence { decided_by: DecidedBy::Guardian, ..Evidence::default() });
            after
        } else if let Some(after) = rest.strip_prefix(" with stated incapacity") {
            let incapacity = Label::new("incapacity", "order of a court").ok();
            ground.evidence = ground.evidence.map(|evidence| Evidence { incapacity, ..evidence });
            after
        } else if let Some(after) = rest.strip_prefix(" by soft opt-in") {
            ground.method = Some(ConsentMethod::SoftOptIn);
            after
        } else if let Some(after) = rest.strip_prefix(" by opt-out") {
            ground.method = Some(ConsentMethod::OptOut);
            after
        } else if let Some(after) = rest.strip_prefix(" explicitly") {
            ground.method = Some(ConsentMethod::Explicit);
            after
        } else if let Some(after) = rest.strip_prefix(" and signed") {
            ground.evidence = Some(Evidence { act: Some(AffirmativeAct::Signed), ..Evidence::default() });
            after
        } else if let Some(after) = rest.strip_prefix(" where a guardian consents below ") {
            ground.guardian_below_age = Some(value(after)?);
            ""
        } else {
            return unknown(clause);
        };
    }
    Ok((number, basis, ground))
}

pub(super) fn record(on_record: &str, customer: &str) -> Parsed<CustomerRecord> {
    let mut record = CustomerRecord::new(moment("2020-01-01")?);
    for clause in clauses(on_record).filter(|clause| *clause != "nothing") {
        let (number, basis, state) = ground(clause)?;
        if record.grounds.insert((purpose(number), basis), state).is_some() {
            return Err(format!("`{clause}` stands twice"));
        }
    }
    let since = moment("2026-06-01")?;
    let mut parts = clauses(customer);
    let regions = parts.next().unwrap_or_default();
    if regions != "no region" {
        for region in regions.split(" and ") {
            record.subject.regions.insert(value(region)?);
        }
    }
    for part in parts {
        if let Some(day) = part.strip_prefix("born ") {
            record.subject.birth_date = Some(value(day)?);
        } else if part == "restricted" {
            let reason = Label::new("reason", "accuracy contested").unwrap();
            record.subject.restriction = Some(Restriction { reason, since });
        } else if part == "on legal hold" {
            let reference = Label::new("reference", "matter 7").unwrap();
            record.subject.legal_hold = Some(LegalHold { reference, since });
        } else if let Some(day) = part.strip_prefix("GPC on ") {
            record.subject.sale_opt_out = Some(moment(day)?);
        } else if let Some(day) = part.strip_prefix("do not sell on ") {
            record.subject.do_not_sell = Some(moment(day)?);
        } else if let Some(day) = part.strip_prefix("limits sensitive use on ") {
            record.subject.sensitive_limit = Some(moment(day)?);
        } else {
            return unknown(part);
        }
    }
    Ok(record)
}

/// `consent, standing legitimate interests; sale; in eu contract; on Art. 9(2)(b); kept 30 days`.
pub(super) fn purpose_of(cell: &str) -> Parsed<Option<PurposeFields>> {
    if cell == "not in the catalogue" {
        return Ok(None);
    }
    let mut fields = purpose_fields(ASKED, "asked", &[]);
    fields.notices.truncate(2);
    let mut parts = clauses(cell);
    for name in parts.next().unwrap_or_default().split(", ") {
        let (standing, name) = match name.strip_prefix("standing ") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let basis = whole_basis(name)?;
        fields.lawful_bases.push(basis);
        fields.standing_bases.extend(standing.then_some(basis));
    }
    for part in parts {
        if part == "deprecated" {
            fields.deprecated = true;
        } else if part == "sale" {
            fields.sale_or_sharing = true;
        } else if part == "direct marketing" {
            fields.direct_marketing = true;
        } else if part == "for data subjects' rights" {
            fields.special_use = Some(SpecialUse::DataSubjectRights);
        } else if part == "for legal claims" {
            fields.special_use = Some(SpecialUse::LegalClaims);
        } else if let Some(letter) = part.strip_prefix("on Art. 9(2)") {
            let named = |ground: &SpecialCategoryGround| format!("({})", ground.name()) == letter;
            let ground = SpecialCategoryGround::ALL.into_iter().find(named).ok_or("no such letter")?;
            fields.special_category_grounds.push(ground);
        } else if let Some(kept) = part.strip_prefix("kept ") {
            fields.retention_days = days(kept)?;
        } else if let Some(category) = part.strip_prefix("data about ") {
            fields.data_categories = vec![value(category)?];
        } else if let Some(name) = part.strip_prefix("for ").and_then(|rest| rest.strip_suffix(" alone")) {
            fields.recipients = vec![value(name)?];
        } else if let Some(day) = part.strip_prefix("notice 3 asks again from ") {
            let valid_from = Some(moment(day)?);
            let last = fields.notices.last().cloned().unwrap();
            fields.notices.push(Notice { version: notice("3"), asks_again: true, valid_from, ..last });
        } else if let Some((id, bases)) = part.strip_prefix("in ").and_then(|rest| rest.split_once(' ')) {
            let jurisdiction = value(id)?;
            let names = bases.split(", ").filter(|name| *name != "nothing");
            let lawful_bases = names.map(whole_basis).collect::<Parsed<_>>()?;
            fields.jurisdiction_bases.push(JurisdictionBases { jurisdiction, lawful_bases });
        } else {
            return unknown(part);
        }
    }
    Ok(Some(fields))
}

pub(super) fn asked_for(cell: &str) -> Parsed<Asked> {
    let attribute = |number| Thing::Attribute { number, about: None };
    let mut parts = clauses(cell);
    let thing = match parts.next().unwrap_or_default() {
        "the purpose" => Thing::Purpose,
        "an attribute" => attribute(1),
        "an attribute of another purpose" => attribute(2),
        "a sensitive attribute" => attribute(3),
        "an unknown attribute" => attribute(UNKNOWN),
        "an event" => Thing::Event { collected_for: ASKED },
        "an event of another purpose" => Thing::Event { collected_for: OTHER },
        text => match text.strip_prefix("an attribute about ") {
            Some(category) => Thing::Attribute { number: 1, about: Some(category.to_owned()) },
            None => return unknown(text),
        },
    };
    let now = moment("2026-06-15T12:00:00.000Z")?;
    let mut asked = Asked { thing, basis: None, observed_at: None, collected_for: None, kept_days: 0, now };
    for part in parts {
        if let Some(name) = part.strip_prefix("by ") {
            asked.basis = Some(whole_basis(name)?);
        } else if let Some(at) = part.strip_prefix("at ") {
            asked.now = moment(at)?;
        } else if let Some(at) = part.strip_prefix("observed ") {
            asked.observed_at = Some(moment(at)?);
        } else if part == "collected by consent" {
            asked.collected_for = Some(ASKED);
        } else if part == "collected by consent to another purpose" {
            asked.collected_for = Some(OTHER);
        } else if let Some(kept) = part.strip_prefix("kept ") {
            asked.kept_days = days(kept)?;
        } else {
            return unknown(part);
        }
    }
    Ok(asked)
}

pub(super) fn reader(cell: &str) -> Parsed<(bool, Option<Recipient>)> {
    let recipient = |purposes: &[u32], suspended| {
        let fields = RecipientFields {
            id: "desk".parse().unwrap(),
            display_name: "Agent desktop".to_owned(),
            description: String::new(),
            owner: "service".to_owned(),
            purposes: purposes.iter().map(|number| purpose(*number)).collect(),
            collection_purposes: Vec::new(),
            third_party: false,
            suspended,
            revision: Revision::from_u64(1),
        };
        Ok((true, Some(Recipient::new(fields).unwrap())))
    };
    match cell {
        "the controller" => Ok((true, None)),
        "an unregistered caller" => Ok((false, None)),
        "a registered application" => recipient(&[ASKED, OTHER], false),
        "an application for other purposes" => recipient(&[OTHER], false),
        "a suspended application" => recipient(&[ASKED, OTHER], true),
        _ => unknown(cell),
    }
}

/// The reason, and in brackets where the law says so.
pub(super) fn expected(decision: &str, because: &str) -> Parsed<Verdict> {
    let because = match because.split_once(" (") {
        Some((because, source)) if source.ends_with(')') => because,
        Some(_) => return unknown(because),
        None => because,
    };
    let said = |reason: &RefusalReason| reason.name().to_lowercase().replace('_', " ") == because;
    match decision {
        "refuse" => RefusalReason::ALL
            .into_iter()
            .find(said)
            .map(Verdict::Refuse)
            .map_or_else(|| unknown(because), Ok),
        "permit" => {
            let mut parts = clauses(because);
            let (ground, origin) = basis(parts.next().unwrap_or_default())?;
            let origin = match origin {
                ", recorded" => GroundOrigin::Recorded,
                ", standing" => GroundOrigin::Standing,
                ", not opted out" => GroundOrigin::NotOptedOut,
                _ => return unknown(because),
            };
            let until = match parts.next() {
                Some(text) => Some(moment(text.strip_prefix("until ").ok_or("a permit may say `until`")?)?),
                None => None,
            };
            if parts.next().is_some() {
                unknown(because)
            } else {
                Ok(Verdict::Permit { ground, origin, until })
            }
        }
        _ => unknown(decision),
    }
}
