//! Owns the reasons for a refusal: one list for ingest and read, as in `types.proto`.
//! Always: numbers are those of the API and are never reused.

use crate::numbered::numbered;

numbered! {
    /// Why something was refused or withheld. Names are as in the API without the prefix, and are metric labels.
    #[derive(PartialOrd, Ord)]
    pub enum RefusalReason {
        /// Nothing allows the purpose: unknown means no.
        NoGround = 1 => "NO_GROUND",
        /// The data subject said no.
        ConsentRefused = 2 => "CONSENT_REFUSED",
        /// The data subject took consent back, GDPR Art. 7(3).
        ConsentWithdrawn = 3 => "CONSENT_WITHDRAWN",
        /// The ground has expired.
        ConsentExpired = 4 => "CONSENT_EXPIRED",
        /// A newer notice asks again.
        NoticeOutdated = 5 => "NOTICE_OUTDATED",
        /// The attribute may not be used for this purpose.
        PurposeNotAllowed = 6 => "PURPOSE_NOT_ALLOWED",
        /// The purpose does not allow the stated basis.
        BasisNotAllowed = 7 => "BASIS_NOT_ALLOWED",
        /// The catalogue has no such attribute.
        UnknownAttribute = 8 => "UNKNOWN_ATTRIBUTE",
        /// The value's type is not the attribute's.
        WrongType = 9 => "WRONG_TYPE",
        /// The text is longer than the attribute allows.
        ValueTooLong = 10 => "VALUE_TOO_LONG",
        /// More than five minutes ahead of the clock.
        ObservedInFuture = 11 => "OBSERVED_IN_FUTURE",
        /// A newer observation is already stored.
        ObservedBeforeStored = 12 => "OBSERVED_BEFORE_STORED",
        /// The purpose is no longer in use.
        PurposeDeprecated = 13 => "PURPOSE_DEPRECATED",
        /// The stored bytes do not authenticate.
        Unreadable = 14 => "UNREADABLE",
        /// An event with this id and different content is already stored.
        EventIdReused = 15 => "EVENT_ID_REUSED",
        /// Asked, not answered yet.
        ConsentRequested = 16 => "CONSENT_REQUESTED",
        /// Revoked by someone other than the data subject, e.g. the guardian.
        ConsentRevoked = 17 => "CONSENT_REVOKED",
        /// Found to be invalid.
        ConsentInvalidated = 18 => "CONSENT_INVALIDATED",
        /// The data subject objected, GDPR Art. 21.
        Objected = 19 => "OBJECTED",
        /// The ground is not valid yet.
        GroundNotYetValid = 20 => "GROUND_NOT_YET_VALID",
        /// Stored, and nothing else, GDPR Art. 18.
        ProcessingRestricted = 21 => "PROCESSING_RESTRICTED",
        /// Held for a legal claim: a stored value is not replaced.
        LegalHold = 22 => "LEGAL_HOLD",
        /// A minor below the jurisdiction's age, GDPR Art. 8.
        GuardianConsentNeeded = 23 => "GUARDIAN_CONSENT_NEEDED",
        /// Sensitive data, GDPR Art. 9(2).
        ExplicitConsentNeeded = 24 => "EXPLICIT_CONSENT_NEEDED",
        /// The purpose may not use this category of data.
        CategoryNotAllowed = 25 => "CATEGORY_NOT_ALLOWED",
        /// The caller is not a registered application.
        RecipientNotRegistered = 26 => "RECIPIENT_NOT_REGISTERED",
        /// The application is not registered for this purpose, or is suspended.
        RecipientNotAllowed = 27 => "RECIPIENT_NOT_ALLOWED",
        /// The value is older than its retention.
        RetentionPassed = 28 => "RETENTION_PASSED",
        /// At the moment in question the catalogue had no such purpose.
        UnknownPurpose = 29 => "UNKNOWN_PURPOSE",
        /// A pre-ticked box, CJEU C-673/17 (Planet49).
        PreTicked = 30 => "PRE_TICKED",
        /// One act for several purposes without a separate choice, GDPR recital 43.
        Bundled = 31 => "BUNDLED",
        /// No affirmative act, GDPR recital 32.
        Silence = 32 => "SILENCE",
        /// The customer's jurisdiction asks for opt-in.
        OptOutNotAllowed = 33 => "OPT_OUT_NOT_ALLOWED",
        /// The state cannot be reached from the recorded one.
        IllegalTransition = 34 => "ILLEGAL_TRANSITION",
        /// The customer does not want this channel, or has listed others only.
        ChannelNotAllowed = 40 => "CHANNEL_NOT_ALLOWED",
        /// The customer does not want this topic.
        TopicNotWanted = 41 => "TOPIC_NOT_WANTED",
        /// The customer does not want to be contacted at this time.
        QuietHours = 42 => "QUIET_HOURS",
        /// The customer's limit on contacts has been reached.
        FrequencyCap = 43 => "FREQUENCY_CAP",
        /// The customer limited the use of sensitive data, Cal. Civ. Code §1798.121.
        SensitiveLimited = 44 => "SENSITIVE_LIMITED",
        /// Consent was relied on, so no interest of the controller takes its place (EDPB Guidelines 05/2020, 121-123).
        ConsentReliedOn = 45 => "CONSENT_RELIED_ON",
        /// A guardian decided for somebody who decides for itself.
        GuardianNotEntitled = 46 => "GUARDIAN_NOT_ENTITLED",
        /// Sensitive data, where the law asks for a signature, 152-FZ Arts. 9(4), 10(2)(1).
        SignedConsentNeeded = 50 => "SIGNED_CONSENT_NEEDED",
        /// The catalogue has no such channel.
        UnknownChannel = 51 => "UNKNOWN_CHANNEL",
        /// The law forbids calls, or texts, at this time, e.g. 47 CFR 64.1200(c)(1).
        CallingHours = 52 => "CALLING_HOURS",
        /// The law has hours for this kind of channel, and the customer's time of day is unknown.
        TimeZoneUnknown = 53 => "TIME_ZONE_UNKNOWN",
        /// Direct marketing on this channel, Directive 2002/58/EC Art. 13(1), (2).
        MarketingConsentNeeded = 54 => "MARKETING_CONSENT_NEEDED",
        /// A minor's data, which the law lets nobody sell or share, with consent or without, e.g. Md. Com. Law §14-4707(a)(4)-(5).
        SaleForbiddenBelowAge = 55 => "SALE_FORBIDDEN_BELOW_AGE",
        /// The catalogue has no such namespace of identifiers.
        UnknownNamespace = 60 => "UNKNOWN_NAMESPACE",
        /// The value is no identifier of the namespace.
        IdentifierInvalid = 61 => "IDENTIFIER_INVALID",
        /// A placeholder, or a value that the namespace blocks.
        IdentifierBlocked = 62 => "IDENTIFIER_BLOCKED",
        /// Another customer holds it, and the namespace lets one alone.
        IdentifierTaken = 63 => "IDENTIFIER_TAKEN",
        /// The customer has as many as allowed, in the namespace or in all.
        IdentifierLimit = 64 => "IDENTIFIER_LIMIT",
        /// As many customers share it as may.
        IdentifierSharedLimit = 65 => "IDENTIFIER_SHARED_LIMIT",
        /// The value is not of the attribute's format.
        InvalidFormat = 66 => "INVALID_FORMAT",
    }
}

impl RefusalReason {
    /// One sentence for people. It holds no personal data.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a line for each reason, and no branch")]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoGround => "No lawful basis is recorded for this purpose.",
            Self::ConsentRefused => "The customer refused this purpose.",
            Self::ConsentWithdrawn => "The customer withdrew consent to this purpose.",
            Self::ConsentExpired => "The recorded lawful basis for this purpose has expired.",
            Self::NoticeOutdated => "A newer notice requires the customer to consent again.",
            Self::PurposeNotAllowed => "The data may not be used for this purpose.",
            Self::BasisNotAllowed => "This purpose does not allow the stated lawful basis.",
            Self::UnknownAttribute => "The catalogue has no such attribute.",
            Self::WrongType => "The value's type is not the one that the catalogue gives the attribute.",
            Self::ValueTooLong => "The text is longer than the catalogue allows for the attribute.",
            Self::ObservedInFuture => "The time is more than five minutes in the future.",
            Self::ObservedBeforeStored => "A newer observation is already stored.",
            Self::PurposeDeprecated => "This purpose is no longer in use.",
            Self::Unreadable => "The stored record cannot be read and is under repair.",
            Self::EventIdReused => "An event with this id and different content is already stored.",
            Self::ConsentRequested => "The customer was asked for consent and has not answered yet.",
            Self::ConsentRevoked => "Consent to this purpose was revoked by someone other than the customer.",
            Self::ConsentInvalidated => "The recorded consent to this purpose was found to be invalid.",
            Self::Objected => "The customer objected to this purpose.",
            Self::GroundNotYetValid => "The recorded lawful basis for this purpose is not valid yet.",
            Self::ProcessingRestricted => {
                "Processing of this customer's data is restricted: it is stored but not used."
            }
            Self::LegalHold => {
                "This customer's data is held for a legal claim: a stored value is not replaced."
            }
            Self::GuardianConsentNeeded => "The customer is below the age at which a guardian must consent.",
            Self::ExplicitConsentNeeded => {
                "Sensitive data needs the customer's explicit consent, or another ground that the law allows."
            }
            Self::CategoryNotAllowed => "This purpose may not use this category of data.",
            Self::RecipientNotRegistered => "The caller is not a registered application.",
            Self::RecipientNotAllowed => {
                "The application is not registered for this purpose, or is suspended."
            }
            Self::RetentionPassed => "The value is older than its retention period.",
            Self::UnknownPurpose => "The catalogue had no such purpose at that time.",
            Self::PreTicked => "A pre-ticked box is not consent.",
            Self::Bundled => "One act for several purposes without a separate choice is not consent.",
            Self::Silence => "Silence or continued use is not consent.",
            Self::OptOutNotAllowed => "The customer's jurisdiction requires opt-in.",
            Self::IllegalTransition => "This state cannot follow the recorded one.",
            Self::ChannelNotAllowed => "The customer does not want to be contacted on this channel.",
            Self::TopicNotWanted => "The customer does not want to be contacted about this topic.",
            Self::QuietHours => "The customer does not want to be contacted at this time.",
            Self::FrequencyCap => "The customer's limit on contacts has been reached.",
            Self::SensitiveLimited => "The customer limited the use of sensitive data.",
            Self::ConsentReliedOn => {
                "Consent was asked for this purpose, so legitimate interests or a public task cannot replace it."
            }
            Self::GuardianNotEntitled => {
                "A guardian decides only for a customer below the age, or with stated incapacity."
            }
            Self::SignedConsentNeeded => "Sensitive data needs the customer's signed consent.",
            Self::UnknownChannel => "The catalogue has no such channel.",
            Self::CallingHours => {
                "The law where the customer lives forbids contacts of this kind at this time."
            }
            Self::TimeZoneUnknown => "The customer's time zone is unknown, so it may be night there.",
            Self::MarketingConsentNeeded => {
                "Direct marketing on this channel needs the customer's consent or a recorded soft opt-in."
            }
            Self::SaleForbiddenBelowAge => {
                "The law forbids the sale and sharing of data about a customer of this age, even with consent."
            }
            Self::UnknownNamespace => "The catalogue has no such namespace of identifiers.",
            Self::IdentifierInvalid => "The value is not a valid identifier of the namespace.",
            Self::IdentifierBlocked => "The value is a placeholder, or blocked in the namespace.",
            Self::IdentifierTaken => "Another customer holds this identifier.",
            Self::IdentifierLimit => "The customer has as many identifiers as are allowed.",
            Self::IdentifierSharedLimit => "As many customers share this identifier as are allowed to.",
            Self::InvalidFormat => "The value is a placeholder, or is not of the attribute's format.",
        }
    }
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
