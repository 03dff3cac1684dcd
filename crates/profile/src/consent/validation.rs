//! Owns whether a decision may be recorded. Always: a no may always be recorded; only its own fields must be
//! consistent.

use std::sync::Arc;

use crate::{
    catalogue::{Catalogue, ConsentModel, Jurisdiction, Purpose},
    consent::Decision,
    error::ProfileError,
    ground::{
        AffirmativeAct, ConsentMethod, DecidedBy, GroundState, GroundStatus, LawfulBasis, Prior, Transition,
        transition,
    },
    id::TimestampMs,
    limits::FUTURE_MAX_MS,
    preferences::is_language_tag,
    reason::RefusalReason,
    record::CustomerRecord,
};

/// Whether the decision's fields are consistent with each other and with the purpose.
pub(super) fn check_form(
    purpose: &Purpose,
    decision: &Decision,
    decided_at: TimestampMs,
    now: TimestampMs,
) -> Result<(), ProfileError> {
    if decided_at > now.plus_ms(FUTURE_MAX_MS) {
        return Err(ProfileError::InFuture { field: "decided_at", ahead_max_ms: FUTURE_MAX_MS });
    }
    if decision.expires_at.is_some_and(|end| end <= decided_at) {
        return Err(ProfileError::Malformed { field: "expires_at", expected: "a moment after the decision" });
    }
    if decision.valid_from.is_some() && decision.status != GroundStatus::Given {
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
    Ok(())
}

/// A decision and what it is checked against.
pub(super) struct Validation<'a> {
    pub(super) record: &'a CustomerRecord,
    pub(super) purpose: &'a Purpose,
    pub(super) decision: &'a Decision,
    pub(super) catalogue: &'a Catalogue,
    pub(super) decided_at: TimestampMs,
}

impl Validation<'_> {
    /// Whether the purpose is in use and a jurisdiction of the customer allows the ground for it (CO-2).
    pub(super) fn check_allowed(&self) -> Result<(), ProfileError> {
        if self.purpose.deprecated {
            return Err(ProfileError::NotRecordable { reason: RefusalReason::PurposeDeprecated });
        }
        // A customer of several jurisdictions needs a ground in each, not necessarily the same one.
        let is_basis = |jurisdiction: &Arc<Jurisdiction>| {
            let basis = self.decision.basis;
            jurisdiction.knows(basis) && self.purpose.bases_in(&jurisdiction.id).contains(&basis)
        };
        if !self.jurisdictions().any(is_basis) {
            return Err(ProfileError::NotRecordable { reason: RefusalReason::BasisNotAllowed });
        }
        Ok(())
    }

    /// Whether the proof is complete (CO-5, CO-6).
    pub(super) fn check_proof(&self) -> Result<(), ProfileError> {
        if self.decision.basis == LawfulBasis::Consent {
            self.check_consent()
        } else if self.decision.reference.is_none() {
            Err(ProfileError::Empty { field: "reference" })
        } else {
            Ok(())
        }
    }

    /// Whether the stated consent is valid.
    fn check_consent(&self) -> Result<(), ProfileError> {
        let refuse = |reason| Err(ProfileError::NotRecordable { reason });
        if self.decision.notice.is_none() {
            return Err(ProfileError::Empty { field: "notice_version" });
        }
        let Some(method) = self.decision.method else {
            return Err(ProfileError::Empty { field: "method" });
        };
        let act = self.decision.evidence.as_ref().and_then(|evidence| evidence.act);
        if let Some(reason) = act.and_then(AffirmativeAct::refusal) {
            return refuse(reason);
        }
        if self.decision.bundled {
            return refuse(RefusalReason::Bundled);
        }
        if act.is_none() && method != ConsentMethod::OptOut {
            return Err(ProfileError::Empty { field: "evidence.act" });
        }
        if method == ConsentMethod::OptOut && self.jurisdictions().any(|of| self.asks_opt_in(of)) {
            return refuse(RefusalReason::OptOutNotAllowed);
        }
        self.check_consenter()
    }

    /// Consent is the data subject's own or the guardian's (GDPR Art. 8); it must be the guardian's below the age
    /// that a jurisdiction of the customer names. The age at the decision counts: a child's own consent is not consent.
    fn check_consenter(&self) -> Result<(), ProfileError> {
        match self.decided_by() {
            DecidedBy::Guardian => Ok(()),
            DecidedBy::DataSubject if self.jurisdictions().any(|of| self.needs_guardian(of)) => {
                Err(ProfileError::NotRecordable { reason: RefusalReason::GuardianConsentNeeded })
            }
            DecidedBy::DataSubject => Ok(()),
            DecidedBy::Controller | DecidedBy::Authority => Err(ProfileError::Malformed {
                field: "evidence.decided_by",
                expected: "data subject or guardian: nobody else can consent",
            }),
        }
    }

    /// Whether the jurisdiction requires opt-in, from everybody or at this age.
    fn asks_opt_in(&self, jurisdiction: &Jurisdiction) -> bool {
        jurisdiction.consent_model == ConsentModel::OptIn
            || self.record.subject.is_below(jurisdiction.opt_in_below_age, self.decided_at)
    }

    fn needs_guardian(&self, jurisdiction: &Jurisdiction) -> bool {
        self.record.subject.is_below(jurisdiction.guardian_below_age, self.decided_at)
    }

    fn jurisdictions(&self) -> impl Iterator<Item = &Arc<Jurisdiction>> {
        self.record.subject.jurisdictions(self.catalogue)
    }

    /// A data subject withdraws; only others revoke.
    pub(super) fn check_revoked(&self) -> Result<(), ProfileError> {
        match self.decided_by() {
            DecidedBy::DataSubject => Err(ProfileError::Malformed {
                field: "evidence.decided_by",
                expected: "guardian, controller or authority: a data subject withdraws",
            }),
            DecidedBy::Guardian | DecidedBy::Controller | DecidedBy::Authority => Ok(()),
        }
    }

    fn decided_by(&self) -> DecidedBy {
        self.decision.evidence.as_ref().map_or_else(DecidedBy::default, |evidence| evidence.decided_by)
    }

    /// Whether the decision may follow the recorded state, which is judged as of the decision.
    pub(super) fn transition(&self) -> Transition {
        let basis = self.decision.basis;
        let prior = match self.record.ground(self.purpose.number, basis) {
            None => Prior::Unknown,
            Some(state) if state.status == GroundStatus::Given && self.is_lapsed(state) => Prior::Lapsed,
            Some(state) => Prior::Recorded(state.status),
        };
        transition(prior, self.decision.status, basis)
    }

    fn is_lapsed(&self, given: &GroundState) -> bool {
        let accepts = |notice| self.purpose.accepts_notice(notice, self.decided_at);
        let is_outdated =
            self.decision.basis == LawfulBasis::Consent && !given.notice.as_ref().is_some_and(accepts);
        is_outdated || given.is_expired(self.decided_at)
    }
}
