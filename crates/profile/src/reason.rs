//! Owns the reasons for a refusal: one list for ingest, read and egress, as in `types.proto`.
//! Always: numbers are those of the API and are never reused.

/// Why something was refused or withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RefusalReason {
    /// Nothing allows the purpose: unknown means no.
    NoGround = 1,
    /// The data subject said no.
    ConsentRefused = 2,
    /// The data subject took consent back, or objected.
    ConsentWithdrawn = 3,
    /// The ground has run out.
    ConsentExpired = 4,
    /// A newer notice asks again.
    NoticeOutdated = 5,
    /// The attribute is not in use for this purpose.
    PurposeNotAllowed = 6,
    /// The purpose does not allow the stated basis.
    BasisNotAllowed = 7,
    /// The catalogue has no such attribute.
    UnknownAttribute = 8,
    /// The value's type is not the attribute's.
    WrongType = 9,
    /// The text is longer than the attribute allows.
    ValueTooLong = 10,
    /// Beyond the clock bound of five minutes.
    ObservedInFuture = 11,
    /// A newer observation is stored already.
    ObservedBeforeStored = 12,
    /// The purpose is no longer in use.
    PurposeDeprecated = 13,
    /// The stored bytes do not authenticate.
    Unreadable = 14,
    /// An event with this id and other content is stored.
    EventIdReused = 15,
}

impl RefusalReason {
    /// Every reason, by number.
    pub const ALL: [Self; 15] = [
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
        }
    }

    /// One sentence for people. It holds no personal data.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoGround => "No lawful basis is recorded for this purpose.",
            Self::ConsentRefused => "The customer refused this purpose.",
            Self::ConsentWithdrawn => "The customer withdrew consent or objected to this purpose.",
            Self::ConsentExpired => "The recorded lawful basis for this purpose has expired.",
            Self::NoticeOutdated => "The notice has changed since the customer consented and asks again.",
            Self::PurposeNotAllowed => "The data may not be used for this purpose.",
            Self::BasisNotAllowed => "This purpose does not allow the stated lawful basis.",
            Self::UnknownAttribute => "The catalogue has no such attribute.",
            Self::WrongType => "The value does not have the type that the catalogue gives the attribute.",
            Self::ValueTooLong => "The text is longer than the catalogue allows for the attribute.",
            Self::ObservedInFuture => "The time lies more than five minutes in the future.",
            Self::ObservedBeforeStored => "A newer observation is stored already.",
            Self::PurposeDeprecated => "This purpose is no longer in use.",
            Self::Unreadable => "The stored record cannot be read and is under repair.",
            Self::EventIdReused => "An event with this id and other content is stored.",
        }
    }
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
