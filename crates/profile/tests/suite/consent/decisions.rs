//! Recording decisions: what is required, what prevails, what the ledger gets (CO-2, CO-5, CO-6, CO-8).

use custodia_profile::{
    CustomerRecord, Decision, DecisionEffect,
    GroundStatus::{Given, Refused, Withdrawn},
    LawfulBasis::{Consent, Contract, LegitimateInterests},
    LedgerBody, NO_HASH, Permission, ProfileError, Reader, RefusalReason, Verdict, Withdrawal,
    record_decision, withdraw,
};

use crate::world::{
    MARKETING, NOW, OLD, RESEARCH, SERVICE, answering, at, catalogue, context, customer, decision, notice,
    purpose, record_with, state,
};

fn empty() -> CustomerRecord {
    CustomerRecord::new(at(-1_000))
}

fn withdrawal(number: u32) -> Withdrawal {
    Withdrawal { purpose: purpose(number), basis: Consent, channel: None }
}

#[test]
fn a_consent_is_recorded_with_its_ledger_entry() {
    let recorded =
        record_decision(&empty(), &decision(RESEARCH, Consent, Given), &catalogue(), context(NOW)).unwrap();
    assert_eq!(recorded.effect, DecisionEffect::Applied);
    assert_eq!(recorded.record.ground(purpose(RESEARCH), Consent), Some(&recorded.state));
    let entry = &recorded.ledger[0];
    assert_eq!((entry.sequence, entry.previous, entry.recorded_at), (0, NO_HASH, NOW));
    assert_eq!(recorded.record.ledger_head, entry.hash(&customer()));
    assert_eq!((recorded.record.ledger_entries, recorded.record.updated_at), (1, NOW));
    let expected = LedgerBody::Ground {
        purpose: purpose(RESEARCH),
        purpose_id: "research".parse().unwrap(),
        basis: Consent,
        state: recorded.state,
    };
    assert_eq!(entry.body, expected);
}

#[test]
fn a_permission_without_its_proof_is_refused() {
    let good = decision(RESEARCH, Consent, Given);
    let cases = [
        (Decision { notice: None, ..good.clone() }, "notice_version is required"),
        (Decision { notice: Some(notice("9")), ..good.clone() }, "notice_version is not in the catalogue"),
        (Decision { method: None, ..good.clone() }, "method is required"),
        (Decision { purpose: purpose(99), ..good.clone() }, "purpose is not in the catalogue"),
        (Decision { reference: None, ..decision(SERVICE, Contract, Given) }, "reference is required"),
        (
            Decision { decided_at: Some(at(300_001)), ..good.clone() },
            "decided_at is more than 300000 ms in the future",
        ),
        (
            Decision { expires_at: Some(NOW), ..good.clone() },
            "expires_at is malformed, expected a moment after the decision",
        ),
    ];
    for (decision, text) in cases {
        let error = record_decision(&empty(), &decision, &catalogue(), context(NOW)).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    assert!(
        record_decision(
            &empty(),
            &Decision { decided_at: Some(at(300_000)), ..good },
            &catalogue(),
            context(NOW)
        )
        .is_ok()
    );
}

#[test]
fn a_permission_that_the_purpose_does_not_allow_is_refused_but_a_no_never_is() {
    for (number, basis, reason) in [
        (RESEARCH, Contract, RefusalReason::BasisNotAllowed),
        (OLD, Consent, RefusalReason::PurposeDeprecated),
    ] {
        let error = record_decision(&empty(), &decision(number, basis, Given), &catalogue(), context(NOW))
            .unwrap_err();
        assert_eq!(error, ProfileError::NotRecordable { reason });
        let no = Decision { notice: None, method: None, reference: None, ..decision(number, basis, Refused) };
        assert!(record_decision(&empty(), &no, &catalogue(), context(NOW)).is_ok());
        assert!(withdraw(&empty(), &withdrawal(number), &catalogue(), context(NOW)).is_ok());
    }
}

#[test]
fn the_same_decision_again_changes_nothing() {
    let given = Decision { decided_at: Some(at(-5)), ..decision(RESEARCH, Consent, Given) };
    let first = record_decision(&empty(), &given, &catalogue(), context(NOW)).unwrap();
    let again = record_decision(&first.record, &given, &catalogue(), context(at(1_000))).unwrap();
    assert_eq!(
        (again.effect, again.ledger.len(), &again.record),
        (DecisionEffect::Unchanged, 0, &first.record)
    );
}

#[test]
fn an_older_consent_that_arrives_late_does_not_undo_a_withdrawal() {
    let withdrawn = withdraw(&empty(), &withdrawal(RESEARCH), &catalogue(), context(NOW)).unwrap();
    let late = Decision { decided_at: Some(at(-5)), ..decision(RESEARCH, Consent, Given) };
    let stands = ProfileError::NoStands { reason: RefusalReason::ConsentWithdrawn };
    let refused = record_decision(&withdrawn.record, &late, &catalogue(), context(at(1))).unwrap_err();
    assert_eq!(refused, stands);
}

#[test]
fn consent_given_again_after_a_withdrawal_permits() {
    let withdrawn = withdraw(&empty(), &withdrawal(RESEARCH), &catalogue(), context(NOW)).unwrap();
    let again = answering(&withdrawn.record, decision(RESEARCH, Consent, Given));
    let after = record_decision(&withdrawn.record, &again, &catalogue(), context(at(1))).unwrap();
    assert_eq!((after.effect, after.ledger[0].sequence), (DecisionEffect::Applied, 1));
    let stale = record_decision(&after.record, &again, &catalogue(), context(at(2))).unwrap_err();
    assert_eq!(stale, ProfileError::ConsentRevisionStale, "a retry that comes late");
}

#[test]
fn a_withdrawal_holds_though_the_consent_was_dated_ahead_of_the_clock() {
    let ahead = Decision { decided_at: Some(at(200_000)), ..decision(RESEARCH, Consent, Given) };
    let given = record_decision(&empty(), &ahead, &catalogue(), context(NOW)).unwrap();
    let after = withdraw(&given.record, &withdrawal(RESEARCH), &catalogue(), context(at(1))).unwrap();
    assert_eq!((after.effect, after.state.status), (DecisionEffect::Applied, Withdrawn));
    assert_eq!(after.state.notice, Some(notice("3")), "the proof of what was withdrawn stays");
}

#[test]
fn a_second_withdrawal_counts_as_of_now() {
    let once = withdraw(&empty(), &withdrawal(RESEARCH), &catalogue(), context(NOW)).unwrap();
    let twice = withdraw(&once.record, &withdrawal(RESEARCH), &catalogue(), context(at(9))).unwrap();
    assert_eq!((twice.effect, twice.state.decided_at), (DecisionEffect::Applied, at(9)));
    assert_eq!(twice.ledger[0].sequence, 1);
}

#[test]
fn an_objection_is_not_lifted_by_recording_the_interest_again() {
    let objection = Withdrawal { basis: LegitimateInterests, ..withdrawal(MARKETING) };
    let objected = withdraw(&empty(), &objection, &catalogue(), context(NOW)).unwrap();
    let interest = decision(MARKETING, LegitimateInterests, Given);
    let error = record_decision(&objected.record, &interest, &catalogue(), context(at(9))).unwrap_err();
    assert_eq!(error, ProfileError::ObjectionStands);
}

#[test]
fn an_objection_repeated_after_a_consent_beats_that_consent() {
    let catalogue = catalogue();
    let record = record_with(&[
        (MARKETING, LegitimateInterests, state(Withdrawn, at(-9))),
        (MARKETING, Consent, state(Given, at(-5))),
    ]);
    let marketing = catalogue.purpose(purpose(MARKETING)).unwrap();
    assert!(
        Permission::for_purpose(marketing, Reader::Controller, &record, &catalogue, NOW)
            .verdict()
            .ground()
            .is_some()
    );
    let objection = Withdrawal { basis: LegitimateInterests, ..withdrawal(MARKETING) };
    let after = withdraw(&record, &objection, &catalogue, context(NOW)).unwrap();
    let verdict =
        Permission::for_purpose(marketing, Reader::Controller, &after.record, &catalogue, NOW).verdict();
    assert_eq!(verdict, Verdict::Refuse(RefusalReason::Objected));
}
