//! Owns whether a decision may be recorded. Always: a no may always be recorded, and what else it says is no reason to
//! refuse it.

use std::{borrow::Cow, sync::Arc};

use crate::{
    catalogue::{Catalogue, ConsentModel, Jurisdiction, Purpose},
    consent::{Decision, Recording},
    error::ProfileError,
    ground::{
        AffirmativeAct, ConsentMethod, DecidedBy, GroundState, GroundStatus, LawfulBasis, Prior, Transition,
        transition,
    },
    id::TimestampMs,
    label::{NoticeId, Reference},
    limits::{DECIDED_AT_MIN_MS, FUTURE_MAX_MS},
    permission::Jurisdictions,
    preferences::is_language_tag,
    reason::RefusalReason,
    record::CustomerRecord,
};

/// The decision without what has no meaning for it. Whoever passes on a no as it is said may have filled in what belongs to
/// a given ground, and may show a notice that the catalogue does not know: that must not keep anybody from saying no.
pub(super) fn as_recorded<'a>(purpose: &Purpose, decision: &'a Decision) -> Cow<'a, Decision> {
    if !decision.is_live_no() {
        return Cow::Borrowed(decision);
    }
    let mut no = decision.clone();
    no.recording = Recording::Live { answers: None };
    no.notice = no.notice.filter(|notice| purpose.has_notice(notice));
    (no.valid_from, no.expires_at) = (None, None);
    if let Some(evidence) = &mut no.evidence {
        evidence.incapacity =
            evidence.incapacity.take().filter(|_| evidence.decided_by == DecidedBy::Guardian);
        evidence.language = evidence.language.take().filter(|language| is_language_tag(language.as_str()));
    }
    Cow::Owned(no)
}

/// Whether the decision is right by itself and by the catalogue, whatever is recorded of the customer. Whoever may not
/// read the record may be told.
pub(super) fn check_form(
    purpose: &Purpose,
    decision: &Decision,
    now: TimestampMs,
) -> Result<(), ProfileError> {
    check_moments(decision, now)?;
    if decision.notice.as_ref().is_some_and(|notice| !purpose.has_notice(notice)) {
        return Err(ProfileError::Unknown { field: "notice_version" });
    }
    let language = decision.evidence.as_ref().and_then(|evidence| evidence.language.as_ref());
    if language.is_some_and(|language| !is_language_tag(language.as_str())) {
        return Err(ProfileError::Malformed {
            field: "evidence.language",
            expected: "a BCP 47 language tag",
        });
    }
    if incapacity(decision).is_some() && decided_by(decision) != DecidedBy::Guardian {
        return Err(ProfileError::Malformed {
            field: "evidence.incapacity",
            expected: "none unless a guardian decides",
        });
    }
    match decision.status {
        GroundStatus::Given => {
            check_purpose(purpose, decision.basis)?;
            check_soft_opt_in(purpose, decision)?;
            check_proof(decision)
        }
        GroundStatus::Requested => check_purpose(purpose, decision.basis),
        GroundStatus::Revoked => check_revoked(decision),
        GroundStatus::Refused | GroundStatus::Withdrawn | GroundStatus::Invalidated => Ok(()),
    }
}

/// Whether the decision's moments fit together. A no that is recorded as it is said counts from now, so its date is no
/// reason to refuse it.
fn check_moments(decision: &Decision, now: TimestampMs) -> Result<(), ProfileError> {
    let is_given = decision.status == GroundStatus::Given;
    let is_dated = is_given || decision.recording == Recording::Imported;
    let decided_at = decision.decided_at.filter(|_| is_dated).unwrap_or(now);
    if decided_at > now.plus_ms(FUTURE_MAX_MS) {
        return Err(ProfileError::InFuture { field: "decided_at", ahead_max_ms: FUTURE_MAX_MS });
    }
    if decided_at < TimestampMs::from_ms(DECIDED_AT_MIN_MS) {
        return Err(ProfileError::Malformed {
            field: "decided_at",
            expected: "a moment since the year 1900",
        });
    }
    if decision.recording == Recording::Imported && decision.decided_at.is_none() {
        return Err(ProfileError::Empty { field: "decided_at" });
    }
    if !is_given && matches!(decision.recording, Recording::Live { answers: Some(_) }) {
        return Err(ProfileError::Malformed {
            field: "consent_revision",
            expected: "none unless a ground is given",
        });
    }
    if decision.expires_at.is_some_and(|end| end <= decided_at.min(now)) {
        return Err(ProfileError::Malformed { field: "expires_at", expected: "a moment after the decision" });
    }
    if decision.valid_from.is_some() && !is_given {
        return Err(ProfileError::Malformed {
            field: "valid_from",
            expected: "none unless a ground is given",
        });
    }
    if let (Some(from), Some(end)) = (decision.valid_from, decision.expires_at)
        && end <= from
    {
        return Err(ProfileError::Malformed { field: "expires_at", expected: "a moment after valid_from" });
    }
    Ok(())
}

/// Whether the purpose is in use and some jurisdiction allows the ground for it (CO-2).
fn check_purpose(purpose: &Purpose, basis: LawfulBasis) -> Result<(), ProfileError> {
    if purpose.deprecated {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::PurposeDeprecated });
    }
    if !purpose.has_basis(basis) {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::BasisNotAllowed });
    }
    Ok(())
}

/// A soft opt-in is no consent: it is legitimate interests in direct marketing, and names the notice that told at
/// collection how to object (Directive 2002/58/EC Art. 13(2)).
fn check_soft_opt_in(purpose: &Purpose, decision: &Decision) -> Result<(), ProfileError> {
    if decision.method != Some(ConsentMethod::SoftOptIn) {
        return Ok(());
    }
    if decision.basis != LawfulBasis::LegitimateInterests || !purpose.direct_marketing {
        return Err(ProfileError::Malformed {
            field: "method",
            expected: "a soft opt-in for legitimate interests in direct marketing alone",
        });
    }
    if decision.notice.is_none() { Err(ProfileError::Empty { field: "notice_version" }) } else { Ok(()) }
}

/// Whether the proof is complete (CO-5, CO-6).
fn check_proof(decision: &Decision) -> Result<(), ProfileError> {
    if decision.basis != LawfulBasis::Consent {
        return if decision.reference.is_none() {
            Err(ProfileError::Empty { field: "reference" })
        } else {
            Ok(())
        };
    }
    let refuse = |reason| Err(ProfileError::NotRecordable { reason });
    if decision.notice.is_none() {
        return Err(ProfileError::Empty { field: "notice_version" });
    }
    let Some(method) = decision.method else {
        return Err(ProfileError::Empty { field: "method" });
    };
    let act = decision.evidence.as_ref().and_then(|evidence| evidence.act);
    if let Some(reason) = act.and_then(AffirmativeAct::refusal) {
        return refuse(reason);
    }
    if decision.bundled {
        return refuse(RefusalReason::Bundled);
    }
    if act.is_none() && method != ConsentMethod::OptOut {
        return Err(ProfileError::Empty { field: "evidence.act" });
    }
    match decided_by(decision) {
        DecidedBy::Guardian | DecidedBy::DataSubject => Ok(()),
        DecidedBy::Controller | DecidedBy::Authority => Err(ProfileError::Malformed {
            field: "evidence.decided_by",
            expected: "data subject or guardian: nobody else can consent",
        }),
    }
}

/// A data subject withdraws; only others revoke.
fn check_revoked(decision: &Decision) -> Result<(), ProfileError> {
    match decided_by(decision) {
        DecidedBy::DataSubject => Err(ProfileError::Malformed {
            field: "evidence.decided_by",
            expected: "guardian, controller or authority: a data subject withdraws",
        }),
        DecidedBy::Guardian | DecidedBy::Controller | DecidedBy::Authority => Ok(()),
    }
}

fn decided_by(decision: &Decision) -> DecidedBy {
    decision.evidence.as_ref().map_or_else(DecidedBy::default, |evidence| evidence.decided_by)
}

fn incapacity(decision: &Decision) -> Option<&Reference> {
    decision.evidence.as_ref()?.incapacity.as_ref()
}

/// A decision and the customer for whom it is checked.
pub(super) struct Validation<'a> {
    pub(super) record: &'a CustomerRecord,
    pub(super) purpose: &'a Purpose,
    pub(super) decision: &'a Decision,
    pub(super) catalogue: &'a Catalogue,
    pub(super) decided_at: TimestampMs,
}

impl Validation<'_> {
    /// Whether the laws of this customer allow the ground. A no is allowed everywhere.
    pub(super) fn check_customer(&self) -> Result<(), ProfileError> {
        match self.decision.status {
            GroundStatus::Given => {
                self.check_basis()?;
                if self.decision.basis == LawfulBasis::Consent { self.check_consent() } else { Ok(()) }
            }
            GroundStatus::Requested => self.check_basis(),
            GroundStatus::Refused
            | GroundStatus::Withdrawn
            | GroundStatus::Revoked
            | GroundStatus::Invalidated => Ok(()),
        }
    }

    /// Whether a jurisdiction of the customer allows the ground for the purpose (CO-2). A customer of several
    /// jurisdictions needs a ground in each, not necessarily the same one.
    fn check_basis(&self) -> Result<(), ProfileError> {
        let is_basis = |jurisdiction: &Arc<Jurisdiction>| {
            let basis = self.decision.basis;
            jurisdiction.knows(basis) && self.purpose.bases_in(&jurisdiction.id).contains(&basis)
        };
        if !self.jurisdictions().any(is_basis) {
            return Err(ProfileError::NotRecordable { reason: RefusalReason::BasisNotAllowed });
        }
        Ok(())
    }

    /// Whether the stated consent is valid for this customer: by opt-out only where that is enough, and the guardian's
    /// (GDPR Art. 8) below the age that a jurisdiction of the customer names, and there alone, unless incapacity is stated. The age at the decision counts: a child's
    /// own consent is not consent.
    fn check_consent(&self) -> Result<(), ProfileError> {
        let refuse = |reason| Err(ProfileError::NotRecordable { reason });
        let by_opt_out = self.decision.method == Some(ConsentMethod::OptOut);
        if by_opt_out && self.jurisdictions().any(|of| self.asks_opt_in(of)) {
            return refuse(RefusalReason::OptOutNotAllowed);
        }
        let jurisdictions = Jurisdictions::of(&self.record.subject, self.catalogue);
        let is_below = |years| self.record.subject.is_below(years, self.decided_at);
        if decided_by(self.decision) != DecidedBy::Guardian {
            return if jurisdictions.iter().any(|of| is_below(of.guardian_below_age)) {
                refuse(RefusalReason::GuardianConsentNeeded)
            } else {
                Ok(())
            };
        }
        let is_entitled = jurisdictions.iter().all(|of| is_below(of.guardian_entitled_below_age));
        if incapacity(self.decision).is_none() && !is_entitled {
            return refuse(RefusalReason::GuardianNotEntitled);
        }
        Ok(())
    }

    /// Whether the jurisdiction requires opt-in, from everybody or at this age.
    fn asks_opt_in(&self, jurisdiction: &Jurisdiction) -> bool {
        jurisdiction.consent_model == ConsentModel::OptIn
            || self.record.subject.is_below(jurisdiction.opt_in_below_age, self.decided_at)
    }

    /// In years: the age below which a guardian must consent, if this is a given consent; if it is a guardian's, the age
    /// below which one may, so that the strictness for the customer's own consent never widens what a guardian may.
    pub(super) fn guardian_below_age(&self) -> Option<u8> {
        let is_consent =
            self.decision.basis == LawfulBasis::Consent && self.decision.status == GroundStatus::Given;
        if !is_consent {
            return None;
        }
        let jurisdictions = Jurisdictions::of(&self.record.subject, self.catalogue);
        let mut all = jurisdictions.iter();
        if decided_by(self.decision) != DecidedBy::Guardian {
            return all.map(|of| of.guardian_below_age).max();
        }
        // Where no law is known, none says that the guardian was entitled: that of a region stated later does.
        let is_known = !all.any(|of| of.jurisdiction.is_default());
        is_known.then(|| jurisdictions.iter().map(|of| of.guardian_entitled_below_age).min()).flatten()
    }

    fn jurisdictions(&self) -> impl Iterator<Item = &Arc<Jurisdiction>> {
        self.record.subject.jurisdictions(self.catalogue)
    }

    /// Whether the decision may follow the recorded state.
    pub(super) fn transition(&self) -> Transition {
        let basis = self.decision.basis;
        let stored = self.record.ground(self.purpose.number, basis);
        follows(self.purpose, basis, stored, (self.decision.status, self.decided_at))
    }
}

/// Whether a decision of this status and date may follow a state, which is judged as of that date.
pub(super) fn follows(
    purpose: &Purpose,
    basis: LawfulBasis,
    state: Option<&GroundState>,
    (status, decided_at): (GroundStatus, TimestampMs),
) -> Transition {
    let accepts = |notice: &NoticeId| purpose.accepts_notice(notice, decided_at);
    let is_lapsed = |given: &GroundState| {
        let is_outdated = basis == LawfulBasis::Consent && !given.notice.as_ref().is_some_and(accepts);
        is_outdated || given.is_expired(decided_at)
    };
    let prior = match state {
        None => Prior::Unknown,
        Some(state) if state.status == GroundStatus::Given && is_lapsed(state) => Prior::Lapsed,
        Some(state) => Prior::Recorded(state.status),
    };
    transition(prior, status, basis)
}
