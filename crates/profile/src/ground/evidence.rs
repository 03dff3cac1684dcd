//! Owns the evidence of a decision (CO-6): what the data subject did, what proves it, and who decided. Always: numbers
//! are those of the API. Source: GDPR Art. 7(1); ISO/IEC TS 27560.

use crate::{
    label::{Language, Reference},
    numbered::numbered,
    reason::RefusalReason,
};

numbered! {
    /// What a data subject did. Numbers are those of the API. The last three are not consent.
    #[derive(PartialOrd, Ord)]
    pub enum AffirmativeAct ("evidence.act", expected "one of the affirmative acts") {
        /// Ticked a box.
        TickedBox = 1,
        /// Clicked a button or a switch with a clear meaning.
        Clicked = 2,
        /// Said so.
        Spoken = 3,
        /// Signed.
        Signed = 4,
        /// Confirmed through a link that was sent.
        DoubleOptIn = 5,
        /// Left a pre-ticked box ticked.
        PreTickedBox = 6,
        /// Said nothing.
        Silence = 7,
        /// Went on using the service.
        ContinuedUse = 8,
    }
}

impl AffirmativeAct {
    /// Why the act is not consent, if it is not: a pre-ticked box (CJEU C-673/17, Planet49), silence or inactivity
    /// (GDPR recital 32).
    #[must_use]
    pub const fn refusal(self) -> Option<RefusalReason> {
        match self {
            Self::TickedBox | Self::Clicked | Self::Spoken | Self::Signed | Self::DoubleOptIn => None,
            Self::PreTickedBox => Some(RefusalReason::PreTicked),
            Self::Silence | Self::ContinuedUse => Some(RefusalReason::Silence),
        }
    }
}

numbered! {
    /// Who took a decision. Numbers are those of the API.
    #[derive(PartialOrd, Ord, Default)]
    pub enum DecidedBy ("evidence.decided_by", expected "data subject, guardian, controller or authority") {
        /// The data subject.
        #[default]
        DataSubject = 1,
        /// The holder of parental responsibility, GDPR Art. 8.
        Guardian = 2,
        /// The controller.
        Controller = 3,
        /// A supervisory authority or a court.
        Authority = 4,
    }
}

/// The evidence of a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Evidence {
    /// What the data subject did.
    pub act: Option<AffirmativeAct>,
    /// SHA-256 of the statement, form or recording that proves it.
    pub statement_sha256: Option<[u8; 32]>,
    /// The language (BCP 47) of the notice as it was shown.
    pub language: Option<Language>,
    /// Who decided.
    pub decided_by: DecidedBy,
    /// What shows that the data subject cannot decide, e.g. the order of a court: required of a guardian's consent for
    /// somebody who is not below the jurisdiction's age.
    pub incapacity: Option<Reference>,
}

impl Evidence {
    /// None if the evidence says nothing.
    #[must_use]
    pub fn or_nothing(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}
