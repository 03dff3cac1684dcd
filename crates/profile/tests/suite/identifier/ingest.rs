//! Identifiers that come in: which are stored, on which ground, and why the others are not (ID-2, ID-5, CO-3).

use std::collections::BTreeMap;

use custodia_profile::{
    Catalogue, CustomerRecord,
    GroundStatus::{Given, Refused, Withdrawn},
    Identifier, IdentifierObservation, IdentifierOutcome, Ingested,
    LawfulBasis::{Consent, Contract},
    LegalHold, NamespaceFields, NamespaceKind, Observation, Observations, Outcome, Party, Permission,
    ProfileError, Reader, RefusalReason, TimestampMs, Value, Verdict, Verification, VerificationMethod,
    ingest, limits, named_identifiers, verify_identifier,
};
use proptest::{collection, prelude::*, sample::select};

use super::{namespace, namespace_fields};
use crate::{
    generated::config,
    world::{
        FREE, MARKETING, NOW, OLD, RESEARCH, SERVICE, at, attribute, catalogue as without_namespaces,
        context, label, purpose, record_with, sources, state,
    },
};

/// `email` is the attribute of that name, for service and marketing; a phone for service; two cards at most, for all.
pub(crate) fn catalogue() -> Catalogue {
    let mut catalogue = without_namespaces();
    let all = [SERVICE, MARKETING, OLD, RESEARCH];
    let of = |numbers: &[u32]| numbers.iter().copied().map(purpose).collect::<Vec<_>>();
    let email = NamespaceFields {
        attribute: Some(attribute(1)),
        purposes: of(&[SERVICE, MARKETING, OLD]),
        ..namespace_fields("email", NamespaceKind::Email)
    };
    let phone = NamespaceFields {
        default_region: Some("DE".parse().unwrap()),
        unique: false,
        ..namespace_fields("phone", NamespaceKind::Phone)
    };
    let card = NamespaceFields {
        per_customer_max: 2,
        purposes: of(&all),
        ..namespace_fields("card", NamespaceKind::Text)
    };
    for fields in [email, phone, card] {
        catalogue.put_namespace(namespace(fields)).unwrap();
    }
    catalogue
}

pub(crate) fn identifier(namespace: &str, raw: &str) -> Identifier {
    let value = catalogue().namespace(namespace).unwrap().normalise(raw).unwrap();
    Identifier { namespace: namespace.parse().unwrap(), value }
}

fn observed(namespace: &str, raw: &str, observed_at: Option<TimestampMs>) -> IdentifierObservation {
    IdentifierObservation { namespace: namespace.parse().unwrap(), value: raw.to_owned(), observed_at }
}

fn email_attribute(value: &str, observed_at: Option<TimestampMs>) -> Observation {
    Observation { attribute: "email".parse().unwrap(), value: Value::text(value).unwrap(), observed_at }
}

fn input(number: u32, identifiers: Vec<IdentifierObservation>) -> Observations {
    Observations {
        purpose: purpose(number),
        source: "crm".parse().unwrap(),
        party: Party::Second,
        basis: None,
        grants: Vec::new(),
        observations: Vec::new(),
        identifiers,
        events: Vec::new(),
    }
}

pub(crate) fn contract() -> CustomerRecord {
    record_with(&[(SERVICE, Contract, state(Given, at(-10)))])
}

fn done(record: &CustomerRecord, input: &Observations) -> Ingested {
    ingest(record, input, &catalogue(), &FREE, context(NOW)).unwrap()
}

pub(crate) fn with(identifiers: &[(&str, &str)]) -> CustomerRecord {
    let observations = identifiers.iter().map(|(namespace, raw)| observed(namespace, raw, Some(at(-5))));
    done(&contract(), &input(SERVICE, observations.collect())).record
}

fn held(record: &CustomerRecord) -> Vec<(&str, &str)> {
    record.identifiers.keys().map(|one| (one.namespace.as_str(), one.value.as_str())).collect()
}

fn outcomes(ingested: &Ingested) -> Vec<Outcome> {
    ingested.identifier_outcomes.iter().map(|one| one.outcome).collect()
}

#[test]
fn an_identifier_is_stored_in_its_normal_form_with_where_it_comes_from() {
    let identifiers = vec![
        observed("email", " Mara@Example.COM\n", Some(at(-60_000))),
        observed("phone", "030 901820", None),
    ];
    let after = done(&contract(), &input(SERVICE, identifiers));
    assert_eq!(outcomes(&after), [Outcome::Merged; 2]);
    assert!(after.record_changed && !after.consent_changed && after.ledger.is_empty());
    assert_eq!(held(&after.record), [("email", "mara@example.com"), ("phone", "+4930901820")]);
    let email = after.record.identifiers.get(&identifier("email", "mara@example.com")).unwrap();
    assert_eq!(email.original.as_str(), "Mara@Example.COM");
    let provenance = &email.provenance;
    assert_eq!((provenance.observed_at, provenance.recorded_at), (at(-60_000), NOW));
    assert_eq!(
        (provenance.purpose, provenance.basis, provenance.party),
        (purpose(SERVICE), Contract, Party::Second)
    );
    assert_eq!((&email.verified, email.bounced_at, after.record.updated_at), (&None, None, NOW));
    let phone = after.record.identifiers.get(&identifier("phone", "030901820")).unwrap();
    assert_eq!((phone.original.as_str(), phone.provenance.observed_at), ("030 901820", NOW));
    assert!(!format!("{after:?}").to_lowercase().contains("mara"), "nothing shows in debug output");
}

#[test]
fn each_refusal_has_its_reason_and_the_rest_goes_on() {
    let taken = BTreeMap::from([
        (identifier("email", "taken@example.com"), RefusalReason::IdentifierTaken),
        (identifier("phone", "+4930901820"), RefusalReason::IdentifierSharedLimit),
    ]);
    let identifiers = vec![
        observed("fax", "1", None),
        observed("email", "mara", None),
        observed("email", "NULL", None),
        observed("email", "Taken@example.com", None),
        observed("phone", "030 901820", None),
        observed("card", "1", Some(at(300_001))),
        observed("card", &"7".repeat(513), None),
        observed("card", "1", Some(at(300_000))),
        observed("card", "2", None),
        observed("card", "3", None),
        observed("card", " 1 ", None),
        observed("email", "mara@example.com", None),
    ];
    let after =
        ingest(&contract(), &input(SERVICE, identifiers), &catalogue(), &taken, context(NOW)).unwrap();
    let refused = Outcome::Refused;
    let expected = [
        refused(RefusalReason::UnknownNamespace),
        refused(RefusalReason::IdentifierInvalid),
        refused(RefusalReason::IdentifierBlocked),
        refused(RefusalReason::IdentifierTaken),
        refused(RefusalReason::IdentifierSharedLimit),
        refused(RefusalReason::ObservedInFuture),
        refused(RefusalReason::IdentifierInvalid),
        Outcome::Merged,
        Outcome::Merged,
        refused(RefusalReason::IdentifierLimit),
        Outcome::Merged,
        Outcome::Merged,
    ];
    assert_eq!(outcomes(&after), expected);
    assert_eq!(held(&after.record), [("card", "1"), ("card", "2"), ("email", "mara@example.com")]);
    let too_many = input(SERVICE, vec![observed("card", "1", None); 33]);
    let error = ingest(&contract(), &too_many, &catalogue(), &FREE, context(NOW)).unwrap_err();
    assert_eq!(error, ProfileError::TooMany { field: "identifiers", count_max: 32 });
}

#[test]
fn the_law_speaks_before_the_form_of_an_identifier() {
    let no = record_with(&[(RESEARCH, Consent, state(Refused, at(-10)))]);
    let reason = |record: &CustomerRecord, number, namespace| {
        let after = done(record, &input(number, vec![observed(namespace, "null", None)]));
        assert!(!after.record_changed);
        outcomes(&after)[0]
    };
    let refused = Outcome::Refused;
    assert_eq!(reason(&no, RESEARCH, "card"), refused(RefusalReason::ConsentRefused));
    assert_eq!(reason(&contract(), OLD, "card"), refused(RefusalReason::PurposeDeprecated));
    assert_eq!(reason(&CustomerRecord::new(NOW), SERVICE, "card"), refused(RefusalReason::NoGround));
    let consent = record_with(&[(RESEARCH, Consent, state(Given, at(-10)))]);
    assert_eq!(reason(&consent, RESEARCH, "phone"), refused(RefusalReason::PurposeNotAllowed));
    assert_eq!(reason(&consent, RESEARCH, "card"), refused(RefusalReason::IdentifierBlocked));
}

#[test]
fn what_the_customer_has_is_not_looked_for_among_the_taken_nor_counted_again() {
    let before = with(&[("card", "1"), ("card", "2")]);
    let taken = BTreeMap::from([(identifier("card", "1"), RefusalReason::IdentifierTaken)]);
    let again = input(SERVICE, vec![observed("card", "1", None)]);
    let after = ingest(&before, &again, &catalogue(), &taken, context(NOW)).unwrap();
    assert_eq!((outcomes(&after), after.record.identifiers.len()), (vec![Outcome::Merged], 2));
}

#[test]
fn an_identifier_that_is_observed_again_keeps_its_evidence() {
    let card = identifier("card", "ab-1");
    let verification =
        Verification { at: at(-4), method: VerificationMethod::Document, reference: label("shelf 3") };
    let before = verify_identifier(&with(&[("card", "AB-1")]), &card, verification.clone(), at(-4)).unwrap();
    let older = done(&before, &input(SERVICE, vec![observed("card", "Ab-1", Some(at(-6)))]));
    assert_eq!((outcomes(&older), older.record_changed), (vec![Outcome::Merged], false));
    let newer = done(&before, &input(SERVICE, vec![observed("card", "ab-1", Some(at(-3)))]));
    let stored = newer.record.identifiers.get(&card).unwrap();
    assert_eq!((stored.original.as_str(), stored.provenance.observed_at), ("ab-1", at(-3)));
    assert_eq!((stored.verified.as_ref(), stored.is_verified()), (Some(&verification), true));
}

/// A ground that arose after a consent was withdrawn serves nothing that came by that consent: unless it came anew.
#[test]
fn an_identifier_that_was_given_anew_outlives_the_consent_with_which_it_came_first() {
    let catalogue = catalogue();
    let consent = record_with(&[(RESEARCH, Consent, state(Given, at(-10)))]);
    let card = |observed_at| vec![observed("card", "1", Some(observed_at))];
    let mut first = done(&consent, &input(RESEARCH, card(at(-9)))).record;
    first.grounds.insert((purpose(RESEARCH), Consent), state(Withdrawn, at(-5)));
    first.grounds.insert((purpose(SERVICE), Contract), state(Given, at(-3)));
    let again = done(&first, &input(SERVICE, card(at(-2)))).record;
    let by_contract = |record: &CustomerRecord| {
        let (_, stored) = record.identifiers.first_key_value().unwrap();
        let purpose = catalogue.purpose(purpose(SERVICE)).unwrap();
        Permission::for_purpose(purpose, Reader::Controller, record, &catalogue, NOW)
            .for_stored_identifier(catalogue.namespace("card").unwrap(), &stored.provenance)
    };
    assert_eq!(by_contract(&first), Verdict::Refuse(RefusalReason::ConsentWithdrawn));
    assert!(matches!(by_contract(&again), Verdict::Permit { .. }));
}

#[test]
fn a_hold_keeps_what_is_stored_and_lets_more_come_in() {
    let mut before = with(&[("card", "AB-1")]);
    before.subject.legal_hold = Some(LegalHold { reference: label("matter 7"), since: at(-1) });
    let identifiers = vec![observed("card", "ab-1", None), observed("card", "ab-2", None)];
    let after = done(&before, &input(SERVICE, identifiers));
    assert_eq!(outcomes(&after), [Outcome::Merged; 2]);
    let card = identifier("card", "ab-1");
    assert_eq!(after.record.identifiers.get(&card), before.identifiers.get(&card));
    assert_eq!(after.record.identifiers.len(), 2);
}

#[test]
fn a_merged_value_of_an_attribute_that_is_an_identifier_feeds_both() {
    let from_attribute = |value: Option<&str>, outcome| IdentifierOutcome {
        namespace: "email".parse().unwrap(),
        identifier: value.map(|value| identifier("email", value)),
        outcome,
        from_attribute: Some("email".parse().unwrap()),
    };
    let mut sent = input(SERVICE, vec![observed("card", "1", None)]);
    sent.observations = vec![email_attribute("A@b.de", Some(at(-3)))];
    let after = done(&contract(), &sent);
    assert_eq!(after.attribute_outcomes, [Outcome::Merged]);
    assert_eq!(after.identifier_outcomes[1], from_attribute(Some("a@b.de"), Outcome::Merged));
    assert_eq!(
        (after.identifier_outcomes.len(), held(&after.record)),
        (2, vec![("card", "1"), ("email", "a@b.de")])
    );
    let stored = &after.record.attributes.get(&attribute(1)).unwrap().value;
    assert_eq!(stored, &Value::text("A@b.de").unwrap(), "as the source wrote it");

    // The value stays as a value; that it finds nobody is said.
    let with_attribute = |value| {
        let mut sent = input(SERVICE, vec![]);
        sent.observations = vec![email_attribute(value, Some(at(-2)))];
        sent
    };
    let invalid = done(&after.record, &with_attribute("ask mother"));
    assert_eq!(invalid.attribute_outcomes, [Outcome::Merged]);
    assert_eq!(
        invalid.identifier_outcomes,
        [from_attribute(None, Outcome::Refused(RefusalReason::IdentifierInvalid))]
    );
    let taken = BTreeMap::from([(identifier("email", "c@d.de"), RefusalReason::IdentifierTaken)]);
    let of_another =
        ingest(&after.record, &with_attribute("c@d.de"), &catalogue(), &taken, context(NOW)).unwrap();
    assert_eq!(of_another.attribute_outcomes, [Outcome::Merged]);
    let refused = from_attribute(Some("c@d.de"), Outcome::Refused(RefusalReason::IdentifierTaken));
    assert_eq!(of_another.identifier_outcomes, [refused]);

    // A value that is not stored is no identifier.
    let mut older = with_attribute("old@b.de");
    older.observations[0].observed_at = Some(at(-4));
    let older = done(&after.record, &older);
    assert_eq!(older.attribute_outcomes, [Outcome::Refused(RefusalReason::ObservedBeforeStored)]);
    assert!(older.identifier_outcomes.is_empty() && !older.record_changed);
}

#[test]
fn a_customer_has_at_most_256_identifiers_in_all() {
    let mut catalogue = catalogue();
    let mut record = contract();
    for number in 0..5 {
        let name = format!("n{number}");
        let fields = NamespaceFields { per_customer_max: 64, ..namespace_fields(&name, NamespaceKind::Text) };
        catalogue.put_namespace(namespace(fields)).unwrap();
        for part in 0..2 {
            let one = |at: usize| observed(&name, &format!("v{part}-{at}"), None);
            let sent = input(SERVICE, (0..32).map(one).collect());
            let after = ingest(&record, &sent, &catalogue, &FREE, context(NOW)).unwrap();
            let expected =
                if number < 4 { Outcome::Merged } else { Outcome::Refused(RefusalReason::IdentifierLimit) };
            assert_eq!(outcomes(&after), vec![expected; 32]);
            record = after.record;
        }
    }
    assert_eq!(record.identifiers.len(), limits::RECORD_IDENTIFIERS_MAX);
}

#[test]
fn an_input_names_identifiers_by_themselves_and_as_values() {
    let mut sent = input(
        SERVICE,
        vec![observed("card", "A1", None), observed("card", "a1 ", None), observed("fax", "1", None)],
    );
    sent.identifiers.extend([observed("email", "null", None), observed("email", "no address", None)]);
    sent.observations = vec![email_attribute("A@b.de", None), email_attribute("none", None)];
    let named = named_identifiers(&sent, &catalogue());
    assert_eq!(
        named.into_iter().collect::<Vec<_>>(),
        [identifier("card", "a1"), identifier("email", "a@b.de")]
    );
}

fn observations() -> impl Strategy<Value = IdentifierObservation> {
    let email = select(vec!["A@b.de", "a@b.de", "x@y.de", "test@b.de", "none", "", "a@b"])
        .prop_map(|raw| ("email", raw));
    let phone = select(vec!["+4930901820", "030 901820", "110", "0000"]).prop_map(|raw| ("phone", raw));
    let card = select(vec!["Ab-1", "AB-1", " ab-1", "2", "n/a"]).prop_map(|raw| ("card", raw));
    let times = proptest::option::of(-5_i64..400_000);
    (prop_oneof![email, phone, card, Just(("fax", "1"))], times)
        .prop_map(|((namespace, raw), ahead)| observed(namespace, raw, ahead.map(at)))
}

fn inputs() -> impl Strategy<Value = Observations> {
    let numbers = select(vec![SERVICE, MARKETING, RESEARCH, OLD]);
    let attributes =
        select(vec!["A@b.de", "a@b.de", "null", "q"]).prop_map(|raw| email_attribute(raw, Some(at(-1))));
    (numbers, sources(), collection::vec(observations(), 0..8), collection::vec(attributes, 0..2)).prop_map(
        |(number, source, identifiers, observations)| Observations {
            source,
            observations,
            ..input(number, identifiers)
        },
    )
}

fn customer_with_consents() -> CustomerRecord {
    record_with(&[
        (SERVICE, Contract, state(Given, at(-10))),
        (MARKETING, Consent, state(Given, at(-10))),
        (RESEARCH, Consent, state(Refused, at(-10))),
    ])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn identifiers_count_in_any_order((input, shuffled) in inputs().prop_flat_map(|input| {
        let identifiers = Just(input.identifiers.clone()).prop_shuffle();
        (Just(input.clone()), identifiers.prop_map(move |identifiers| Observations { identifiers, ..input.clone() }))
    })) {
        let record = customer_with_consents();
        let (one, two) = (done(&record, &input), done(&record, &shuffled));
        let cut = Outcome::Refused(RefusalReason::IdentifierLimit);
        prop_assert!(!outcomes(&one).contains(&cut), "two cards at most are generated");
        prop_assert_eq!(one.record, two.record);
    }

    #[test]
    fn ingests_of_identifiers_lead_to_the_same_ones_in_any_order(
        (inputs, shuffled) in collection::vec(inputs(), 0..5)
            .prop_flat_map(|inputs| (Just(inputs.clone()), Just(inputs).prop_shuffle())),
    ) {
        let all = |inputs: &[Observations]| {
            inputs.iter().fold(customer_with_consents(), |record, input| done(&record, input).record).identifiers
        };
        // An attribute's value that an older one could not replace is no identifier.
        let bare = |inputs: &[Observations]| {
            inputs.iter().map(|input| Observations { observations: Vec::new(), ..input.clone() }).collect::<Vec<_>>()
        };
        prop_assert_eq!(all(&bare(&inputs)), all(&bare(&shuffled)));
    }

    #[test]
    fn identifiers_again_change_nothing(input in inputs(), later in 0_i64..10_000) {
        let mut dated = input;
        dated.identifiers.iter_mut().for_each(|one| one.observed_at = Some(one.observed_at.unwrap_or(NOW).min(NOW)));
        let first = done(&customer_with_consents(), &dated);
        let again = ingest(&first.record, &dated, &catalogue(), &FREE, context(at(later))).unwrap();
        prop_assert!(!again.record_changed && again.record == first.record);
        prop_assert_eq!(again.identifier_outcomes, first.identifier_outcomes);
    }

    #[test]
    fn a_refused_purpose_stores_no_identifier(input in inputs()) {
        let record = customer_with_consents();
        let after = done(&record, &input);
        let refused = input.purpose == purpose(RESEARCH) || input.purpose == purpose(OLD);
        if refused {
            prop_assert_eq!(&after.record, &record);
            prop_assert!(!outcomes(&after).contains(&Outcome::Merged));
        }
        let named = named_identifiers(&input, &catalogue());
        for (identifier, stored) in &after.record.identifiers {
            prop_assert!(named.contains(identifier) && !refused);
            prop_assert_eq!(&super::ingest::identifier(identifier.namespace.as_str(), stored.original.as_str()), identifier);
        }
        let merged = outcomes(&after).contains(&Outcome::Merged);
        prop_assert_eq!(merged, !after.record.identifiers.is_empty());
    }
}
