//! Decisions that come late, twice, or from a file (CO-5, CO-8): every one is an entry of the ledger, once; the state is what
//! they say in the order of their dates, whatever the order of arrival; and no batch lifts a live no.

use custodia_profile::{
    AffirmativeAct::Clicked,
    AttributeDefinition, AttributeFields, Catalogue, ChangeContext, Classification, CustomerRecord,
    DecidedBy, Decision, DecisionEffect, Evidence,
    GroundStatus::{self, Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    LawfulBasis::{self, Consent, LegitimateInterests},
    LedgerBody, LedgerEntry, Observations, Party, Permission, PrivacySignal, ProfileError, Purpose, Reader,
    Recorded, Recording, RefusalReason, TimestampMs, ValueType, Withdrawal, as_of, ingest,
    limits::DECIDED_AT_MIN_MS,
    record_decision, record_signal, withdraw,
};
use proptest::{collection, prelude::*, sample::select};

use crate::world::{
    FREE, NOW, at, attribute_fields, catalogue as small_catalogue, context, decision, evidence, imported,
    notice, purpose, purpose_fields,
};

/// By every basis, and a purpose of sale.
const ALL: u32 = 41;

fn catalogue() -> Catalogue {
    let mut catalogue = small_catalogue();
    let mut fields = purpose_fields(ALL, "all", &LawfulBasis::ALL);
    fields.sale_or_sharing = true;
    catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    catalogue
}

/// A customer with the ledger.
#[derive(Debug, Clone)]
struct History {
    catalogue: Catalogue,
    record: CustomerRecord,
    ledger: Vec<LedgerEntry>,
}

impl History {
    fn new() -> Self {
        let mut record = CustomerRecord::new(at(-9_000));
        record.subject.regions = ["DE".parse().unwrap()].into();
        Self { catalogue: catalogue(), record, ledger: Vec::new() }
    }

    /// Records at a moment, with the ledger where it is needed.
    fn record(&mut self, decision: &Decision, now: TimestampMs) -> Recorded {
        let mut change = context(now);
        if decision.comes_late(&self.record) {
            change.history = &self.ledger;
        }
        let recorded = record_decision(&self.record, decision, &self.catalogue, change).unwrap();
        self.record = recorded.record.clone();
        self.ledger.extend(recorded.ledger.iter().cloned());
        recorded
    }

    fn state(&self, basis: LawfulBasis) -> Option<(GroundStatus, TimestampMs)> {
        self.record.ground(purpose(ALL), basis).map(|state| (state.status, state.decided_at))
    }

    fn permits(&self, now: TimestampMs) -> Option<LawfulBasis> {
        let purpose = self.catalogue.purpose(purpose(ALL)).unwrap();
        Permission::for_purpose(purpose, Reader::Controller, &self.record, &self.catalogue, now)
            .verdict()
            .ground()
    }
}

/// A decision from a file.
fn past(basis: LawfulBasis, status: GroundStatus, decided_at: TimestampMs) -> Decision {
    let decided_by = if status == Revoked { DecidedBy::Guardian } else { DecidedBy::DataSubject };
    let evidence = Some(Evidence { decided_by, ..evidence(Clicked) });
    imported(Decision { decided_at: Some(decided_at), evidence, ..decision(ALL, basis, status) })
}

fn withdrawal() -> Withdrawal {
    Withdrawal { purpose: purpose(ALL), basis: Consent, channel: None }
}

/// Regression: of three decisions that came newest first, the ledger had one.
#[test]
fn every_decision_of_a_file_is_in_the_ledger_once_however_often_it_comes() {
    let mut history = History::new();
    let file =
        [past(Consent, Given, at(-10)), past(Consent, Refused, at(-20)), past(Consent, Given, at(-30))];
    let effects = file.clone().map(|decision| history.record(&decision, NOW).effect);
    assert_eq!(effects, [DecisionEffect::Applied, DecisionEffect::Superseded, DecisionEffect::Superseded]);
    assert_eq!(history.ledger.len(), 3);
    for later in 1..4 {
        for decision in &file {
            assert!(history.record(decision, at(later)).ledger.is_empty());
        }
    }
    assert_eq!((history.ledger.len(), history.state(Consent)), (3, Some((Given, at(-10)))));
    assert_eq!(history.record.ledger_entries, 3);
}

/// Regression: a given consent with a date before the newest one ended without an error, and was nowhere.
#[test]
fn an_older_consent_is_recorded_though_a_newer_one_stands() {
    let mut history = History::new();
    let given = |ms| Decision { decided_at: Some(at(ms)), ..decision(ALL, Consent, Given) };
    history.record(&given(-10), NOW);
    for now in [at(1), at(2)] {
        let older = history.record(&given(-20), now);
        assert_eq!((older.effect, older.state.decided_at), (DecisionEffect::Superseded, at(-20)));
    }
    assert_eq!((history.ledger.len(), history.state(Consent)), (2, Some((Given, at(-10)))));
    assert!(matches!(history.ledger[1].body, LedgerBody::Superseded { .. }));
    let replayed = as_of(&history.ledger, at(9));
    assert_eq!(replayed.grounds, history.record.grounds, "the replay gives the state");
}

/// What carries a ground from a file with data.
fn carrying(grants: Vec<Decision>) -> Observations {
    Observations {
        purpose: purpose(ALL),
        source: "till".parse().unwrap(),
        party: Party::First,
        basis: None,
        grants,
        observations: Vec::new(),
        identifiers: Vec::new(),
        events: Vec::new(),
    }
}

/// Regression: a consent that a file brought with data lifted a newer no that came before it, and never one that came after.
#[test]
fn a_ground_that_is_imported_with_data_is_sorted_in_by_its_date() {
    let load = |history: &mut History, grants: &[Decision], now| {
        let change = ChangeContext { history: &history.ledger, ..context(now) };
        let done =
            ingest(&history.record, &carrying(grants.to_vec()), &history.catalogue, &FREE, change).unwrap();
        history.record = done.record;
        history.ledger.extend(done.ledger);
        done.grant_outcomes
    };
    for (given, stands) in [(-30, Refused), (-10, Given)] {
        let (grant, no) = (past(Consent, Given, at(given)), past(Consent, Refused, at(-20)));
        let (mut one, mut other) = (History::new(), History::new());
        one.record(&no, NOW);
        let effect = if stands == Given { DecisionEffect::Applied } else { DecisionEffect::Superseded };
        assert_eq!(load(&mut one, std::slice::from_ref(&grant), at(1)), [Ok(effect)]);
        load(&mut other, std::slice::from_ref(&grant), at(1));
        other.record(&no, at(2));
        for history in [&mut one, &mut other] {
            assert_eq!(history.state(Consent).unwrap().0, stands);
            let entries = history.ledger.len();
            load(history, std::slice::from_ref(&grant), at(3));
            assert_eq!(history.ledger.len(), entries, "the same row again is nothing new");
        }
    }
    let mut history = History::new();
    let twice = [past(Consent, Given, at(-10)), past(Consent, Given, at(-20)), past(Consent, Given, at(-20))];
    load(&mut history, &twice, NOW);
    assert_eq!(history.ledger.len(), 2, "nor is it in one call");
}

/// Regression: `01.03.26` was read as a day of the year 26, so that a refusal was superseded by every consent.
#[test]
fn a_decision_before_1900_is_a_misread_date() {
    let history = History::new();
    let record = |ms| {
        let decision = Decision { decided_at: Some(TimestampMs::from_ms(ms)), ..past(Consent, Refused, NOW) };
        record_decision(&history.record, &decision, &history.catalogue, context(NOW)).map(|done| done.effect)
    };
    assert_eq!(record(DECIDED_AT_MIN_MS), Ok(DecisionEffect::Applied));
    let refused = record(DECIDED_AT_MIN_MS - 1).unwrap_err();
    assert!(matches!(refused, ProfileError::Malformed { field: "decided_at", .. }), "{refused}");
}

/// What was found invalid is nothing until the consent arrives that it was.
#[test]
fn a_decision_that_waited_for_an_older_one_becomes_the_state_when_that_arrives() {
    let mut history = History::new();
    let early = history.record(&past(Consent, Invalidated, at(-10)), NOW);
    assert_eq!((early.effect, history.state(Consent)), (DecisionEffect::Superseded, None));
    let given = history.record(&past(Consent, Given, at(-20)), at(1));
    assert_eq!((given.effect, given.ledger.len()), (DecisionEffect::Superseded, 2));
    assert_eq!(history.state(Consent), Some((Invalidated, at(-10))));
    assert_eq!(as_of(&history.ledger, at(9)).grounds, history.record.grounds);
}

/// A revocation is a no, so it waits for nothing.
#[test]
fn a_revocation_stands_before_the_consent_that_it_ends_arrives() {
    let mut history = History::new();
    let early = history.record(&past(Consent, Revoked, at(-10)), NOW);
    assert_eq!((early.effect, history.state(Consent)), (DecisionEffect::Applied, Some((Revoked, at(-10)))));
    let given = history.record(&past(Consent, Given, at(-20)), at(1));
    assert_eq!((given.effect, given.ledger.len()), (DecisionEffect::Superseded, 1));
    assert_eq!(history.state(Consent), Some((Revoked, at(-10))));
    assert_eq!(as_of(&history.ledger, at(9)).grounds, history.record.grounds);
}

/// Regression: a file that was exported after a withdrawal, with a consent of any date, revived the consent.
#[test]
fn no_date_of_a_file_lifts_a_no_that_was_said_live() {
    let mut history = History::new();
    history.record(&past(Consent, Given, at(-50)), at(-40));
    // Even if the same no had been imported before.
    history.record(&past(Consent, Withdrawn, at(-30)), at(-20));
    let withdrawn = withdraw(&history.record, &withdrawal(), &history.catalogue, context(NOW)).unwrap();
    assert_eq!(withdrawn.effect, DecisionEffect::Applied);
    history.record = withdrawn.record;
    history.ledger.extend(withdrawn.ledger);
    for ms in [-50, -10, 0, 10, 20] {
        let again = history.record(&past(Consent, Given, at(ms)), at(20));
        assert_eq!(again.effect, DecisionEffect::Superseded, "{ms}");
        assert_eq!(history.state(Consent), Some((Withdrawn, NOW)), "{ms}");
    }
    let answers = Some(history.record.ledger_entries);
    let own = Decision { recording: Recording::Live { answers }, ..decision(ALL, Consent, Given) };
    history.record(&own, at(21));
    assert_eq!(history.state(Consent), Some((Given, at(21))), "the customer's own consent does");
    let file = history.record(&past(Consent, Given, at(22)), at(30));
    assert_eq!(file.effect, DecisionEffect::Applied, "the no is answered");
}

/// Regression: what was found invalid before a live revocation left nothing to revoke, and the revocation vanished.
#[test]
fn no_import_with_an_earlier_date_makes_a_live_no_vanish() {
    for no in [Revoked, Refused, Withdrawn] {
        let mut history = History::new();
        history.record(&past(Consent, Given, at(-50)), at(-1));
        let live = Decision { recording: Recording::Live { answers: None }, ..past(Consent, no, NOW) };
        history.record(&live, NOW);
        for status in [Invalidated, Revoked, Refused, Requested, Given] {
            let late = history.record(&past(Consent, status, at(-10)), at(1));
            assert_eq!(late.effect, DecisionEffect::Superseded, "{status:?} before {no:?}");
            assert_eq!(history.state(Consent), Some((no, NOW)));
        }
    }
}

/// A Californian who sent a signal, where the purpose may use sensitive data.
fn signalled(signal: PrivacySignal) -> History {
    let mut history = History::new();
    history.record.subject.regions = ["US-CA".parse().unwrap()].into();
    let fields = AttributeFields {
        classification: Classification::Sensitive,
        ..attribute_fields(9, "diagnosis", ValueType::Text, &[ALL])
    };
    history.catalogue.put_attribute(AttributeDefinition::new(fields).unwrap()).unwrap();
    history.record = record_signal(&history.record, signal, None, &history.catalogue, context(NOW)).record;
    history
}

/// Cal. Civ. Code §1798.121(b): whoever asks again names the limit that the consent answers.
#[test]
fn a_live_consent_answers_a_limit_on_sensitive_data_only_if_it_names_the_revision() {
    let limited = signalled(PrivacySignal::LimitSensitive);
    let given = |answers| Decision { recording: Recording::Live { answers }, ..past(Consent, Given, at(5)) };
    let record =
        |answers| record_decision(&limited.record, &given(answers), &limited.catalogue, context(at(9)));
    let refused = ProfileError::NoStands { reason: RefusalReason::SensitiveLimited };
    assert_eq!(record(None).unwrap_err(), refused);
    let answered = record(Some(limited.record.ledger_entries)).unwrap();
    assert_eq!((answered.effect, answered.state.status), (DecisionEffect::Applied, Given));
}

#[test]
fn an_imported_consent_does_not_answer_a_live_objection_or_an_opt_out_of_sale() {
    let objection = Withdrawal { basis: LegitimateInterests, ..withdrawal() };
    let mut objected = History::new();
    objected.record =
        withdraw(&objected.record, &objection, &objected.catalogue, context(NOW)).unwrap().record;
    for mut history in [objected, signalled(PrivacySignal::Gpc), signalled(PrivacySignal::LimitSensitive)] {
        let before = history.permits(at(20));
        let after = history.record(&past(Consent, Given, at(10)), at(20));
        assert_eq!(after.effect, DecisionEffect::Superseded);
        assert_eq!(history.permits(at(20)), before);
    }
}

/// How a consent that comes with data is recorded.
#[derive(Debug, Clone, Copy)]
enum Loaded {
    Live,
    Imported,
}

/// Some of all statuses, on two bases, most of them on a few dates.
fn decisions() -> impl Strategy<Value = Decision> {
    let status = select(vec![Given, Given, Refused, Withdrawn, Requested, Revoked, Invalidated]);
    let basis = select(vec![Consent, Consent, LegitimateInterests]);
    let dates = prop_oneof![-4_i64..=0, -90_i64..=0];
    let rest = (select(vec!["1", "2", "3"]), proptest::option::weighted(0.3, 1_i64..60));
    (status, basis, dates, rest).prop_filter_map(
        "only consent is asked for",
        |(status, basis, ms, (version, lasts))| {
            if status == Requested && basis != Consent {
                return None;
            }
            let expires_at = lasts.filter(|_| status == Given).map(|ms_lasts| at(ms + ms_lasts));
            Some(Decision { notice: Some(notice(version)), expires_at, ..past(basis, status, at(ms)) })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_order_of_arrival_of_the_same_decisions_changes_the_state(
        (decisions, shuffled) in collection::vec(decisions(), 0..8)
            .prop_flat_map(|decisions| (Just(decisions.clone()), Just(decisions).prop_shuffle())),
        twice: prop::sample::Index,
    ) {
        let recorded = |decisions: &[Decision]| {
            let mut history = History::new();
            for (decision, ms) in decisions.iter().zip(1..) {
                history.record(decision, at(ms));
            }
            history
        };
        let (one, mut other) = (recorded(&decisions), recorded(&shuffled));
        if !decisions.is_empty() {
            let again = other.record(&shuffled[twice.index(shuffled.len())], at(50));
            prop_assert!(again.ledger.is_empty(), "a decision that comes again adds nothing");
        }
        for basis in [Consent, LegitimateInterests] {
            prop_assert_eq!(one.state(basis), other.state(basis));
        }
        prop_assert_eq!(one.permits(at(60)), other.permits(at(60)));
        for history in [&one, &other] {
            prop_assert_eq!(&as_of(&history.ledger, at(99)).grounds, &history.record.grounds);
            let is_there = |decision: &Decision| history.ledger.iter().any(|entry| match &entry.body {
                LedgerBody::Ground { basis, state, .. } | LedgerBody::Superseded { basis, state, .. } => {
                    (*basis, state.status) == (decision.basis, decision.status)
                        && Some(state.decided_at) == decision.decided_at
                }
                LedgerBody::Subject(_)
                | LedgerBody::TcString(_)
                | LedgerBody::GppString(_)
                | LedgerBody::Merged(_)
                | LedgerBody::Unmerged(_) => false,
            });
            prop_assert!(decisions.iter().all(is_there), "every decision is an entry of the ledger");
        }
    }

    /// The no is said at any time among the arrivals; files come before and after it, with data and without.
    #[test]
    fn no_batch_lifts_a_live_no(
        before in collection::vec(decisions(), 0..4),
        after in collection::vec((decisions(), select(vec![None, Some(Loaded::Live), Some(Loaded::Imported)])), 1..6),
        no in select(vec![Refused, Withdrawn, Revoked]),
        by in select(vec![Consent, LegitimateInterests]),
    ) {
        let mut history = History::new();
        for decision in &before {
            history.record(decision, at(1));
        }
        let live = Decision { recording: Recording::Live { answers: None }, ..past(by, no, at(2)) };
        // An interest can be revoked only if it was given; a consent that was not is none to revoke.
        let can_end = no != Revoked || history.state(by).is_some_and(|(status, _)| status == Given);
        prop_assume!(can_end && !(no == Revoked && by == LegitimateInterests));
        if record_decision(&history.record, &live, &history.catalogue, context(at(2))).is_err() {
            return Ok(());
        }
        history.record(&live, at(2));
        for ((decision, with_data), ms) in after.iter().zip(3..) {
            let decision = Decision { decided_at: decision.decided_at.map(|date| date.plus_ms(ms + 3)), ..decision.clone() };
            if let Some(loaded) = with_data.filter(|_| (decision.status, decision.basis) == (Given, Consent)) {
                let grant = Decision { expires_at: None, ..decision };
                let carried = carrying(vec![match loaded {
                    Loaded::Live => {
                        Decision { recording: Recording::Live { answers: None }, decided_at: None, ..grant }
                    }
                    Loaded::Imported => grant,
                }]);
                let change = ChangeContext { history: &history.ledger, ..context(at(ms)) };
                let done = ingest(&history.record, &carried, &history.catalogue, &FREE, change).unwrap();
                history.record = done.record;
                history.ledger.extend(done.ledger);
            } else {
                let at_arrival = decision.expires_at.is_none_or(|end| Some(end) > decision.decided_at);
                if at_arrival {
                    history.record(&decision, at(ms));
                }
            }
            let passed_by = history.permits(at(99)).filter(|basis| basis.yields_to_the_customer());
            prop_assert_eq!(passed_by, None);
        }
    }
}
