//! Identifiers that are released, verified, or found to bounce (ID-5, GO-4).

use custodia_profile::{
    CustomerRecord, Identifier, LegalHold, ProfileError, StoredIdentifier, TimestampMs, Verification,
    VerificationMethod, record_bounce, release_identifier, verify_identifier,
};
use proptest::{prelude::*, sample::select};

use super::ingest::{identifier, with};
use crate::world::{NOW, at, label};

fn card() -> Identifier {
    identifier("card", "ab-1")
}

fn customer() -> CustomerRecord {
    with(&[("card", "AB-1"), ("email", "mara@example.com")])
}

fn on_hold() -> CustomerRecord {
    let mut record = customer();
    record.subject.legal_hold = Some(LegalHold { reference: label("matter 7"), since: NOW });
    record
}

fn verified(at: TimestampMs, method: VerificationMethod) -> Verification {
    Verification { at, method, reference: label("mail 12") }
}

fn stored(record: &CustomerRecord) -> &StoredIdentifier {
    record.identifiers.get(&card()).unwrap()
}

#[test]
fn a_released_identifier_is_gone_and_the_others_stay() {
    let after = release_identifier(&customer(), &card(), at(9)).unwrap();
    assert_eq!(after.identifiers.keys().collect::<Vec<_>>(), [&identifier("email", "mara@example.com")]);
    assert_eq!(after.updated_at, at(9));
    assert_eq!(release_identifier(&after, &card(), at(9)), Err(ProfileError::IdentifierNotFound));
}

#[test]
fn what_is_held_for_a_claim_is_neither_released_nor_replaced() {
    let held = on_hold();
    assert_eq!(release_identifier(&held, &card(), NOW), Err(ProfileError::HeldForClaim));
    let first = verified(at(-2), VerificationMethod::Document);
    let with_evidence = verify_identifier(&held, &card(), first.clone(), NOW).unwrap();
    assert_eq!(stored(&with_evidence).verified.as_ref(), Some(&first), "what is added replaces nothing");
    let newer = verified(at(-1), VerificationMethod::Document);
    let error = verify_identifier(&with_evidence, &card(), newer, NOW);
    assert_eq!(error, Err(ProfileError::HeldForClaim));
    assert_eq!(verify_identifier(&with_evidence, &card(), first, NOW), Ok(with_evidence.clone()));
    let bounced = record_bounce(&with_evidence, &card(), at(-2), NOW).unwrap();
    assert_eq!(record_bounce(&bounced, &card(), at(-1), NOW), Err(ProfileError::HeldForClaim));
    assert_eq!(record_bounce(&bounced, &card(), at(-3), NOW), Ok(bounced));
}

#[test]
fn evidence_is_of_an_identifier_that_the_customer_has_and_of_no_later_time() {
    let other = identifier("card", "ab-2");
    let evidence = |moment| verified(moment, VerificationMethod::Source);
    let unknown = Err(ProfileError::IdentifierNotFound);
    assert_eq!(verify_identifier(&customer(), &other, evidence(NOW), NOW), unknown);
    assert_eq!(record_bounce(&customer(), &other, NOW, NOW), unknown);
    assert!(verify_identifier(&customer(), &card(), evidence(at(300_000)), NOW).is_ok());
    let error = verify_identifier(&customer(), &card(), evidence(at(300_001)), NOW).unwrap_err();
    assert_eq!(error, ProfileError::InFuture { field: "verification.at", ahead_max_ms: 300_000 });
    let error = record_bounce(&customer(), &card(), at(300_001), NOW).unwrap_err();
    assert_eq!(error.field(), Some("bounced_at"));
}

#[test]
fn a_bounce_after_the_verification_counts_and_one_before_does_not() {
    let record =
        verify_identifier(&customer(), &card(), verified(at(-5), VerificationMethod::DoubleOptIn), NOW);
    let record = record.unwrap();
    assert!(stored(&record).is_verified() && !stored(&customer()).is_verified());
    let before = record_bounce(&record, &card(), at(-6), NOW).unwrap();
    assert!(stored(&before).is_verified());
    let after = record_bounce(&before, &card(), at(-5), NOW).unwrap();
    assert!(!stored(&after).is_verified());
    let again = verify_identifier(&after, &card(), verified(at(-4), VerificationMethod::OneTimeCode), NOW);
    assert!(stored(&again.unwrap()).is_verified());
}

#[test]
fn methods_keep_their_numbers() {
    assert_eq!(VerificationMethod::ALL.map(VerificationMethod::number), [1, 2, 3, 4]);
    assert!(VerificationMethod::from_number(0).is_err() && VerificationMethod::from_number(5).is_err());
}

#[derive(Debug, Clone)]
enum Change {
    Verified(Verification),
    Bounced(TimestampMs),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let verification = (-4_i64..=0, select(VerificationMethod::ALL.to_vec()))
        .prop_map(|(ms, method)| Change::Verified(verified(at(ms), method)));
    let bounce = (-4_i64..=0).prop_map(|ms| Change::Bounced(at(ms)));
    proptest::collection::vec(prop_oneof![verification, bounce], 0..6)
}

fn applied(changes: &[Change]) -> CustomerRecord {
    changes.iter().fold(customer(), |record, change| match change {
        Change::Verified(verification) => {
            verify_identifier(&record, &card(), verification.clone(), NOW).unwrap()
        }
        Change::Bounced(moment) => record_bounce(&record, &card(), *moment, NOW).unwrap(),
    })
}

proptest! {
    #[test]
    fn evidence_counts_in_any_order_and_once(
        (changes, shuffled) in changes().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let twice: Vec<_> = changes.iter().chain(&changes).cloned().collect();
        prop_assert_eq!(applied(&changes), applied(&shuffled));
        prop_assert_eq!(applied(&changes), applied(&twice));
    }
}
