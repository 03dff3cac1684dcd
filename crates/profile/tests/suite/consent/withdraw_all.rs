//! "Unsubscribe from everything": one withdrawal and objection over all purposes (GDPR Arts. 7(3) and 21).

use custodia_profile::{
    AllWithdrawn, ChainLink, CustomerRecord, DecidedBy, DecisionEffect,
    GroundStatus::{Given, Refused, Requested, Withdrawn},
    LawfulBasis::{
        self, Consent, Contract, LegalObligation, LegitimateInterests, PublicTask, VitalInterests,
    },
    LedgerBody, LedgerEntry, NO_HASH, Permission, ProfileError, Purpose, PurposeFields, Reader,
    RefusalReason, Stored, TimestampMs, Verdict, Withdrawal, record_decision, verify_chain, withdraw,
    withdraw_all,
};
use proptest::prelude::*;

use crate::{
    generated::{ALL, CASES, Situation, law, situations},
    world::{
        MARKETING, NOW, OLD, RESEARCH, SERVICE, TAX, answering, at, catalogue, context, customer, decision,
        imported, label, purpose, purpose_fields, record_with, recorder, state,
    },
};

fn unsubscribe(record: &CustomerRecord, now: TimestampMs) -> AllWithdrawn {
    withdraw_all(record, Some(&label("web")), &catalogue(), context(now))
}

/// Which grounds the entries are about.
fn changed(ledger: &[LedgerEntry]) -> Vec<(u32, LawfulBasis)> {
    let ground = |entry: &LedgerEntry| {
        let LedgerBody::Ground { purpose, basis, state, .. } = &entry.body else {
            panic!("not about a ground: {entry:?}")
        };
        assert_eq!(state.status, Withdrawn);
        (purpose.as_u32(), *basis)
    };
    ledger.iter().map(ground).collect()
}

fn verdict(record: &CustomerRecord, number: u32) -> Verdict {
    let catalogue = catalogue();
    let purpose = catalogue.purpose(purpose(number)).unwrap();
    Permission::for_purpose(purpose, Reader::Controller, record, &catalogue, at(10)).verdict()
}

/// The purposes by name: marketing, old, research, service, tax.
#[test]
fn every_ground_that_yields_to_the_customer_is_withdrawn_though_nothing_was_recorded() {
    let after = unsubscribe(&CustomerRecord::new(at(-1_000)), NOW);
    let expected = [
        (MARKETING, Consent),
        (MARKETING, LegitimateInterests),
        (OLD, Consent),
        (RESEARCH, Consent),
        (SERVICE, Consent),
        (TAX, PublicTask),
    ];
    assert_eq!(changed(&after.ledger), expected);
    let states: Vec<_> = after.states.iter().map(|(number, basis, _)| (number.as_u32(), *basis)).collect();
    assert_eq!(states, expected);
    for (number, basis, state) in &after.states {
        assert_eq!(after.record.ground(*number, *basis), Some(state));
        assert_eq!((state.status, state.decided_at, state.recorded_at), (Withdrawn, NOW, NOW));
        assert_eq!((state.decided_by(), &state.channel), (DecidedBy::DataSubject, &Some(label("web"))));
    }
    assert!(after.ledger.iter().all(|entry| entry.recorded_by == recorder()));
}

#[test]
fn a_contract_a_legal_obligation_and_vital_interests_go_on() {
    let given = [Contract, Consent, VitalInterests].map(|basis| (SERVICE, basis, state(Given, at(-1))));
    let before = record_with(&given);
    let after = unsubscribe(&before, NOW);
    for basis in [Contract, VitalInterests] {
        assert_eq!(after.record.ground(purpose(SERVICE), basis), before.ground(purpose(SERVICE), basis));
    }
    assert_eq!(verdict(&after.record, SERVICE).ground(), Some(Contract));
    assert_eq!(verdict(&after.record, TAX).ground(), Some(LegalObligation), "it stands");
    assert_eq!(verdict(&after.record, MARKETING).ground(), None);
}

/// Regression: an earlier no kept its date, so a consent of in between that was recorded late counted as the newer decision.
#[test]
fn an_earlier_no_is_dated_anew_so_that_no_late_consent_outlives_it() {
    let refused = state(Refused, at(-9));
    let withdrawal = Withdrawal { purpose: purpose(MARKETING), basis: LegitimateInterests, channel: None };
    let before = record_with(&[(RESEARCH, Consent, refused)]);
    let before = withdraw(&before, &withdrawal, &catalogue(), context(at(-8))).unwrap().record;
    let after = unsubscribe(&before, NOW);
    let ended = changed(&after.ledger);
    for ground in [(RESEARCH, Consent), (MARKETING, LegitimateInterests)] {
        assert!(ended.contains(&ground), "{ended:?}");
        assert_eq!(after.record.ground(purpose(ground.0), ground.1).unwrap().decided_at, NOW);
    }
    let between =
        custodia_profile::Decision { decided_at: Some(at(-5)), ..decision(RESEARCH, Consent, Given) };
    let late = record_decision(&after.record, &imported(between), &catalogue(), context(at(5)));
    let late = late.unwrap();
    assert_eq!(late.effect, DecisionEffect::Superseded, "the customer's newest word counts");
    assert_eq!(late.record.ground(purpose(RESEARCH), Consent).unwrap().decided_at, NOW);
}

#[test]
fn a_legitimate_interest_that_is_recorded_later_permits_nothing() {
    let after = unsubscribe(&CustomerRecord::new(at(-1_000)), NOW).record;
    let interest = decision(MARKETING, LegitimateInterests, Given);
    let refused = record_decision(&after, &interest, &catalogue(), context(at(5)));
    assert_eq!(refused.unwrap_err(), ProfileError::ObjectionStands);
    assert_eq!(verdict(&after, MARKETING), Verdict::Refuse(RefusalReason::ConsentWithdrawn));
    let own = answering(&after, decision(MARKETING, Consent, Given));
    let consent = record_decision(&after, &own, &catalogue(), context(at(5)));
    assert_eq!(verdict(&consent.unwrap().record, MARKETING).ground(), Some(Consent), "the customer's own");
}

#[test]
fn silence_is_no_consent_any_more_where_the_law_is_opt_out() {
    let mut before = CustomerRecord::new(at(-1_000));
    before.subject.regions = ["US-CA".parse().unwrap()].into();
    assert_eq!(verdict(&before, RESEARCH).ground(), Some(Consent));
    let after = unsubscribe(&before, NOW).record;
    assert_eq!(verdict(&after, RESEARCH), Verdict::Refuse(RefusalReason::ConsentWithdrawn));
}

#[test]
fn a_request_and_a_consent_dated_ahead_of_the_clock_are_withdrawn_too() {
    let ahead = state(Given, at(200_000));
    let before = record_with(&[(RESEARCH, Consent, ahead), (MARKETING, Consent, state(Requested, at(-1)))]);
    let after = unsubscribe(&before, NOW).record;
    let research = after.ground(purpose(RESEARCH), Consent).unwrap();
    assert_eq!((research.status, research.decided_at), (Withdrawn, at(200_000)));
    assert_eq!(after.ground(purpose(MARKETING), Consent).unwrap().status, Withdrawn);
}

/// GDPR Art. 21(3), Cal. Civ. Code §1798.120(a): also if such a purpose allows nothing that could be withdrawn.
#[test]
fn direct_marketing_and_sale_end_whatever_they_rest_on() {
    let mut catalogue = catalogue();
    let fields = |number, id| purpose_fields(number, id, &[Contract]);
    let flyers = PurposeFields { direct_marketing: true, ..fields(31, "flyers") };
    let selling = PurposeFields { sale_or_sharing: true, ..fields(32, "selling") };
    for fields in [flyers, selling, fields(33, "delivery")] {
        catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    }
    let before = record_with(&[31, 32, 33].map(|number| (number, Contract, state(Given, at(-1)))));
    let after = withdraw_all(&before, None, &catalogue, context(NOW)).record;
    let verdict = |number| {
        let asked = catalogue.purpose(purpose(number)).unwrap();
        Permission::for_purpose(asked, Reader::Controller, &after, &catalogue, at(1)).verdict()
    };
    assert_eq!(verdict(31), Verdict::Refuse(RefusalReason::Objected));
    assert_eq!(verdict(32), Verdict::Refuse(RefusalReason::ConsentWithdrawn));
    assert_eq!(verdict(33).ground(), Some(Contract));
}

/// Whether the purpose is permitted by a basis at any of some moments around now.
fn is_permitted(situation: &Situation, record: &CustomerRecord, number: u32, basis: LawfulBasis) -> bool {
    let purpose = situation.catalogue.purpose(purpose(number)).unwrap();
    [situation.now, NOW, at(400 * 86_400_000)].into_iter().any(|moment| {
        let reader = Reader::Controller;
        Permission::for_basis(purpose, basis, reader, record, &situation.catalogue, moment)
            .verdict()
            .ground()
            .is_some()
    })
}

#[test]
fn afterwards_no_purpose_is_permitted_by_a_basis_that_yields_and_nothing_more_than_before() {
    law(situations(), CASES / 3, |tally, situation| {
        let before = &situation.record;
        let after = withdraw_all(before, None, &situation.catalogue, context(NOW)).record;
        for number in ALL {
            for basis in [Consent, PublicTask, LegitimateInterests] {
                if is_permitted(&situation, before, number, basis) {
                    tally.meet();
                }
                prop_assert!(!is_permitted(&situation, &after, number, basis), "{number} by {basis:?}");
            }
            let ground = situation.verdict(number, &after, NOW).ground();
            prop_assert!(ground.is_none_or(|ground| !ground.yields_to_the_customer()));
            for basis in [Contract, LegalObligation, VitalInterests] {
                let kept = before.ground(purpose(number), basis);
                prop_assert_eq!(after.ground(purpose(number), basis), kept);
            }
        }
        situation.permits_no_more(tally, before, &after)
    });
}

#[test]
fn a_second_call_of_the_same_moment_changes_nothing_and_the_entries_are_one_chain() {
    law(situations(), CASES / 2, |tally, situation| {
        let mut record = situation.record.clone();
        (record.ledger_entries, record.ledger_head) = (0, NO_HASH);
        let after = withdraw_all(&record, None, &situation.catalogue, context(NOW));
        tally.count(&situation.verdicts(&record, situation.now));
        if after.record != record {
            tally.meet();
        }
        prop_assert_eq!(after.ledger.is_empty(), after.record == record);
        let again = withdraw_all(&after.record, None, &situation.catalogue, context(NOW));
        prop_assert_eq!((&again.record, &again.states), (&after.record, &after.states));
        prop_assert!(again.ledger.is_empty());
        let grounds = changed(&after.ledger);
        let distinct: std::collections::BTreeSet<_> = grounds.iter().collect();
        prop_assert_eq!(distinct.len(), grounds.len(), "one entry for each ground");
        let links: Vec<_> =
            after.ledger.iter().map(|entry| (entry.encode(), entry.hash(&customer()))).collect();
        let links: Vec<_> =
            links.iter().map(|(canonical, hash)| ChainLink { canonical, hash: *hash }).collect();
        let (head, total) = (after.record.ledger_head, after.record.ledger_entries);
        prop_assert_eq!(verify_chain(&customer(), &links, head, total), Ok(()));
        Ok(())
    });
}
