//! An identifier that is given to the customer whose it is (ID-4): by that customer's law, with what is known about it.

use custodia_profile::{
    CustomerRecord, GroundStatus, LawfulBasis, LegalHold, Provenance, RefusalReason, StoredIdentifier,
    Verification, VerificationMethod, give_identifier,
};

use crate::{
    identifier::{catalogue, contract, identifier, with},
    world::{MARKETING, NOW, SERVICE, at, label, purpose, record_with, state},
};

fn taken() -> StoredIdentifier {
    let record = with(&[("email", "Mara@Example.com")]);
    let stored = record.identifiers.values().next().unwrap().clone();
    let verified =
        Verification { at: at(-3), method: VerificationMethod::Document, reference: label("passport") };
    StoredIdentifier { verified: Some(verified), bounced_at: Some(at(-4)), ..stored }
}

fn give(record: &CustomerRecord, number: u32, raw: &str) -> Result<CustomerRecord, RefusalReason> {
    let catalogue = catalogue();
    let purpose = catalogue.purpose(purpose(number)).unwrap();
    give_identifier(record, &identifier("email", raw), &taken(), purpose, &catalogue, NOW)
}

#[test]
fn it_keeps_its_source_and_evidence_and_rests_on_the_new_holder_s_ground() {
    let after = give(&contract(), SERVICE, "mara@example.com").unwrap();
    let given = &after.identifiers[&identifier("email", "mara@example.com")];
    assert_eq!(given, &taken());
    // The basis is that of the one who holds it now.
    let consented = record_with(&[(MARKETING, LawfulBasis::Consent, state(GroundStatus::Given, at(-10)))]);
    let after = give(&consented, MARKETING, "mara@example.com").unwrap();
    let given = &after.identifiers[&identifier("email", "mara@example.com")];
    let provenance =
        Provenance { purpose: purpose(MARKETING), basis: LawfulBasis::Consent, ..taken().provenance };
    assert_eq!(given, &StoredIdentifier { provenance, ..taken() });
    assert_eq!(give(&after, MARKETING, "mara@example.com"), Ok(after.clone()), "twice is once");
}

#[test]
fn the_law_and_the_limits_of_the_new_holder_come_first() {
    let nobody = CustomerRecord::new(NOW);
    assert_eq!(give(&nobody, SERVICE, "mara@example.com"), Err(RefusalReason::NoGround));
    let full: Vec<_> = (0..16).map(|number| ("email", format!("mara{number}@example.com"))).collect();
    let full: Vec<_> = full.iter().map(|(namespace, raw)| (*namespace, raw.as_str())).collect();
    assert_eq!(give(&with(&full), SERVICE, "mara@example.com"), Err(RefusalReason::IdentifierLimit));
    let mut held = with(&[("email", "mara0@example.com")]);
    held.subject.legal_hold = Some(LegalHold { reference: label("matter 7"), since: NOW });
    assert!(give(&held, SERVICE, "mara@example.com").is_ok(), "more may come in under a hold");
    assert_eq!(give(&held, SERVICE, "mara0@example.com"), Ok(held.clone()), "what is held stays");
}
