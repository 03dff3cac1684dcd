//! Owns the state of one ground for one purpose. Always: which of two states prevails depends on them alone, not on
//! the order in which they arrived; and a request or an invalidation never replaces a no. A revocation is a no too: what a
//! guardian or an authority ended is not pending again because somebody asks.
//!
//! ```text
//!   from \ to                  GIVEN       REQUESTED (consent only)   INVALIDATED   REVOKED       REFUSED, WITHDRAWN
//!   unknown, REQUESTED         yes         yes                        —             yes           yes
//!   GIVEN                      yes         —                          yes           yes           yes
//!   lapsed (given, expired
//!     or to an old notice)     yes         yes                        yes           yes           yes
//!   REFUSED, WITHDRAWN         yes, but    —                          —             yes, but      yes
//!                              not over an objection                                not over an objection
//!   REVOKED                    yes         —                          —             yes           yes
//!   INVALIDATED                yes         yes                        —             yes           yes
//! ```
//! A no can be recorded from every state, since nobody may be prevented from saying no: the customer's own, and that of
//! a guardian, the controller or an authority. Over an objection a revocation says nothing new: the objection beats more,
//! and stays. A no stays until the
//! customer consents: asking again is not an answer, and finding a withdrawn consent invalid must not make the
//! withdrawal disappear. Recording the same ground again does not lift an objection (a no to legitimate interests or
//! public task): only the customer's own consent permits the purpose again. See `permission`.
//!
//! A no to a consent that was never given is REFUSED or WITHDRAWN, whichever the source states; the law treats both
//! alike. EXPIRED is computed from `expires_at` and never stored.

mod basis;
mod evidence;

pub use basis::LawfulBasis;
pub use evidence::{AffirmativeAct, DecidedBy, Evidence};

use std::cmp::Reverse;

use crate::{
    id::TimestampMs,
    label::{Channel, Collector, NoticeId, Reference},
    numbered::numbered,
    reason::RefusalReason,
};

numbered! {
    /// What was decided. Numbers are those of the API; 4 (expired) is computed and never stored.
    pub enum GroundStatus ("status", expected "given, refused, withdrawn, requested, revoked or invalidated") {
        /// The ground was given or recorded.
        Given = 1,
        /// The data subject said no.
        Refused = 2,
        /// The data subject withdrew it, or objected.
        Withdrawn = 3,
        /// The data subject was asked and has not answered.
        Requested = 5,
        /// Someone other than the data subject revoked it.
        Revoked = 6,
        /// It was found to be invalid.
        Invalidated = 7,
    }
}

impl GroundStatus {
    /// Whether the data subject said no.
    #[must_use]
    pub const fn is_no(self) -> bool {
        matches!(self, Self::Refused | Self::Withdrawn)
    }

    /// Settles ties between equally new decisions: an answer beats a question, the stricter answer beats the other, and
    /// what the data subject says beats what others say.
    const fn strictness(self) -> u8 {
        match self {
            Self::Requested => 0,
            Self::Given => 1,
            Self::Invalidated => 2,
            Self::Revoked => 3,
            Self::Refused => 4,
            Self::Withdrawn => 5,
        }
    }
}

/// The state before a decision: the rows of the table at the top of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Nothing is recorded.
    Unknown,
    /// This status is recorded; if given, it still holds.
    Recorded(GroundStatus),
    /// A given ground that no longer holds: it has expired, or a newer notice asks again.
    Lapsed,
}

/// Whether a decision may follow the recorded state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It may.
    Allowed,
    /// Not over the customer's objection.
    ObjectionStands,
    /// It may not.
    Illegal,
}

/// The table at the top of this file.
#[must_use]
pub const fn transition(from: Prior, to: GroundStatus, basis: LawfulBasis) -> Transition {
    use GroundStatus::{Given, Invalidated, Refused, Requested, Revoked, Withdrawn};
    use Prior::{Lapsed, Recorded, Unknown};
    match (from, to) {
        (_, Refused | Withdrawn) => Transition::Allowed,
        (Recorded(Refused | Withdrawn), Given | Revoked) if is_objection(basis) => {
            Transition::ObjectionStands
        }
        (_, Given | Revoked) => Transition::Allowed,
        (Unknown | Lapsed | Recorded(Requested | Invalidated), Requested)
            if matches!(basis, LawfulBasis::Consent) =>
        {
            Transition::Allowed
        }
        (Lapsed | Recorded(Given), Invalidated) => Transition::Allowed,
        (_, Requested | Invalidated) => Transition::Illegal,
    }
}

/// Whether a no to the basis is an objection (GDPR Art. 21).
pub(crate) const fn is_objection(basis: LawfulBasis) -> bool {
    matches!(basis, LawfulBasis::PublicTask | LawfulBasis::LegitimateInterests)
}

/// What a status other than given means.
pub(crate) const fn not_given(basis: LawfulBasis, status: GroundStatus) -> Option<RefusalReason> {
    match status {
        GroundStatus::Given => None,
        GroundStatus::Refused | GroundStatus::Withdrawn if is_objection(basis) => {
            Some(RefusalReason::Objected)
        }
        GroundStatus::Refused => Some(RefusalReason::ConsentRefused),
        GroundStatus::Withdrawn => Some(RefusalReason::ConsentWithdrawn),
        GroundStatus::Requested => Some(RefusalReason::ConsentRequested),
        GroundStatus::Revoked => Some(RefusalReason::ConsentRevoked),
        GroundStatus::Invalidated => Some(RefusalReason::ConsentInvalidated),
    }
}

numbered! {
    /// How consent was expressed. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ConsentMethod ("method", expected "unambiguous, explicit, opt-out or soft opt-in") {
        /// A clear affirmative act.
        Unambiguous = 1,
        /// An express statement.
        Explicit = 2,
        /// Did not opt out, if the law allows that.
        OptOut = 3,
        /// No consent, but legitimate interests in marketing by electronic mail: the address comes from a sale, the goods
        /// are similar, and the customer was told how to object, Directive 2002/58/EC Art. 13(2).
        SoftOptIn = 50,
    }
}

/// The state of one ground for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundState {
    /// What was decided.
    pub status: GroundStatus,
    /// When it was decided.
    pub decided_at: TimestampMs,
    /// From when it holds; none: from the decision on.
    pub valid_from: Option<TimestampMs>,
    /// Until when it holds; none: until withdrawn.
    pub expires_at: Option<TimestampMs>,
    /// The notice that the customer saw.
    pub notice: Option<NoticeId>,
    /// How consent was expressed.
    pub method: Option<ConsentMethod>,
    /// What proves it, and who decided; none: the data subject, without evidence.
    pub evidence: Option<Evidence>,
    /// Who collected it.
    pub collector: Option<Collector>,
    /// The contract, law, incident or balancing test.
    pub reference: Option<Reference>,
    /// Through which channel it came.
    pub channel: Option<Channel>,
    /// When it was stored first.
    pub recorded_at: TimestampMs,
    /// Since when the ground has been given, or not given, without a break, as recorded; none: since `recorded_at`. A
    /// contract that is renewed, and a no that is repeated, begin nothing anew.
    pub unbroken_since: Option<TimestampMs>,
    /// In years: below it, a guardian had to consent where the consent was given, by the law of that time, or if a guardian
    /// did, could; none: not known, or no given consent. So a consent that was valid where it was given stays so.
    pub guardian_below_age: Option<u8>,
}

impl GroundState {
    /// A state with nothing else set.
    #[must_use]
    pub const fn bare(status: GroundStatus, decided_at: TimestampMs, recorded_at: TimestampMs) -> Self {
        Self {
            status,
            decided_at,
            valid_from: None,
            expires_at: None,
            notice: None,
            method: None,
            evidence: None,
            collector: None,
            reference: None,
            channel: None,
            recorded_at,
            unbroken_since: None,
            guardian_below_age: None,
        }
    }

    /// Since when the ground has been given, or not given, without a break.
    #[must_use]
    pub fn since(&self) -> TimestampMs {
        self.unbroken_since.unwrap_or(self.recorded_at)
    }

    /// Since when the ground is taken back or not there; none if it is given, even if it has expired.
    pub(crate) fn lost_at(&self) -> Option<TimestampMs> {
        (self.status != GroundStatus::Given).then(|| self.since())
    }

    /// The same state, not broken since a moment.
    pub(crate) fn unbroken_since(self, since: TimestampMs) -> Self {
        Self { unbroken_since: Some(since).filter(|since| *since < self.recorded_at), ..self }
    }

    /// The state as it follows `stored`. A given ground that has expired is not continued.
    pub(crate) fn following(self, stored: Option<&Self>) -> Self {
        let now = self.recorded_at;
        let is_given = |state: &Self| state.status == GroundStatus::Given;
        let goes_on = |stored: &&Self| {
            is_given(stored) == is_given(&self) && !(is_given(stored) && stored.is_expired(now))
        };
        let since = stored.filter(goes_on).map_or(now, Self::since);
        self.unbroken_since(since)
    }

    /// Whether the customer said no.
    #[must_use]
    pub const fn is_no(&self) -> bool {
        self.status.is_no()
    }

    /// Whether it is a no that was recorded as it was said, by the customer or as a revocation. Such a no counts from its
    /// arrival or later, and what is imported from before its own arrival: the two moments tell them apart.
    pub(crate) fn is_live_no(&self) -> bool {
        (self.is_no() || self.status == GroundStatus::Revoked) && self.decided_at >= self.recorded_at
    }

    /// Who decided.
    #[must_use]
    pub fn decided_by(&self) -> DecidedBy {
        self.evidence.as_ref().map_or_else(DecidedBy::default, |evidence| evidence.decided_by)
    }

    /// Whether it has expired at a moment.
    #[must_use]
    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether the two differ in nothing but when, and under which law, they were stored.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let Self { recorded_at, unbroken_since, guardian_below_age, .. } = *other;
        Self { recorded_at, unbroken_since, guardian_below_age, ..self.clone() } == *other
    }

    /// Which of two states of one ground holds. Commutative, associative and idempotent, since it is the maximum of a
    /// total order: an objection beats anything else, then the newer decision wins, then the stricter, then the one
    /// that begins later or ends sooner. How remaining ties are settled does not matter, but all nodes must agree.
    #[must_use]
    pub fn prevailing(self, other: Self, basis: LawfulBasis) -> Self {
        let objection_stands = is_objection(basis);
        if self.rank(objection_stands) >= other.rank(objection_stands) { self } else { other }
    }

    /// The order in which the decisions on one ground are gone through: by their dates, and of equally old ones the one
    /// that prevails last.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.rank(false).cmp(&other.rank(false))
    }

    fn rank(&self, objection_stands: bool) -> impl Ord + '_ {
        (
            (objection_stands && self.is_no(), self.decided_at, self.status.strictness()),
            (self.valid_from, Reverse(self.expires_at.unwrap_or(TimestampMs::from_ms(i64::MAX)))),
            (&self.notice, self.method, &self.evidence, &self.collector, &self.reference, &self.channel),
            (Reverse(self.recorded_at), Reverse(self.unbroken_since), self.guardian_below_age),
        )
    }
}
