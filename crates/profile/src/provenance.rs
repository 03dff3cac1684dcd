//! Owns where a stored value comes from (PR-3). Always: complete, and stored with every value.

use crate::{
    error::ProfileError,
    ground::LawfulBasis,
    id::{PurposeNumber, SourceId, TimestampMs},
};

/// Who collected a value. Numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Party {
    /// The controller itself.
    #[default]
    First = 1,
    /// A partner.
    Second = 2,
    /// A data vendor.
    Third = 3,
}

impl Party {
    /// Every party, by number.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    /// The number in the API and on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The party with a number.
    ///
    /// # Errors
    /// `Malformed` if there is none.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|party| party.number() == number);
        found.ok_or(ProfileError::Malformed { field: "party", expected: "first, second or third party" })
    }
}

/// Where a stored value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The source system.
    pub source: SourceId,
    /// When the source observed it.
    pub observed_at: TimestampMs,
    /// When it was stored first.
    pub recorded_at: TimestampMs,
    /// Under which purpose it was collected.
    pub purpose: PurposeNumber,
    /// The basis on which it was collected.
    pub basis: LawfulBasis,
    /// Who collected it.
    pub party: Party,
}
