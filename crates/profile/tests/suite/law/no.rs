//! A no that is recorded as it is said beats everything recorded before it, whatever any clock says, and nothing lifts it
//! that did not see it (CO-5). Callers' dates, their late and repeated calls, and the clocks of the leaders that record
//! them are drawn at random, from a year behind to a year ahead.

use std::collections::BTreeSet;

use custodia_profile::{
    ConsentMethod, CustomerRecord, DecidedBy, Decision, DecisionEffect, Evidence,
    GroundStatus::{self, Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    LawfulBasis::{self, Consent, LegitimateInterests, PublicTask},
    Observations, Party, PrivacySignal, ProfileError, Recording, TimestampMs, Withdrawal, ingest,
    record_decision, record_signal, withdraw, withdraw_all,
};
use proptest::{collection, prelude::*, test_runner::TestCaseResult};

use crate::{
    generated::{ALL, CASES, DAY_MS, Draw, Situation, Tally, law, situations},
    world::{FREE, NOW, context, decision, imported, purpose},
};

/// What the customer yields to: a no ends these.
const YIELDING: [LawfulBasis; 3] = [Consent, PublicTask, LegitimateInterests];

/// A situation, and numbers for what happens in it.
fn histories() -> impl Strategy<Value = (Situation, Vec<u64>)> {
    (situations(), collection::vec(any::<u64>(), 1..10))
}

/// A ground is given, now or at some date, on the record as it is or as it was.
fn given(draw: &mut Draw, record: &CustomerRecord, number: u32) -> Decision {
    let answers = draw.pick(&[None, None, Some(record.ledger_entries), Some(record.ledger_entries + 1)]);
    let basis = draw.pick(&[Consent, Consent, LegitimateInterests, PublicTask, LawfulBasis::Contract]);
    let decided_at = draw.once_in(2).then(|| draw.moment());
    Decision { decided_at, recording: Recording::Live { answers }, ..decision(number, basis, Given) }
}

fn refused(draw: &mut Draw, number: u32) -> Decision {
    let decided_at = draw.once_in(2).then(|| draw.moment());
    Decision { decided_at, ..decision(number, draw.pick(&YIELDING), draw.pick(&[Refused, Withdrawn])) }
}

/// The customer is asked, or somebody else ends a ground.
fn said_by_others(draw: &mut Draw, number: u32) -> Decision {
    let status = draw.pick(&[Requested, Revoked, Invalidated]);
    let basis = draw.pick(&[Consent, Consent, LegitimateInterests, PublicTask]);
    let by = Evidence { decided_by: DecidedBy::Guardian, ..Evidence::default() };
    let evidence = (status == Revoked).then_some(by);
    let decided_at = draw.once_in(2).then(|| draw.moment());
    Decision { decided_at, evidence, ..decision(number, basis, status) }
}

/// The same as an ingest that carries it.
fn carried(grant: Decision) -> Observations {
    Observations {
        purpose: grant.purpose,
        source: "till".parse().unwrap(),
        party: Party::First,
        basis: None,
        grants: vec![Decision { recording: Recording::Live { answers: None }, ..grant }],
        observations: Vec::new(),
        identifiers: Vec::new(),
        events: Vec::new(),
    }
}

/// The record of one customer, and the purposes to which a no stands as far as this model knows.
struct History<'a> {
    situation: &'a Situation,
    record: CustomerRecord,
    said_no: BTreeSet<u32>,
}

impl History<'_> {
    /// One call, by a leader whose clock says anything.
    fn step(&mut self, mut draw: Draw) -> TestCaseResult {
        let (context, catalogue) = (context(draw.moment()), &self.situation.catalogue);
        let number = draw.pick(&ALL);
        match draw.below(7) {
            0 => {
                let given = given(&mut draw, &self.record, number);
                let Ok(after) = record_decision(&self.record, &given, catalogue, context) else {
                    return Ok(());
                };
                prop_assert_eq!(after.state.status, Given);
                let names_it = matches!(given.recording, Recording::Live { answers: Some(_) });
                prop_assert!(names_it || after.state.decided_at <= context.now || after.ledger.is_empty());
                self.record = after.record;
                if given.basis == Consent && names_it {
                    self.said_no.remove(&number);
                }
            }
            1 => {
                let grant = decision(number, Consent, Given);
                let grant = Decision { decided_at: draw.once_in(2).then(|| draw.moment()), ..grant };
                if let Ok(after) = ingest(&self.record, &carried(grant), catalogue, &FREE, context) {
                    self.record = after.record;
                }
            }
            2 => {
                let refused = refused(&mut draw, number);
                let after = record_decision(&self.record, &refused, catalogue, context)
                    .map_err(|error| TestCaseError::fail(format!("a no can always be recorded: {error}")))?;
                prop_assert_eq!(after.state.status, refused.status);
                self.record = after.record;
                self.said_no.insert(number);
            }
            3 => {
                let withdrawal =
                    Withdrawal { purpose: purpose(number), basis: draw.pick(&YIELDING), channel: None };
                let after = withdraw(&self.record, &withdrawal, catalogue, context).unwrap();
                prop_assert_eq!(after.state.status, Withdrawn);
                self.record = after.record;
                self.said_no.insert(number);
            }
            4 => {
                let said = said_by_others(&mut draw, number);
                if let Ok(after) = record_decision(&self.record, &said, catalogue, context) {
                    self.record = after.record;
                    if (said.status, said.basis) == (Revoked, Consent) {
                        self.said_no.insert(number);
                    }
                }
            }
            5 => {
                self.record = withdraw_all(&self.record, None, catalogue, context).record;
                self.said_no.extend(ALL);
            }
            _ => {
                let signal = draw.pick(&PrivacySignal::ALL);
                let after = record_signal(&self.record, signal, None, catalogue, context);
                self.record = after.record;
                // A jurisdiction may let a consent stand that was given after an earlier signal.
                let refused = after.states.iter().filter(|(_, state)| state.is_no());
                self.said_no.extend(refused.map(|(number, _)| number.as_u32()));
            }
        }
        Ok(())
    }

    /// At no moment does a basis that yields to the customer permit what the customer said no to; and no basis permits sale,
    /// sharing and direct marketing.
    fn check(&self) -> TestCaseResult {
        for number in &self.said_no {
            for moment in [self.situation.now, NOW, NOW.plus_ms(-500 * DAY_MS), NOW.plus_ms(800 * DAY_MS)] {
                let ground = self.situation.verdict(*number, &self.record, moment).ground();
                let asked = self.situation.catalogue.purpose(purpose(*number)).unwrap();
                let absolute = asked.sale_or_sharing || asked.direct_marketing;
                let passed_by = ground.is_some_and(|ground| absolute || ground.yields_to_the_customer());
                prop_assert!(!passed_by, "a no to {number} was passed by at {moment:?}: {ground:?}");
            }
        }
        Ok(())
    }
}

#[test]
fn a_no_holds_until_a_consent_that_saw_it_whatever_any_clock_says() {
    law(histories(), CASES / 2, |tally: &Tally, (situation, steps)| {
        let (record, said_no) = (situation.record.clone(), BTreeSet::new());
        let mut history = History { situation: &situation, record, said_no };
        tally.count(&situation.verdicts(&situation.record, situation.now));
        for step in &steps {
            history.step(Draw::new(*step))?;
            history.check()?;
        }
        if !history.said_no.is_empty() {
            tally.meet();
        }
        Ok(())
    });
}

/// An answer never reports another status than was asked for, unless it is an error.
#[test]
fn what_is_recorded_has_the_status_that_was_asked_for() {
    let statuses = [Given, Refused, Withdrawn, Requested, Revoked, Invalidated];
    law((situations(), any::<u64>()), CASES / 10, |tally, (situation, drawn)| {
        let mut draw = Draw::new(drawn);
        let (number, status): (u32, GroundStatus) = (draw.pick(&ALL), draw.pick(&statuses));
        let live = Decision {
            decided_at: Some(draw.moment()),
            method: Some(draw.pick(&[ConsentMethod::Explicit, ConsentMethod::OptOut])),
            ..decision(number, draw.pick(&LawfulBasis::ALL), status)
        };
        let by_controller = Evidence { decided_by: DecidedBy::Controller, ..Evidence::default() };
        let evidence = if status == Revoked { Some(by_controller) } else { live.evidence.clone() };
        let live = Decision { evidence, ..live };
        let said = if draw.once_in(2) { imported(live) } else { live };
        let now: TimestampMs = draw.moment();
        tally.count(&situation.verdicts(&situation.record, situation.now));
        match record_decision(&situation.record, &said, &situation.catalogue, context(now)) {
            Ok(after) => {
                tally.meet();
                prop_assert_eq!(after.state.status, status);
                if after.effect == DecisionEffect::Superseded {
                    prop_assert!(said.recording == Recording::Imported || said.status == Given);
                } else {
                    prop_assert_eq!(after.record.ground(purpose(number), said.basis), Some(&after.state));
                }
            }
            Err(ProfileError::Unknown { .. }) => prop_assert!(false, "the purpose is known"),
            Err(_) => {
                let is_live_no =
                    matches!(status, Refused | Withdrawn) && said.recording != Recording::Imported;
                prop_assert!(!is_live_no, "a no can always be recorded");
            }
        }
        Ok(())
    });
}

/// A no that is said again is a no as of now: what is imported with a date in between does not lift it.
#[test]
fn a_no_that_is_said_again_is_a_decision_of_its_own() {
    law((situations(), any::<u64>()), CASES / 10, |tally, (situation, drawn)| {
        let mut draw = Draw::new(drawn);
        let number: u32 = draw.pick(&ALL);
        let catalogue = &situation.catalogue;
        let withdrawal = Withdrawal { purpose: purpose(number), basis: Consent, channel: None };
        let refused = decision(number, Consent, Refused);
        let is_refusal = draw.once_in(2);
        let say = |record: &CustomerRecord, now| {
            let said = if is_refusal {
                record_decision(record, &refused, catalogue, context(now))
            } else {
                withdraw(record, &withdrawal, catalogue, context(now))
            };
            said.unwrap()
        };
        let first = say(&situation.record, NOW);
        let again = say(&first.record, first.state.decided_at.plus_ms(2));
        prop_assert_eq!(again.record.ledger_entries, first.record.ledger_entries + 1);
        prop_assert!(!again.ledger.is_empty() && again.state.decided_at > first.state.decided_at);
        let between = Decision {
            decided_at: Some(first.state.decided_at.plus_ms(1)),
            ..decision(number, Consent, Given)
        };
        let late = context(again.state.decided_at.plus_ms(DAY_MS));
        tally.count(&situation.verdicts(&situation.record, situation.now));
        match record_decision(&again.record, &imported(between), catalogue, late) {
            Ok(late) => {
                prop_assert_eq!(late.effect, DecisionEffect::Superseded, "the no was lifted");
                tally.meet();
            }
            Err(_not_recordable) => {}
        }
        Ok(())
    });
}
