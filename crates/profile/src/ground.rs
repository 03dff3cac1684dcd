//! Owns the state of one ground for one purpose. Always: what prevails of two states depends on them alone, not on
//! the order in which they came; and a request, a revocation or an invalidation never takes the place of a no.
//!
//! ```text
//!   from \ to                  GIVEN       REQUESTED (consent only)   REVOKED, INVALIDATED   REFUSED, WITHDRAWN
//!   unknown, REQUESTED         yes         yes                        —                      yes
//!   GIVEN                      yes         —                          yes                    yes
//!   lapsed (given, expired
//!     or to an old notice)     yes         yes                        yes                    yes
//!   REFUSED, WITHDRAWN         yes, but    —                          —                      yes
//!                              not over an objection
//!   REVOKED, INVALIDATED       yes         yes                        —                      yes
//! ```
//! A person's no can be recorded from every state, since nobody may be kept from saying it. A no stays until the
//! customer consents: asking again is no answer, and to find a consent invalid that was withdrawn must not make the
//! withdrawal disappear. An objection (a no to legitimate interests or public task) has no way back by recording that
//! ground again: only the customer's own consent permits the purpose again. See `permission`.
//!
//! A no to a consent that was never given is a REFUSED or a WITHDRAWN as the source says it; which of the two makes no
//! difference to the law. EXPIRED is computed from `expires_at` and never stored.

use std::cmp::Reverse;

use crate::{
    Channel, Collector, DecidedBy, Evidence, LawfulBasis, NoticeId, ProfileError, Reference, TimestampMs,
};

/// What was decided. Numbers are those of the API; 4 (expired) is computed and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GroundStatus {
    /// The ground was given or recorded.
    Given = 1,
    /// The data subject said no.
    Refused = 2,
    /// The data subject took it back, or objected.
    Withdrawn = 3,
    /// The data subject was asked and has not answered.
    Requested = 5,
    /// Another than the data subject took it back.
    Revoked = 6,
    /// It was found not to have been valid.
    Invalidated = 7,
}

impl GroundStatus {
    /// Every status, by number.
    pub const ALL: [Self; 6] =
        [Self::Given, Self::Refused, Self::Withdrawn, Self::Requested, Self::Revoked, Self::Invalidated];

    /// The number in the API and on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The status of a number.
    ///
    /// # Errors
    /// `Malformed` where there is none.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|status| status.number() == number);
        found.ok_or(ProfileError::Malformed {
            field: "status",
            expected: "given, refused, withdrawn, requested, revoked or invalidated",
        })
    }

    /// Whether the data subject said no.
    #[must_use]
    pub const fn is_no(self) -> bool {
        matches!(self, Self::Refused | Self::Withdrawn)
    }

    /// Settles ties between equally new decisions: the answer stands before the question, the stricter answer before
    /// the other, and what the data subject says before what others say.
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

/// What stands before a decision: the rows of the table at this file's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// Nothing is recorded.
    Unknown,
    /// This is recorded, and a given ground still holds.
    Recorded(GroundStatus),
    /// A ground was given and holds no longer: it has expired, or a newer notice asks again.
    Lapsed,
}

/// Whether a decision can follow upon what stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It can.
    Allowed,
    /// Not over the customer's objection.
    ObjectionStands,
    /// It cannot.
    Illegal,
}

/// The table of this file's head.
#[must_use]
pub const fn transition(from: Prior, to: GroundStatus, basis: LawfulBasis) -> Transition {
    use GroundStatus::{Given, Invalidated, Refused, Requested, Revoked, Withdrawn};
    use Prior::{Lapsed, Recorded, Unknown};
    match (from, to) {
        (_, Refused | Withdrawn) => Transition::Allowed,
        (Recorded(Refused | Withdrawn), Given) if is_objection(basis) => Transition::ObjectionStands,
        (_, Given) => Transition::Allowed,
        (Unknown | Lapsed | Recorded(Requested | Revoked | Invalidated), Requested)
            if matches!(basis, LawfulBasis::Consent) =>
        {
            Transition::Allowed
        }
        (Lapsed | Recorded(Given), Revoked | Invalidated) => Transition::Allowed,
        (_, Requested | Revoked | Invalidated) => Transition::Illegal,
    }
}

/// Whether a no to the basis is an objection (GDPR Art. 21).
const fn is_objection(basis: LawfulBasis) -> bool {
    matches!(basis, LawfulBasis::PublicTask | LawfulBasis::LegitimateInterests)
}

/// How consent was expressed. Numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ConsentMethod {
    /// A clear affirmative act.
    Unambiguous = 1,
    /// An express statement.
    Explicit = 2,
    /// Not objected where the law allows it.
    OptOut = 3,
}

impl ConsentMethod {
    /// Every method, by number.
    pub const ALL: [Self; 3] = [Self::Unambiguous, Self::Explicit, Self::OptOut];

    /// The number in the API and on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The method of a number.
    ///
    /// # Errors
    /// `Malformed` where there is none.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|method| method.number() == number);
        found.ok_or(ProfileError::Malformed { field: "method", expected: "unambiguous, explicit or opt-out" })
    }
}

/// The state of one ground for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundState {
    /// What was decided.
    pub status: GroundStatus,
    /// When it was decided.
    pub decided_at: TimestampMs,
    /// From when it holds; nothing: from the decision on.
    pub valid_from: Option<TimestampMs>,
    /// Until when it holds; nothing: until withdrawn.
    pub expires_at: Option<TimestampMs>,
    /// The notice that the customer saw.
    pub notice: Option<NoticeId>,
    /// How consent was expressed.
    pub method: Option<ConsentMethod>,
    /// What proves it, and who decided; nothing: the data subject, without evidence.
    pub evidence: Option<Evidence>,
    /// Who collected it.
    pub collector: Option<Collector>,
    /// The contract, law, incident or balancing test.
    pub reference: Option<Reference>,
    /// Through which channel it came.
    pub channel: Option<Channel>,
    /// When it was stored first.
    pub recorded_at: TimestampMs,
}

impl GroundState {
    /// A state that says no more than this.
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
        }
    }

    /// Whether the customer said no.
    #[must_use]
    pub const fn is_no(&self) -> bool {
        self.status.is_no()
    }

    /// Who decided.
    #[must_use]
    pub fn decided_by(&self) -> DecidedBy {
        self.evidence.as_ref().map_or_else(DecidedBy::default, |evidence| evidence.decided_by)
    }

    /// Whether its time is over at a moment.
    #[must_use]
    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether the two say the same, whenever they were stored.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        Self { recorded_at: other.recorded_at, ..self.clone() } == *other
    }

    /// Which of two states of one ground holds. Commutative, associative and idempotent, being a maximum of a total
    /// order: an objection before anything else, then the newer decision, then the stricter, then the one that
    /// begins later or ends sooner; the rest only has to be settled somehow, and the same everywhere.
    #[must_use]
    pub fn prevailing(self, other: Self, basis: LawfulBasis) -> Self {
        let objection_stands = is_objection(basis);
        if self.rank(objection_stands) >= other.rank(objection_stands) { self } else { other }
    }

    fn rank(&self, objection_stands: bool) -> impl Ord + '_ {
        (
            (objection_stands && self.is_no(), self.decided_at, self.status.strictness()),
            (self.valid_from, Reverse(self.expires_at.unwrap_or(TimestampMs::from_ms(i64::MAX)))),
            (&self.notice, self.method, &self.evidence, &self.collector, &self.reference, &self.channel),
            Reverse(self.recorded_at),
        )
    }
}
