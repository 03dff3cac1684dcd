//! The bytes of a record's identifiers on disk: a fixture of version 2, and bytes that are none of ours.

use custodia_profile::{CustomerRecord, ProfileError, Stored, Verification, VerificationMethod};

use crate::{
    identifier::{identifier, with},
    storage::codec::{decodes_or_blames_the_bytes, every_cut_and_every_flip, hex, holds, unhex},
    world::{at, label},
};

// A change here means that stored data can no longer be read.
const RECORD: &str = "\
    0208b090abfef9621080a0abfef962220363726d8a01280a0463617264120461622d311a0441422d31221410f69fabfe\
    f9621880a0abfef9622001280230028a014a0a05656d61696c12106d617261406578616d706c652e636f6d221410f69f\
    abfef9621880a0abfef9622001280230022a1208fe9fabfef96210011a076d61696c2031323080a0abfef9628a01360a\
    0570686f6e65120b2b343933303930313832301a0a30333020393031383230221410f69fabfef9621880a0abfef96220\
    0128023002";

fn record() -> CustomerRecord {
    let mut record = with(&[("card", "AB-1"), ("email", "mara@example.com"), ("phone", "030 901820")]);
    record.grounds.clear();
    let email = record.identifiers.get_mut(&identifier("email", "mara@example.com")).unwrap();
    email.verified = Some(Verification {
        at: at(-1),
        method: VerificationMethod::DoubleOptIn,
        reference: label("mail 12"),
    });
    email.bounced_at = Some(at(0));
    record
}

#[test]
fn a_record_with_identifiers_is_read() {
    holds(&record(), RECORD);
}

#[test]
fn a_record_whose_identifiers_are_out_of_order_is_corrupt() {
    let stored = hex(&record().encode());
    // The card becomes one that sorts behind the mail address.
    let swapped = stored.replace(&hex(b"card"), &hex(b"zard"));
    let error = CustomerRecord::decode(&unhex(&swapped)).unwrap_err();
    assert_eq!(error, ProfileError::CorruptField { kind: "record", field: "identifier order" });
}

#[test]
fn every_cut_and_every_flipped_byte_of_identifiers_is_survived() {
    every_cut_and_every_flip(&record().encode(), decodes_or_blames_the_bytes::<CustomerRecord>);
}
