//! The laws that no catalogue, record, region, age or moment may break (CO-1, CO-3, CO-5, CO-9). Single cases stand in
//! the table of docs/consent.md.

use std::{cell::RefCell, collections::BTreeSet};

use custodia_profile::{
    Classification, ConsentMethod, ConsentModel, CustomerRecord, DecidedBy, Decision, Evidence, GroundOrigin,
    GroundStatus::{Given, Invalidated, Refused, Requested, Revoked, Withdrawn},
    LawfulBasis::{self, Consent, Contract, LegitimateInterests},
    Permission, Provenance, Reader, RefusalReason, SensitiveConsent, StoredEvent, TimestampMs, Verdict,
    Withdrawal, record_decision, withdraw,
};
use proptest::prelude::*;

use super::decision_table::reasons_of_a_decision;
use super::question::{DecisionRequest, Subject, decide};
use crate::{
    generated::{
        ALL, CASES, DAY_MS, Draw, Situation, built_in_situations, law, no_more, situations, without_guardians,
    },
    world::{
        MARKETING, NOW, RESEARCH, SERVICE, at, attribute, catalogue, context, event, purpose, record_with,
        state,
    },
};

/// A situation and a number for what is changed in it.
fn changes() -> impl Strategy<Value = (Situation, u64)> {
    (situations(), any::<u64>())
}

fn key(draw: &mut Draw) -> (u32, LawfulBasis) {
    (draw.pick(&ALL), draw.pick(&LawfulBasis::ALL))
}

fn decision(draw: &mut Draw) -> Decision {
    let (number, basis) = key(draw);
    Decision { decided_at: Some(draw.moment().min(NOW)), ..crate::world::decision(number, basis, Refused) }
}

fn by_controller() -> Evidence {
    Evidence { decided_by: DecidedBy::Controller, ..Evidence::default() }
}

#[test]
fn adding_a_no_never_permits_more() {
    law(changes(), CASES / 4, |tally, (situation, change)| {
        let mut draw = Draw::new(change);
        let decision = Decision { status: draw.pick(&[Refused, Withdrawn]), ..decision(&mut draw) };
        let recorded = record_decision(&situation.record, &decision, &situation.catalogue, context(NOW));
        let after =
            recorded.map_err(|error| TestCaseError::fail(format!("a no can always be recorded: {error}")))?;
        if !after.ledger.is_empty() {
            tally.meet();
        }
        situation.permits_no_more(tally, &situation.record, &after.record)
    });
}

#[test]
fn a_request_a_revocation_or_an_invalidation_never_permits_more() {
    law(changes(), CASES / 20, |tally, (situation, change)| {
        let mut draw = Draw::new(change);
        let status = draw.pick(&[Revoked, Invalidated, Requested]);
        let decision = Decision { status, evidence: Some(by_controller()), ..decision(&mut draw) };
        let Ok(after) = record_decision(&situation.record, &decision, &situation.catalogue, context(NOW))
        else {
            return Ok(());
        };
        if !after.ledger.is_empty() {
            tally.meet();
        }
        situation.permits_no_more(tally, &situation.record, &after.record)
    });
}

#[test]
fn withdrawing_never_permits_more_and_ends_the_basis() {
    law(changes(), CASES, |tally, (situation, change)| {
        let (number, basis) = key(&mut Draw::new(change));
        let withdrawal = Withdrawal { purpose: purpose(number), basis, channel: None };
        let after = withdraw(&situation.record, &withdrawal, &situation.catalogue, context(NOW)).unwrap();
        prop_assert_eq!(after.state.status, Withdrawn);
        let ground = situation.verdict(number, &after.record, situation.now).ground();
        prop_assert_ne!(ground, Some(basis));
        if basis.yields_to_the_customer() {
            prop_assert!(ground.is_none_or(|ground| !ground.yields_to_the_customer()), "a no was passed by");
        }
        tally.meet();
        situation.permits_no_more(tally, &situation.record, &after.record)
    });
}

/// The situation's record with the region of one jurisdiction alone: that of the first one applied.
pub(super) fn in_first_jurisdiction(record: &CustomerRecord) -> CustomerRecord {
    let mut alone = record.clone();
    alone.subject.regions = record.subject.regions.iter().take(1).cloned().collect();
    alone.subject.region_unknown = false;
    alone
}

#[test]
fn a_permit_names_exactly_one_ground_the_first_that_holds_by_itself() {
    law(situations(), CASES / 5, |tally, situation| {
        let Situation { catalogue, record, now, .. } = &situation;
        let alone = in_first_jurisdiction(record);
        for number in ALL {
            let whole = situation.permission(number, Reader::Controller, record, *now);
            tally.count(&[whole.verdict()]);
            let first = whole.jurisdictions().next().unwrap();
            let purpose = catalogue.purpose(purpose(number)).unwrap();
            let bases = purpose.bases_in(&first.id);
            let by = |basis| {
                Permission::for_basis(purpose, basis, Reader::Controller, &alone, catalogue, *now).verdict()
            };
            let holding = bases.iter().copied().find(|basis| by(*basis).ground().is_some());
            prop_assert!(holding.is_none_or(|basis| by(basis).ground() == Some(basis)));
            prop_assert_eq!(situation.verdict(number, &alone, *now).ground(), holding);
            for basis in LawfulBasis::ALL {
                let allowed = bases.contains(&basis) && first.lawful_bases.contains(&basis);
                prop_assert!(allowed || by(basis).ground().is_none());
            }
            let Verdict::Permit { ground, origin, .. } = whole.verdict() else { continue };
            tally.meet();
            prop_assert_eq!(Some(ground), holding);
            let recorded = record.ground(purpose.number, ground);
            let explained = match origin {
                GroundOrigin::Recorded => recorded.is_some_and(|state| state.status == Given),
                GroundOrigin::Standing => recorded.is_none() && purpose.standing_bases.contains(&ground),
                GroundOrigin::NotOptedOut => recorded.is_none() && ground == Consent,
            };
            prop_assert!(explained, "unknown means no");
            prop_assert_eq!(whole.rests_on(None), recorded.map(|_| ground));
        }
        Ok(())
    });
}

#[test]
fn every_jurisdiction_of_the_customer_must_permit_and_the_first_end_counts() {
    law(situations(), CASES / 10, |tally, situation| {
        let Situation { record, now, .. } = &situation;
        let alone = |regions: BTreeSet<_>| {
            let mut alone = record.clone();
            (alone.subject.regions, alone.subject.region_unknown) = (regions, false);
            situation.verdicts(&alone, *now)
        };
        let mut each: Vec<_> =
            record.subject.regions.iter().map(|region| alone([region.clone()].into())).collect();
        if record.subject.region_unknown || each.is_empty() {
            each.push(alone(BTreeSet::new()));
        }
        if each.len() > 1 {
            tally.meet();
        }
        let together = situation.verdicts(record, *now);
        tally.count(&together);
        for (position, verdict) in together.iter().enumerate() {
            let of_each = each.iter().map(|verdicts| verdicts[position]);
            match *verdict {
                Verdict::Refuse(_) => prop_assert!(of_each.clone().any(|of| of.ground().is_none())),
                Verdict::Permit { ground, until, .. } => {
                    prop_assert!(of_each.clone().all(|of| of.ground().is_some()));
                    prop_assert_eq!(each[0][position].ground(), Some(ground));
                    prop_assert_eq!(until, of_each.filter_map(Verdict::until).min());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn another_region_never_permits_more_than_a_known_one_did() {
    law(changes(), CASES / 2, |tally, (situation, change)| {
        if situation.record.subject.regions.is_empty() {
            return Ok(());
        }
        tally.meet();
        let mut after = situation.record.clone();
        let region = Draw::new(change).pick(&["BR", "DE", "US-CA", "RU", "XX", "US"]);
        after.subject.regions.insert(region.parse().unwrap());
        situation.permits_no_more(tally, &situation.record, &after)
    });
}

#[test]
fn without_a_region_nothing_is_permitted_that_a_built_in_law_refuses() {
    law(built_in_situations(), CASES / 10, |tally, situation| {
        let mut nowhere = without_guardians(&situation.record);
        (nowhere.subject.regions, nowhere.subject.region_unknown) = (BTreeSet::new(), false);
        let strictest = situation.verdicts(&nowhere, situation.now);
        let mut met = false;
        for region in ["DE", "US-CA", "BR", "RU"] {
            let mut there = nowhere.clone();
            there.subject.regions.insert(region.parse().unwrap());
            let verdicts = situation.verdicts(&there, situation.now);
            tally.count(&verdicts);
            for (there, strictest) in verdicts.iter().zip(&strictest) {
                prop_assert!(no_more(*there, *strictest), "{region}: {there:?}, but nowhere {strictest:?}");
                met |= there.ground().is_some() && strictest.ground().is_none();
            }
        }
        if met {
            tally.meet();
        }
        Ok(())
    });
}

#[test]
fn a_younger_customer_is_permitted_no_more() {
    law(changes(), CASES / 4, |tally, (situation, change)| {
        let born = crate::generated::birth_date(&mut Draw::new(change));
        let record = without_guardians(&situation.record);
        let mut younger = record.clone();
        younger.subject.birth_date = younger.subject.birth_date.max(Some(born));
        if younger != record {
            tally.meet();
        }
        situation.permits_no_more(tally, &record, &younger)
    });
}

/// Whether a recorded ground begins, or the customer comes of age under opt-out or for sale and sharing, after one moment and
/// by another.
fn something_begins(
    situation: &Situation,
    record: &CustomerRecord,
    number: u32,
    earlier: TimestampMs,
    later: TimestampMs,
) -> bool {
    let mut begins =
        LawfulBasis::ALL.into_iter().filter_map(|basis| record.ground(purpose(number), basis)?.valid_from);
    let permission = situation.permission(number, Reader::Controller, record, earlier);
    let comes_of_age = permission.jurisdictions().any(|jurisdiction| {
        let regions = record.subject.regions.iter().map(Some).chain([None]);
        let mut ages = regions
            .map(|region| jurisdiction.guardian_below_age_in(region))
            .chain([jurisdiction.opt_in_below_age, jurisdiction.sale_forbidden_below_age]);
        let passes =
            |years| record.subject.is_below(years, earlier) && !record.subject.is_below(years, later);
        let by_age = jurisdiction.consent_model == ConsentModel::OptOut
            || situation.catalogue.purpose(purpose(number)).unwrap().sale_or_sharing;
        by_age && ages.any(passes)
    });
    comes_of_age || begins.any(|begin| earlier < begin && begin <= later)
}

/// Time alone ends permits. It makes one only where a recorded ground begins (`valid_from`), or where the customer
/// comes of age under a law of opt-out. By consent alone no other refusal than `NO_GROUND`, `GROUND_NOT_YET_VALID`
/// and `SALE_FORBIDDEN_BELOW_AGE` ever becomes a permit: not what a person said, an expiry, an outdated notice or a consent given as a child.
#[test]
fn time_alone_permits_more_only_where_a_ground_begins_or_the_customer_comes_of_age() {
    law(changes(), CASES / 20, |tally, (situation, change)| {
        let mut draw = Draw::new(change);
        let earlier = draw.moment();
        let later = earlier.plus_ms(draw.pick(&[1, DAY_MS, 60 * DAY_MS, 800 * DAY_MS]));
        let record = &situation.record;
        let before = situation.verdicts(record, earlier);
        tally.count(&before);
        let each = before.len() / ALL.len();
        for (position, (was, is)) in before.into_iter().zip(situation.verdicts(record, later)).enumerate() {
            if !no_more(was, is) {
                tally.meet();
                let begins = something_begins(&situation, record, ALL[position / each], earlier, later);
                prop_assert!(begins, "{was:?}, later {is:?}");
            }
        }
        for number in ALL {
            let purpose = situation.catalogue.purpose(purpose(number)).unwrap();
            let by_consent = |moment| {
                let reader = Reader::Controller;
                Permission::for_basis(purpose, Consent, reader, record, &situation.catalogue, moment)
                    .verdict()
            };
            let was = by_consent(earlier);
            use RefusalReason as R;
            let begins = [R::NoGround, R::GroundNotYetValid, R::SaleForbiddenBelowAge];
            let may_begin = was.reason().is_none_or(|reason| begins.contains(&reason));
            prop_assert!(may_begin || by_consent(later).ground().is_none(), "{was:?}, later by consent");
        }
        Ok(())
    });
}

#[test]
fn a_permit_holds_until_the_moment_that_it_names_and_not_at_that_moment() {
    law(situations(), CASES / 20, |tally, situation| {
        let record = in_first_jurisdiction(&situation.record);
        let (catalogue, now) = (&situation.catalogue, situation.now);
        let before = situation.verdicts(&record, now);
        tally.count(&before);
        for number in ALL {
            let purpose = catalogue.purpose(purpose(number)).unwrap();
            let by = |basis, at| {
                Permission::for_basis(purpose, basis, Reader::Controller, &record, catalogue, at)
                    .verdict()
                    .ground()
            };
            match situation.verdict(number, &record, now) {
                Verdict::Permit { ground, until: Some(end), .. } => {
                    tally.meet();
                    prop_assert!(end > now);
                    prop_assert_eq!(by(ground, end.plus_ms(-1)), Some(ground));
                    prop_assert_eq!(by(ground, end), None);
                }
                Verdict::Permit { ground, until: None, .. } => {
                    prop_assert_eq!(by(ground, now.plus_ms(10_000 * DAY_MS)), Some(ground));
                }
                Verdict::Refuse(_) => {}
            }
        }
        // The same for the attributes, whose values may end before the ground does.
        let mut ends = before.iter().copied().filter_map(Verdict::until);
        let Some(end) = ends.next() else { return Ok(()) };
        for (was, last) in before.iter().zip(situation.verdicts(&record, end.plus_ms(-1))) {
            let holds_longer = was.ground().is_some() && was.until().is_none_or(|until| until >= end);
            prop_assert!(!holds_longer || last.ground().is_some());
        }
        Ok(())
    });
}

#[test]
fn an_unknown_purpose_or_application_is_permitted_nothing() {
    law(situations(), CASES, |tally, situation| {
        let Situation { catalogue, record, now, desk, .. } = &situation;
        tally.meet();
        for number in 1..=9 {
            let subject = Subject::Attribute { number: attribute(1), observed_at: None };
            let ask = |purpose, reader| {
                decide(&DecisionRequest { purpose, subject, reader, now: *now }, record, catalogue)
            };
            let controller = ask(purpose(number), Reader::Controller);
            let registered = ask(purpose(number), Reader::Registered(desk));
            let unregistered = ask(purpose(number), Reader::Unregistered);
            prop_assert_eq!(unregistered.ground(), None);
            prop_assert!(
                no_more(controller, registered),
                "an application is permitted no more than the controller"
            );
            if ALL.contains(&number) {
                tally.count(&[controller]);
                prop_assert!(desk.allows(purpose(number)) || registered.ground().is_none());
            } else {
                prop_assert_eq!(controller, Verdict::Refuse(RefusalReason::UnknownPurpose));
            }
        }
        Ok(())
    });
}

#[test]
fn an_attribute_is_permitted_no_more_than_its_purpose_and_an_older_value_than_a_newer() {
    law(changes(), CASES / 10, |tally, (situation, change)| {
        let mut draw = Draw::new(change);
        let (older, newer) = (at(-i64::try_from(draw.below(4_000)).unwrap() * DAY_MS / 100), NOW);
        for number in ALL {
            let permission =
                situation.permission(number, Reader::Controller, &situation.record, situation.now);
            tally.count(&[permission.verdict()]);
            for definition in situation.catalogue.attributes() {
                let [any_age, new, old] = [None, Some(newer), Some(older)]
                    .map(|moment| permission.for_attribute(definition, moment));
                prop_assert!(
                    no_more(permission.verdict(), any_age) && no_more(any_age, new) && no_more(new, old)
                );
                if let Some(ground) = any_age.ground()
                    && definition.classification == Classification::Sensitive
                {
                    let first = permission.jurisdictions().next().unwrap();
                    let state = situation.record.ground(purpose(number), ground);
                    let explicit = state.is_some_and(|state| state.method == Some(ConsentMethod::Explicit));
                    let asked = situation.catalogue.purpose(purpose(number)).unwrap();
                    let letters = &asked.special_category_grounds;
                    let carries = first.sensitive_bases.contains(&ground)
                        && (ground == Consent || !asked.sale_or_sharing)
                        && if ground == Consent {
                            first.sensitive_consent < SensitiveConsent::Explicit || explicit
                        } else {
                            !first.sensitive_needs_ground || letters.iter().any(|of| of.goes_with(ground))
                        };
                    prop_assert!(carries || asked.special_use.is_some());
                }
                if new != old {
                    tally.meet();
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_said_about_one_purpose_leaves_the_others_alone() {
    law(changes(), CASES / 2, |tally, (situation, change)| {
        let (number, basis) = key(&mut Draw::new(change));
        let mut after = situation.record.clone();
        let said = situation.other.grounds.values().next().cloned();
        let Some(said) = said else { return Ok(()) };
        tally.meet();
        after.grounds.insert((purpose(number), basis), said);
        for other in ALL.into_iter().filter(|other| *other != number) {
            let was = situation.verdict(other, &situation.record, situation.now);
            tally.count(&[was]);
            prop_assert_eq!(was, situation.verdict(other, &after, situation.now));
        }
        Ok(())
    });
}

/// The reasons are those of the table, and each is met here too, but for those of a question that is not asked here.
#[test]
fn a_decision_gives_no_reason_that_is_not_in_the_table() {
    let met = RefCell::new(BTreeSet::new());
    law(situations(), CASES, |tally, situation| {
        tally.meet();
        let verdicts = situation.verdicts(&situation.record, situation.now);
        tally.count(&verdicts);
        met.borrow_mut().extend(verdicts.iter().filter_map(|verdict| verdict.reason()));
        Ok(())
    });
    let mut expected = reasons_of_a_decision();
    for reason in [
        RefusalReason::BasisNotAllowed,
        RefusalReason::UnknownAttribute,
        RefusalReason::UnknownPurpose,
        RefusalReason::RecipientNotRegistered,
    ] {
        assert!(expected.remove(&reason), "{reason}");
    }
    assert_eq!(met.into_inner(), expected);
}

fn permit(ground: LawfulBasis) -> Verdict {
    Verdict::Permit { ground, origin: GroundOrigin::Recorded, until: None }
}

#[test]
fn an_event_serves_the_purpose_of_its_collection() {
    let catalogue = catalogue();
    let mut record = record_with(&[(SERVICE, Contract, state(Given, at(-1)))]);
    record.subject.regions.insert("DE".parse().unwrap());
    let provenance = Provenance {
        source: "shop".parse().unwrap(),
        observed_at: NOW,
        recorded_at: NOW,
        purpose: purpose(SERVICE),
        basis: Contract,
        party: custodia_profile::Party::First,
    };
    let stored = StoredEvent { event: event("1", NOW), provenance };
    let decide = |number| {
        let subject = Subject::Event(&stored);
        decide(
            &DecisionRequest { purpose: purpose(number), subject, reader: Reader::Controller, now: NOW },
            &record,
            &catalogue,
        )
    };
    assert_eq!(decide(SERVICE), permit(Contract));
    assert_eq!(decide(MARKETING), Verdict::Refuse(RefusalReason::PurposeNotAllowed));
    assert_eq!(decide(RESEARCH), Verdict::Refuse(RefusalReason::NoGround));
}

#[test]
fn a_decision_names_the_basis_whose_state_carries_it() {
    let catalogue = catalogue();
    let rests_on = |number, record: &CustomerRecord| {
        let purpose = catalogue.purpose(purpose(number)).unwrap();
        Permission::for_purpose(purpose, Reader::Controller, record, &catalogue, NOW).rests_on(None)
    };
    let no = state(Withdrawn, at(-5));
    assert_eq!(rests_on(MARKETING, &record_with(&[])), None, "a standing basis has no state");
    assert_eq!(rests_on(SERVICE, &record_with(&[])), None);
    assert_eq!(rests_on(SERVICE, &record_with(&[(SERVICE, Contract, state(Given, at(-1)))])), Some(Contract));
    assert_eq!(rests_on(MARKETING, &record_with(&[(MARKETING, Consent, no.clone())])), Some(Consent));
    let objection =
        record_with(&[(MARKETING, LegitimateInterests, no), (MARKETING, Consent, state(Given, at(-9)))]);
    assert_eq!(rests_on(MARKETING, &objection), Some(LegitimateInterests));
}

#[test]
fn every_reason_has_its_own_number_name_and_sentence() {
    for (position, reason) in RefusalReason::ALL.into_iter().enumerate() {
        let others = RefusalReason::ALL.into_iter().skip(position + 1);
        assert!(
            others.clone().all(|other| other.number() > reason.number()),
            "in the order of their numbers"
        );
        assert!(others.clone().all(|other| other.name() != reason.name()));
        assert!(others.clone().all(|other| other.explanation() != reason.explanation()));
        assert!(reason.explanation().ends_with('.'));
    }
}
