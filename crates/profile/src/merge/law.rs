//! Owns what the law rests on after two customers prove to be one. Always: the merged record permits nothing that
//! either of the two did not permit, at any moment; and which of the two comes first makes no difference.
//!
//! ```text
//!   one \ other     nothing                GIVEN            REQUESTED, INVALIDATED, REVOKED   REFUSED, WITHDRAWN
//!   GIVEN           INVALIDATED, unless    GIVEN, the       the other                         the other
//!                   the basis stands       weaker of both
//!   REQUESTED, …    the one                the one          the stricter                      the other
//!   REFUSED, …      the one                the one          the one                           the newer
//! ```
//! Why no more is permitted: a ground that is given after the merge was given, or stood, on both sides, ends no later,
//! begins no sooner, and rests on an older notice and weaker proof. Every no remains, dated as late as it was said,
//! while a consent counts from the earlier date, so that it lifts no more objections than before. A consent is lost since
//! the first of both was, and a given ground is no older than the younger of both, so that it serves nothing of a lost
//! consent. A guardian's consent is INVALIDATED unless both sides agree in it, in age and in place: who may be a
//! guardian depends on both. The jurisdictions of both sides apply, the younger age, and every restriction and hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalogue::{Catalogue, Purpose},
    data_subject::{DataSubject, LegalHold, Restriction},
    ground::{AffirmativeAct, ConsentMethod, DecidedBy, Evidence, GroundState, GroundStatus, LawfulBasis},
    id::{PurposeNumber, TimestampMs},
    label::NoticeId,
    record::CustomerRecord,
};

/// The grounds by purpose and basis, and the data subject, of the one customer to whom two records belong.
#[must_use]
pub fn merge_law(
    a: &CustomerRecord,
    b: &CustomerRecord,
    catalogue: &Catalogue,
) -> (BTreeMap<(PurposeNumber, LawfulBasis), GroundState>, DataSubject) {
    let keys: BTreeSet<_> = a.grounds.keys().chain(b.grounds.keys()).copied().collect();
    let merged = |key @ (number, basis): (PurposeNumber, LawfulBasis)| {
        let purpose = catalogue.purpose(number).map(|purpose| &**purpose);
        let state = match (a.grounds.get(&key), b.grounds.get(&key)) {
            (Some(one), Some(other))
                if basis != LawfulBasis::Consent || !guardian_may_differ((one, a), (other, b)) =>
            {
                of_both(one, other, basis, purpose)
            }
            (Some(one), Some(other)) => invalidated(one.clone().prevailing(other.clone(), basis))
                .unbroken_since(lost_first(one, other)),
            (Some(one), None) | (None, Some(one)) => of_one(one, basis, purpose),
            (None, None) => return None,
        };
        Some((key, state))
    };
    (keys.into_iter().filter_map(merged).collect(), subject(&a.subject, &b.subject))
}

/// A state that only one record has: what the other customer never gave is not given.
fn of_one(one: &GroundState, basis: LawfulBasis, purpose: Option<&Purpose>) -> GroundState {
    let stands = purpose.is_some_and(|purpose| purpose.standing_bases.contains(&basis));
    if one.status == GroundStatus::Given && !stands {
        invalidated(one.clone()).unbroken_since(lost_first(one, one))
    } else {
        one.clone()
    }
}

fn invalidated(state: GroundState) -> GroundState {
    GroundState { status: GroundStatus::Invalidated, ..state }
}

/// Whether two given consents are of a guardian who may be entitled for one of the two customers and not for the other: a
/// guardian decides for one age, one place and one moment.
fn guardian_may_differ(
    (one, a): (&GroundState, &CustomerRecord),
    (other, b): (&GroundState, &CustomerRecord),
) -> bool {
    let both_given = one.status == GroundStatus::Given && other.status == GroundStatus::Given;
    let by_guardian = [one, other].into_iter().any(|state| state.decided_by() == DecidedBy::Guardian);
    let who = |of: &DataSubject| (of.birth_date, of.regions.clone(), of.region_unknown);
    both_given && by_guardian && (one != other || who(&a.subject) != who(&b.subject))
}

/// Since when the first of two states, of which one at least is lost, is lost.
fn lost_first(one: &GroundState, other: &GroundState) -> TimestampMs {
    let lost = [one.lost_at(), other.lost_at()].into_iter().flatten().min();
    lost.unwrap_or(one.since().min(other.since()))
}

/// The state of one ground that permits no more than either of two.
pub(super) fn of_both(
    one: &GroundState,
    other: &GroundState,
    basis: LawfulBasis,
    purpose: Option<&Purpose>,
) -> GroundState {
    let prevailing = one.clone().prevailing(other.clone(), basis);
    let stricter = match strictness(one.status).cmp(&strictness(other.status)) {
        std::cmp::Ordering::Less => other.clone(),
        std::cmp::Ordering::Greater => one.clone(),
        std::cmp::Ordering::Equal if one.status != GroundStatus::Given => prevailing,
        std::cmp::Ordering::Equal => {
            let base = if prevailing == *one { other } else { one };
            let since = one.since().max(other.since());
            return GroundState {
                status: GroundStatus::Given,
                decided_at: one.decided_at.min(other.decided_at),
                valid_from: one.valid_from.max(other.valid_from),
                expires_at: [one.expires_at, other.expires_at].into_iter().flatten().min(),
                notice: older_notice(one.notice.as_ref(), other.notice.as_ref(), purpose).cloned(),
                method: weaker_method(one.method, other.method),
                evidence: weaker_evidence(one.evidence.as_ref(), other.evidence.as_ref()),
                collector: base.collector.clone(),
                reference: base.reference.clone(),
                channel: base.channel.clone(),
                recorded_at: one.recorded_at.max(other.recorded_at),
                unbroken_since: None,
                guardian_below_age: one
                    .guardian_below_age
                    .zip(other.guardian_below_age)
                    .map(|(one, other)| one.max(other)),
            }
            .unbroken_since(since);
        }
    };
    stricter.unbroken_since(lost_first(one, other))
}

/// Which of two statuses prevails. A no stays a no; an unanswered request is the weakest that is not given.
const fn strictness(status: GroundStatus) -> u8 {
    match status {
        GroundStatus::Given => 0,
        GroundStatus::Requested => 1,
        GroundStatus::Invalidated => 2,
        GroundStatus::Revoked => 3,
        GroundStatus::Refused | GroundStatus::Withdrawn => 4,
    }
}

/// The older one by the purpose's order; no notice, and one that the purpose does not know, count as older than all.
fn older_notice<'a>(
    one: Option<&'a NoticeId>,
    other: Option<&'a NoticeId>,
    purpose: Option<&Purpose>,
) -> Option<&'a NoticeId> {
    let position =
        |notice: Option<&NoticeId>| purpose?.notices.iter().position(|known| Some(&known.version) == notice);
    [one, other].into_iter().min_by_key(|notice| (position(*notice), *notice)).flatten()
}

fn weaker_method(one: Option<ConsentMethod>, other: Option<ConsentMethod>) -> Option<ConsentMethod> {
    let strength = |method: &Option<ConsentMethod>| match method {
        Some(ConsentMethod::OptOut) => 0,
        None => 1,
        Some(ConsentMethod::SoftOptIn) => 2,
        Some(ConsentMethod::Unambiguous) => 3,
        Some(ConsentMethod::Explicit) => 4,
    };
    [one, other].into_iter().min_by_key(strength).flatten()
}

/// What the evidence of both sides proves. Evidence of one side proves nothing about the other; the ledger keeps both.
fn weaker_evidence(one: Option<&Evidence>, other: Option<&Evidence>) -> Option<Evidence> {
    let (one, other) = (one.cloned().unwrap_or_default(), other.cloned().unwrap_or_default());
    let both = Evidence {
        act: weaker_act(one.act, other.act),
        statement_sha256: one.statement_sha256.filter(|hash| Some(*hash) == other.statement_sha256),
        language: one.language.filter(|language| Some(language) == other.language.as_ref()),
        decided_by: if one.decided_by == other.decided_by { one.decided_by } else { DecidedBy::DataSubject },
        incapacity: one.incapacity.filter(|of| Some(of) == other.incapacity.as_ref()),
    };
    both.or_nothing()
}

fn weaker_act(one: Option<AffirmativeAct>, other: Option<AffirmativeAct>) -> Option<AffirmativeAct> {
    let strength = |act: &Option<AffirmativeAct>| match act {
        None => 0,
        Some(AffirmativeAct::ContinuedUse) => 1,
        Some(AffirmativeAct::Silence) => 2,
        Some(AffirmativeAct::PreTickedBox) => 3,
        Some(AffirmativeAct::TickedBox) => 4,
        Some(AffirmativeAct::Clicked) => 5,
        Some(AffirmativeAct::Spoken) => 6,
        Some(AffirmativeAct::Signed) => 7,
        Some(AffirmativeAct::DoubleOptIn) => 8,
    };
    [one, other].into_iter().min_by_key(strength).flatten()
}

fn subject(a: &DataSubject, b: &DataSubject) -> DataSubject {
    let regions: BTreeSet<_> = a.regions.union(&b.regions).cloned().collect();
    let anywhere = |of: &DataSubject| of.region_unknown || of.regions.is_empty();
    let restriction = |of: &DataSubject| of.restriction.clone();
    let legal_hold = |of: &DataSubject| of.legal_hold.clone();
    DataSubject {
        region_unknown: !regions.is_empty() && (anywhere(a) || anywhere(b)),
        regions,
        birth_date: a.birth_date.max(b.birth_date),
        restriction: [restriction(a), restriction(b)].into_iter().flatten().min_by_key(first_restricted),
        legal_hold: [legal_hold(a), legal_hold(b)].into_iter().flatten().min_by_key(first_held),
        sale_opt_out: a.sale_opt_out.max(b.sale_opt_out),
        do_not_sell: a.do_not_sell.max(b.do_not_sell),
        sensitive_limit: a.sensitive_limit.max(b.sensitive_limit),
        updated_at: a.updated_at.max(b.updated_at),
    }
}

fn first_restricted(restriction: &Restriction) -> impl Ord + use<> {
    (restriction.since, restriction.reason.clone())
}

fn first_held(hold: &LegalHold) -> impl Ord + use<> {
    (hold.since, hold.reference.clone())
}
