//! Owns the reasons for a refusal: one list for ingest and read, as in `types.proto`.
//! Always: numbers are those of the API and are never reused.

/// Why something was refused or withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RefusalReason {
    /// Nothing allows the purpose: unknown means no.
    NoGround = 1,
    /// The data subject said no.
    ConsentRefused = 2,
    /// The data subject took consent back, GDPR Art. 7(3).
    ConsentWithdrawn = 3,
    /// The ground has expired.
    ConsentExpired = 4,
    /// A newer notice asks again.
    NoticeOutdated = 5,
    /// The attribute may not be used for this purpose.
    PurposeNotAllowed = 6,
    /// The purpose does not allow the stated basis.
    BasisNotAllowed = 7,
    /// The catalogue has no such attribute.
    UnknownAttribute = 8,
    /// The value's type is not the attribute's.
    WrongType = 9,
    /// The text is longer than the attribute allows.
    ValueTooLong = 10,
    /// More than five minutes ahead of the clock.
    ObservedInFuture = 11,
    /// A newer observation is already stored.
    ObservedBeforeStored = 12,
    /// The purpose is no longer in use.
    PurposeDeprecated = 13,
    /// The stored bytes do not authenticate.
    Unreadable = 14,
    /// An event with this id and different content is already stored.
    EventIdReused = 15,
    /// Asked, not answered yet.
    ConsentRequested = 16,
    /// Revoked by someone other than the data subject, e.g. the guardian.
    ConsentRevoked = 17,
    /// Found to be invalid.
    ConsentInvalidated = 18,
    /// The data subject objected, GDPR Art. 21.
    Objected = 19,
    /// The ground is not valid yet.
    GroundNotYetValid = 20,
    /// Stored, and nothing else, GDPR Art. 18.
    ProcessingRestricted = 21,
    /// Kept unchanged for a legal claim, and nothing else.
    LegalHold = 22,
    /// A minor below the jurisdiction's age, GDPR Art. 8.
    GuardianConsentNeeded = 23,
    /// Sensitive data, GDPR Art. 9(2)(a).
    ExplicitConsentNeeded = 24,
    /// The purpose may not use this category of data.
    CategoryNotAllowed = 25,
    /// The caller is not a registered application.
    RecipientNotRegistered = 26,
    /// The application is not registered for this purpose, or is suspended.
    RecipientNotAllowed = 27,
    /// The value is older than its retention.
    RetentionPassed = 28,
    /// At the moment in question the catalogue had no such purpose.
    UnknownPurpose = 29,
    /// A pre-ticked box, CJEU C-673/17 (Planet49).
    PreTicked = 30,
    /// One act for several purposes without a separate choice, GDPR recital 43.
    Bundled = 31,
    /// No affirmative act, GDPR recital 32.
    Silence = 32,
    /// The customer's jurisdiction asks for opt-in.
    OptOutNotAllowed = 33,
    /// The state cannot be reached from the recorded one.
    IllegalTransition = 34,
    /// The customer does not want this channel, or has listed others only.
    ChannelNotAllowed = 40,
    /// The customer does not want this topic.
    TopicNotWanted = 41,
    /// The customer does not want to be contacted at this time.
    QuietHours = 42,
    /// The customer's limit on contacts has been reached.
    FrequencyCap = 43,
}

impl RefusalReason {
    /// Every reason, by number.
    pub const ALL: [Self; 38] = [
        Self::NoGround,
        Self::ConsentRefused,
        Self::ConsentWithdrawn,
        Self::ConsentExpired,
        Self::NoticeOutdated,
        Self::PurposeNotAllowed,
        Self::BasisNotAllowed,
        Self::UnknownAttribute,
        Self::WrongType,
        Self::ValueTooLong,
        Self::ObservedInFuture,
        Self::ObservedBeforeStored,
        Self::PurposeDeprecated,
        Self::Unreadable,
        Self::EventIdReused,
        Self::ConsentRequested,
        Self::ConsentRevoked,
        Self::ConsentInvalidated,
        Self::Objected,
        Self::GroundNotYetValid,
        Self::ProcessingRestricted,
        Self::LegalHold,
        Self::GuardianConsentNeeded,
        Self::ExplicitConsentNeeded,
        Self::CategoryNotAllowed,
        Self::RecipientNotRegistered,
        Self::RecipientNotAllowed,
        Self::RetentionPassed,
        Self::UnknownPurpose,
        Self::PreTicked,
        Self::Bundled,
        Self::Silence,
        Self::OptOutNotAllowed,
        Self::IllegalTransition,
        Self::ChannelNotAllowed,
        Self::TopicNotWanted,
        Self::QuietHours,
        Self::FrequencyCap,
    ];

    /// The number in the API.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason as in the API without its prefix: a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoGround => "NO_GROUND",
            Self::ConsentRefused => "CONSENT_REFUSED",
            Self::ConsentWithdrawn => "CONSENT_WITHDRAWN",
            Self::ConsentExpired => "CONSENT_EXPIRED",
            Self::NoticeOutdated => "NOTICE_OUTDATED",
            Self::PurposeNotAllowed => "PURPOSE_NOT_ALLOWED",
            Self::BasisNotAllowed => "BASIS_NOT_ALLOWED",
            Self::UnknownAttribute => "UNKNOWN_ATTRIBUTE",
            Self::WrongType => "WRONG_TYPE",
            Self::ValueTooLong => "VALUE_TOO_LONG",
            Self::ObservedInFuture => "OBSERVED_IN_FUTURE",
            Self::ObservedBeforeStored => "OBSERVED_BEFORE_STORED",
            Self::PurposeDeprecated => "PURPOSE_DEPRECATED",
            Self::Unreadable => "UNREADABLE",
            Self::EventIdReused => "EVENT_ID_REUSED",
            Self::ConsentRequested => "CONSENT_REQUESTED",
            Self::ConsentRevoked => "CONSENT_REVOKED",
            Self::ConsentInvalidated => "CONSENT_INVALIDATED",
            Self::Objected => "OBJECTED",
            Self::GroundNotYetValid => "GROUND_NOT_YET_VALID",
            Self::ProcessingRestricted => "PROCESSING_RESTRICTED",
            Self::LegalHold => "LEGAL_HOLD",
            Self::GuardianConsentNeeded => "GUARDIAN_CONSENT_NEEDED",
            Self::ExplicitConsentNeeded => "EXPLICIT_CONSENT_NEEDED",
            Self::CategoryNotAllowed => "CATEGORY_NOT_ALLOWED",
            Self::RecipientNotRegistered => "RECIPIENT_NOT_REGISTERED",
            Self::RecipientNotAllowed => "RECIPIENT_NOT_ALLOWED",
            Self::RetentionPassed => "RETENTION_PASSED",
            Self::UnknownPurpose => "UNKNOWN_PURPOSE",
            Self::PreTicked => "PRE_TICKED",
            Self::Bundled => "BUNDLED",
            Self::Silence => "SILENCE",
            Self::OptOutNotAllowed => "OPT_OUT_NOT_ALLOWED",
            Self::IllegalTransition => "ILLEGAL_TRANSITION",
            Self::ChannelNotAllowed => "CHANNEL_NOT_ALLOWED",
            Self::TopicNotWanted => "TOPIC_NOT_WANTED",
            Self::QuietHours => "QUIET_HOURS",
            Self::FrequencyCap => "FREQUENCY_CAP",
        }
    }

    /// One sentence for people. It holds no personal data.
    #[must_use]
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
            Self::LegalHold => "This customer's data is kept unchanged for a legal claim and is not used.",
            Self::GuardianConsentNeeded => "The customer is below the age at which a guardian must consent.",
            Self::ExplicitConsentNeeded => "Sensitive data needs the customer's explicit consent.",
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
        }
    }
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
