//! Merging: idempotent, commutative, associative; and ingest does not care about order.

use custodia_profile::{
    AttributeValue, Catalogue, CustomerRecord, Decision, GroundStatus::Given, LawfulBasis::Consent,
    Observation, Observations, Outcome, Party, TimestampMs, Value, ingest,
};
use proptest::{collection, prelude::*, sample::select};

use crate::world::{
    MARKETING, NOW, RESEARCH, SERVICE, at, attribute_values, bases, catalogue, decision, moments, notice,
    purpose, sources, state, states,
};

fn observations() -> impl Strategy<Value = Observation> {
    let named = prop_oneof![
        (select(vec!["email", "segment"]), "[a-z]{1,2}".prop_map(|text| Value::text(&text).unwrap())),
        (Just("visits"), (0_i64..3).prop_map(Value::Integer)),
    ];
    (named, moments()).prop_map(|((name, value), observed_at)| Observation {
        attribute: name.parse().unwrap(),
        value,
        observed_at: Some(observed_at.min(NOW)),
    })
}

fn grants() -> impl Strategy<Value = Decision> {
    let times = (moments(), proptest::option::of(1_i64..1_000));
    (select(vec![SERVICE, MARKETING, RESEARCH]), select(vec!["1", "2", "3"]), times).prop_map(
        |(number, version, (given_at, lasts))| {
            let given_at: TimestampMs = given_at.min(NOW);
            Decision {
                notice: Some(notice(version)),
                decided_at: Some(given_at),
                expires_at: lasts.map(|ms| given_at.plus_ms(ms)),
                ..decision(number, Consent, Given)
            }
        },
    )
}

fn inputs() -> impl Strategy<Value = Observations> {
    let numbers = select(vec![SERVICE, MARKETING, RESEARCH]);
    (numbers, sources(), select(Party::ALL.to_vec()), collection::vec(observations(), 0..5)).prop_map(
        |(number, source, party, observations)| Observations {
            purpose: purpose(number),
            source,
            party,
            basis: None,
            grants: Vec::new(),
            observations,
            events: Vec::new(),
        },
    )
}

fn apply(record: &CustomerRecord, inputs: &[Observations], catalogue: &Catalogue) -> CustomerRecord {
    inputs.iter().fold(record.clone(), |record, input| ingest(&record, input, catalogue, NOW).unwrap().record)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn newest_is_idempotent_commutative_and_associative(
        a in attribute_values(), b in attribute_values(), c in attribute_values()
    ) {
        let newest = |a: &AttributeValue, b: &AttributeValue| a.clone().newest(b.clone());
        prop_assert_eq!(newest(&a, &a), a.clone());
        prop_assert_eq!(newest(&a, &b), newest(&b, &a));
        prop_assert_eq!(newest(&newest(&a, &b), &c), newest(&a, &newest(&b, &c)));
        prop_assert!(newest(&a, &b).provenance.observed_at >= a.provenance.observed_at);
    }

    #[test]
    fn prevailing_is_idempotent_commutative_and_associative(
        a in states(), b in states(), c in states(), basis in bases()
    ) {
        let two = |a: &_, b: &_| custodia_profile::GroundState::prevailing(Clone::clone(a), Clone::clone(b), basis);
        prop_assert_eq!(two(&a, &a), a.clone());
        prop_assert_eq!(two(&a, &b), two(&b, &a));
        prop_assert_eq!(two(&two(&a, &b), &c), two(&a, &two(&b, &c)));
    }

    #[test]
    fn ingests_lead_to_the_same_record_in_any_order(
        (inputs, shuffled) in collection::vec(inputs(), 0..6)
            .prop_flat_map(|inputs| (Just(inputs.clone()), Just(inputs).prop_shuffle())),
    ) {
        let catalogue = catalogue();
        let mut record = CustomerRecord::new(at(-10));
        for number in [SERVICE, MARKETING, RESEARCH] {
            record.grounds.insert((purpose(number), Consent), state(Given, at(-10)));
        }
        prop_assert_eq!(apply(&record, &inputs, &catalogue), apply(&record, &shuffled, &catalogue));
    }

    #[test]
    fn observations_of_one_input_count_in_any_order(
        (input, shuffled) in inputs().prop_flat_map(|input| {
            let observations = Just(input.observations.clone()).prop_shuffle();
            (Just(input.clone()), observations.prop_map(move |observations| Observations { observations, ..input.clone() }))
        }),
    ) {
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let (one, two) = (apply(&record, &[input], &catalogue), apply(&record, &[shuffled], &catalogue));
        prop_assert_eq!(one, two);
    }

    #[test]
    fn grants_lead_to_the_same_grounds_in_any_order(
        (grants, shuffled) in collection::vec(grants(), 0..6)
            .prop_flat_map(|grants| (Just(grants.clone()), Just(grants).prop_shuffle())),
    ) {
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let with = |grants| Observations {
            purpose: purpose(SERVICE),
            source: "crm".parse().unwrap(),
            party: Party::First,
            basis: None,
            grants,
            observations: Vec::new(),
            events: Vec::new(),
        };
        let one = ingest(&record, &with(grants), &catalogue, NOW).unwrap();
        let two = ingest(&record, &with(shuffled), &catalogue, NOW).unwrap();
        prop_assert_eq!(one.record.grounds, two.record.grounds);
    }

    #[test]
    fn the_same_input_again_changes_nothing(mut input in inputs(), grants in collection::vec(grants(), 0..3), later in 0_i64..10_000) {
        input.grants = grants;
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let first = ingest(&record, &input, &catalogue, NOW).unwrap();
        let again = ingest(&first.record, &input, &catalogue, at(later)).unwrap();
        // A consent may run out in between; what is stored does not change by that.
        prop_assert!(!again.record_changed && !again.consent_changed && again.ledger.is_empty());
        prop_assert_eq!(again.record, first.record);
    }

    #[test]
    fn only_what_is_allowed_is_merged(input in inputs()) {
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let result = ingest(&record, &input, &catalogue, NOW).unwrap();
        prop_assert_eq!(result.attribute_outcomes.len(), input.observations.len());
        let any_merged = result.attribute_outcomes.contains(&Outcome::Merged);
        prop_assert_eq!(any_merged, result.record_changed);
        for value in result.record.attributes.values() {
            prop_assert_eq!(value.provenance.purpose, purpose(MARKETING), "only its interests stand");
        }
    }
}
