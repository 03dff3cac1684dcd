//! Owns whether a ground holds in one jurisdiction. Always: a basis holds because of its own state or because nothing
//! is recorded for it; what was recorded for another purpose does not matter.
//!
//! 1. A basis counts only if the purpose allows it there and the jurisdiction's law knows it.
//! 2. A **no** to the purpose is a consent that was refused, withdrawn or revoked, or an objection: a refused or
//!    withdrawn public task or legitimate interests. It need not be among the purpose's bases: a no is meant for the
//!    purpose. **Only the customer's own later consent lifts it**: only that consent then permits, since an
//!    objection keeps beating public task and legitimate interests.
//! 3. Once anything is recorded about consent to the purpose, public task and legitimate interests stay closed: whoever
//!    relied on consent cannot swap to another basis (EDPB Guidelines 05/2020, 121-123), whether the consent was not
//!    answered, was invalid, has expired, or still holds.
//! 4. Contract, legal obligation and vital interests hold whatever the customer wishes: only their own end ends them. But
//!    a no to a purpose of sale or sharing (Cal. Civ. Code §1798.120(a)) or of direct marketing (GDPR Art. 21(3)) beats
//!    every basis. Below the ages of a jurisdiction, sale and sharing need consent (Cal. Civ. Code §1798.120(c)), or are
//!    forbidden whatever is recorded (Md. Com. Law §14-4707(a)(4)-(5)).
//! 5. A recorded basis holds if it is given, has begun and has not expired. Consent moreover must name a notice at or
//!    after the last one that asks again; must be a guardian's if the customer was, when it was given, below the age
//!    that applies here and applied there, and else the customer's, unless incapacity is stated; where no law is known, a
//!    guardian is entitled only for a child, below 18; and counts by opt-out only if rule 6 would permit.
//! 6. With nothing recorded a basis holds if it is a standing one of the purpose. So does consent where the law is
//!    opt-out, unless the customer is below the age of opt-in or of a guardian.
//! 7. An opt-out of sale and sharing is a no to every purpose of sale or sharing, including later ones: the customer's
//!    own everywhere (Cal. Civ. Code §1798.120(a)), a browser's signal wherever the law honours it. It beats every basis,
//!    and only a later consent permits again.
//! 8. Sensitive data needs a basis that allows it there, and if the law requires that, consent in its form (an opt-in, in
//!    express words, or signed) or a ground of GDPR Art. 9(2) that the purpose names. A purpose of sale or sharing gets it
//!    by consent alone: no other basis carries the sale of sensitive data. Once the customer limited its use
//!    (Cal. Civ. Code §1798.121), it serves only what contract, legal obligation and vital interests allow, and no purpose
//!    of sale, sharing or direct marketing, until a later consent. A special use is given it.
//! 9. What was collected by a consent that was taken back since is served by no ground that was recorded later: where no
//!    other ground was there, it had to be erased (GDPR Art. 17(1)(b)).
//! 10. If no basis holds, the strongest reason is given ([`STRONGEST_LAST`]).

use crate::{
    catalogue::{ConsentModel, Jurisdiction, Purpose, SensitiveConsent},
    ground::{AffirmativeAct, ConsentMethod, DecidedBy, GroundState, LawfulBasis, not_given},
    id::{PurposeNumber, TimestampMs},
    permission::{Applied, GroundOrigin},
    reason::RefusalReason,
    record::CustomerRecord,
};

/// Reasons why a basis does not hold. Of several, the last in this list is given: what a person said outranks what
/// merely expired.
const STRONGEST_LAST: [RefusalReason; 18] = [
    RefusalReason::NoGround,
    RefusalReason::ConsentReliedOn,
    RefusalReason::ExplicitConsentNeeded,
    RefusalReason::SensitiveLimited,
    RefusalReason::SignedConsentNeeded,
    RefusalReason::GroundNotYetValid,
    RefusalReason::ConsentExpired,
    RefusalReason::NoticeOutdated,
    RefusalReason::ConsentRequested,
    RefusalReason::GuardianConsentNeeded,
    RefusalReason::GuardianNotEntitled,
    RefusalReason::ConsentInvalidated,
    RefusalReason::ConsentRevoked,
    RefusalReason::Objected,
    RefusalReason::ConsentRefused,
    RefusalReason::ConsentWithdrawn,
    RefusalReason::SaleForbiddenBelowAge,
    RefusalReason::BasisNotAllowed,
];

/// Whether the customer must be told of what a ground allows, whatever the customer wishes. Each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// The customer's wishes come first.
    Ordinary,
    /// It must be said: a legal obligation.
    Obligatory,
    /// It must be said at once: vital interests.
    Vital,
}

/// A ground that holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) ground: LawfulBasis,
    pub(super) origin: GroundOrigin,
    pub(super) until: Option<TimestampMs>,
    pub(super) urgency: Urgency,
}

impl Held {
    /// The same, ending at `end` at the latest.
    pub(super) fn ending(self, end: Option<TimestampMs>) -> Self {
        Self { until: [self.until, end].into_iter().flatten().min(), ..self }
    }
}

/// Why no ground holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) reason: RefusalReason,
    /// The basis whose recorded state is the reason.
    pub(super) rests_on: Option<LawfulBasis>,
}

impl Refusal {
    /// A reason without a recorded state.
    pub(super) const fn unrecorded(reason: RefusalReason) -> Self {
        Self { reason, rests_on: None }
    }

    fn strength(self) -> Option<usize> {
        STRONGEST_LAST.iter().position(|reason| *reason == self.reason)
    }

    /// The stronger of two; of equally strong ones the first.
    fn or_stronger(self, other: Self) -> Self {
        if other.strength() > self.strength() { other } else { self }
    }
}

/// A ground that holds, or why none does.
pub(super) type Answer = Result<Held, Refusal>;

/// The answers for plain and for sensitive data. Where plain data is refused, sensitive data is, for the same reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub(super) plain: Answer,
    pub(super) sensitive: Answer,
}

impl Judged {
    /// Refused whatever is recorded.
    pub(super) const fn refused(reason: RefusalReason) -> Self {
        Self { plain: Err(Refusal::unrecorded(reason)), sensitive: Err(Refusal::unrecorded(reason)) }
    }

    /// What two jurisdictions permit together: the first one's ground, as long as both hold, and as urgent as the less
    /// urgent of them.
    pub(super) fn and(self, other: Self) -> Self {
        let both = |one: Answer, two: Answer| match (one, two) {
            (Ok(held), Ok(also)) => {
                Ok(Held { urgency: held.urgency.min(also.urgency), ..held.ending(also.until) })
            }
            (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => Err(refusal),
            (Err(refusal), Err(also)) => Err(refusal.or_stronger(also)),
        };
        Self { plain: both(self.plain, other.plain), sensitive: both(self.sensitive, other.sensitive) }
    }
}

/// What the customer said against the purpose.
#[derive(Debug, Clone, Copy)]
struct No {
    /// What is recorded about consent, if anything is: why no interest of the controller takes its place.
    consent: Option<Refusal>,
    /// The same, if it is a no.
    refused: Option<Refusal>,
    /// The newest objection.
    objection: Option<(TimestampMs, Refusal)>,
    /// Whether a no beats every basis.
    is_absolute: bool,
}

impl No {
    fn of(purpose: &Purpose, record: &CustomerRecord) -> Self {
        let spoken = |basis| {
            let state = record.ground(purpose.number, basis)?;
            Some((
                state.decided_at,
                Refusal { reason: not_given(basis, state.status)?, rests_on: Some(basis) },
            ))
        };
        let objection =
            |basis| spoken(basis).filter(|(_, refusal)| refusal.reason == RefusalReason::Objected);
        let objections = [objection(LawfulBasis::PublicTask), objection(LawfulBasis::LegitimateInterests)];
        let given = record.ground(purpose.number, LawfulBasis::Consent).map(|_| Refusal {
            reason: RefusalReason::ConsentReliedOn,
            rests_on: Some(LawfulBasis::Consent),
        });
        let consent = spoken(LawfulBasis::Consent).map(|(_, refusal)| refusal);
        let unanswered = [RefusalReason::ConsentRequested, RefusalReason::ConsentInvalidated];
        Self {
            consent: consent.or(given),
            refused: consent.filter(|refusal| !unanswered.contains(&refusal.reason)),
            objection: objections.into_iter().flatten().max_by_key(|(decided_at, _)| *decided_at),
            is_absolute: purpose.no_is_absolute(),
        }
    }

    /// What beats a basis for which `state` is recorded.
    fn against(&self, basis: LawfulBasis, state: Option<&GroundState>) -> Option<Refusal> {
        let own = state.and_then(|state| {
            Some(Refusal { reason: not_given(basis, state.status)?, rests_on: Some(basis) })
        });
        let others = match basis {
            LawfulBasis::Consent => {
                let stands = |no: &TimestampMs| state.is_none_or(|given| given.decided_at <= *no);
                [
                    None,
                    self.objection.filter(|(decided_at, _)| stands(decided_at)).map(|(_, refusal)| refusal),
                ]
            }
            LawfulBasis::PublicTask | LawfulBasis::LegitimateInterests => {
                [self.consent, self.objection.map(|(_, refusal)| refusal)]
            }
            LawfulBasis::Contract | LawfulBasis::LegalObligation | LawfulBasis::VitalInterests => {
                let absolute = |no: Option<Refusal>| no.filter(|_| self.is_absolute);
                [absolute(self.refused), absolute(self.objection.map(|(_, refusal)| refusal))]
            }
        };
        others.into_iter().chain([own]).flatten().reduce(Refusal::or_stronger)
    }
}

/// The loss of the consent by which a value was collected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    /// The purpose to which it was given.
    pub(super) purpose: PurposeNumber,
    at: TimestampMs,
    reason: RefusalReason,
}

/// One purpose of one record at one moment.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    purpose: &'a Purpose,
    record: &'a CustomerRecord,
    now: TimestampMs,
    no: No,
    lost: Option<Lost>,
}

impl<'a> Case<'a> {
    pub(super) fn new(purpose: &'a Purpose, record: &'a CustomerRecord, now: TimestampMs) -> Self {
        Self { purpose, record, now, no: No::of(purpose, record), lost: None }
    }

    /// The same for what was collected by a consent that was taken back: one case for each such consent, to any purpose,
    /// after which a ground of this purpose was recorded. For the others the case is the same.
    pub(super) fn after_lost_consents(self) -> impl Iterator<Item = (Lost, Self)> {
        let grounds = LawfulBasis::ALL
            .into_iter()
            .filter_map(move |basis| self.record.ground(self.purpose.number, basis).map(GroundState::since));
        let newest = grounds.max().filter(|_| self.purpose.special_use.is_none());
        let consents = self.record.grounds.iter().filter(|((_, basis), _)| *basis == LawfulBasis::Consent);
        consents.filter_map(move |((purpose, basis), state)| {
            let at = state.lost_at().filter(|at| newest > Some(*at))?;
            let reason = not_given(*basis, state.status)?;
            let lost = Lost { purpose: *purpose, at, reason };
            Some((lost, Self { lost: Some(lost), ..self }))
        })
    }

    /// By the bases in their order, in one jurisdiction.
    pub(super) fn judge(&self, applied: Applied<'_>, bases: &[LawfulBasis]) -> Judged {
        let jurisdiction = applied.jurisdiction;
        if self.purpose.sale_or_sharing && self.is_below(jurisdiction.sale_forbidden_below_age) {
            return Judged::refused(RefusalReason::SaleForbiddenBelowAge);
        }
        let mut judged = Judged::refused(RefusalReason::NoGround);
        for basis in bases.iter().copied().filter(|basis| jurisdiction.knows(*basis)) {
            let state = self.record.ground(self.purpose.number, basis);
            let plain = self.holds(applied, basis, state);
            let refused = |reason| Refusal { reason, rests_on: state.map(|_| basis) };
            let sensitive = plain.and_then(|held| {
                self.refuses_sensitive(jurisdiction, basis, state)
                    .map_or(Ok(held), |reason| Err(refused(reason)))
            });
            judged.plain = first_that_holds(judged.plain, plain);
            judged.sensitive = first_that_holds(judged.sensitive, sensitive);
            if judged.sensitive.is_ok() {
                break;
            }
        }
        judged
    }

    /// Whether a basis holds in a jurisdiction.
    fn holds(&self, applied: Applied<'_>, basis: LawfulBasis, state: Option<&GroundState>) -> Answer {
        if let Some(no) = self.no.against(basis, state) {
            return Err(no);
        }
        if self.opted_out_of_sale(applied.jurisdiction, basis, state) {
            return Err(Refusal::unrecorded(RefusalReason::ConsentRefused));
        }
        if let Some(reason) = self.sale_needs_consent(applied, basis) {
            return Err(Refusal::unrecorded(reason));
        }
        let Some(state) = state else { return self.holds_unrecorded(applied, basis) };
        if let Some(lost) = self.lost.filter(|lost| state.since() > lost.at) {
            return Err(Refusal::unrecorded(lost.reason));
        }
        let consent = basis == LawfulBasis::Consent;
        let by_opt_out = consent && state.method == Some(ConsentMethod::OptOut);
        let failures = [
            (consent && self.needs_guardian(applied, state), RefusalReason::GuardianConsentNeeded),
            (consent && self.oversteps(applied, state), RefusalReason::GuardianNotEntitled),
            (consent && !self.notice_is_enough(state), RefusalReason::NoticeOutdated),
            (state.is_expired(self.now), RefusalReason::ConsentExpired),
            (state.valid_from.is_some_and(|begin| begin > self.now), RefusalReason::GroundNotYetValid),
            (by_opt_out && !self.opt_out_is_enough(applied), RefusalReason::NoGround),
        ];
        let failed = failures.into_iter().filter(|(failed, _)| *failed);
        let refusal =
            failed.map(|(_, reason)| Refusal { reason, rests_on: Some(basis) }).reduce(Refusal::or_stronger);
        let held = self.held(basis, GroundOrigin::Recorded).ending(state.expires_at);
        match refusal {
            Some(refusal) => Err(refusal),
            None if consent => {
                let notice = state.notice.as_ref();
                Ok(held.ending(notice.and_then(|notice| self.purpose.notice_ends_at(notice, self.now))))
            }
            None => Ok(held),
        }
    }

    fn holds_unrecorded(&self, applied: Applied<'_>, basis: LawfulBasis) -> Answer {
        if self.purpose.standing_bases.contains(&basis) {
            Ok(self.held(basis, GroundOrigin::Standing))
        } else if basis == LawfulBasis::Consent && self.opt_out_is_enough(applied) {
            Ok(self.held(basis, GroundOrigin::NotOptedOut))
        } else {
            Err(Refusal::unrecorded(RefusalReason::NoGround))
        }
    }

    /// A ground that holds without an end. Nobody must be told advertising, or of a sale: there a no beats every basis.
    fn held(&self, ground: LawfulBasis, origin: GroundOrigin) -> Held {
        let urgency = match ground {
            LawfulBasis::LegalObligation if !self.purpose.no_is_absolute() => Urgency::Obligatory,
            LawfulBasis::VitalInterests if !self.purpose.no_is_absolute() => Urgency::Vital,
            LawfulBasis::Consent
            | LawfulBasis::Contract
            | LawfulBasis::LegalObligation
            | LawfulBasis::VitalInterests
            | LawfulBasis::PublicTask
            | LawfulBasis::LegitimateInterests => Urgency::Ordinary,
        };
        Held { ground, origin, until: None, urgency }
    }

    /// Whether the law requires no more than that the customer did not opt out.
    fn opt_out_is_enough(&self, applied: Applied<'_>) -> bool {
        applied.jurisdiction.consent_model == ConsentModel::OptOut
            && !self.is_below(applied.jurisdiction.opt_in_below_age)
            && !self.is_below(applied.guardian_below_age)
    }

    /// Whether a signal says no to the purpose, and no consent came after it.
    fn opted_out_of_sale(
        &self,
        jurisdiction: &Jurisdiction,
        basis: LawfulBasis,
        state: Option<&GroundState>,
    ) -> bool {
        let opted_out = self.record.subject.sale_opted_out(jurisdiction);
        self.purpose.sale_or_sharing
            && opted_out.is_some_and(|moment| !is_later_consent(basis, state, moment))
    }

    /// Why a basis does not carry the sale or sharing of a minor's data, if it does not: only consent does.
    fn sale_needs_consent(&self, applied: Applied<'_>, basis: LawfulBasis) -> Option<RefusalReason> {
        if basis == LawfulBasis::Consent || !self.purpose.sale_or_sharing {
            None
        } else if self.is_below(applied.guardian_below_age) {
            Some(RefusalReason::GuardianConsentNeeded)
        } else {
            self.is_below(applied.jurisdiction.opt_in_below_age).then_some(RefusalReason::NoGround)
        }
    }

    /// Why a ground that holds does not carry sensitive data, if it does not.
    fn refuses_sensitive(
        &self,
        jurisdiction: &Jurisdiction,
        basis: LawfulBasis,
        state: Option<&GroundState>,
    ) -> Option<RefusalReason> {
        if self.purpose.special_use.is_some() {
            return None;
        }
        if let Some(lacking) = self.sensitive_lacks(jurisdiction, basis, state) {
            return Some(lacking);
        }
        let is_service = !basis.yields_to_the_customer() && !self.purpose.no_is_absolute();
        let limit = self.record.subject.sensitive_limit.filter(|_| !is_service);
        limit
            .filter(|moment| !is_later_consent(basis, state, *moment))
            .map(|_| RefusalReason::SensitiveLimited)
    }

    /// The age at the decision counts: a child's own consent is not consent, and a guardian's consent remains valid
    /// when the child comes of age, until the customer decides otherwise (EDPB Guidelines 05/2020, section 7.1.4).
    /// A consent that was valid where it was given stays so after a move, and after the law has changed.
    fn needs_guardian(&self, applied: Applied<'_>, state: &GroundState) -> bool {
        let here = applied.guardian_below_age;
        let years = state.guardian_below_age.map_or(here, |there| there.min(here));
        state.decided_by() != DecidedBy::Guardian && self.record.subject.is_below(years, state.decided_at)
    }

    /// Whether a guardian decided for somebody who was not below the age, and of whom no incapacity is stated.
    fn oversteps(&self, applied: Applied<'_>, state: &GroundState) -> bool {
        let here = applied.guardian_entitled_below_age;
        let years = state.guardian_below_age.map_or(here, |there| there.max(here));
        let incapacity = state.evidence.as_ref().and_then(|evidence| evidence.incapacity.as_ref());
        state.decided_by() == DecidedBy::Guardian
            && incapacity.is_none()
            && !self.record.subject.is_below(years, state.decided_at)
    }

    /// What a basis that holds lacks to carry sensitive data too, if anything.
    fn sensitive_lacks(
        &self,
        jurisdiction: &Jurisdiction,
        basis: LawfulBasis,
        state: Option<&GroundState>,
    ) -> Option<RefusalReason> {
        let named = || self.purpose.special_category_grounds.iter().any(|ground| ground.goes_with(basis));
        let is_enough = jurisdiction.sensitive_bases.contains(&basis)
            && !(self.purpose.sale_or_sharing && basis != LawfulBasis::Consent)
            && (basis == LawfulBasis::Consent || !jurisdiction.sensitive_needs_ground || named());
        if !is_enough {
            // Where consent is no ground, nobody is told that it is needed.
            let by_consent = jurisdiction.sensitive_bases.contains(&LawfulBasis::Consent);
            return Some(if by_consent {
                RefusalReason::ExplicitConsentNeeded
            } else {
                RefusalReason::NoGround
            });
        }
        if basis == LawfulBasis::Consent {
            consent_lacks(jurisdiction.sensitive_consent, state)
        } else {
            None
        }
    }

    fn is_below(&self, years: u8) -> bool {
        self.record.subject.is_below(years, self.now)
    }

    fn notice_is_enough(&self, state: &GroundState) -> bool {
        state.notice.as_ref().is_some_and(|notice| self.purpose.accepts_notice(notice, self.now))
    }
}

/// Whether the ground is a consent that was given after a moment.
fn is_later_consent(basis: LawfulBasis, state: Option<&GroundState>, moment: TimestampMs) -> bool {
    basis == LawfulBasis::Consent && state.is_some_and(|given| given.decided_at > moment)
}

/// What a consent lacks of the form in which the law requires it, if anything.
fn consent_lacks(form: SensitiveConsent, state: Option<&GroundState>) -> Option<RefusalReason> {
    let opted_in = state.is_some_and(|state| state.method != Some(ConsentMethod::OptOut));
    let explicit = state.is_some_and(|state| state.method == Some(ConsentMethod::Explicit));
    let act = state.and_then(|state| state.evidence.as_ref()).and_then(|evidence| evidence.act);
    let enough = match form {
        SensitiveConsent::NotRefused => true,
        SensitiveConsent::OptIn => opted_in,
        SensitiveConsent::Explicit => explicit,
        SensitiveConsent::Signed if explicit => {
            return (act != Some(AffirmativeAct::Signed)).then_some(RefusalReason::SignedConsentNeeded);
        }
        SensitiveConsent::Signed => false,
    };
    (!enough).then_some(RefusalReason::ExplicitConsentNeeded)
}

fn first_that_holds(so_far: Answer, next: Answer) -> Answer {
    match (so_far, next) {
        (Ok(held), _) | (Err(_), Ok(held)) => Ok(held),
        (Err(refusal), Err(also)) => Err(refusal.or_stronger(also)),
    }
}
