//! A small catalogue, and generators of records for it.

use std::{collections::BTreeMap, sync::LazyLock};

use custodia_profile::{
    AffirmativeAct, AttributeDefinition, AttributeFields, AttributeNumber, AttributeValue, BalancingTest,
    CallerRole, Catalogue, ChangeContext, Classification, ConsentMethod, CustomerId, CustomerRecord,
    DataSubject, Date, DecidedBy, Decision, Event, Evidence, GroundState, GroundStatus, Identifier, Label,
    LawfulBasis, LegalHold, Namespace, NamespaceKind, Notice, NoticeId, Party, PoolId, Precondition,
    Properties, Provenance, Purpose, PurposeFields, PurposeNumber, Recorder, Recording, RefusalReason,
    RequestDates, Restriction, Revision, SourceId, StoredEvent, StoredIdentifier, Text, TimestampMs, Value,
    ValueType, Verification, VerificationMethod,
};
use proptest::{collection, option, prelude::*, sample::select};

use crate::identifier::namespace_fields;

pub(crate) const NOW: TimestampMs = TimestampMs::from_ms(1_700_000_000_000);

/// By contract, else by consent.
pub(crate) const SERVICE: u32 = 1;
/// By consent, else by legitimate interests, which stand. Notices 1, 2 (asks again), 3.
pub(crate) const MARKETING: u32 = 2;
/// By a legal obligation, which stands, or a public task.
pub(crate) const TAX: u32 = 3;
/// No longer in use.
pub(crate) const OLD: u32 = 4;
/// By consent alone.
pub(crate) const RESEARCH: u32 = 5;

pub(crate) const PURPOSES: [u32; 5] = [SERVICE, MARKETING, TAX, OLD, RESEARCH];

/// No identifier is another customer's.
pub(crate) static FREE: BTreeMap<Identifier, RefusalReason> = BTreeMap::new();

pub(crate) fn customer() -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000, [7; 10], PoolId::default())
}

/// Who records what the tests record.
pub(crate) fn recorder() -> Recorder {
    Recorder { name: "dpo".parse().unwrap(), role: CallerRole::Privacy }
}

/// A change of `customer()`'s record by `recorder()`.
pub(crate) fn context(now: TimestampMs) -> ChangeContext<'static> {
    static CUSTOMER: LazyLock<CustomerId> = LazyLock::new(customer);
    context_of(&CUSTOMER, now)
}

pub(crate) fn context_of(customer: &CustomerId, now: TimestampMs) -> ChangeContext<'_> {
    static RECORDER: LazyLock<Recorder> = LazyLock::new(recorder);
    ChangeContext { customer, recorded_by: &RECORDER, now, history: &[] }
}

pub(crate) fn recorders() -> impl Strategy<Value = Recorder> {
    ("[A-Za-z0-9._-]{1,64}", select(CallerRole::ALL.to_vec()))
        .prop_map(|(name, role)| Recorder { name: name.parse().unwrap(), role })
}

pub(crate) fn purpose(number: u32) -> PurposeNumber {
    PurposeNumber::new(number).unwrap()
}

pub(crate) fn attribute(number: u32) -> AttributeNumber {
    AttributeNumber::new(number).unwrap()
}

pub(crate) fn at(ms_after_now: i64) -> TimestampMs {
    NOW.plus_ms(ms_after_now)
}

pub(crate) fn notice(version: &str) -> NoticeId {
    Label::new("version", version).unwrap()
}

pub(crate) fn label<const N: usize>(text: &str) -> Label<N> {
    Label::new("label", text).unwrap()
}

pub(crate) fn purpose_fields(number: u32, id: &str, lawful_bases: &[LawfulBasis]) -> PurposeFields {
    let notice = |version: &str, asks_again| Notice {
        version: notice(version),
        text_sha256: Some([7; 32]),
        language: "en".to_owned(),
        asks_again,
        valid_from: None,
    };
    PurposeFields {
        number: purpose(number),
        id: id.parse().unwrap(),
        display_name: id.to_owned(),
        description: "Why we keep it.".to_owned(),
        dpv: "dpv:ServiceProvision".to_owned(),
        lawful_bases: lawful_bases.to_vec(),
        jurisdiction_bases: Vec::new(),
        notices: vec![notice("1", false), notice("2", true), notice("3", false)],
        standing_bases: Vec::new(),
        data_categories: Vec::new(),
        recipients: Vec::new(),
        retention_days: 0,
        owner: "privacy office".to_owned(),
        law: "A law, Art. 1".to_owned(),
        balancing_test: Some(balancing_test()),
        sale_or_sharing: false,
        google_consent_types: Vec::new(),
        google_types_without_consent: Vec::new(),
        direct_marketing: false,
        special_use: None,
        special_category_grounds: Vec::new(),
        deprecated: false,
        revision: Revision::from_u64(1),
    }
}

pub(crate) fn balancing_test() -> BalancingTest {
    BalancingTest {
        interest: "To keep customers.".to_owned(),
        necessity: "There is no milder way.".to_owned(),
        balance: "They expect it.".to_owned(),
        reviewer: "Privacy officer".to_owned(),
        reviewed_on: "2026-01-31".parse().unwrap(),
        objection_route: "By e-mail".to_owned(),
    }
}

pub(crate) fn attribute_fields(
    number: u32,
    name: &str,
    value_type: ValueType,
    purposes: &[u32],
) -> AttributeFields {
    AttributeFields {
        number: attribute(number),
        name: name.parse().unwrap(),
        description: "What it is.".to_owned(),
        value_type,
        classification: Classification::Personal,
        purposes: purposes.iter().map(|number| purpose(*number)).collect(),
        owner: "crm".to_owned(),
        bytes_max: 16,
        data_category: None,
        unit: String::new(),
        retention_days: 0,
        mappings: Vec::new(),
        match_as: None,
        format: None,
        country_attribute: None,
        revision: Revision::from_u64(1),
    }
}

pub(crate) fn catalogue() -> Catalogue {
    static BUILT: LazyLock<Catalogue> = LazyLock::new(build_catalogue);
    BUILT.clone()
}

fn build_catalogue() -> Catalogue {
    use LawfulBasis::{Consent, Contract, LegalObligation, LegitimateInterests, PublicTask};
    let mut catalogue = Catalogue::new();
    let mut put = |fields| catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    put(purpose_fields(SERVICE, "service", &[Contract, Consent]));
    put(PurposeFields {
        standing_bases: vec![LegitimateInterests],
        ..purpose_fields(MARKETING, "marketing", &[Consent, LegitimateInterests])
    });
    put(PurposeFields {
        standing_bases: vec![LegalObligation],
        ..purpose_fields(TAX, "tax", &[LegalObligation, PublicTask])
    });
    put(PurposeFields { deprecated: true, ..purpose_fields(OLD, "old", &[Consent, Contract]) });
    put(purpose_fields(RESEARCH, "research", &[Consent]));
    let mut put = |fields| catalogue.put_attribute(AttributeDefinition::new(fields).unwrap()).unwrap();
    put(attribute_fields(1, "email", ValueType::Text, &[SERVICE, MARKETING, OLD]));
    put(attribute_fields(2, "visits", ValueType::Integer, &[SERVICE, RESEARCH]));
    put(attribute_fields(3, "segment", ValueType::Text, &[MARKETING]));
    put(attribute_fields(4, "vat_number", ValueType::Text, &[TAX]));
    catalogue
}

pub(crate) fn state(status: GroundStatus, decided_at: TimestampMs) -> GroundState {
    GroundState {
        notice: Some(notice("3")),
        method: Some(ConsentMethod::Explicit),
        ..GroundState::bare(status, decided_at, decided_at)
    }
}

pub(crate) fn record_with(grounds: &[(u32, LawfulBasis, GroundState)]) -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    for (number, basis, state) in grounds {
        record.grounds.insert((purpose(*number), *basis), state.clone());
    }
    record
}

pub(crate) fn evidence(act: AffirmativeAct) -> Evidence {
    Evidence { act: Some(act), ..Evidence::default() }
}

pub(crate) fn decision(number: u32, basis: LawfulBasis, status: GroundStatus) -> Decision {
    Decision {
        purpose: purpose(number),
        basis,
        status,
        recording: Recording::Live { answers: None },
        notice: (basis == LawfulBasis::Consent).then(|| notice("3")),
        method: (basis == LawfulBasis::Consent).then_some(ConsentMethod::Explicit),
        evidence: (basis == LawfulBasis::Consent).then(|| evidence(AffirmativeAct::Clicked)),
        bundled: false,
        collector: None,
        reference: Label::optional("reference", "contract 7").unwrap(),
        channel: None,
        decided_at: None,
        valid_from: None,
        expires_at: None,
    }
}

/// A request that names no version and was made at a moment.
pub(crate) const fn made(made_at: TimestampMs) -> Precondition {
    Precondition::Date { made_at }
}

/// A request that names the version that it read, made at a moment.
pub(crate) const fn made_on_the_version(made_at: TimestampMs) -> Precondition {
    Precondition::Version { made_at }
}

/// The same decision, imported as of its date.
pub(crate) fn imported(decision: Decision) -> Decision {
    Decision { recording: Recording::Imported, ..decision }
}

/// The same decision, made by someone who saw the record.
pub(crate) fn answering(record: &CustomerRecord, decision: Decision) -> Decision {
    Decision { recording: Recording::Live { answers: Some(record.ledger_entries) }, ..decision }
}

/// A moment around now: often one of a few, so that ties are met.
pub(crate) fn moments() -> impl Strategy<Value = TimestampMs> {
    prop_oneof![(-3_i64..=3).prop_map(at), (-1_000_000_i64..=1_000_000).prop_map(at)]
}

pub(crate) fn bases() -> impl Strategy<Value = LawfulBasis> {
    select(LawfulBasis::ALL.to_vec())
}

pub(crate) fn labels<const N: usize>() -> impl Strategy<Value = Label<N>> {
    "[a-zà-ÿ0-9 ]{1,8}".prop_map(|text| Label::new("label", &text).unwrap())
}

pub(crate) fn hashes() -> impl Strategy<Value = [u8; 32]> {
    any::<u128>().prop_map(|half| {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&half.to_le_bytes());
        hash
    })
}

pub(crate) fn evidences() -> impl Strategy<Value = Evidence> {
    let act = option::of(select(AffirmativeAct::ALL.to_vec()));
    let decided_by = select(DecidedBy::ALL.to_vec());
    (act, option::of(hashes()), option::of(labels()), decided_by, option::weighted(0.1, labels())).prop_map(
        |(act, statement_sha256, language, decided_by, incapacity)| Evidence {
            act,
            statement_sha256,
            language,
            decided_by,
            incapacity,
        },
    )
}

pub(crate) fn states() -> impl Strategy<Value = GroundState> {
    let status = select(GroundStatus::ALL.to_vec());
    let notices = option::of(select(vec!["1", "2", "3", "never published"]).prop_map(notice));
    let method = option::of(select(ConsentMethod::ALL.to_vec()));
    let texts = (option::of(labels()), option::of(labels()), option::of(labels()), option::of(any::<u8>()));
    let recorded = (moments(), option::weighted(0.2, 1_i64..1_000));
    let times = (moments(), option::weighted(0.2, moments()), option::of(moments()), recorded);
    (status, times, notices, (method, option::of(evidences())), texts).prop_map(
        |(status, times, notice, (method, evidence), texts)| GroundState {
            status,
            decided_at: times.0,
            valid_from: times.1,
            expires_at: times.2,
            notice,
            method,
            evidence,
            collector: texts.0,
            reference: texts.1,
            channel: texts.2,
            recorded_at: times.3.0,
            unbroken_since: times.3.1.map(|ms| times.3.0.plus_ms(-ms)),
            guardian_below_age: texts.3,
        },
    )
}

/// Mostly an adult at an unknown place; sometimes restricted, held, or of one or more regions.
pub(crate) fn subjects() -> impl Strategy<Value = DataSubject> {
    let regions = select(vec!["DE", "FR", "US-CA", "BR", "RU", "JP"]).prop_map(|text| text.parse().unwrap());
    let births = (-9_000_i32..=20_000).prop_map(|days| Date::from_days(days).unwrap());
    let restriction = (labels(), moments()).prop_map(|(reason, since)| Restriction { reason, since });
    let legal_hold = (labels(), moments()).prop_map(|(reference, since)| LegalHold { reference, since });
    (
        (collection::btree_set(regions, 0..3), prop::bool::weighted(0.1)),
        option::of(births),
        option::weighted(0.05, restriction),
        option::weighted(0.05, legal_hold),
        (
            option::weighted(0.2, moments()),
            option::weighted(0.2, moments()),
            option::weighted(0.2, moments()),
            option::of(moments()),
        ),
    )
        .prop_map(|((regions, region_unknown), birth_date, restriction, legal_hold, signalled)| {
            let (sale_opt_out, do_not_sell, sensitive_limit, updated_at) = signalled;
            DataSubject {
                regions,
                region_unknown,
                birth_date,
                restriction,
                legal_hold,
                sale_opt_out,
                do_not_sell,
                sensitive_limit,
                updated_at,
            }
        })
}

pub(crate) fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{0,3}".prop_map(|text| Value::text(&text).unwrap()),
        "\\PC{0,40}".prop_filter_map("control characters", |text| Value::text(&text).ok()),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter_map("not finite", |number| Value::decimal(number).ok()),
        any::<bool>().prop_map(Value::Boolean),
        (-719_162..=2_932_896_i32).prop_map(|days| Value::Date(Date::from_days(days).unwrap())),
        any::<i64>().prop_map(|ms| Value::Timestamp(TimestampMs::from_ms(ms))),
    ]
}

pub(crate) fn sources() -> impl Strategy<Value = SourceId> {
    select(vec!["crm", "shop", "web.eu"]).prop_map(|name| SourceId::new(name).unwrap())
}

pub(crate) fn provenances() -> impl Strategy<Value = Provenance> {
    let parties = select(Party::ALL.to_vec());
    (sources(), moments(), moments(), select(PURPOSES.to_vec()), bases(), parties).prop_map(
        |(source, observed_at, recorded_at, number, basis, party)| Provenance {
            source,
            observed_at,
            recorded_at,
            purpose: purpose(number),
            basis,
            party,
        },
    )
}

pub(crate) fn attribute_values() -> impl Strategy<Value = AttributeValue> {
    let original = option::of("[a-z]{1,8}").prop_map(|text| text.map(|text| Text::new(&text).unwrap()));
    (values(), original, provenances()).prop_map(|(value, original, provenance)| AttributeValue {
        value,
        original,
        provenance,
    })
}

fn identifiers() -> impl Strategy<Value = BTreeMap<Identifier, StoredIdentifier>> {
    let namespace = Namespace::new(namespace_fields("card", NamespaceKind::Text)).unwrap();
    let identifier = ("[a-z]{1,3}", "[a-z][A-Zà-ü0-9 ]{0,3}[a-z]").prop_map(move |(id, raw)| Identifier {
        namespace: id.parse().unwrap(),
        value: namespace
            .normalise(&raw.replace("  ", " "))
            .unwrap_or_else(|_| namespace.normalise("x").unwrap()),
    });
    let verification = (moments(), select(VerificationMethod::ALL.to_vec()), labels())
        .prop_map(|(at, method, reference)| Verification { at, method, reference });
    let stored = (labels(), provenances(), option::of(verification), option::of(moments())).prop_map(
        |(original, provenance, verified, bounced_at)| StoredIdentifier {
            original,
            provenance,
            verified,
            bounced_at,
        },
    );
    collection::btree_map(identifier, stored, 0..4)
}

pub(crate) fn records() -> impl Strategy<Value = CustomerRecord> {
    let numbers = (1_u32..=60).prop_map(attribute);
    let keys = (select(PURPOSES.to_vec()).prop_map(purpose), bases());
    (
        (collection::btree_map(numbers, attribute_values(), 0..12), identifiers()),
        collection::btree_map(keys, states(), 0..8),
        subjects(),
        (any::<u64>(), hashes()),
        ((moments(), moments()), [(); 4].map(|()| option::of(moments()))),
    )
        .prop_map(|((attributes, identifiers), grounds, subject, ledger, (times, requested))| {
            CustomerRecord {
                attributes,
                identifiers,
                grounds,
                subject,
                ledger_entries: ledger.0 / 2,
                ledger_head: ledger.1,
                updated_at: times.1,
                requested: RequestDates {
                    subject: requested[0],
                    preferences: requested[1],
                    tc_string: requested[2],
                    gpp_string: requested[3],
                },
                ..CustomerRecord::new(times.0)
            }
        })
}

pub(crate) fn events() -> impl Strategy<Value = Event> {
    let properties = collection::btree_map(labels(), values(), 0..4);
    (labels(), labels(), moments(), option::of(labels()), properties).prop_map(
        |(id, name, occurred_at, channel, properties)| Event {
            id,
            name,
            occurred_at,
            channel,
            properties: Properties::new(properties).unwrap(),
        },
    )
}

pub(crate) fn stored_events() -> impl Strategy<Value = StoredEvent> {
    (events(), provenances()).prop_map(|(event, provenance)| StoredEvent { event, provenance })
}

pub(crate) fn event(id: &str, occurred_at: TimestampMs) -> Event {
    Event {
        id: Label::new("id", id).unwrap(),
        name: Label::new("name", "Order Completed").unwrap(),
        occurred_at,
        channel: Label::optional("channel", "web").unwrap(),
        properties: Properties::new(BTreeMap::new()).unwrap(),
    }
}
