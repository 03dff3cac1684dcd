//! The consent decision: its table, and the laws that no record may break (CO-3, CO-5).

use custodia_profile::{
    CustomerRecord, Decision, GroundState,
    GroundStatus::{Given, Refused, Withdrawn},
    LawfulBasis::{self, Consent, Contract, LegalObligation, LegitimateInterests, PublicTask},
    Permission, Provenance, RefusalReason, SourceId, StoredEvent, Subject, Verdict, Withdrawal, decide,
    record_decision, withdraw,
};
use proptest::{prelude::*, sample::select};

use crate::world::{
    MARKETING, NOW, OLD, PURPOSES, RESEARCH, SERVICE, TAX, at, attribute, bases, catalogue, event, notice,
    purpose, record_with, records, state, states,
};

fn verdict(number: u32, record: &CustomerRecord) -> Verdict {
    Permission::for_purpose(catalogue().purpose(purpose(number)).unwrap(), record, NOW).verdict()
}

fn permit(ground: LawfulBasis) -> Verdict {
    Verdict::Permit { ground, until: None }
}

fn yes(ms: i64) -> GroundState {
    state(Given, at(ms))
}

fn no(ms: i64) -> GroundState {
    state(Withdrawn, at(ms))
}

fn expired() -> GroundState {
    GroundState { expires_at: Some(NOW), ..yes(-10) }
}

fn shown(version: Option<&str>) -> GroundState {
    GroundState { notice: version.map(notice), ..yes(-10) }
}

/// One row of the decision table: the purpose, what is recorded for it, and the verdict.
fn permits(number: u32, grounds: &[(LawfulBasis, GroundState)], ground: LawfulBasis) {
    assert_eq!(verdict(number, &record_of(number, grounds)), permit(ground));
}

fn refuses(number: u32, grounds: &[(LawfulBasis, GroundState)], reason: RefusalReason) {
    assert_eq!(verdict(number, &record_of(number, grounds)), Verdict::Refuse(reason));
}

fn record_of(number: u32, grounds: &[(LawfulBasis, GroundState)]) -> CustomerRecord {
    let grounds: Vec<_> = grounds.iter().map(|(basis, state)| (number, *basis, state.clone())).collect();
    record_with(&grounds)
}

#[test]
fn unknown_means_no() {
    refuses(RESEARCH, &[], RefusalReason::NoGround);
    refuses(RESEARCH, &[(Contract, yes(-1))], RefusalReason::NoGround);
    refuses(OLD, &[(Consent, yes(-10))], RefusalReason::PurposeDeprecated);
}

#[test]
fn consent_permits_until_it_is_refused_withdrawn_expired_or_asked_again() {
    permits(RESEARCH, &[(Consent, yes(-10))], Consent);
    permits(RESEARCH, &[(Consent, shown(Some("2")))], Consent);
    refuses(RESEARCH, &[(Consent, state(Refused, at(-10)))], RefusalReason::ConsentRefused);
    refuses(RESEARCH, &[(Consent, no(-10))], RefusalReason::ConsentWithdrawn);
    refuses(RESEARCH, &[(Consent, expired())], RefusalReason::ConsentExpired);
    refuses(RESEARCH, &[(Consent, shown(Some("1")))], RefusalReason::NoticeOutdated);
    refuses(RESEARCH, &[(Consent, shown(Some("never published")))], RefusalReason::NoticeOutdated);
    refuses(RESEARCH, &[(Consent, shown(None))], RefusalReason::NoticeOutdated);
}

#[test]
fn the_first_basis_that_holds_is_the_ground() {
    permits(SERVICE, &[(Consent, yes(-1)), (Contract, yes(-9))], Contract);
    permits(SERVICE, &[(Contract, expired()), (Consent, yes(-9))], Consent);
    permits(SERVICE, &[(Contract, no(-1)), (Consent, yes(-9))], Consent);
    refuses(SERVICE, &[(Contract, expired())], RefusalReason::ConsentExpired);
    refuses(SERVICE, &[(Contract, expired()), (Consent, no(-9))], RefusalReason::ConsentWithdrawn);
}

#[test]
fn a_binding_basis_holds_through_a_no() {
    permits(SERVICE, &[(Consent, no(-1)), (Contract, yes(-9))], Contract);
    permits(TAX, &[(Consent, no(-1)), (PublicTask, no(-1))], LegalObligation);
    refuses(SERVICE, &[(Contract, no(-1))], RefusalReason::ConsentWithdrawn);
}

#[test]
fn a_standing_basis_permits_with_nothing_recorded() {
    permits(MARKETING, &[], LegitimateInterests);
    permits(MARKETING, &[(Consent, yes(-10))], Consent);
    permits(MARKETING, &[(Consent, shown(Some("1")))], LegitimateInterests);
}

#[test]
fn a_no_beats_every_basis_that_yields() {
    refuses(MARKETING, &[(Consent, state(Refused, at(-9)))], RefusalReason::ConsentRefused);
    let later = [(Consent, no(-9)), (LegitimateInterests, yes(-1))];
    refuses(MARKETING, &later, RefusalReason::ConsentWithdrawn);
    refuses(MARKETING, &[(LegitimateInterests, no(-9))], RefusalReason::ConsentWithdrawn);
    refuses(MARKETING, &[(PublicTask, no(-5))], RefusalReason::ConsentWithdrawn);
}

#[test]
fn only_a_later_consent_stands_beside_an_objection() {
    let with_consent_at = |ms| [(LegitimateInterests, no(-5)), (Consent, yes(ms))];
    refuses(MARKETING, &with_consent_at(-6), RefusalReason::ConsentWithdrawn);
    refuses(MARKETING, &with_consent_at(-5), RefusalReason::ConsentWithdrawn);
    permits(MARKETING, &with_consent_at(-4), Consent);
}

#[test]
fn a_permit_says_until_when_it_holds() {
    let ends = GroundState { expires_at: Some(at(1)), ..state(Given, at(-10)) };
    let record = record_with(&[(RESEARCH, Consent, ends)]);
    assert_eq!(verdict(RESEARCH, &record), Verdict::Permit { ground: Consent, until: Some(at(1)) });
}

#[test]
fn a_stated_basis_stands_alone() {
    let catalogue = catalogue();
    let marketing = catalogue.purpose(purpose(MARKETING)).unwrap();
    let record = record_with(&[]);
    let by = |basis| Permission::for_basis(marketing, basis, &record, NOW).verdict();
    assert_eq!(by(Consent), Verdict::Refuse(RefusalReason::NoGround));
    assert_eq!(by(LegitimateInterests), permit(LegitimateInterests));
    assert_eq!(by(Contract), Verdict::Refuse(RefusalReason::BasisNotAllowed));
}

#[test]
fn a_value_collected_for_one_purpose_is_read_for_another_only_where_the_attribute_allows_it() {
    let (catalogue, record) = (catalogue(), record_with(&[(RESEARCH, Consent, state(Given, at(-1)))]));
    let decide =
        |number, of| decide(purpose(number), Subject::Attribute(attribute(of)), &record, &catalogue, NOW);
    assert_eq!(decide(RESEARCH, 2), permit(Consent));
    assert_eq!(decide(SERVICE, 2), Verdict::Refuse(RefusalReason::NoGround));
    assert_eq!(decide(RESEARCH, 1), Verdict::Refuse(RefusalReason::PurposeNotAllowed));
    assert_eq!(decide(RESEARCH, 99), Verdict::Refuse(RefusalReason::UnknownAttribute));
    assert_eq!(decide(99, 2), Verdict::Refuse(RefusalReason::NoGround));
}

#[test]
fn an_event_serves_the_purpose_of_its_collection() {
    let (catalogue, record) = (catalogue(), record_with(&[(SERVICE, Contract, state(Given, at(-1)))]));
    let provenance = Provenance {
        source: SourceId::new("shop").unwrap(),
        observed_at: NOW,
        recorded_at: NOW,
        purpose: purpose(SERVICE),
        basis: Contract,
        party: custodia_profile::Party::First,
    };
    let stored = StoredEvent { event: event("1", NOW), provenance };
    let decide = |number| decide(purpose(number), Subject::Event(&stored), &record, &catalogue, NOW);
    assert_eq!(decide(SERVICE), permit(Contract));
    assert_eq!(decide(MARKETING), Verdict::Refuse(RefusalReason::PurposeNotAllowed));
}

#[test]
fn every_reason_has_its_own_number_name_and_sentence() {
    for (position, reason) in RefusalReason::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(reason.number()), position + 1);
        let others = RefusalReason::ALL.into_iter().filter(|other| *other != reason);
        assert!(others.clone().all(|other| other.name() != reason.name()));
        assert!(others.clone().all(|other| other.explanation() != reason.explanation()));
        assert!(reason.explanation().ends_with('.'));
    }
}

/// Nothing that was refused before is permitted after.
fn permits_no_more(before: &CustomerRecord, after: &CustomerRecord) -> Result<(), TestCaseError> {
    for number in PURPOSES {
        let was = verdict(number, before).ground().is_some();
        let is = verdict(number, after).ground().is_some();
        prop_assert!(was || !is, "purpose {number} is permitted now and was not");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn withdrawing_never_permits_more_and_ends_the_basis(record in records(), number in select(PURPOSES.to_vec()), basis in bases()) {
        let withdrawal = Withdrawal { purpose: purpose(number), basis, channel: None };
        let after = withdraw(&record, &withdrawal, &catalogue(), NOW).unwrap();
        permits_no_more(&record, &after.record)?;
        prop_assert_eq!(after.state.status, Withdrawn);
        prop_assert_ne!(verdict(number, &after.record).ground(), Some(basis));
        if basis.yields_to_the_customer() {
            let ground = verdict(number, &after.record).ground();
            prop_assert!(ground.is_none_or(|ground| !ground.yields_to_the_customer()), "a no was passed by");
        }
    }

    #[test]
    fn adding_a_refusal_never_permits_more(record in records(), number in select(PURPOSES.to_vec()), basis in bases(), refusal in states()) {
        let status = if refusal.status == Given { Refused } else { refusal.status };
        let decision = Decision {
            purpose: purpose(number),
            basis,
            status,
            notice: None,
            method: refusal.method,
            collector: refusal.collector,
            reference: refusal.reference,
            channel: refusal.channel,
            decided_at: Some(refusal.decided_at.min(NOW)),
            expires_at: None,
        };
        let after = record_decision(&record, &decision, &catalogue(), NOW).unwrap();
        permits_no_more(&record, &after.record)?;
    }

    #[test]
    fn a_permit_names_exactly_one_ground_the_first_that_holds(record in records(), number in select(PURPOSES.to_vec())) {
        let catalogue = catalogue();
        let purpose = catalogue.purpose(purpose(number)).unwrap();
        let whole = Permission::for_purpose(purpose, &record, NOW).verdict();
        let first = purpose.lawful_bases.iter().find_map(|basis| {
            let alone = Permission::for_basis(purpose, *basis, &record, NOW).verdict();
            alone.ground().map(|ground| { assert_eq!(ground, *basis); alone })
        });
        match first {
            Some(verdict) => prop_assert_eq!(whole, verdict),
            None => prop_assert_eq!(whole.ground(), None),
        }
        if let Some(ground) = whole.ground() {
            let given = record.ground(purpose.number, ground).is_some_and(|state| state.status == Given);
            let stands = purpose.standing_bases.contains(&ground) && record.ground(purpose.number, ground).is_none();
            prop_assert!(given || stands, "unknown means no");
        }
    }

    #[test]
    fn what_is_said_about_one_purpose_leaves_the_others_alone(record in records(), number in select(PURPOSES.to_vec()), basis in bases(), said in states()) {
        let mut after = record.clone();
        after.grounds.insert((purpose(number), basis), said);
        for other in PURPOSES.into_iter().filter(|other| *other != number) {
            prop_assert_eq!(verdict(other, &record), verdict(other, &after));
        }
    }

    #[test]
    fn time_alone_never_permits_more(record in records(), later in 0_i64..2_000_000) {
        let catalogue = catalogue();
        for number in PURPOSES {
            let purpose = catalogue.purpose(purpose(number)).unwrap();
            let was = Permission::for_purpose(purpose, &record, NOW).verdict().ground().is_some();
            let is = Permission::for_purpose(purpose, &record, at(later)).verdict().ground().is_some();
            prop_assert!(was || !is);
        }
    }
}
