//! What is accepted as consent: the act, who consented, and where silence is enough (CO-5, CO-6, CO-9; GDPR Art. 8).

use custodia_profile::{
    AffirmativeAct::{
        self, Clicked, ContinuedUse, DoubleOptIn, PreTickedBox, Signed, Silence, Spoken, TickedBox,
    },
    ConsentMethod::{Explicit, OptOut, SoftOptIn, Unambiguous},
    CustomerRecord,
    DecidedBy::{self, Authority, Controller, Guardian},
    Decision, DecisionEffect, Evidence,
    GroundStatus::{Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    JurisdictionBases,
    LawfulBasis::{self, Consent, Contract, LegitimateInterests},
    Permission, ProfileError, Purpose, PurposeFields, Reader, Recorded, RefusalReason, TimestampMs,
    Withdrawal, record_decision, withdraw,
};

use crate::world::{
    NOW, OLD, RESEARCH, SERVICE, at, catalogue, context, decision, evidence, imported, label, notice,
    purpose, purpose_fields,
};

const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

fn of_regions(regions: &[&str]) -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    record.subject.regions = regions.iter().map(|region| region.parse().unwrap()).collect();
    record
}

/// One so many years old, give or take a few days, at `NOW`.
fn of_age(years: i64, region: &str) -> CustomerRecord {
    let mut record = of_regions(&[region]);
    let days = at(-years * YEAR_MS).as_ms().div_euclid(24 * 60 * 60 * 1_000) - 30;
    record.subject.birth_date = custodia_profile::Date::from_days(i32::try_from(days).unwrap()).ok();
    record
}

fn consent() -> Decision {
    decision(RESEARCH, Consent, Given)
}

fn by(decided_by: DecidedBy) -> Option<Evidence> {
    Some(Evidence { decided_by, ..evidence(Clicked) })
}

fn record_for(record: &CustomerRecord, decision: &Decision) -> Result<Recorded, ProfileError> {
    record_decision(record, decision, &catalogue(), context(NOW))
}

#[track_caller]
fn refuses(record: &CustomerRecord, decision: &Decision, reason: RefusalReason) {
    assert_eq!(record_for(record, decision).unwrap_err(), ProfileError::NotRecordable { reason });
}

#[test]
fn every_act_is_either_consent_or_refused_with_its_reason() {
    for act in AffirmativeAct::ALL {
        let said = Decision { evidence: Some(evidence(act)), ..consent() };
        match act {
            PreTickedBox => refuses(&of_regions(&[]), &said, RefusalReason::PreTicked),
            Silence | ContinuedUse => refuses(&of_regions(&[]), &said, RefusalReason::Silence),
            TickedBox | Clicked | Spoken | Signed | DoubleOptIn => {
                let recorded = record_for(&of_regions(&[]), &said).unwrap();
                assert_eq!(recorded.state.evidence, Some(evidence(act)));
            }
        }
    }
}

#[test]
fn consent_without_an_act_is_refused_and_bundled_consent_too() {
    for none in [None, Some(Evidence::default())] {
        for method in [Explicit, Unambiguous] {
            let said = Decision { evidence: none.clone(), method: Some(method), ..consent() };
            let error = record_for(&of_regions(&[]), &said).unwrap_err();
            assert_eq!(error, ProfileError::Empty { field: "evidence.act" });
        }
    }
    refuses(&of_regions(&[]), &Decision { bundled: true, ..consent() }, RefusalReason::Bundled);
}

#[test]
fn no_act_makes_an_opt_out_of_what_is_no_consent() {
    for (act, reason) in [(PreTickedBox, RefusalReason::PreTicked), (Silence, RefusalReason::Silence)] {
        let said = Decision { method: Some(OptOut), evidence: Some(evidence(act)), ..consent() };
        refuses(&of_regions(&["US-CA"]), &said, reason);
    }
}

#[test]
fn opt_out_is_consent_only_where_no_jurisdiction_asks_for_opt_in() {
    let said = Decision { method: Some(OptOut), evidence: None, ..consent() };
    assert!(record_for(&of_regions(&["US-CA"]), &said).is_ok());
    refuses(&of_regions(&["DE"]), &said, RefusalReason::OptOutNotAllowed);
    refuses(&of_regions(&["DE", "US-CA"]), &said, RefusalReason::OptOutNotAllowed);
    refuses(&of_regions(&[]), &said, RefusalReason::OptOutNotAllowed);
    let mut anywhere = of_regions(&["US-CA"]);
    anywhere.subject.region_unknown = true;
    refuses(&anywhere, &said, RefusalReason::OptOutNotAllowed);
}

#[test]
fn below_the_age_of_opt_in_silence_is_no_answer_where_it_is_to_others() {
    let said = Decision { method: Some(OptOut), evidence: None, ..consent() };
    refuses(&of_age(15, "US-CA"), &said, RefusalReason::OptOutNotAllowed);
    assert!(record_for(&of_age(16, "US-CA"), &said).is_ok());
    assert!(record_for(&of_age(15, "US-CA"), &consent()).is_ok());
}

#[test]
fn below_the_age_of_a_jurisdiction_the_guardian_consents() {
    let own = consent();
    let guardian = Decision { evidence: by(Guardian), ..consent() };
    for (region, below) in [("DE", 16), ("US-CA", 13), ("BR", 12), ("RU", 14), ("IN", 18)] {
        refuses(&of_age(below - 1, region), &own, RefusalReason::GuardianConsentNeeded);
        assert!(record_for(&of_age(below - 1, region), &guardian).is_ok(), "{region}");
        assert!(record_for(&of_age(below, region), &own).is_ok(), "{region}");
    }
    let mut both = of_age(14, "RU");
    assert!(record_for(&both, &own).is_ok());
    both.subject.regions.insert("DE".parse().unwrap());
    refuses(&both, &own, RefusalReason::GuardianConsentNeeded);
}

/// Where no law is known, the highest age counts for the customer's own consent, and a guardian consents for a child alone
/// (Convention on the Rights of the Child, Art. 1). The law of a region that is stated later decides anew.
#[test]
fn where_no_law_is_known_a_guardian_consents_for_a_child_alone() {
    let guardian = Decision { evidence: by(Guardian), ..consent() };
    let nowhere = |years| {
        let mut record = of_age(years, "NZ");
        record.subject.regions.clear();
        record
    };
    for of in [|years| of_age(years, "NZ"), nowhere] {
        for years in [18, 19] {
            refuses(&of(years), &guardian, RefusalReason::GuardianNotEntitled);
            refuses(&of(years), &consent(), RefusalReason::GuardianConsentNeeded);
        }
        assert!(record_for(&of(20), &consent()).is_ok());
        let given = record_for(&of(17), &guardian).unwrap();
        assert_eq!(given.state.guardian_below_age, None, "no law says that the guardian was entitled");
    }
    let mut lower = catalogue();
    let mut default = (***lower.jurisdiction("default").unwrap()).clone();
    default.guardian_below_age = 16;
    lower.put_jurisdiction(custodia_profile::Jurisdiction::new(default).unwrap()).unwrap();
    let refused = record_decision(&nowhere(16), &guardian, &lower, context(NOW)).unwrap_err();
    assert_eq!(refused, ProfileError::NotRecordable { reason: RefusalReason::GuardianNotEntitled });
}

/// GDPR Art. 8(1): a guardian stands in for a child, and for nobody else unless incapacity is stated.
#[test]
fn a_guardian_decides_below_the_age_alone_or_with_stated_incapacity() {
    let guardian = Decision { evidence: by(Guardian), ..consent() };
    let incapacity = Some(label("order of a court"));
    let proof = Evidence { decided_by: Guardian, incapacity: incapacity.clone(), ..evidence(Clicked) };
    let entitled = Decision { evidence: Some(proof.clone()), ..consent() };
    for record in [of_age(46, "DE"), of_age(16, "DE"), of_regions(&["DE"])] {
        refuses(&record, &guardian, RefusalReason::GuardianNotEntitled);
        assert_eq!(record_for(&record, &entitled).unwrap().state.evidence, Some(proof.clone()));
    }
    let by_nobody = Decision { evidence: Some(Evidence { incapacity, ..evidence(Clicked) }), ..consent() };
    let error = record_for(&of_age(46, "DE"), &by_nobody).unwrap_err();
    assert_eq!(error.field(), Some("evidence.incapacity"));
}

#[test]
fn the_age_counts_at_the_decision() {
    let long_ago = Decision { decided_at: Some(at(-3 * YEAR_MS)), ..consent() };
    refuses(&of_age(17, "DE"), &long_ago, RefusalReason::GuardianConsentNeeded);
    assert!(record_for(&of_age(17, "DE"), &consent()).is_ok());
}

#[test]
fn a_minor_may_say_no_and_another_ground_needs_no_guardian() {
    let child = of_age(10, "DE");
    for status in [Refused, Withdrawn] {
        assert!(record_for(&child, &decision(RESEARCH, Consent, status)).is_ok());
    }
    let withdrawal = Withdrawal { purpose: purpose(RESEARCH), basis: Consent, channel: None };
    assert!(withdraw(&child, &withdrawal, &catalogue(), context(NOW)).is_ok());
    assert!(record_for(&child, &decision(SERVICE, Contract, Given)).is_ok());
}

#[test]
fn nobody_but_the_data_subject_and_the_guardian_consents() {
    for other in [Controller, Authority] {
        let said = Decision { evidence: by(other), ..consent() };
        assert_eq!(
            record_for(&of_regions(&[]), &said).unwrap_err().field(),
            Some("evidence.decided_by"),
            "{other:?}"
        );
    }
}

#[test]
fn whoever_revokes_is_not_the_data_subject() {
    let given = record_for(&of_regions(&[]), &consent()).unwrap().record;
    let revoked = |evidence| Decision { evidence, ..decision(RESEARCH, Consent, Revoked) };
    for own in [None, Some(evidence(Clicked)), by(DecidedBy::DataSubject)] {
        let error = record_for(&given, &revoked(own)).unwrap_err();
        assert_eq!(error.field(), Some("evidence.decided_by"));
    }
    for other in [Guardian, Controller, Authority] {
        let after = record_for(&given, &revoked(by(other))).unwrap();
        assert_eq!((after.state.status, after.state.decided_by()), (Revoked, other));
    }
}

#[test]
fn a_withdrawal_is_the_data_subjects_own_and_not_the_act_of_the_giving() {
    let proof = Evidence {
        decided_by: Guardian,
        statement_sha256: Some([9; 32]),
        language: Some(label("de")),
        ..evidence(Clicked)
    };
    let collector = Some(label("web-shop"));
    let said = Decision { evidence: Some(proof), collector, ..consent() };
    let given = record_for(&of_age(10, "DE"), &said).unwrap().record;
    let withdrawal = Withdrawal { purpose: purpose(RESEARCH), basis: Consent, channel: None };
    let after = withdraw(&given, &withdrawal, &catalogue(), context(at(1))).unwrap();
    assert_eq!((after.state.evidence, after.state.collector), (None, None));
    assert_eq!(after.state.method, consent().method, "what was withdrawn is still known");
}

/// GDPR Art. 8(1): Spain's age is 14, Germany's 16.
#[test]
fn a_consent_that_was_valid_where_given_stays_so_after_a_move() {
    let allows = |record: &CustomerRecord| {
        let catalogue = catalogue();
        let of = catalogue.purpose(purpose(RESEARCH)).unwrap();
        Permission::for_purpose(of, Reader::Controller, record, &catalogue, at(2)).verdict().ground()
    };
    let given = record_for(&of_age(15, "ES"), &consent()).unwrap();
    assert_eq!(given.state.guardian_below_age, Some(14));
    let mut moved = given.record;
    moved.subject.regions = of_regions(&["DE"]).subject.regions;
    assert_eq!(allows(&moved), Some(Consent));
    refuses(
        &moved,
        &Decision { decided_at: Some(at(-1)), ..consent() },
        RefusalReason::GuardianConsentNeeded,
    );
    refuses(&of_age(15, "DE"), &consent(), RefusalReason::GuardianConsentNeeded);
    // Both regions at once: the higher age, in whatever order.
    let mut both = of_age(15, "ES");
    both.subject.regions = of_regions(&["DE", "ES"]).subject.regions;
    refuses(&both, &consent(), RefusalReason::GuardianConsentNeeded);
}

/// Directive 2002/58/EC Art. 13(2).
#[test]
fn a_soft_opt_in_is_an_interest_in_marketing_that_was_told_at_collection() {
    let mut catalogue = catalogue();
    for (number, direct_marketing) in [(31, true), (32, false)] {
        let fields = purpose_fields(number, &format!("p{number}"), &[Consent, LegitimateInterests]);
        catalogue.put_purpose(Purpose::new(PurposeFields { direct_marketing, ..fields }).unwrap()).unwrap();
    }
    let said = |number, basis| Decision {
        method: Some(SoftOptIn),
        notice: Some(notice("3")),
        ..decision(number, basis, Given)
    };
    let record = |said: &Decision| record_decision(&of_regions(&["DE"]), said, &catalogue, context(NOW));
    let given = record(&said(31, LegitimateInterests)).unwrap();
    assert_eq!((given.state.method, given.state.guardian_below_age), (Some(SoftOptIn), None));
    for (wrong, field) in [
        (said(31, Consent), "method"),
        (said(32, LegitimateInterests), "method"),
        (Decision { notice: None, ..said(31, LegitimateInterests) }, "notice_version"),
        (Decision { reference: None, ..said(31, LegitimateInterests) }, "reference"),
    ] {
        assert_eq!(record(&wrong).unwrap_err().field(), Some(field));
    }
}

#[test]
fn a_language_that_is_none_is_refused() {
    let language = Some(label("German, of course"));
    let said = Decision { evidence: Some(Evidence { language, ..evidence(Clicked) }), ..consent() };
    let error = record_for(&of_regions(&[]), &said).unwrap_err();
    assert_eq!(error.field(), Some("evidence.language"));
}

#[test]
fn a_ground_may_begin_later_and_only_a_given_one() {
    let begins = |from, end| Decision {
        valid_from: Some(at(from)),
        expires_at: Some(at(end)),
        ..decision(SERVICE, Contract, Given)
    };
    let recorded = record_for(&of_regions(&[]), &begins(1_000, 2_000)).unwrap();
    assert_eq!((recorded.state.valid_from, recorded.state.expires_at), (Some(at(1_000)), Some(at(2_000))));
    let error = record_for(&of_regions(&[]), &begins(2_000, 2_000)).unwrap_err();
    assert_eq!(error.to_string(), "expires_at is malformed, expected a moment after valid_from");
    for status in [Requested, Invalidated] {
        let said = Decision { status, ..begins(1, 2) };
        assert_eq!(record_for(&of_regions(&[]), &said).unwrap_err().field(), Some("valid_from"));
    }
}

#[test]
fn a_request_is_for_a_purpose_that_allows_consent_and_is_in_use() {
    let requested = record_for(&of_regions(&[]), &decision(RESEARCH, Consent, Requested)).unwrap();
    assert_eq!(requested.state.status, Requested);
    refuses(&of_regions(&[]), &decision(OLD, Consent, Requested), RefusalReason::PurposeDeprecated);
    refuses(&of_regions(&[]), &decision(RESEARCH, Contract, Requested), RefusalReason::BasisNotAllowed);
    refuses(&of_regions(&[]), &decision(SERVICE, Contract, Requested), RefusalReason::IllegalTransition);
}

/// A purpose by consent, and in California by legitimate interests alone.
#[test]
fn a_basis_is_allowed_where_one_of_the_customers_jurisdictions_allows_it() {
    let mut catalogue = catalogue();
    let bases = |lawful_bases: &[LawfulBasis]| JurisdictionBases {
        jurisdiction: "us-ca".parse().unwrap(),
        lawful_bases: lawful_bases.to_vec(),
    };
    let fields = purpose_fields(31, "insight", &[Consent]);
    let fields = PurposeFields { jurisdiction_bases: vec![bases(&[LegitimateInterests])], ..fields };
    catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    let records = |regions: &[&str], basis| {
        let said = decision(31, basis, Given);
        record_decision(&of_regions(regions), &said, &catalogue, context(NOW)).is_ok()
    };
    for (regions, consent, interests) in [
        (&["DE"][..], true, false),
        (&["US-CA"][..], false, true),
        (&["DE", "US-CA"][..], true, true),
        (&[][..], true, false),
    ] {
        assert_eq!(records(regions, Consent), consent, "{regions:?}");
        assert_eq!(records(regions, LegitimateInterests), interests, "{regions:?}");
    }
}

#[test]
fn an_import_of_the_past_is_measured_by_its_own_time() {
    let past = |ms: i64| -> Option<TimestampMs> { Some(at(ms)) };
    let expired = Decision { decided_at: past(-2_000), expires_at: past(-1_000), ..consent() };
    let expired = record_for(&of_regions(&[]), &imported(expired)).unwrap().record;
    let request = |ms| imported(Decision { decided_at: past(ms), ..decision(RESEARCH, Consent, Requested) });
    let effect = |ms| record_for(&expired, &request(ms)).unwrap().effect;
    assert_eq!(effect(-1_500), DecisionEffect::Superseded, "the consent was still valid");
    assert_eq!(effect(-1_000), DecisionEffect::Applied);
}
