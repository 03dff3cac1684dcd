//! What is wrong with a stored identifier, and what came with it (GO-4, ID-5).

use std::collections::BTreeSet;

use custodia_profile::{
    CustomerRecord, IdentifierFault as Fault, LegalHold, Namespace, NamespaceFields, NamespaceKind, Related,
    StoredIdentifier, TimestampMs, Verification, VerificationMethod, identifier_faults, related_data,
};
use proptest::{option, prelude::*};

use crate::{
    identifier::{catalogue, identifier, namespace_fields, with},
    world::{NOW, attribute, label},
};

const DAY: i64 = 86_400_000;

fn days_ago(days: i64) -> TimestampMs {
    NOW.plus_ms(-days * DAY)
}

fn card() -> StoredIdentifier {
    let record = with(&[("card", "AB-1")]);
    record.identifiers.values().next().unwrap().clone()
}

fn seen(observed: i64, verified: Option<i64>, bounced: Option<i64>) -> StoredIdentifier {
    let verification = |days| Verification {
        at: days_ago(days),
        method: VerificationMethod::Document,
        reference: label("mail 12"),
    };
    let mut stored = card();
    stored.provenance.observed_at = days_ago(observed);
    StoredIdentifier { verified: verified.map(verification), bounced_at: bounced.map(days_ago), ..stored }
}

fn faults(stored: &StoredIdentifier, pattern: &str, days: u32) -> BTreeSet<Fault> {
    let fields =
        NamespaceFields { pattern: pattern.to_owned(), ..namespace_fields("card", NamespaceKind::Text) };
    identifier_faults(&identifier("card", "ab-1"), stored, &Namespace::new(fields).unwrap(), days, NOW)
}

#[test]
fn each_fault_is_told_and_more_than_one_at_a_time() {
    let of = |stored: &StoredIdentifier| faults(stored, "", 30).into_iter().collect::<Vec<_>>();
    assert_eq!(of(&seen(30, None, None)), [Fault::NeverVerified]);
    assert_eq!(of(&seen(31, None, None)), [Fault::NeverVerified, Fault::Stale]);
    assert_eq!(of(&seen(31, Some(30), None)), []);
    assert_eq!(of(&seen(1, Some(31), None)), [Fault::VerificationOutdated]);
    assert_eq!(of(&seen(31, Some(31), None)), [Fault::VerificationOutdated, Fault::Stale]);
    assert_eq!(of(&seen(1, Some(3), Some(2))), [Fault::Bounced]);
    assert_eq!(of(&seen(1, Some(2), Some(3))), []);
    assert_eq!(of(&seen(1, None, Some(3))), [Fault::NeverVerified, Fault::Bounced]);
    // A namespace without days has nothing stale; one whose rules changed has what is invalid today.
    assert_eq!(faults(&seen(4_000, Some(4_000), None), "", 0), BTreeSet::new());
    assert_eq!(faults(&seen(1, Some(1), None), "[0-9]+", 30), BTreeSet::from([Fault::Invalid]));
}

proptest! {
    /// Staleness ends with any newer sign.
    #[test]
    fn more_evidence_never_makes_an_identifier_stale(
        observed in 0_i64..99, verified in option::of(0_i64..99), bounced in option::of(0_i64..99),
        more in 0_i64..99, days in 0_u32..60,
    ) {
        let before = seen(observed, verified, bounced);
        let again = before.clone().newest(seen(more, None, None));
        let proven = before.clone().newest(seen(observed, Some(more), None));
        for after in [again, proven] {
            prop_assert!(before.is_stale(days, NOW) || !after.is_stale(days, NOW));
            prop_assert!(after.confirmed_at() >= before.confirmed_at());
        }
    }
}

#[test]
fn what_has_the_same_value_or_came_from_the_same_source_is_named() {
    let mut record: CustomerRecord =
        with(&[("email", "Mara@example.com"), ("card", "AB-1"), ("phone", "030 901820")]);
    record.subject.legal_hold = Some(LegalHold { reference: label("matter 7"), since: NOW });
    let catalogue = catalogue();
    let of = |namespace: &str, raw: &str| {
        let one = identifier(namespace, raw);
        related_data(&record, &one, catalogue.namespace(namespace).unwrap())
    };
    let (email, card, phone) = (
        identifier("email", "mara@example.com"),
        identifier("card", "ab-1"),
        identifier("phone", "030 901820"),
    );
    assert_eq!(
        of("email", "mara@example.com"),
        [Related::IdentifierOfSource(card.clone()), Related::IdentifierOfSource(phone)]
    );
    record.identifiers.get_mut(&email).unwrap().provenance.source = "shop".parse().unwrap();
    let value = custodia_profile::AttributeValue {
        value: custodia_profile::Value::text("MARA@example.com").unwrap(),
        original: None,
        provenance: record.identifiers[&card].provenance.clone(),
    };
    record.attributes.insert(attribute(1), value);
    let of = |one| related_data(&record, &one, catalogue.namespace("email").unwrap());
    assert_eq!(of(email), [Related::SameValue(attribute(1))]);
    assert_eq!(of(identifier("email", "x@example.com")), []);
}
