//! Owns the state of one ground for one purpose. Always: what prevails of two states depends on them alone, not on
//! the order in which they came.
//!
//! ```text
//!                 decide given                   decide given (newer; consent and binding bases)
//!   (unknown) ───────────────▶ GIVEN ◀──────────────────────────────┐
//!       │                       │ refuse or withdraw                │
//!       └───────────────────────┴──────────────▶ REFUSED, WITHDRAWN ┘
//!   EXPIRED is computed from expires_at and never stored.
//! ```
//! An objection (a no to legitimate interests or public task) has no way back by recording that ground again: only
//! the customer's own consent permits the purpose again. See `permission`.

use std::cmp::Reverse;

use crate::{Channel, Collector, LawfulBasis, NoticeId, ProfileError, Reference, TimestampMs};

/// What was decided. The order is that of strictness and settles ties between equally new decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GroundStatus {
    /// The ground was given or recorded.
    Given = 1,
    /// The data subject said no.
    Refused = 2,
    /// The data subject took it back, or objected.
    Withdrawn = 3,
}

impl GroundStatus {
    /// Every status, by number.
    pub const ALL: [Self; 3] = [Self::Given, Self::Refused, Self::Withdrawn];

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
        found.ok_or(ProfileError::Malformed { field: "status", expected: "given, refused or withdrawn" })
    }
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
    /// Until when it holds; nothing: until withdrawn.
    pub expires_at: Option<TimestampMs>,
    /// The notice that the customer saw.
    pub notice: Option<NoticeId>,
    /// How consent was expressed.
    pub method: Option<ConsentMethod>,
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
    /// Whether the customer said no.
    #[must_use]
    pub const fn is_no(&self) -> bool {
        matches!(self.status, GroundStatus::Refused | GroundStatus::Withdrawn)
    }

    /// Whether the two say the same, whenever they were stored.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        Self { recorded_at: other.recorded_at, ..self.clone() } == *other
    }

    /// Which of two states of one ground holds. Commutative, associative and idempotent, being a maximum of a total
    /// order: an objection before anything else, then the newer decision, then the stricter, then the one that
    /// ends sooner; the rest only has to be settled somehow, and the same everywhere.
    #[must_use]
    pub fn prevailing(self, other: Self, basis: LawfulBasis) -> Self {
        let objection_stands = basis != LawfulBasis::Consent && basis.yields_to_the_customer();
        if self.rank(objection_stands) >= other.rank(objection_stands) { self } else { other }
    }

    fn rank(&self, objection_stands: bool) -> impl Ord + '_ {
        (
            (objection_stands && self.is_no(), self.decided_at, self.status),
            Reverse(self.expires_at.unwrap_or(TimestampMs::from_ms(i64::MAX))),
            (&self.notice, self.method, &self.collector, &self.reference, &self.channel),
            Reverse(self.recorded_at),
        )
    }
}
