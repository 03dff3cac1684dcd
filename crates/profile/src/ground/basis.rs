//! Owns the six lawful bases of GDPR Art. 6(1) (CO-1). Always: numbers are those of the API.

use crate::error::ProfileError;

/// A lawful basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LawfulBasis {
    /// Art. 6(1)(a).
    Consent = 1,
    /// Art. 6(1)(b).
    Contract = 2,
    /// Art. 6(1)(c).
    LegalObligation = 3,
    /// Art. 6(1)(d).
    VitalInterests = 4,
    /// Art. 6(1)(e).
    PublicTask = 5,
    /// Art. 6(1)(f).
    LegitimateInterests = 6,
}

impl LawfulBasis {
    /// Every basis, by number.
    pub const ALL: [Self; 6] = [
        Self::Consent,
        Self::Contract,
        Self::LegalObligation,
        Self::VitalInterests,
        Self::PublicTask,
        Self::LegitimateInterests,
    ];

    /// The number in the API and on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The basis with a number.
    ///
    /// # Errors
    /// `Malformed` if there is none.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|basis| basis.number() == number);
        found
            .ok_or(ProfileError::Malformed { field: "lawful_basis", expected: "one of the six lawful bases" })
    }

    /// Whether the customer's no beats this basis. Consent rests on the customer's will; public task and legitimate
    /// interests yield to an objection (Art. 21). The other three hold whatever the customer wishes.
    #[must_use]
    pub const fn yields_to_the_customer(self) -> bool {
        match self {
            Self::Consent | Self::PublicTask | Self::LegitimateInterests => true,
            Self::Contract | Self::LegalObligation | Self::VitalInterests => false,
        }
    }
}
