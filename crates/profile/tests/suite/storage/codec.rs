//! The bytes on disk: fixtures of version 2, round trips, and bytes that are none of ours.

use std::collections::BTreeMap;

use custodia_profile::{
    AttributeDefinition, AttributeValue, Channel, ConsentMethod, CustomerRecord, Date, GroundState,
    GroundStatus::Given, Label, LawfulBasis, LedgerBody, LedgerEntry, Party, ProfileError, Properties,
    Provenance, RequestMemory, Stored, StoredEvent, TimestampMs, Value, ValueType,
};
use data_encoding::HEXLOWER;
use proptest::{collection, prelude::*};

use crate::{
    storage::law_codec,
    world::{
        MARKETING, NOW, SERVICE, at, attribute, attribute_fields, event, notice, purpose, recorder, records,
        stored_events,
    },
};

/// The version that this release writes.
pub(crate) const VERSION: u8 = 2;

// A change here means that stored data can no longer be read.
const RECORD: &str = "\
    0208b090abfef9621080a0abfef9621803220363726d220473686f702a270a0f616461406578616d706c652e6f726738\
    0148c0f6a3fef9625080a0abfef9625801600268022a1a100d3802400148c0f6a3fef9625080a0abfef9625801600268\
    022a1f190000000000002940380348c0f6a3fef9625080a0abfef9625801600268022a1a20003804400148c0f6a3fef9\
    625080a0abfef9625801600268022a1a289bef06380548c0f6a3fef9625080a0abfef9625801600268022a1a30013806\
    400148c0f6a3fef9625080a0abfef962580160026802323808021001180120f69fabfef96228d0afabfef96232013238\
    0342066465736b20344a07666f726d203132520573746f72655880a0abfef962";
const EVENT: &str = "\
    020a076f726465722d31120f4f7264657220436f6d706c6574656418c0f6a3fef962220573746f72652a150a0f616461\
    406578616d706c652e6f72673a0270302a06100d3a0270312a0d1900000000000029403a0270322a0620003a0270332a\
    08289bef063a0270342a0630013a027035320473686f7038c0f6a3fef9624080a0abfef962480150025802";
const LEDGER_ENTRY: &str = "\
    0208021220abababababababababababababababababababababababababababababababab1880a0abfef96222070a03\
    64706f10042a3808021001180120f69fabfef96228d0afabfef962320132380342066465736b20344a07666f726d2031\
    32520573746f72655880a0abfef96232096d61726b6574696e67";
const REQUEST_MEMORY: &str = "\
    020a210a1001890a5dac96774bbcceb302099a80571080a0abfef9621a06616e73776572";
const ATTRIBUTE: &str = "\
    0208ac021205656d61696c1a0b576861742069742069732e20012803320201023a0363726d40104801";

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
        record.attributes.insert(attribute(number), AttributeValue { value, original: None, provenance });
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
        purpose_id: "marketing".parse().unwrap(),
        basis: LawfulBasis::Consent,
        state: ground(),
    };
    LedgerEntry { sequence: 2, previous: [0xab; 32], recorded_at: NOW, recorded_by: recorder(), body }
}

fn request_memory() -> RequestMemory {
    let mut memory = RequestMemory::default();
    memory.remember("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(), NOW, b"answer".to_vec());
    memory
}

fn an_attribute() -> AttributeDefinition {
    AttributeDefinition::new(attribute_fields(300, "email", ValueType::Text, &[1, 2])).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// What was written is read for ever, and is still what is written.
pub(crate) fn holds<T: Stored + PartialEq + std::fmt::Debug>(value: &T, fixture: &str) {
    assert_eq!(hex(&value.encode()), fixture);
    assert_eq!(T::decode(&unhex(fixture)).as_ref(), Ok(value));
}

#[test]
fn version_2_of_a_record_is_read() {
    holds(&record(), RECORD);
}

#[test]
fn version_2_of_an_event_is_read() {
    holds(&stored_event(), EVENT);
}

#[test]
fn version_2_of_a_ledger_entry_is_read() {
    holds(&ledger_entry(), LEDGER_ENTRY);
}

#[test]
fn version_2_of_a_request_memory_is_read() {
    holds(&request_memory(), REQUEST_MEMORY);
}

#[test]
fn version_2_of_an_attribute_is_read() {
    holds(&an_attribute(), ATTRIBUTE);
}

/// Whatever the bytes are: a value that can be written and read again, or an error that blames the stored data.
pub(crate) fn decodes_or_blames_the_bytes<T: Stored + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    match T::decode(bytes) {
        Ok(value) => assert_eq!(T::decode(&value.encode()), Ok(value)),
        Err(error) => assert!(error.is_stored_data(), "{error}"),
    }
}

/// Bytes that do not begin with the version that this release writes.
pub(crate) fn bytes_of_another_version() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 1..200).prop_filter("this version", |bytes| bytes[0] != VERSION)
}

#[track_caller]
pub(crate) fn names_the_version<T: Stored + PartialEq + std::fmt::Debug>(kind: &'static str, bytes: &[u8]) {
    let expected = ProfileError::UnsupportedVersion { kind, found: bytes[0], supported: VERSION };
    assert_eq!(T::decode(bytes), Err(expected));
}

fn never_panics(bytes: &[u8]) {
    decodes_or_blames_the_bytes::<CustomerRecord>(bytes);
    decodes_or_blames_the_bytes::<StoredEvent>(bytes);
    decodes_or_blames_the_bytes::<LedgerEntry>(bytes);
    decodes_or_blames_the_bytes::<RequestMemory>(bytes);
    decodes_or_blames_the_bytes::<AttributeDefinition>(bytes);
}

/// Hands over every beginning of an encoding, and the whole with each byte altered.
pub(crate) fn every_cut_and_every_flip(bytes: &[u8], check: fn(&[u8])) {
    for at in 0..bytes.len() {
        check(&bytes[..at]);
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= flip;
            check(&flipped);
        }
    }
}

fn encodings() -> Vec<Vec<u8>> {
    let mut encodings = vec![
        record().encode(),
        stored_event().encode(),
        ledger_entry().encode(),
        request_memory().encode(),
        an_attribute().encode(),
        law_codec::record().encode(),
    ];
    encodings.extend(law_codec::entries().map(|entry| entry.encode()));
    encodings
}

#[test]
fn another_version_is_an_error_that_names_both() {
    let mut bytes = record().encode();
    for other in [0, 1, 3, 255] {
        bytes[0] = other;
        names_the_version::<CustomerRecord>("record", &bytes);
    }
    bytes[0] = 1;
    let error = CustomerRecord::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "stored record has format version 1; this release reads version 2 only");
    let expected = ProfileError::CorruptField { kind: "record", field: "format version" };
    assert_eq!(CustomerRecord::decode(&[]), Err(expected));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    for bytes in encodings() {
        every_cut_and_every_flip(&bytes, never_panics);
    }
}

#[test]
fn errors_of_stored_data_are_told_from_those_of_callers() {
    let error = CustomerRecord::decode(&[2, 0xff]).unwrap_err();
    assert!(error.is_stored_data());
    assert_eq!(error.to_string(), "stored record cannot be read");
}

#[test]
fn a_record_of_twenty_attributes_stays_near_a_kilobyte() {
    let mut record = CustomerRecord::new(NOW);
    for number in 1..=20 {
        let value = Value::text("about sixteen by").unwrap();
        let provenance = provenance("crm");
        record.attributes.insert(attribute(number), AttributeValue { value, original: None, provenance });
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
    fn bytes_of_another_version_are_refused(bytes in bytes_of_another_version()) {
        names_the_version::<CustomerRecord>("record", &bytes);
        names_the_version::<StoredEvent>("event", &bytes);
        names_the_version::<LedgerEntry>("ledger entry", &bytes);
        names_the_version::<RequestMemory>("request memory", &bytes);
    }

    #[test]
    fn any_bytes_of_this_version_are_a_value_or_an_error_and_never_a_panic(mut bytes in collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        never_panics(&bytes);
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error(bytes in collection::vec(any::<u8>(), 0..200)) {
        // Tag 0 does not exist in protobuf.
        let bytes: Vec<u8> = [VERSION, 0].into_iter().chain(bytes).collect();
        let blames = |error: Option<ProfileError>| matches!(error, Some(ProfileError::Corrupt { .. }));
        prop_assert!(blames(CustomerRecord::decode(&bytes).err()));
        prop_assert!(blames(StoredEvent::decode(&bytes).err()));
        prop_assert!(blames(LedgerEntry::decode(&bytes).err()));
        prop_assert!(blames(RequestMemory::decode(&bytes).err()));
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
