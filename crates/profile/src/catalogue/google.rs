//! Owns the types of Google's consent mode. Always: numbers are those of the API.

use crate::numbered::numbered;

numbered! {
    /// A consent type of Google's consent mode, as its documentation lists them
    /// (<https://developers.google.com/tag-platform/security/concepts/consent-mode>). Names are those of Google's own
    /// interfaces.
    #[derive(PartialOrd, Ord)]
    pub enum GoogleConsentType ("google_consent_type", expected "a type of Google's consent mode") {
        /// Storage for advertising.
        AdStorage = 1 => "ad_storage",
        /// User data sent to Google for advertising.
        AdUserData = 2 => "ad_user_data",
        /// Personalised advertising.
        AdPersonalization = 3 => "ad_personalization",
        /// Storage for analytics.
        AnalyticsStorage = 4 => "analytics_storage",
        /// Storage for the functions of a site or app, e.g. language settings.
        FunctionalityStorage = 5 => "functionality_storage",
        /// Storage for personalisation.
        PersonalizationStorage = 6 => "personalization_storage",
        /// Storage for security, e.g. authentication.
        SecurityStorage = 7 => "security_storage",
    }
}
