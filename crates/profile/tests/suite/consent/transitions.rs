//! The states of a ground: every pair of what stands and what is decided, driven through the decisions themselves.

use custodia_profile::{
    AffirmativeAct::Clicked,
    Catalogue, CustomerRecord, DecidedBy, Decision, DecisionEffect, Evidence, GroundState,
    GroundStatus::{self, Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    LawfulBasis::{self, Consent, LegitimateInterests, PublicTask},
    Prior, ProfileError, Purpose, Recording, RefusalReason, Transition, Withdrawal, record_decision,
    transition, withdraw,
};
use proptest::{prelude::*, sample::select};

use crate::world::{
    MARKETING, NOW, RESEARCH, at, bases, catalogue as small_catalogue, context, decision, evidence, imported,
    label, notice, purpose, purpose_fields, record_with, state, states,
};

/// By every basis.
const ALL: u32 = 41;

fn catalogue() -> Catalogue {
    let mut catalogue = small_catalogue();
    let fields = purpose_fields(ALL, "all", &LawfulBasis::ALL);
    catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    catalogue
}

const COLUMNS: [GroundStatus; 6] = [Given, Requested, Revoked, Invalidated, Refused, Withdrawn];

/// `+` allowed, `-` illegal, `c` for consent alone, `o` not for a basis that an objection beats.
const TABLE: [(&str, &str); 9] = [
    ("unknown", "+c+-++"),
    ("requested", "+c+-++"),
    ("given", "+-++++"),
    ("expired", "+c++++"),
    ("outdated", "+c++++"),
    ("refused", "o-o-++"),
    ("withdrawn", "o-o-++"),
    ("revoked", "+-+-++"),
    ("invalidated", "+c+-++"),
];

fn standing(name: &str) -> Option<GroundState> {
    let of = |status| state(status, at(-10));
    match name {
        "unknown" => None,
        "requested" => Some(of(Requested)),
        "given" => Some(of(Given)),
        "expired" => Some(GroundState { expires_at: Some(at(-5)), ..of(Given) }),
        "outdated" => Some(GroundState { notice: Some(notice("1")), ..of(Given) }),
        "refused" => Some(of(Refused)),
        "withdrawn" => Some(of(Withdrawn)),
        "revoked" => Some(of(Revoked)),
        "invalidated" => Some(of(Invalidated)),
        other => panic!("{other}"),
    }
}

fn decided(basis: LawfulBasis, status: GroundStatus) -> Decision {
    let decided_by = if status == Revoked { DecidedBy::Guardian } else { DecidedBy::DataSubject };
    let evidence = Some(Evidence { decided_by, ..evidence(Clicked) });
    // The records of these tests have no ledger yet; a consent says that it saw what stands.
    let answers = (status == Given).then_some(0);
    Decision { evidence, recording: Recording::Live { answers }, ..decision(ALL, basis, status) }
}

/// A record of a customer in a jurisdiction that knows every basis.
fn german(grounds: &[(u32, LawfulBasis, GroundState)]) -> CustomerRecord {
    let mut record = record_with(grounds);
    record.subject.regions.insert("DE".parse().unwrap());
    record
}

#[test]
fn every_pair_of_states_is_as_the_table_says() {
    let (catalogue, mut pairs) = (catalogue(), 0);
    for (from, row) in TABLE {
        for (column, status) in COLUMNS.into_iter().enumerate() {
            for basis in LawfulBasis::ALL {
                // A notice binds consent alone.
                let row = if from == "outdated" && basis != Consent { TABLE[2].1 } else { row };
                let record = match standing(from) {
                    None => german(&[]),
                    Some(state) => german(&[(ALL, basis, state)]),
                };
                let result = record_decision(&record, &decided(basis, status), &catalogue, context(NOW));
                let illegal = ProfileError::NotRecordable { reason: RefusalReason::IllegalTransition };
                let objection = [LegitimateInterests, PublicTask].contains(&basis);
                let expected = match row.chars().nth(column).unwrap() {
                    '+' => Ok(()),
                    'c' if basis == Consent => Ok(()),
                    'o' if !objection => Ok(()),
                    'o' => Err(ProfileError::ObjectionStands),
                    _ => Err(illegal),
                };
                let context = format!("{from} to {status:?} by {basis:?}");
                match result {
                    Ok(recorded) => {
                        assert_eq!(expected, Ok(()), "{context}");
                        assert_eq!(recorded.effect, DecisionEffect::Applied, "{context}");
                        assert_eq!(recorded.state.status, status, "{context}");
                    }
                    Err(error) => assert_eq!(expected, Err(error), "{context}"),
                }
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 9 * 6 * 6);
}

#[test]
fn the_table_can_be_asked_without_a_record() {
    assert_eq!(transition(Prior::Unknown, Given, Consent), Transition::Allowed);
    assert_eq!(transition(Prior::Recorded(Given), Requested, Consent), Transition::Illegal);
    assert_eq!(transition(Prior::Lapsed, Requested, Consent), Transition::Allowed);
    let objected = Prior::Recorded(Withdrawn);
    assert_eq!(transition(objected, Given, LegitimateInterests), Transition::ObjectionStands);
    assert_eq!(transition(objected, Given, Consent), Transition::Allowed);
}

/// A guardian's no before anything was asked: nobody asks again, and only a consent that saw it answers.
#[test]
fn a_revocation_of_nothing_stands_as_a_no() {
    let catalogue = catalogue();
    for standing in [None, Some(state(Requested, at(-10)))] {
        let grounds: Vec<_> = standing.into_iter().map(|state| (ALL, Consent, state)).collect();
        let revoked =
            record_decision(&german(&grounds), &decided(Consent, Revoked), &catalogue, context(NOW)).unwrap();
        assert_eq!((revoked.effect, revoked.state.status), (DecisionEffect::Applied, Revoked));
        let again =
            record_decision(&revoked.record, &decided(Consent, Requested), &catalogue, context(at(1)));
        let illegal = ProfileError::NotRecordable { reason: RefusalReason::IllegalTransition };
        assert_eq!(again.unwrap_err(), illegal);
        let blind = Decision { recording: Recording::Live { answers: None }, ..decided(Consent, Given) };
        let reason = RefusalReason::ConsentRevoked;
        let refused = record_decision(&revoked.record, &blind, &catalogue, context(at(1)));
        assert_eq!(refused.unwrap_err(), ProfileError::NoStands { reason });
    }
}

#[test]
fn a_revocation_said_again_counts_as_of_now() {
    let catalogue = catalogue();
    let given = record_with(&[(ALL, Consent, state(Given, at(-10)))]);
    let revoked = Decision { decided_at: Some(at(-5)), ..decided(Consent, Revoked) };
    let once = record_decision(&given, &revoked, &catalogue, context(NOW)).unwrap();
    let again = record_decision(&once.record, &revoked, &catalogue, context(at(9))).unwrap();
    assert_eq!((again.effect, again.state.decided_at), (DecisionEffect::Applied, at(9)));
    assert_eq!(again.record.ledger_entries, once.record.ledger_entries + 1);
}

#[test]
fn of_a_request_and_its_answer_at_once_the_answer_stands() {
    let catalogue = catalogue();
    let asked = imported(Decision { decided_at: Some(NOW), ..decided(Consent, Requested) });
    let answered = imported(Decision { decided_at: Some(NOW), ..decided(Consent, Given) });
    for order in [[&asked, &answered], [&answered, &asked]] {
        let record = order.into_iter().fold(CustomerRecord::new(at(-1)), |record, decision| {
            record_decision(&record, decision, &catalogue, context(NOW)).unwrap().record
        });
        assert_eq!(record.ground(purpose(ALL), Consent).map(|state| state.status), Some(Given));
    }
}

/// Regression: a request over a no would let legitimate interests stand again.
#[test]
fn asking_again_does_not_lift_a_no() {
    let catalogue = small_catalogue();
    for no in [Refused, Withdrawn, Revoked] {
        let record = record_with(&[(RESEARCH, Consent, state(no, at(-10)))]);
        for status in [Requested, Invalidated] {
            let by_other = Evidence { decided_by: DecidedBy::Controller, ..Evidence::default() };
            let said = Decision { evidence: Some(by_other), ..decision(RESEARCH, Consent, status) };
            let error = record_decision(&record, &said, &catalogue, context(NOW)).unwrap_err();
            let reason = RefusalReason::IllegalTransition;
            assert_eq!(error, ProfileError::NotRecordable { reason });
        }
    }
}

/// Regression (CO-5): what came after an objection, and was no answer to it, let the next consent pass.
#[test]
fn an_objection_is_not_answered_by_a_request_or_by_an_invalid_consent() {
    let catalogue = small_catalogue();
    let objected = |record: &CustomerRecord| {
        let no = Withdrawal { purpose: purpose(MARKETING), basis: LegitimateInterests, channel: None };
        withdraw(record, &no, &catalogue, context(NOW)).unwrap().record
    };
    let signalled = |record: &CustomerRecord| {
        let mut record = record.clone();
        record.subject.sale_opt_out = Some(NOW);
        record
    };
    let mut fields = purpose_fields(MARKETING, "marketing", &[Consent, LegitimateInterests]);
    fields.sale_or_sharing = true;
    let mut selling = small_catalogue();
    selling.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    let unseen = Decision { evidence: Some(evidence(Clicked)), ..decision(MARKETING, Consent, Given) };
    let new = CustomerRecord::new(at(-1_000));
    let given = record_with(&[(MARKETING, Consent, state(Given, at(-10)))]);
    for (before, between) in [(&new, Requested), (&given, Invalidated)] {
        let between = decision(MARKETING, Consent, between);
        for (record, catalogue) in [(objected(before), &catalogue), (signalled(before), &selling)] {
            let record = record_decision(&record, &between, catalogue, context(at(1))).unwrap().record;
            let error = record_decision(&record, &unseen, catalogue, context(at(2))).unwrap_err();
            assert!(matches!(error, ProfileError::NoStands { .. }), "{:?}: {error}", between.status);
            let seen = Recording::Live { answers: Some(record.ledger_entries) };
            let seen = Decision { recording: seen, ..unseen.clone() };
            assert!(record_decision(&record, &seen, catalogue, context(at(2))).is_ok());
        }
    }
}

/// CO-5: whoever passes on a no may have filled in what belongs to a given ground. The no is recorded, without it.
#[test]
fn a_no_is_not_refused_for_what_belongs_to_a_given_ground() {
    let catalogue = catalogue();
    let record = record_with(&[(ALL, Consent, state(Given, at(-10)))]);
    for status in [Refused, Withdrawn, Revoked] {
        let no = decided(Consent, status);
        let language = label("no language tag");
        let no = Decision {
            recording: Recording::Live { answers: Some(77) },
            notice: Some(notice("unheard-of")),
            valid_from: Some(at(5)),
            expires_at: Some(at(-5)),
            decided_at: Some(at(999_999_999)),
            evidence: no.evidence.clone().map(|proof| Evidence { language: Some(language), ..proof }),
            ..no
        };
        let after = record_decision(&record, &no, &catalogue, context(NOW)).unwrap().state;
        assert_eq!((after.status, after.decided_at), (status, NOW));
        assert_eq!((after.notice, after.valid_from, after.expires_at), (None, None, None));
        assert_eq!(after.evidence.map(|proof| proof.language), Some(None));
        let again = record_decision(&record, &imported(no), &catalogue, context(NOW)).unwrap_err();
        assert_eq!(again.field(), Some("decided_at"), "an import is a proof of the past, and checked");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever is recorded about a ground, a no can be recorded over it, and one that is newer stands.
    #[test]
    fn a_no_is_recorded_from_every_state(stored in states(), basis in bases(), no in select(vec![Refused, Withdrawn])) {
        let catalogue = catalogue();
        let stored = GroundState { decided_at: stored.decided_at.min(at(-1)), ..stored };
        let record = record_with(&[(ALL, basis, stored)]);
        let said = Decision { notice: None, reference: None, ..decided(basis, no) };
        let after = record_decision(&record, &said, &catalogue, context(NOW)).unwrap();
        prop_assert!(after.state.is_no());
        prop_assert_eq!((after.effect, after.state.status), (DecisionEffect::Applied, no));
    }
}
