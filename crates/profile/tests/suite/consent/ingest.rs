//! Ingest: typed outcomes for every observation and event (CO-3, GO-3, PR-3).

use custodia_profile::{
    AffirmativeAct, AttributeDefinition, AttributeFields, CustomerRecord, Decision, DecisionEffect,
    GroundStatus::{Given, Refused, Withdrawn},
    LawfulBasis::{Consent, Contract, LegitimateInterests},
    LegalHold, NO_HASH, Observation, Observations, Outcome, Party, ProfileError, Provenance, RefusalReason,
    Restriction, StoredEvent, TimestampMs, Value, ValueType, check_observations, ingest,
};

use crate::world::{
    FREE, MARKETING, NOW, OLD, RESEARCH, SERVICE, at, attribute, attribute_fields, catalogue, context,
    customer, decision, event, evidence, label, purpose, record_with, state,
};

fn text(name: &str, value: &str, observed_at: Option<TimestampMs>) -> Observation {
    Observation { attribute: name.parse().unwrap(), value: Value::text(value).unwrap(), observed_at }
}

fn input(number: u32, observations: Vec<Observation>) -> Observations {
    Observations {
        purpose: purpose(number),
        source: "crm".parse().unwrap(),
        party: Party::Second,
        basis: None,
        grants: Vec::new(),
        observations,
        identifiers: Vec::new(),
        events: Vec::new(),
    }
}

fn contract() -> CustomerRecord {
    record_with(&[(SERVICE, Contract, state(Given, at(-10)))])
}

fn outcomes(record: &CustomerRecord, input: &Observations) -> Vec<Outcome> {
    ingest(record, input, &catalogue(), &FREE, context(NOW)).unwrap().attribute_outcomes
}

#[test]
fn a_consent_given_with_the_data_carries_it() {
    let mut with_grant = input(RESEARCH, Vec::new());
    let visits =
        Observation { attribute: "visits".parse().unwrap(), value: Value::Integer(3), observed_at: None };
    with_grant.observations = vec![visits];
    with_grant.events = vec![event("1", at(-1))];
    let without = ingest(&CustomerRecord::new(NOW), &with_grant, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(without.attribute_outcomes, [Outcome::Refused(RefusalReason::NoGround)]);
    assert_eq!(without.event_outcomes, [Outcome::Refused(RefusalReason::NoGround)]);
    assert!(!without.record_changed && without.events.is_empty());

    with_grant.grants = vec![decision(RESEARCH, Consent, Given)];
    let with = ingest(&CustomerRecord::new(NOW), &with_grant, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(
        (with.attribute_outcomes, with.event_outcomes),
        (vec![Outcome::Merged], vec![Outcome::Merged])
    );
    assert!(with.record_changed && with.consent_changed);
    assert_eq!((with.ledger.len(), with.record.ledger_entries), (1, 1));
    let stored = with.record.attributes.get(&attribute(2)).unwrap().provenance.clone();
    assert_eq!(
        (stored.observed_at, stored.recorded_at, stored.basis, stored.party),
        (NOW, NOW, Consent, Party::Second)
    );
    assert_eq!((stored.purpose, stored.source.as_str()), (purpose(RESEARCH), "crm"));
    let appended = with.events.first().unwrap();
    assert_eq!((appended.provenance.basis, appended.provenance.observed_at), (Consent, at(-1)));
}

#[test]
fn each_refusal_has_its_reason() {
    let reason_of = |observation| match outcomes(&contract(), &input(SERVICE, vec![observation])).as_slice() {
        [Outcome::Refused(reason)] => *reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason_of(text("shoe_size", "44", None)), RefusalReason::UnknownAttribute);
    assert_eq!(reason_of(text("segment", "gold", None)), RefusalReason::PurposeNotAllowed);
    assert_eq!(reason_of(text("visits", "3", None)), RefusalReason::WrongType);
    assert_eq!(reason_of(text("email", "a@much-too-long.example", None)), RefusalReason::ValueTooLong);
    assert_eq!(reason_of(text("email", "a@b.c", Some(at(300_001)))), RefusalReason::ObservedInFuture);
    let edge =
        outcomes(&contract(), &input(SERVICE, vec![text("email", "sixteen@byte.org", Some(at(300_000)))]));
    assert_eq!(edge, [Outcome::Merged], "limits are inclusive");
}

/// Regression: an objection ended the call, and with it every import that met such a customer.
#[test]
fn a_ground_that_an_objection_forbids_is_refused_alone() {
    let objected = state(Withdrawn, at(-10));
    let mut record = record_with(&[
        (SERVICE, Contract, state(Given, at(-10))),
        (MARKETING, LegitimateInterests, objected),
    ]);
    record.subject.regions.insert("DE".parse().unwrap());
    let mut input = input(SERVICE, vec![text("email", "a@b.c", None)]);
    input.grants = vec![decision(MARKETING, LegitimateInterests, Given)];
    let after = ingest(&record, &input, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(after.grant_outcomes, [Err(RefusalReason::Objected)]);
    assert_eq!((after.attribute_outcomes, after.ledger.len()), (vec![Outcome::Merged], 0));
}

#[test]
fn the_law_speaks_before_the_form() {
    let no = record_with(&[(RESEARCH, Consent, state(Refused, at(-10)))]);
    let wrong_type = input(RESEARCH, vec![text("visits", "3", None)]);
    assert_eq!(outcomes(&no, &wrong_type), [Outcome::Refused(RefusalReason::ConsentRefused)]);
    let old = input(OLD, vec![text("email", "a@b.c", None)]);
    assert_eq!(outcomes(&no, &old), [Outcome::Refused(RefusalReason::PurposeDeprecated)]);
}

#[test]
fn a_stated_basis_must_be_allowed_and_hold() {
    let stated =
        |basis| Observations { basis: Some(basis), ..input(MARKETING, vec![text("segment", "gold", None)]) };
    let mut record = record_with(&[]);
    // Elsewhere no law is known that knows the basis.
    assert_eq!(
        outcomes(&record, &stated(LegitimateInterests)),
        [Outcome::Refused(RefusalReason::BasisNotAllowed)]
    );
    record.subject.regions.insert("DE".parse().unwrap());
    assert_eq!(outcomes(&record, &stated(Contract)), [Outcome::Refused(RefusalReason::BasisNotAllowed)]);
    assert_eq!(outcomes(&record, &stated(Consent)), [Outcome::Refused(RefusalReason::NoGround)]);
    assert_eq!(outcomes(&record, &stated(LegitimateInterests)), [Outcome::Merged]);
}

#[test]
fn an_older_observation_is_refused_and_the_same_again_is_merged() {
    let first = input(SERVICE, vec![text("email", "new@b.c", Some(at(-10)))]);
    let stored = ingest(&contract(), &first, &catalogue(), &FREE, context(NOW)).unwrap().record;
    let older = input(SERVICE, vec![text("email", "old@b.c", Some(at(-11)))]);
    assert_eq!(outcomes(&stored, &older), [Outcome::Refused(RefusalReason::ObservedBeforeStored)]);
    let again = ingest(&stored, &first, &catalogue(), &FREE, context(at(60_000))).unwrap();
    assert_eq!((again.attribute_outcomes, again.record_changed), (vec![Outcome::Merged], false));
}

#[test]
fn of_equally_new_observations_the_larger_source_and_value_is_kept() {
    let both =
        input(SERVICE, vec![text("email", "b@b.c", Some(at(-1))), text("email", "a@b.c", Some(at(-1)))]);
    let after = ingest(&contract(), &both, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(
        after.attribute_outcomes,
        [Outcome::Merged, Outcome::Refused(RefusalReason::ObservedBeforeStored)]
    );
    assert_eq!(after.record.attributes.get(&attribute(1)).unwrap().value, Value::text("b@b.c").unwrap());
}

#[test]
fn an_event_id_is_appended_once_and_a_future_event_is_refused() {
    let mut input = input(SERVICE, Vec::new());
    input.events = vec![event("1", at(-1)), event("1", at(-1)), event("2", at(300_001))];
    let after = ingest(&contract(), &input, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(
        after.event_outcomes,
        [Outcome::Merged, Outcome::Merged, Outcome::Refused(RefusalReason::ObservedInFuture)]
    );
    assert_eq!((after.events.len(), after.record_changed), (1, false));
}

#[test]
fn an_event_id_used_twice_for_different_events_is_refused_the_second_time() {
    let mut input = input(SERVICE, Vec::new());
    input.events = vec![event("1", at(-1)), event("1", at(-2)), event("1", at(-1)), event("2", at(-2))];
    let after = ingest(&contract(), &input, &catalogue(), &FREE, context(NOW)).unwrap();
    let reused = Outcome::Refused(RefusalReason::EventIdReused);
    assert_eq!(after.event_outcomes, [Outcome::Merged, reused, Outcome::Merged, Outcome::Merged]);
    assert_eq!(after.events.len(), 2);
    let stored = &after.events[0];
    let later = StoredEvent {
        provenance: Provenance { recorded_at: at(9), basis: Consent, ..stored.provenance.clone() },
        ..stored.clone()
    };
    assert!(stored.says_the_same(&later));
    assert!(!stored.says_the_same(&after.events[1]));
    let elsewhere = Provenance { purpose: purpose(RESEARCH), ..stored.provenance.clone() };
    assert!(!stored.says_the_same(&StoredEvent { provenance: elsewhere, ..stored.clone() }));
}

#[test]
fn input_that_is_too_large_or_grants_what_it_may_not_is_refused_as_a_whole() {
    let refused = |input: &Observations| {
        ingest(&contract(), input, &catalogue(), &FREE, context(NOW)).unwrap_err().to_string()
    };
    let many = input(SERVICE, vec![text("email", "a@b.c", None); 257]);
    assert_eq!(refused(&many), "observations has more than 256 entries");
    let many = Observations { events: vec![event("1", NOW); 257], ..input(SERVICE, Vec::new()) };
    assert_eq!(refused(&many), "events has more than 256 entries");
    let many =
        Observations { grants: vec![decision(RESEARCH, Consent, Given); 33], ..input(SERVICE, Vec::new()) };
    assert_eq!(refused(&many), "consents has more than 32 entries");
    assert_eq!(refused(&input(99, Vec::new())), "purpose is not in the catalogue");
    for grant in [decision(SERVICE, Contract, Refused), decision(SERVICE, Consent, Withdrawn)] {
        let input = Observations { grants: vec![grant], ..input(SERVICE, Vec::new()) };
        let error = ingest(&contract(), &input, &catalogue(), &FREE, context(NOW)).unwrap_err();
        assert_eq!(error, ProfileError::Malformed { field: "consents", expected: "given grounds" });
    }
}

#[test]
fn the_grants_of_one_input_are_chained() {
    let grants = vec![decision(RESEARCH, Consent, Given), decision(SERVICE, Consent, Given)];
    let input = Observations { grants, ..input(SERVICE, Vec::new()) };
    let after = ingest(&contract(), &input, &catalogue(), &FREE, context(NOW)).unwrap();
    let [first, second] = after.ledger.as_slice() else { panic!("{:?}", after.ledger) };
    assert_eq!((first.sequence, first.previous), (0, NO_HASH));
    assert_eq!((second.sequence, second.previous), (1, first.hash(&customer())));
    assert_eq!(after.record.ledger_head, second.hash(&customer()));
}

#[test]
fn a_grant_that_is_no_consent_refuses_the_whole_input() {
    let pre_ticked = Decision {
        evidence: Some(evidence(AffirmativeAct::PreTickedBox)),
        ..decision(RESEARCH, Consent, Given)
    };
    let grants = vec![decision(SERVICE, Consent, Given), pre_ticked];
    let input = Observations { grants, ..input(SERVICE, vec![text("email", "a@b.c", None)]) };
    let error = ingest(&contract(), &input, &catalogue(), &FREE, context(NOW)).unwrap_err();
    assert_eq!(error, ProfileError::NotRecordable { reason: RefusalReason::PreTicked });
}

/// It names no consent revision that it answers, so it cannot have seen the no.
#[test]
fn a_consent_that_comes_with_data_lifts_no_no_and_the_data_is_judged_without_it() {
    let no = record_with(&[(RESEARCH, Consent, state(Withdrawn, at(-10)))]);
    let ahead = Decision { decided_at: Some(at(240_000)), ..decision(RESEARCH, Consent, Given) };
    let grants = vec![ahead, decision(SERVICE, Consent, Given)];
    let visits =
        Observation { attribute: "visits".parse().unwrap(), value: Value::Integer(7), observed_at: None };
    let input = Observations { grants, ..input(RESEARCH, vec![visits]) };
    let after = ingest(&no, &input, &catalogue(), &FREE, context(NOW)).unwrap();
    let withdrawn = RefusalReason::ConsentWithdrawn;
    assert_eq!(after.grant_outcomes, [Err(withdrawn), Ok(DecisionEffect::Applied)]);
    let refused = vec![Outcome::Refused(withdrawn)];
    assert_eq!((after.attribute_outcomes, after.ledger.len()), (refused, 1));
}

#[test]
fn data_of_a_restricted_customer_is_refused_but_a_consent_is_recorded() {
    let mut restricted = contract();
    restricted.subject.restriction = Some(Restriction { reason: label("contested"), since: NOW });
    let mut input = input(SERVICE, vec![text("email", "a@b.c", None)]);
    input.events = vec![event("1", NOW)];
    input.grants = vec![decision(RESEARCH, Consent, Given)];
    let after = ingest(&restricted, &input, &catalogue(), &FREE, context(NOW)).unwrap();
    let refused = Outcome::Refused(RefusalReason::ProcessingRestricted);
    assert_eq!((after.attribute_outcomes, after.event_outcomes), (vec![refused], vec![refused]));
    assert_eq!((after.grant_outcomes, after.ledger.len()), (vec![Ok(DecisionEffect::Applied)], 1));
}

/// A hold preserves what is stored, and forbids no performance.
#[test]
fn under_a_hold_data_is_collected_and_no_stored_value_is_replaced() {
    let mut record = contract();
    record.subject.legal_hold = Some(LegalHold { reference: label("matter 9"), since: NOW });
    let ingested = |record: &CustomerRecord, email, at| {
        let mut input = input(SERVICE, vec![text("email", email, Some(at))]);
        input.events = vec![event("1", NOW)];
        ingest(record, &input, &catalogue(), &FREE, context(NOW)).unwrap()
    };
    let first = ingested(&record, "a@b.c", at(-3));
    let both = (first.attribute_outcomes, first.event_outcomes);
    assert_eq!(both, (vec![Outcome::Merged], vec![Outcome::Merged]));
    let other = ingested(&first.record, "d@e.f", at(-2));
    assert_eq!(other.attribute_outcomes, [Outcome::Refused(RefusalReason::LegalHold)]);
    let same = ingested(&first.record, "a@b.c", at(-1));
    assert_eq!(same.attribute_outcomes, [Outcome::Merged]);
    assert_eq!((&other.record, &same.record), (&first.record, &first.record));
    let mut free = first.record;
    free.subject.legal_hold = None;
    assert_eq!(ingested(&free, "d@e.f", at(-2)).attribute_outcomes, [Outcome::Merged]);
}

/// A contract comes with the data that it permits, in one commit.
#[test]
fn a_ground_of_any_basis_comes_with_the_data() {
    let record = CustomerRecord::new(at(-10));
    let bare = input(SERVICE, vec![text("email", "a@b.c", None)]);
    let without = ingest(&record, &bare, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(without.attribute_outcomes, [Outcome::Refused(RefusalReason::NoGround)]);
    let contract = decision(SERVICE, Contract, Given);
    let with = Observations { grants: vec![contract.clone()], ..bare.clone() };
    let after = ingest(&record, &with, &catalogue(), &FREE, context(NOW)).unwrap();
    assert_eq!(
        (after.grant_outcomes, after.attribute_outcomes),
        (vec![Ok(DecisionEffect::Applied)], vec![Outcome::Merged])
    );
    assert_eq!(after.ledger.len(), 1);
    let unnamed = Decision { reference: None, ..contract };
    let error = check_observations(&Observations { grants: vec![unnamed], ..bare }, &catalogue(), NOW);
    assert_eq!(error, Err((Some(0), ProfileError::Empty { field: "reference" })));
}

#[test]
fn what_is_older_than_its_retention_is_not_collected() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let mut catalogue = catalogue();
    let fields = attribute_fields(1, "email", ValueType::Text, &[SERVICE, MARKETING, OLD]);
    let fields = AttributeFields { retention_days: 30, ..fields };
    catalogue.put_attribute(AttributeDefinition::new(fields).unwrap()).unwrap();
    let outcome = |observed_at| {
        let input = input(SERVICE, vec![text("email", "a@b.c", Some(observed_at))]);
        ingest(&contract(), &input, &catalogue, &FREE, context(NOW)).unwrap().attribute_outcomes
    };
    assert_eq!(outcome(at(-30 * DAY_MS)), [Outcome::Refused(RefusalReason::RetentionPassed)]);
    assert_eq!(outcome(at(1 - 30 * DAY_MS)), [Outcome::Merged]);
}
