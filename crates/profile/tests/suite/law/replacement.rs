//! The laws of what no other ground replaces: a consent that was relied on, a no to sale, sharing and direct marketing, a
//! minor's opt-in, the consent by which a value was collected, and a restriction.

use custodia_profile::{
    GroundOrigin,
    GroundStatus::Given,
    Jurisdiction, Label,
    LawfulBasis::{Consent, LegitimateInterests, PublicTask},
    LegalHold, Reader, Restriction, Verdict,
};
use proptest::prelude::*;

use super::laws::in_first_jurisdiction;
use crate::{
    generated::{ALL, CASES, collected_by_consent, law, no_more, situations},
    world::{NOW, purpose},
};

/// EDPB Guidelines 05/2020, 121-123: who once relied on consent cannot swap to an interest of its own.
#[test]
fn once_anything_is_recorded_about_consent_no_interest_of_the_controller_permits() {
    law(situations(), CASES, |tally, situation| {
        tally.count(&situation.verdicts(&situation.record, situation.now));
        for number in ALL {
            if situation.record.ground(purpose(number), Consent).is_some() {
                tally.meet();
                let ground = situation.verdict(number, &situation.record, situation.now).ground();
                let swapped =
                    ground.is_some_and(|ground| ground.may_stand() && ground.yields_to_the_customer());
                prop_assert!(!swapped, "{ground:?}");
            }
        }
        Ok(())
    });
}

/// Cal. Civ. Code §1798.120, GDPR Art. 21(3): after a no to sale, sharing or direct marketing only a consent permits, and so
/// it is for sale and sharing below the ages.
#[test]
fn what_may_not_be_passed_by_is_permitted_by_consent_alone() {
    law(situations(), CASES / 8, |tally, situation| {
        let record = in_first_jurisdiction(&situation.record);
        tally.count(&situation.verdicts(&record, situation.now));
        for number in ALL {
            let asked = situation.catalogue.purpose(purpose(number)).unwrap();
            let said_no = |basis| record.ground(purpose(number), basis).is_some_and(|state| state.is_no());
            let no = [Consent, LegitimateInterests, PublicTask].into_iter().any(said_no);
            let is_minor = |jurisdiction: &Jurisdiction| {
                let of_guardian = jurisdiction.guardian_below_age_in(record.subject.regions.first());
                let years = jurisdiction.opt_in_below_age.max(of_guardian);
                record.subject.is_below(years, situation.now)
            };
            let permission = situation.permission(number, Reader::Controller, &record, situation.now);
            let minor = asked.sale_or_sharing && permission.jurisdictions().any(is_minor);
            if minor || (no && (asked.sale_or_sharing || asked.direct_marketing)) {
                tally.meet();
                let ground = permission.verdict().ground();
                prop_assert!(ground.is_none_or(|ground| ground == Consent), "{ground:?}");
            }
        }
        Ok(())
    });
}

/// GDPR Art. 17(1)(b): a value collected by a consent that was taken back is given by no ground that was recorded later,
/// and by no more grounds than another value.
#[test]
fn a_value_of_a_lost_consent_is_given_by_no_ground_that_was_recorded_later() {
    law(situations(), CASES / 50, |tally, situation| {
        let record = in_first_jurisdiction(&situation.record);
        tally.count(&situation.verdicts(&record, situation.now));
        for (number, of) in ALL.into_iter().flat_map(|number| ALL.map(|of| (number, of))) {
            let Some(lost) = record.ground(purpose(of), Consent).filter(|state| state.status != Given) else {
                continue;
            };
            let permission = situation.permission(number, Reader::Controller, &record, situation.now);
            let asked = situation.catalogue.purpose(purpose(number)).unwrap();
            for definition in situation.catalogue.attributes().filter(|_| asked.special_use.is_none()) {
                let provenance = collected_by_consent(of);
                let of_the_lost = permission.for_value(definition, &provenance);
                let of_another = permission.for_attribute(definition, Some(provenance.observed_at));
                prop_assert!(no_more(of_another, of_the_lost));
                if of_another != of_the_lost {
                    tally.meet();
                }
                if let Verdict::Permit { ground, origin: GroundOrigin::Recorded, .. } = of_the_lost {
                    prop_assert!(record.ground(purpose(number), ground).unwrap().since() <= lost.since());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_restricted_record_serves_rights_and_claims_alone_and_a_held_one_serves_as_before() {
    law(situations(), CASES, |tally, situation| {
        let before = situation.verdicts(&situation.record, situation.now);
        let since = NOW;
        let mut restricted = situation.record.clone();
        let reason = Label::new("reason", "contested").unwrap();
        restricted.subject.restriction = Some(Restriction { reason: reason.clone(), since });
        let mut held = situation.record.clone();
        held.subject.legal_hold = Some(LegalHold { reference: reason, since });
        let each = before.len() / ALL.len();
        for (position, verdict) in situation.verdicts(&restricted, situation.now).into_iter().enumerate() {
            let asked = situation.catalogue.purpose(purpose(ALL[position / each])).unwrap();
            prop_assert!(verdict.ground().is_none() || asked.special_use.is_some());
        }
        prop_assert_eq!(&situation.verdicts(&held, situation.now), &before);
        tally.meet();
        tally.count(&before);
        Ok(())
    });
}
