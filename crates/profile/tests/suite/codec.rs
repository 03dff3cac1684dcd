//! The bytes on disk: fixtures of version 1, round trips, and garbage.

use std::collections::BTreeMap;

use custodia_profile::{
    AttributeDefinition, AttributeValue, Channel, ConsentMethod, CustomerRecord, Date, GroundState,
    GroundStatus::Given, Label, LawfulBasis, LedgerBody, LedgerEntry, Party, ProfileError, Properties,
    Provenance, Purpose, PurposeFields, RequestMemory, Stored, StoredEvent, TimestampMs, Value, ValueType,
};
use proptest::{collection, prelude::*};

use crate::{
    law_codec,
    world::{
        MARKETING, NOW, SERVICE, at, attribute, attribute_fields, event, notice, purpose, purpose_fields,
        records, stored_events,
    },
};

// Written by the first release. A change here means that stored data can no longer be read.
const RECORD: &str = "\
    0108b090abfef9621080a0abfef9621803220363726d220473686f702a270a0f616461406578616d706c652e6f726738\
    0148c0f6a3fef9625080a0abfef9625801600268022a1a100d3802400148c0f6a3fef9625080a0abfef9625801600268\
    022a1f190000000000002940380348c0f6a3fef9625080a0abfef9625801600268022a1a20003804400148c0f6a3fef9\
    625080a0abfef9625801600268022a1a289bef06380548c0f6a3fef9625080a0abfef9625801600268022a1a30013806\
    400148c0f6a3fef9625080a0abfef962580160026802323808021001180120f69fabfef96228d0afabfef96232013238\
    0342066465736b20344a07666f726d203132520573746f72655880a0abfef962";
const EVENT: &str = "\
    010a076f726465722d31120f4f7264657220436f6d706c6574656418c0f6a3fef962220573746f72652a150a0f616461\
    406578616d706c652e6f72673a0270302a06100d3a0270312a0d1900000000000029403a0270322a0620003a0270332a\
    08289bef063a0270342a0630013a027035320473686f7038c0f6a3fef9624080a0abfef962480150025802";
const LEDGER_ENTRY: &str = "\
    0108021220abababababababababababababababababababababababababababababababab1a3808021001180120f69f\
    abfef96228d0afabfef962320132380342066465736b20344a07666f726d203132520573746f72655880a0abfef962";
const REQUEST_MEMORY: &str = "\
    010a210a1001890a5dac96774bbcceb302099a80571080a0abfef9621a06616e73776572";
const PURPOSE: &str = "\
    01080212046e6577731a046e657773220f576879207765206b6565702069742e2a146470763a5365727669636550726f\
    766973696f6e320201063a290a0131122007070707070707070707070707070707070707070707070707070707070707\
    071a02656e3a2b0a0132122007070707070707070707070707070707070707070707070707070707070707071a02656e\
    20013a290a0133122007070707070707070707070707070707070707070707070707070707070707071a02656e420106\
    48015001";
const ATTRIBUTE: &str = "\
    0108ac021205656d61696c1a0b576861742069742069732e20012803320201023a0363726d40104801";

fn provenance(source: &str) -> Provenance {
    Provenance {
        source: source.parse().unwrap(),
        observed_at: at(-60_000),
        recorded_at: NOW,
        purpose: purpose(SERVICE),
        basis: LawfulBasis::Contract,
        party: Party::Second,
    }
}

fn ground() -> GroundState {
    GroundState {
        expires_at: Some(at(1_000)),
        notice: Some(notice("2")),
        method: Some(ConsentMethod::OptOut),
        collector: Label::optional("collector", "desk 4").unwrap(),
        reference: Label::optional("reference", "form 12").unwrap(),
        channel: Label::optional("channel", "store").unwrap(),
        ..GroundState::bare(Given, at(-5), NOW)
    }
}

fn each_value() -> Vec<Value> {
    vec![
        Value::text("ada@example.org").unwrap(),
        Value::Integer(-7),
        Value::decimal(12.5).unwrap(),
        Value::Boolean(false),
        Value::Date("1815-12-10".parse::<Date>().unwrap()),
        Value::Timestamp(TimestampMs::from_ms(-1)),
    ]
}

fn record() -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    for (number, value) in (1..).zip(each_value()) {
        let provenance = provenance(if number % 2 == 0 { "shop" } else { "crm" });
        record.attributes.insert(attribute(number), AttributeValue { value, provenance });
    }
    record.grounds.insert((purpose(MARKETING), LawfulBasis::Consent), ground());
    record.ledger_entries = 3;
    record.updated_at = NOW;
    record
}

fn stored_event() -> StoredEvent {
    let named = |(at, value): (usize, Value)| (Label::new("name", &format!("p{at}")).unwrap(), value);
    let properties: BTreeMap<_, _> = each_value().into_iter().enumerate().map(named).collect();
    let mut event = event("order-1", at(-60_000));
    event.channel = Some(Channel::new("channel", "store").unwrap());
    event.properties = Properties::new(properties).unwrap();
    StoredEvent { event, provenance: provenance("shop") }
}

fn ledger_entry() -> LedgerEntry {
    let body = LedgerBody::Ground {
        purpose: purpose(MARKETING),
        purpose_id: None,
        basis: LawfulBasis::Consent,
        state: ground(),
    };
    LedgerEntry { sequence: 2, previous: [0xab; 32], recorded_at: NOW, body }
}

fn request_memory() -> RequestMemory {
    let mut memory = RequestMemory::default();
    memory.remember("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(), NOW, b"answer".to_vec());
    memory
}

/// As it was written before a basis needed a reason: what is new is absent.
fn a_purpose() -> Purpose {
    Purpose::decode(&unhex(PURPOSE)).unwrap()
}

fn an_attribute() -> AttributeDefinition {
    AttributeDefinition::new(attribute_fields(300, "email", ValueType::Text, &[1, 2])).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// What version 1 wrote is read for ever, and is still what is written.
pub(crate) fn holds<T: Stored + PartialEq + std::fmt::Debug>(value: &T, fixture: &str) {
    assert_eq!(hex(&value.encode()), fixture);
    assert_eq!(T::decode(&unhex(fixture)).as_ref(), Ok(value));
}

#[test]
fn version_1_of_a_record_is_read() {
    holds(&record(), RECORD);
}

#[test]
fn version_1_of_an_event_is_read() {
    holds(&stored_event(), EVENT);
}

#[test]
fn version_1_of_a_ledger_entry_is_read() {
    holds(&ledger_entry(), LEDGER_ENTRY);
}

#[test]
fn version_1_of_a_request_memory_is_read() {
    holds(&request_memory(), REQUEST_MEMORY);
}

#[test]
fn version_1_of_a_purpose_is_read() {
    let bases = [LawfulBasis::Consent, LawfulBasis::LegitimateInterests];
    let fields = PurposeFields {
        standing_bases: vec![LawfulBasis::LegitimateInterests],
        owner: String::new(),
        law: String::new(),
        balancing_test: None,
        deprecated: true,
        ..purpose_fields(2, "news", &bases)
    };
    assert_eq!(*a_purpose(), fields);
    holds(&a_purpose(), PURPOSE);
    let refused = Purpose::new(fields).unwrap_err();
    assert_eq!(
        refused,
        ProfileError::Empty { field: "purpose.balancing_test" },
        "a new one needs its reasons"
    );
}

#[test]
fn version_1_of_an_attribute_is_read() {
    holds(&an_attribute(), ATTRIBUTE);
}

/// Whatever the bytes are: a value or an error.
fn never_panics(bytes: &[u8]) {
    fn try_as<T: Stored + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(value) = T::decode(bytes) {
            assert_eq!(T::decode(&value.encode()), Ok(value), "what can be read can be written");
        }
    }
    try_as::<CustomerRecord>(bytes);
    try_as::<StoredEvent>(bytes);
    try_as::<LedgerEntry>(bytes);
    try_as::<RequestMemory>(bytes);
    try_as::<Purpose>(bytes);
    try_as::<AttributeDefinition>(bytes);
}

fn encodings() -> Vec<Vec<u8>> {
    let mut encodings = vec![
        record().encode(),
        stored_event().encode(),
        ledger_entry().encode(),
        request_memory().encode(),
        a_purpose().encode(),
        an_attribute().encode(),
        law_codec::record().encode(),
    ];
    encodings.extend(law_codec::entries().map(|entry| entry.encode()));
    encodings
}

#[test]
fn a_newer_version_is_its_own_error() {
    let mut bytes = record().encode();
    bytes[0] = 2;
    let expected = ProfileError::NewerVersion { kind: "record", found: 2, newest: 1 };
    assert_eq!(CustomerRecord::decode(&bytes), Err(expected));
    bytes[0] = 0;
    let expected = ProfileError::CorruptField { kind: "record", field: "format version" };
    assert_eq!(CustomerRecord::decode(&bytes), Err(expected.clone()));
    assert_eq!(CustomerRecord::decode(&[]), Err(expected));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    for bytes in encodings() {
        for at in 0..bytes.len() {
            never_panics(&bytes[..at]);
            for flip in [0x01, 0x80, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] ^= flip;
                never_panics(&flipped);
            }
        }
    }
}

#[test]
fn errors_of_stored_data_are_told_from_those_of_callers() {
    let error = CustomerRecord::decode(&[1, 0xff]).unwrap_err();
    assert!(error.is_stored_data());
    assert_eq!(error.to_string(), "stored record cannot be read");
}

#[test]
fn a_record_of_twenty_attributes_stays_near_a_kilobyte() {
    let mut record = CustomerRecord::new(NOW);
    for number in 1..=20 {
        let value = Value::text("about sixteen by").unwrap();
        record.attributes.insert(attribute(number), AttributeValue { value, provenance: provenance("crm") });
    }
    let bytes = record.encode().len();
    assert!(bytes < 1_024, "{bytes}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_event_round_trips(event in stored_events()) {
        prop_assert_eq!(StoredEvent::decode(&event.encode()), Ok(event));
    }

    #[test]
    fn every_request_memory_round_trips(requests in collection::vec((1_u128.., collection::vec(any::<u8>(), 0..20)), 0..80)) {
        let mut memory = RequestMemory::default();
        for (id, answer) in requests {
            memory.remember(format!("{id:032x}").parse().unwrap(), NOW, answer);
        }
        prop_assert_eq!(RequestMemory::decode(&memory.encode()), Ok(memory));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(mut bytes in collection::vec(any::<u8>(), 0..200), versioned: bool) {
        if let (true, Some(first)) = (versioned, bytes.first_mut()) {
            *first = 1;
        }
        never_panics(&bytes);
    }

    #[test]
    fn a_record_with_a_damaged_stretch_is_survived(record in records(), from: prop::sample::Index, noise in collection::vec(any::<u8>(), 1..8)) {
        let mut bytes = record.encode();
        let from = from.index(bytes.len());
        for (byte, noise) in bytes.iter_mut().skip(from).zip(noise) {
            *byte = noise;
        }
        never_panics(&bytes);
    }
}
