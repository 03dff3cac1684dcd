//! Owns the grounds of GDPR Art. 9(2), by which sensitive data may be used besides its lawful basis. Always: numbers are
//! those of the API, in the order of the letters.

use crate::{ground::LawfulBasis, numbered::numbered};

numbered! {
    /// A ground of GDPR Art. 9(2). Names are its letters.
    #[derive(PartialOrd, Ord)]
    pub enum SpecialCategoryGround ("special_category_grounds", expected "a ground of GDPR Art. 9(2)") {
        /// Explicit consent.
        ExplicitConsent = 1 => "a",
        /// Employment, social security and social protection law.
        Employment = 2 => "b",
        /// Vital interests of somebody who cannot consent.
        VitalInterests = 3 => "c",
        /// A non-profit body, about its members.
        NonProfitBody = 4 => "d",
        /// Manifestly made public by the data subject.
        MadePublic = 5 => "e",
        /// Legal claims, and courts.
        LegalClaims = 6 => "f",
        /// Substantial public interest, by a law.
        SubstantialPublicInterest = 7 => "g",
        /// Health and social care, by a law or a contract with a professional.
        HealthCare = 8 => "h",
        /// Public health, by a law.
        PublicHealth = 9 => "i",
        /// Archiving, research and statistics, by a law.
        Research = 10 => "j",
    }
}

impl SpecialCategoryGround {
    /// Whether data on this ground may rest on a basis of Art. 6(1). Consent goes with letter (a) alone, vital interests
    /// with (c) alone; the other letters ask neither.
    #[must_use]
    pub const fn goes_with(self, basis: LawfulBasis) -> bool {
        match basis {
            LawfulBasis::Consent => matches!(self, Self::ExplicitConsent),
            LawfulBasis::VitalInterests => matches!(self, Self::VitalInterests),
            LawfulBasis::Contract
            | LawfulBasis::LegalObligation
            | LawfulBasis::PublicTask
            | LawfulBasis::LegitimateInterests => {
                !matches!(self, Self::ExplicitConsent | Self::VitalInterests)
            }
        }
    }
}
