//! Merging: idempotent, commutative, associative; ingest does not care about order; and two customers that turn out to
//! be one are permitted no more than each.

use custodia_profile::{
    AffirmativeAct, AttributeValue, Catalogue, ChangeContext, ConsentMethod, CustomerRecord, DecidedBy,
    Decision, Evidence, GroundState,
    GroundStatus::{Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    LawfulBasis::{self, Consent, LegitimateInterests},
    LegalHold, Observation, Observations, Outcome, Party, Restriction, TimestampMs, Value, ingest, merge_law,
};
use proptest::{collection, prelude::*, sample::select};

use crate::{
    generated::{CASES, Draw, Situation, config, law, situations},
    world::{
        FREE, MARKETING, NOW, RESEARCH, SERVICE, at, attribute_values, bases, catalogue, context, decision,
        label, moments, notice, purpose, record_with, sources, state, states,
    },
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
            identifiers: Vec::new(),
            events: Vec::new(),
        },
    )
}

fn apply(record: &CustomerRecord, inputs: &[Observations], catalogue: &Catalogue) -> CustomerRecord {
    inputs.iter().fold(record.clone(), |record, input| {
        ingest(&record, input, catalogue, &FREE, context(NOW)).unwrap().record
    })
}

proptest! {
    #![proptest_config(config())]

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
        let two = |a: &_, b: &_| GroundState::prevailing(Clone::clone(a), Clone::clone(b), basis);
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
            identifiers: Vec::new(),
            events: Vec::new(),
        };
        let one = ingest(&record, &with(grants), &catalogue, &FREE, context(NOW)).unwrap();
        let two = ingest(&record, &with(shuffled), &catalogue, &FREE, context(NOW)).unwrap();
        prop_assert_eq!(one.record.grounds, two.record.grounds);
    }

    #[test]
    fn the_same_input_again_changes_nothing(mut input in inputs(), grants in collection::vec(grants(), 0..3), later in 0_i64..10_000) {
        input.grants = grants;
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let first = ingest(&record, &input, &catalogue, &FREE, context(NOW)).unwrap();
        // Grants that were superseded are in the ledger alone.
        let change = ChangeContext { history: &first.ledger, ..context(at(later)) };
        let again = ingest(&first.record, &input, &catalogue, &FREE, change).unwrap();
        // A consent may run out in between; what is stored does not change by that.
        prop_assert!(!again.record_changed && !again.consent_changed && again.ledger.is_empty());
        prop_assert_eq!(again.record, first.record);
    }

    #[test]
    fn only_what_is_allowed_is_merged(input in inputs()) {
        let (catalogue, record) = (catalogue(), CustomerRecord::new(at(-10)));
        let result = ingest(&record, &input, &catalogue, &FREE, context(NOW)).unwrap();
        prop_assert_eq!(result.attribute_outcomes.len(), input.observations.len());
        let any_merged = result.attribute_outcomes.contains(&Outcome::Merged);
        prop_assert_eq!(any_merged, result.record_changed);
        for value in result.record.attributes.values() {
            prop_assert_eq!(value.provenance.purpose, purpose(MARKETING), "only its interests stand");
        }
    }
}

/// The record of the one customer that two records belong to.
fn merged(a: &CustomerRecord, b: &CustomerRecord, catalogue: &Catalogue) -> CustomerRecord {
    let (grounds, subject) = merge_law(a, b, catalogue);
    CustomerRecord { grounds, subject, ..a.clone() }
}

#[test]
fn a_merge_permits_no_more_than_either_record_did_at_any_moment() {
    law((situations(), any::<u64>()), CASES / 2, |tally, (mut situation, number)| {
        let both = merged(&situation.record, &situation.other, &situation.catalogue);
        if both.grounds.values().any(|state| state.status == Given) {
            tally.meet();
        }
        for now in [situation.now, Draw::new(number).moment()] {
            situation.now = now;
            situation.permits_no_more(tally, &situation.record, &both)?;
            situation.permits_no_more(tally, &situation.other, &both)?;
        }
        Ok(())
    });
}

#[test]
fn a_merge_comes_out_the_same_either_way_round_and_with_oneself_changes_no_verdict() {
    law(situations(), CASES, |tally, situation| {
        let Situation { catalogue, record, other, now, .. } = &situation;
        tally.meet();
        prop_assert_eq!(merge_law(record, other, catalogue), merge_law(other, record, catalogue));
        let same = merged(record, record, catalogue);
        prop_assert_eq!(&same.grounds, &record.grounds);
        let verdicts = situation.verdicts(record, *now);
        tally.count(&verdicts);
        prop_assert_eq!(verdicts, situation.verdicts(&same, *now));
        Ok(())
    });
}

fn of(number: u32, basis: LawfulBasis, state: GroundState) -> CustomerRecord {
    record_with(&[(number, basis, state)])
}

fn ground(a: &CustomerRecord, b: &CustomerRecord, number: u32, basis: LawfulBasis) -> GroundState {
    merge_law(a, b, &catalogue()).0.remove(&(purpose(number), basis)).unwrap()
}

#[test]
fn what_only_one_gave_is_invalidated_unless_it_stands_and_a_no_stays() {
    let (nothing, given) = (record_with(&[]), state(Given, at(-9)));
    let one = of(RESEARCH, Consent, given.clone());
    let invalidated = GroundState { status: Invalidated, ..given.clone() };
    assert_eq!(ground(&one, &nothing, RESEARCH, Consent), invalidated);
    let one = of(MARKETING, LegitimateInterests, given.clone());
    assert_eq!(ground(&nothing, &one, MARKETING, LegitimateInterests), given, "they stand on the other side");
    for status in [Refused, Withdrawn, Requested, Revoked, Invalidated] {
        let no = state(status, at(-20));
        let other = of(RESEARCH, Consent, no.clone());
        assert_eq!(ground(&nothing, &other, RESEARCH, Consent), no);
        assert_eq!(ground(&of(RESEARCH, Consent, given.clone()), &other, RESEARCH, Consent), no);
    }
    let (first, last) = (state(Withdrawn, at(-8)), state(Refused, at(-7)));
    let both = ground(&of(RESEARCH, Consent, first), &of(RESEARCH, Consent, last.clone()), RESEARCH, Consent);
    let expected = GroundState { unbroken_since: Some(at(-8)), ..last };
    assert_eq!(both, expected, "the newer no stands, and the consent is lost since the first");
}

#[test]
fn of_two_given_grounds_the_weaker_proof_and_the_shorter_time_stay() {
    let by = |decided_by, act| Some(Evidence { decided_by, act: Some(act), ..Evidence::default() });
    let one = GroundState {
        notice: Some(notice("3")),
        method: Some(ConsentMethod::Explicit),
        valid_from: Some(at(-5)),
        expires_at: Some(at(90)),
        evidence: by(DecidedBy::DataSubject, AffirmativeAct::Signed),
        ..state(Given, at(-9))
    };
    let other = GroundState {
        notice: Some(notice("2")),
        method: Some(ConsentMethod::Unambiguous),
        valid_from: None,
        expires_at: None,
        evidence: by(DecidedBy::DataSubject, AffirmativeAct::Clicked),
        ..state(Given, at(-7))
    };
    let both = ground(&of(RESEARCH, Consent, one.clone()), &of(RESEARCH, Consent, other), RESEARCH, Consent);
    let expected = GroundState {
        notice: Some(notice("2")),
        method: Some(ConsentMethod::Unambiguous),
        evidence: by(DecidedBy::DataSubject, AffirmativeAct::Clicked),
        recorded_at: at(-7),
        ..one.clone()
    };
    assert_eq!(both, expected);
    let unknown = GroundState { notice: Some(notice("never published")), ..one.clone() };
    let both = ground(
        &of(RESEARCH, Consent, one.clone()),
        &of(RESEARCH, Consent, unknown.clone()),
        RESEARCH,
        Consent,
    );
    assert_eq!(both, unknown, "a notice that the purpose does not know is enough for nothing");
}

/// Who may be a guardian depends on age and place, which both sides bring.
#[test]
fn a_guardians_consent_is_invalidated_unless_both_sides_agree() {
    let evidence = Some(Evidence { decided_by: DecidedBy::Guardian, ..Evidence::default() });
    let by_guardian = GroundState { evidence, ..state(Given, at(-9)) };
    let born = |year: &str| {
        let mut record = of(RESEARCH, Consent, by_guardian.clone());
        record.subject.birth_date = Some(format!("{year}-01-01").parse().unwrap());
        record
    };
    let status = |a: &CustomerRecord, b: &CustomerRecord| ground(a, b, RESEARCH, Consent).status;
    assert_eq!(status(&born("2015"), &born("2015")), Given);
    assert_eq!(status(&born("2015"), &born("1980")), Invalidated);
    let own = of(RESEARCH, Consent, state(Given, at(-9)));
    assert_eq!(status(&born("2015"), &own), Invalidated);
}

#[test]
fn the_data_subject_of_both_has_the_rules_of_both() {
    let subject = |regions: &[&str], born: Option<&str>| {
        let mut record = CustomerRecord::new(NOW);
        record.subject.regions = regions.iter().map(|region| region.parse().unwrap()).collect();
        record.subject.birth_date = born.map(|day| day.parse().unwrap());
        record
    };
    let merge = |a: &CustomerRecord, b: &CustomerRecord| merge_law(a, b, &catalogue()).1;
    let both = merge(&subject(&["DE"], Some("1990-01-01")), &subject(&["FR", "US-CA"], Some("2015-01-01")));
    assert_eq!(both, subject(&["DE", "FR", "US-CA"], Some("2015-01-01")).subject);
    let both = merge(&subject(&["DE"], None), &subject(&[], Some("1990-01-01")));
    assert!(both.region_unknown, "the default jurisdiction holds too");
    assert_eq!(both.birth_date, Some("1990-01-01".parse().unwrap()));
    assert!(!merge(&subject(&[], None), &subject(&[], None)).region_unknown, "it holds in any case");

    let hold = |since| LegalHold { reference: label("m 7"), since };
    let (mut a, mut b) = (subject(&["DE"], None), subject(&["DE"], None));
    a.subject.legal_hold = Some(hold(at(-1)));
    b.subject.legal_hold = Some(hold(at(-2)));
    b.subject.restriction = Some(Restriction { reason: label("contested"), since: at(-3) });
    let both = merge(&a, &b);
    assert_eq!((both.legal_hold, both.restriction), (Some(hold(at(-2))), b.subject.restriction));
}
