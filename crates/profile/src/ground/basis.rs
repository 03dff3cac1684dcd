//! Owns the six lawful bases of GDPR Art. 6(1) (CO-1). Always: numbers are those of the API.

use crate::numbered::numbered;

numbered! {
    /// A lawful basis.
    #[derive(PartialOrd, Ord)]
    pub enum LawfulBasis ("lawful_basis", expected "one of the six lawful bases") {
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
}

impl LawfulBasis {
    /// Whether the customer's no beats this basis. Consent rests on the customer's will; public task and legitimate
    /// interests yield to an objection (Art. 21). The other three hold whatever the customer wishes.
    #[must_use]
    pub const fn yields_to_the_customer(self) -> bool {
        match self {
            Self::Consent | Self::PublicTask | Self::LegitimateInterests => true,
            Self::Contract | Self::LegalObligation | Self::VitalInterests => false,
        }
    }

    /// Whether the basis can hold for everybody with nothing recorded. A contract is one with this person, vital interests
    /// are those of this person (Art. 6(1)(b), (d)), and so is consent.
    #[must_use]
    pub const fn may_stand(self) -> bool {
        match self {
            Self::LegalObligation | Self::PublicTask | Self::LegitimateInterests => true,
            Self::Consent | Self::Contract | Self::VitalInterests => false,
        }
    }
}
