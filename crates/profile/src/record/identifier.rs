//! Owns what is stored of an identifier that a customer has (ID-5, GO-4). Always: evidence of who the identifier belongs to
//! outlives the observations; nothing of it shows in `Debug`.

use crate::{
    id::{DAY_MS, TimestampMs},
    label::{OriginalText, Reference},
    numbered::numbered,
    provenance::Provenance,
};

numbered! {
    /// How it was verified that an identifier is the customer's. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum VerificationMethod ("verification.method", expected "a method of verification") {
        /// A link that was sent to the address was opened.
        DoubleOptIn = 1,
        /// A code that was sent to it was entered.
        OneTimeCode = 2,
        /// A document that shows it was seen.
        Document = 3,
        /// The source vouches for it.
        Source = 4,
    }
}

/// Evidence that an identifier is the customer's. The newest counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verification {
    /// When it was verified.
    pub at: TimestampMs,
    /// How.
    pub method: VerificationMethod,
    /// Where the proof is kept.
    pub reference: Reference,
}

/// What is stored of an identifier besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIdentifier {
    /// As the source wrote it, without blanks at the ends; at most 512 bytes.
    pub original: OriginalText,
    /// Where it was observed last.
    pub provenance: Provenance,
    /// The newest evidence that it is the customer's.
    pub verified: Option<Verification>,
    /// When a message to it came back last.
    pub bounced_at: Option<TimestampMs>,
}

impl StoredIdentifier {
    /// Whether it was verified, and nothing that was sent to it has come back since.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        let Some(verified) = &self.verified else { return false };
        self.bounced_at.is_none_or(|bounced_at| bounced_at < verified.at)
    }

    /// When there was the last sign that it is the customer's: it was observed, or verified.
    #[must_use]
    pub fn confirmed_at(&self) -> TimestampMs {
        let verified_at = self.verified.as_ref().map(|of| of.at);
        verified_at.map_or(self.provenance.observed_at, |at| at.max(self.provenance.observed_at))
    }

    /// Whether there was no sign for as many days; 0: never.
    #[must_use]
    pub fn is_stale(&self, after_days: u32, now: TimestampMs) -> bool {
        is_over(self.confirmed_at(), after_days, now)
    }

    /// Whether it was verified, but not within as many days; 0: never.
    #[must_use]
    pub fn is_verification_outdated(&self, after_days: u32, now: TimestampMs) -> bool {
        self.verified.as_ref().is_some_and(|of| is_over(of.at, after_days, now))
    }

    /// Whether a message to it has come back since it was verified last.
    #[must_use]
    pub fn has_bounced(&self) -> bool {
        self.bounced_at.is_some() && !self.is_verified()
    }

    /// Which of two observations of one identifier is kept, with all evidence. Commutative, associative and idempotent, as
    /// [`AttributeValue::newest`](super::AttributeValue::newest).
    #[must_use]
    pub fn newest(self, other: Self) -> Self {
        let verified = self.verified.clone().max(other.verified.clone());
        let bounced_at = self.bounced_at.max(other.bounced_at);
        let kept = if self.rank() >= other.rank() { self } else { other };
        Self { verified, bounced_at, ..kept }
    }

    fn rank(&self) -> impl Ord + '_ {
        let Provenance { source, observed_at, recorded_at, purpose, basis, party } = &self.provenance;
        (observed_at, source, &self.original, std::cmp::Reverse(recorded_at), party, purpose, basis)
    }
}

fn is_over(moment: TimestampMs, days: u32, now: TimestampMs) -> bool {
    days > 0 && moment.plus_ms(DAY_MS * i64::from(days)) < now
}
