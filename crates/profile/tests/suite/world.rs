//! A small catalogue, and generators of records for it.

use std::{collections::BTreeMap, sync::LazyLock};

use custodia_profile::{
    AttributeDefinition, AttributeFields, AttributeNumber, AttributeValue, Catalogue, Classification,
    ConsentMethod, CustomerRecord, Date, Decision, Event, GroundState, GroundStatus, Label, LawfulBasis,
    Notice, NoticeId, Party, Properties, Provenance, Purpose, PurposeFields, PurposeNumber, Revision,
    SourceId, StoredEvent, TimestampMs, Value, ValueType,
};
use proptest::{collection, option, prelude::*, sample::select};

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

pub(crate) fn purpose_fields(number: u32, id: &str, lawful_bases: &[LawfulBasis]) -> PurposeFields {
    let notice = |version: &str, asks_again| Notice {
        version: notice(version),
        text_sha256: Some([7; 32]),
        language: "en".to_owned(),
        asks_again,
    };
    PurposeFields {
        number: purpose(number),
        id: id.parse().unwrap(),
        display_name: id.to_owned(),
        description: "Why we keep it.".to_owned(),
        dpv: "dpv:ServiceProvision".to_owned(),
        lawful_bases: lawful_bases.to_vec(),
        notices: vec![notice("1", false), notice("2", true), notice("3", false)],
        standing_bases: Vec::new(),
        deprecated: false,
        revision: Revision::from_u64(1),
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
        status,
        decided_at,
        expires_at: None,
        notice: Some(notice("3")),
        method: Some(ConsentMethod::Explicit),
        collector: None,
        reference: None,
        channel: None,
        recorded_at: decided_at,
    }
}

pub(crate) fn record_with(grounds: &[(u32, LawfulBasis, GroundState)]) -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    for (number, basis, state) in grounds {
        record.grounds.insert((purpose(*number), *basis), state.clone());
    }
    record
}

pub(crate) fn decision(number: u32, basis: LawfulBasis, status: GroundStatus) -> Decision {
    Decision {
        purpose: purpose(number),
        basis,
        status,
        notice: (basis == LawfulBasis::Consent).then(|| notice("3")),
        method: (basis == LawfulBasis::Consent).then_some(ConsentMethod::Explicit),
        collector: None,
        reference: Label::optional("reference", "contract 7").unwrap(),
        channel: None,
        decided_at: None,
        expires_at: None,
    }
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

pub(crate) fn states() -> impl Strategy<Value = GroundState> {
    let status = select(GroundStatus::ALL.to_vec());
    let notices = option::of(select(vec!["1", "2", "3", "never published"]).prop_map(notice));
    let method = option::of(select(ConsentMethod::ALL.to_vec()));
    let texts = (option::of(labels()), option::of(labels()), option::of(labels()));
    let times = (moments(), option::of(moments()), moments());
    (status, times, notices, method, texts).prop_map(|(status, times, notice, method, texts)| GroundState {
        status,
        decided_at: times.0,
        expires_at: times.1,
        notice,
        method,
        collector: texts.0,
        reference: texts.1,
        channel: texts.2,
        recorded_at: times.2,
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
    (values(), provenances()).prop_map(|(value, provenance)| AttributeValue { value, provenance })
}

pub(crate) fn records() -> impl Strategy<Value = CustomerRecord> {
    let numbers = (1_u32..=60).prop_map(attribute);
    let keys = (select(PURPOSES.to_vec()).prop_map(purpose), bases());
    (
        collection::btree_map(numbers, attribute_values(), 0..12),
        collection::btree_map(keys, states(), 0..8),
        any::<u64>(),
        (moments(), moments()),
    )
        .prop_map(|(attributes, grounds, ledger_entries, times)| CustomerRecord {
            attributes,
            grounds,
            ledger_entries: ledger_entries / 2,
            created_at: times.0,
            updated_at: times.1,
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
