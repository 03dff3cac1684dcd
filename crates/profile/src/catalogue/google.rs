//! Owns the types of Google's consent mode. Always: numbers are those of the API.

use crate::error::ProfileError;

/// A consent type of Google's consent mode, as its documentation lists them
/// (<https://developers.google.com/tag-platform/security/concepts/consent-mode>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GoogleConsentType {
    /// Storage for advertising.
    AdStorage = 1,
    /// User data sent to Google for advertising.
    AdUserData = 2,
    /// Personalised advertising.
    AdPersonalization = 3,
    /// Storage for analytics.
    AnalyticsStorage = 4,
    /// Storage for the functions of a site or app, e.g. language settings.
    FunctionalityStorage = 5,
    /// Storage for personalisation.
    PersonalizationStorage = 6,
    /// Storage for security, e.g. authentication.
    SecurityStorage = 7,
}

impl GoogleConsentType {
    /// Every type, by number.
    pub const ALL: [Self; 7] = [
        Self::AdStorage,
        Self::AdUserData,
        Self::AdPersonalization,
        Self::AnalyticsStorage,
        Self::FunctionalityStorage,
        Self::PersonalizationStorage,
        Self::SecurityStorage,
    ];

    /// The number in the API and on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in Google's own interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdStorage => "ad_storage",
            Self::AdUserData => "ad_user_data",
            Self::AdPersonalization => "ad_personalization",
            Self::AnalyticsStorage => "analytics_storage",
            Self::FunctionalityStorage => "functionality_storage",
            Self::PersonalizationStorage => "personalization_storage",
            Self::SecurityStorage => "security_storage",
        }
    }

    /// The type with a number.
    ///
    /// # Errors
    /// `Malformed` if there is none.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|kind| kind.number() == number);
        found.ok_or(ProfileError::Malformed {
            field: "google_consent_type",
            expected: "a type of Google's consent mode",
        })
    }
}
