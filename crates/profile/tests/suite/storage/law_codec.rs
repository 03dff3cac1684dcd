//! The bytes of what the law rests on: fixtures and round trips of every field.

use custodia_profile::{
    AffirmativeAct, ConsentMethod, CustomerRecord, DataSubject, DecidedBy, Evidence, GroundState,
    GroundStatus::{Given, Revoked},
    LawfulBasis::Consent,
    LedgerBody, LedgerEntry, LegalHold, MergeId, OtherLedger, ProfileError, Restriction, Stored,
    StoredGppString, StoredTcString,
};
use proptest::{option, prelude::*, sample::select};

use crate::{
    contact::preferences::{drawn_contacts, drawn_preferences},
    storage::codec::{hex, holds, unhex},
    world::{
        MARKETING, NOW, PURPOSES, at, bases, customer, hashes, label, labels, moments, notice, purpose,
        record_with, recorder, recorders, records, states, subjects,
    },
};

const RECORD: &str = "\
    0208b090abfef96210b090abfef9621803326f08021001180120f69fabfef96228d0afabfef962320132380252057374\
    6f72655880a0abfef9626094a0abfef9626a36080512205c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c\
    5c5c5c5c5c5c5c1a0564652d415420022a076f72646572203370ee9fabfef9627810321408031001180620fa9fabfef9\
    625880a0abfef9623a4d0a0244450a0555532d434110011898e50122120a09636f6e74657374656410f29fabfef9622a\
    110a086d6174746572203910f49fabfef9623080a0abfef96240f69fabfef96248f89fabfef9624220cdcdcdcdcdcdcd\
    cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd5a150a0c435153626b34412e49444b511080a0abfef962";
const GROUND_ENTRY: &str = "\
    0208021220abababababababababababababababababababababababababababababababab1888a0abfef96222070a03\
    64706f10042a6f08021001180120f69fabfef96228d0afabfef9623201323802520573746f72655880a0abfef9626094\
    a0abfef9626a36080512205c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c1a0564652d\
    415420022a076f72646572203370ee9fabfef962781032096d61726b6574696e67";
const SUBJECT_ENTRY: &str = "\
    0208021220abababababababababababababababababababababababababababababababab1880a0abfef96222070a03\
    64706f10043a4d0a0244450a0555532d434110011898e50122120a09636f6e74657374656410f29fabfef9622a110a08\
    6d6174746572203910f49fabfef9623080a0abfef96240f69fabfef96248f89fabfef962";
const TC_STRING_ENTRY: &str = "\
    0208021220abababababababababababababababababababababababababababababababab1880a0abfef96222070a03\
    64706f100442150a0c435153626b34412e49444b511080a0abfef962";
const GPP_STRING_ENTRY: &str = "\
    0208021220abababababababababababababababababababababababababababababababab1880a0abfef96222070a03\
    64706f100452140a0b4442414254417e31594e4e1080a0abfef962";
/// A new record with a GPP string that was asked for now.
const GPP_STRING_RECORD: &str = "\
    020880a0abfef9621080a0abfef9627a140a0b4442414254417e31594e4e1080a0abfef962800180a0abfef962";

fn ground() -> GroundState {
    let evidence = Evidence {
        act: Some(AffirmativeAct::DoubleOptIn),
        statement_sha256: Some([0x5c; 32]),
        language: Some(label("de-AT")),
        decided_by: DecidedBy::Guardian,
        incapacity: Some(label("order 3")),
    };
    GroundState {
        valid_from: Some(at(10)),
        expires_at: Some(at(1_000)),
        notice: Some(notice("2")),
        method: Some(ConsentMethod::Explicit),
        evidence: Some(evidence),
        channel: Some(label("store")),
        unbroken_since: Some(at(-9)),
        guardian_below_age: Some(16),
        ..GroundState::bare(Given, at(-5), NOW)
    }
}

fn subject() -> DataSubject {
    DataSubject {
        regions: ["DE".parse().unwrap(), "US-CA".parse().unwrap()].into(),
        region_unknown: true,
        birth_date: "2010-02-28".parse().ok(),
        restriction: Some(Restriction { reason: label("contested"), since: at(-7) }),
        legal_hold: Some(LegalHold { reference: label("matter 9"), since: at(-6) }),
        sale_opt_out: None,
        do_not_sell: Some(at(-5)),
        sensitive_limit: Some(at(-4)),
        updated_at: Some(NOW),
    }
}

fn tc_string() -> StoredTcString {
    StoredTcString { text: label("CQSbk4A.IDKQ"), recorded_at: NOW }
}

fn gpp_string() -> StoredGppString {
    StoredGppString { text: label("DBABTA~1YNN"), recorded_at: NOW }
}

pub(crate) fn record() -> CustomerRecord {
    let revoked = GroundState::bare(Revoked, at(-3), NOW);
    let mut record = record_with(&[(MARKETING, Consent, ground()), (MARKETING + 1, Consent, revoked)]);
    record.subject = subject();
    record.ledger_entries = 3;
    record.ledger_head = [0xcd; 32];
    record.tc_string = Some(tc_string());
    record
}

fn entry(body: LedgerBody) -> LedgerEntry {
    LedgerEntry { sequence: 2, previous: [0xab; 32], recorded_at: NOW, recorded_by: recorder(), body }
}

fn ground_entry() -> LedgerEntry {
    let (purpose, purpose_id) = (purpose(MARKETING), "marketing".parse().unwrap());
    let body = LedgerBody::Ground { purpose, purpose_id, basis: Consent, state: ground() };
    LedgerEntry { recorded_at: at(4), ..entry(body) }
}

pub(crate) fn entries() -> [LedgerEntry; 4] {
    [
        ground_entry(),
        entry(LedgerBody::Subject(subject())),
        entry(LedgerBody::TcString(tc_string())),
        entry(LedgerBody::GppString(gpp_string())),
    ]
}

#[test]
fn a_record_with_what_the_law_rests_on_is_read() {
    holds(&record(), RECORD);
    let mut with_gpp_string = CustomerRecord::new(NOW);
    with_gpp_string.gpp_string = Some(gpp_string());
    with_gpp_string.requested.gpp_string = Some(NOW);
    holds(&with_gpp_string, GPP_STRING_RECORD);
}

#[test]
fn ledger_entries_of_every_kind_are_read() {
    let [ground, subject, tc_string, gpp_string] = entries();
    // A superseded decision differs in the tag alone: 9 instead of 5.
    let LedgerBody::Ground { purpose, purpose_id, basis, state } = ground.body.clone() else {
        panic!("a ground")
    };
    let superseded =
        LedgerEntry { body: LedgerBody::Superseded { purpose, purpose_id, basis, state }, ..ground.clone() };
    let bytes = hex(&superseded.encode());
    assert_eq!((bytes.len(), LedgerEntry::decode(&unhex(&bytes))), (GROUND_ENTRY.len(), Ok(superseded)));
    holds(&ground, GROUND_ENTRY);
    holds(&subject, SUBJECT_ENTRY);
    holds(&tc_string, TC_STRING_ENTRY);
    holds(&gpp_string, GPP_STRING_ENTRY);
}

#[test]
fn a_record_about_which_nothing_new_is_known_has_not_grown() {
    let bytes = CustomerRecord::new(NOW).encode();
    // The version, and the two moments.
    assert_eq!(bytes.len(), 1 + 2 * 7);
}

#[test]
fn an_entry_has_exactly_one_body() {
    let corrupt = ProfileError::CorruptField { kind: "ledger entry", field: "body" };
    let [ground, subject, _, gpp_string] = entries().map(|entry| entry.encode());
    // Protobuf messages one behind the other are read as one that has the fields of both.
    let both: Vec<u8> = ground.iter().chain(&subject[1..]).copied().collect();
    assert_eq!(LedgerEntry::decode(&both), Err(corrupt.clone()));
    let both: Vec<u8> = subject.iter().chain(&gpp_string[1..]).copied().collect();
    assert_eq!(LedgerEntry::decode(&both), Err(corrupt.clone()));
    let none = format!("0208021220{}", "ab".repeat(32));
    assert_eq!(LedgerEntry::decode(&unhex(&none)), Err(corrupt));
}

#[test]
fn an_entry_names_its_recorder_and_a_decision_its_purpose() {
    let bytes = hex(&ground_entry().encode());
    let corrupt = |field| Err(ProfileError::CorruptField { kind: "ledger entry", field });
    let recorder = "22070a0364706f1004";
    for (part, without, field) in [
        (recorder, "", "recorder"),
        (recorder, "22021004", "recorder's name"),
        (recorder, "22050a0364706f", "recorder's role"),
        (recorder, "22070a0364706f1006", "recorder's role"),
        ("32096d61726b6574696e67", "", "purpose name"),
    ] {
        assert_eq!(bytes.matches(part).count(), 1, "{part}");
        assert_eq!(LedgerEntry::decode(&unhex(&bytes.replace(part, without))), corrupt(field));
    }
}

#[test]
fn a_hash_of_another_length_is_an_error() {
    let record = hex(&record().encode());
    let head = format!("4220{}", "cd".repeat(32));
    assert!(record.contains(&head));
    let short = unhex(&record.replace(&head, &format!("421f{}", "cd".repeat(31))));
    let expected = ProfileError::CorruptField { kind: "record", field: "ledger head" };
    assert_eq!(CustomerRecord::decode(&short), Err(expected));
}

fn tc_strings() -> impl Strategy<Value = StoredTcString> {
    (labels(), moments()).prop_map(|(text, recorded_at)| StoredTcString { text, recorded_at })
}

fn gpp_strings() -> impl Strategy<Value = StoredGppString> {
    (labels(), moments()).prop_map(|(text, recorded_at)| StoredGppString { text, recorded_at })
}

fn other_ledgers() -> impl Strategy<Value = OtherLedger> {
    (any::<u128>(), hashes(), any::<u64>()).prop_map(|(id, head, entries)| OtherLedger {
        merge: MergeId::from_bytes(&(id | 1).to_be_bytes()).unwrap(),
        customer: customer(),
        entries,
        head,
        restated: entries / 3,
        merged_at: (id % 2 == 0).then_some(NOW),
    })
}

fn bodies() -> impl Strategy<Value = LedgerBody> {
    let names = select(vec!["service", "marketing"]).prop_map(|name| name.parse().unwrap());
    let grounds = (select(PURPOSES.to_vec()), names, bases(), states()).prop_map(
        |(number, purpose_id, basis, state)| LedgerBody::Ground {
            purpose: purpose(number),
            purpose_id,
            basis,
            state,
        },
    );
    let grounds = grounds.boxed();
    let superseded = grounds.clone().prop_map(|body| match body.clone() {
        LedgerBody::Ground { purpose, purpose_id, basis, state } => {
            LedgerBody::Superseded { purpose, purpose_id, basis, state }
        }
        LedgerBody::Superseded { .. }
        | LedgerBody::Subject(_)
        | LedgerBody::TcString(_)
        | LedgerBody::GppString(_)
        | LedgerBody::Merged(_)
        | LedgerBody::Unmerged(_) => body,
    });
    prop_oneof![
        grounds,
        superseded,
        other_ledgers().prop_map(LedgerBody::Merged),
        other_ledgers().prop_map(LedgerBody::Unmerged),
        subjects().prop_map(LedgerBody::Subject),
        tc_strings().prop_map(LedgerBody::TcString),
        gpp_strings().prop_map(LedgerBody::GppString),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_ledger_entry_round_trips(sequence: u64, previous in hashes(), recorded_at in moments(), recorded_by in recorders(), body in bodies()) {
        let entry = LedgerEntry { sequence, previous, recorded_at, recorded_by, body };
        prop_assert_eq!(LedgerEntry::decode(&entry.encode()), Ok(entry));
    }

    #[test]
    fn every_record_round_trips(record in records(), tc_string in option::of(tc_strings()), gpp_string in option::of(gpp_strings()), wishes: [u64; 8], contacts: [u64; 8]) {
        let (preferences, contacts) = (drawn_preferences(&wishes), drawn_contacts(&contacts));
        let record = CustomerRecord { preferences, contacts, tc_string, gpp_string, ..record };
        prop_assert_eq!(CustomerRecord::decode(&record.encode()), Ok(record));
    }
}
