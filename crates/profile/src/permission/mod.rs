//! Owns the law: one decision for ingest, read, contact and merge. Always: unknown means no, and exactly one ground
//! explains a permit. `docs/consent.md` describes this law, with its table; a test runs that table.
//!
//! Whether a customer's data may be used for a purpose now is decided in this order:
//!
//! 1. A purpose that is no longer in use permits nothing.
//! 2. The reader is the controller, or a registered application that may have this purpose.
//! 3. Under a legal hold, or a restriction (Art. 18 GDPR), the data is stored and not used.
//! 4. Every jurisdiction of the customer must permit ([`jurisdictions`]). In each, the purpose's bases are tried in
//!    the order that applies there, and the first that holds is its ground ([`ground`]). The verdict names the first
//!    jurisdiction's ground, and ends as soon as one of them ends.
//! 5. An attribute must be in use for the purpose, belong to a category that the purpose may use, rest on a basis that
//!    allows sensitive data if it is sensitive, and be within its retention.
//!
//! An event has no definition, so it serves only the purpose for which it was collected, for that purpose's retention.
//!
//! The ground is judged once for the purpose, for plain and for sensitive data; each attribute then costs a lookup in a
//! few short lists.

mod ground;
mod jurisdictions;

use crate::{
    catalogue::{AttributeDefinition, Catalogue, Classification, Jurisdiction, Purpose, Recipient},
    data_subject::DataSubject,
    event::StoredEvent,
    ground::LawfulBasis,
    id::{DAY_MS, PurposeNumber, TimestampMs},
    numbered::numbered,
    reason::RefusalReason,
    record::CustomerRecord,
};
use ground::{Answer, Case, Held, Judged, Refusal};
pub(crate) use jurisdictions::Jurisdictions;

numbered! {
    /// How a ground came to hold. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum GroundOrigin {
        /// Recorded for this customer.
        Recorded = 1,
        /// A standing basis of the purpose.
        Standing = 2,
        /// Nothing recorded, in an opt-out jurisdiction.
        NotOptedOut = 3,
    }
}

/// The answer of the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Permit {
        /// The one ground that allows it.
        ground: LawfulBasis,
        /// How the ground came to hold.
        origin: GroundOrigin,
        /// Until when, if an end is known: the first moment at which this ground no longer permits it.
        until: Option<TimestampMs>,
    },
    /// Not allowed.
    Refuse(RefusalReason),
}

impl Verdict {
    /// The ground, if it is a permit.
    #[must_use]
    pub const fn ground(self) -> Option<LawfulBasis> {
        match self {
            Self::Permit { ground, .. } => Some(ground),
            Self::Refuse(_) => None,
        }
    }

    /// When the permit ends, if an end is known.
    #[must_use]
    pub const fn until(self) -> Option<TimestampMs> {
        match self {
            Self::Permit { until, .. } => until,
            Self::Refuse(_) => None,
        }
    }

    /// The reason, if it is a refusal.
    #[must_use]
    pub const fn reason(self) -> Option<RefusalReason> {
        match self {
            Self::Permit { .. } => None,
            Self::Refuse(reason) => Some(reason),
        }
    }
}

/// To whom the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader<'a> {
    /// The controller itself.
    Controller,
    /// A registered application.
    Registered(&'a Recipient),
    /// A caller that is not a registered application.
    Unregistered,
}

impl Reader<'_> {
    /// Why the data of a purpose may not go to this reader, or none if it may.
    #[must_use]
    pub fn refused(self, purpose: &Purpose) -> Option<RefusalReason> {
        match self {
            Self::Controller => None,
            Self::Unregistered => Some(RefusalReason::RecipientNotRegistered),
            Self::Registered(recipient) => {
                let named = purpose.recipients.is_empty() || purpose.recipients.contains(&recipient.id);
                (!named || !recipient.allows(purpose.number)).then_some(RefusalReason::RecipientNotAllowed)
            }
        }
    }
}

/// What one purpose may do with one record now: the part of the decision that is the same for every attribute.
#[derive(Debug, Clone)]
pub struct Permission<'a> {
    purpose: &'a Purpose,
    jurisdictions: Jurisdictions<'a>,
    now: TimestampMs,
    judged: Judged,
}

impl<'a> Permission<'a> {
    /// By any basis of the purpose, in the order that applies in each jurisdiction.
    #[must_use]
    pub fn for_purpose(
        purpose: &'a Purpose,
        reader: Reader<'_>,
        record: &CustomerRecord,
        catalogue: &'a Catalogue,
        now: TimestampMs,
    ) -> Self {
        let question = |jurisdiction: &'a Jurisdiction| Ok(purpose.bases_in(&jurisdiction.id));
        Self::judge(purpose, reader, record, catalogue, now, question)
    }

    /// By one stated basis alone.
    #[must_use]
    pub fn for_basis(
        purpose: &'a Purpose,
        basis: LawfulBasis,
        reader: Reader<'_>,
        record: &CustomerRecord,
        catalogue: &'a Catalogue,
        now: TimestampMs,
    ) -> Self {
        let question = |jurisdiction: &'a Jurisdiction| {
            let mut allowed = purpose.bases_in(&jurisdiction.id).iter();
            let stated = allowed.find(|allowed| **allowed == basis && jurisdiction.knows(basis));
            stated.map(std::slice::from_ref).ok_or(RefusalReason::BasisNotAllowed)
        };
        Self::judge(purpose, reader, record, catalogue, now, question)
    }

    fn judge(
        purpose: &'a Purpose,
        reader: Reader<'_>,
        record: &CustomerRecord,
        catalogue: &'a Catalogue,
        now: TimestampMs,
        bases_in: impl Fn(&'a Jurisdiction) -> Result<&'a [LawfulBasis], RefusalReason>,
    ) -> Self {
        let jurisdictions = Jurisdictions::of(&record.subject, catalogue);
        let judged = match refused_outright(purpose, reader, &record.subject) {
            Some(reason) => Judged::refused(reason),
            None => {
                let case = Case::new(purpose, record, now);
                let judged = jurisdictions.iter().map(|jurisdiction| match bases_in(jurisdiction) {
                    Ok(bases) => case.judge(jurisdiction, bases),
                    Err(reason) => Judged::refused(reason),
                });
                judged.reduce(Judged::and).unwrap_or(Judged::refused(RefusalReason::NoGround))
            }
        };
        Self { purpose, jurisdictions, now, judged }
    }

    /// The verdict on the purpose itself.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        verdict(self.judged.plain)
    }

    /// The jurisdictions whose rules were applied: at least one, each once.
    pub fn jurisdictions(&self) -> impl Iterator<Item = &'a Jurisdiction> + '_ {
        self.jurisdictions.iter()
    }

    /// The basis whose recorded state decides the verdict on the purpose, or on an attribute: the state of the
    /// ground, of the no, or of what has expired. None if no recorded state decides it.
    #[must_use]
    pub fn rests_on(&self, definition: Option<&AttributeDefinition>) -> Option<LawfulBasis> {
        match definition.map_or(self.judged.plain, |definition| self.answer(definition)) {
            Ok(held) => (held.origin == GroundOrigin::Recorded).then_some(held.ground),
            Err(refusal) => refusal.rests_on,
        }
    }

    /// The verdict on an attribute whose value was observed at a moment. Without a moment retention is not checked.
    #[must_use]
    pub fn for_attribute(
        &self,
        definition: &AttributeDefinition,
        observed_at: Option<TimestampMs>,
    ) -> Verdict {
        let days = match definition.retention_days {
            0 => self.purpose.retention_days,
            days => days,
        };
        let answer = self.answer(definition);
        verdict(observed_at.map_or(answer, |observed_at| self.retained(answer, days, observed_at)))
    }

    /// The verdict on a stored event.
    #[must_use]
    pub fn for_event(&self, event: &StoredEvent) -> Verdict {
        self.for_event_of(event.provenance.purpose, event.provenance.observed_at)
    }

    /// The verdict on an event that is collected for a purpose and occurred at a moment.
    #[must_use]
    pub fn for_event_of(&self, collected_for: PurposeNumber, occurred_at: TimestampMs) -> Verdict {
        if self.judged.plain.is_ok() && collected_for != self.purpose.number {
            return Verdict::Refuse(RefusalReason::PurposeNotAllowed);
        }
        verdict(self.retained(self.judged.plain, self.purpose.retention_days, occurred_at))
    }

    /// The answer for an attribute, before its retention.
    fn answer(&self, definition: &AttributeDefinition) -> Answer {
        let held = self.judged.plain?;
        if !definition.allows(self.purpose.number) {
            return Err(Refusal::unrecorded(RefusalReason::PurposeNotAllowed));
        }
        let categories = &self.purpose.data_categories;
        let allowed = |category| categories.contains(category);
        if !categories.is_empty() && !definition.data_category.as_ref().is_some_and(allowed) {
            return Err(Refusal::unrecorded(RefusalReason::CategoryNotAllowed));
        }
        match definition.classification {
            Classification::Sensitive => self.judged.sensitive,
            Classification::Anonymous | Classification::Pseudonymous | Classification::Personal => Ok(held),
        }
    }

    /// The answer, limited by a retention in days; 0: no limit.
    fn retained(&self, answer: Answer, days: u32, observed_at: TimestampMs) -> Answer {
        let held = answer?;
        if days == 0 {
            return Ok(held);
        }
        let end = observed_at.plus_ms(i64::from(days).saturating_mul(DAY_MS));
        if end <= self.now {
            Err(Refusal::unrecorded(RefusalReason::RetentionPassed))
        } else {
            Ok(held.ending(Some(end)))
        }
    }
}

/// Why use is refused whatever the grounds are.
fn refused_outright(purpose: &Purpose, reader: Reader<'_>, subject: &DataSubject) -> Option<RefusalReason> {
    if purpose.deprecated {
        return Some(RefusalReason::PurposeDeprecated);
    }
    reader.refused(purpose).or({
        if subject.legal_hold.is_some() {
            Some(RefusalReason::LegalHold)
        } else if subject.restriction.is_some() {
            Some(RefusalReason::ProcessingRestricted)
        } else {
            None
        }
    })
}

fn verdict(answer: Answer) -> Verdict {
    match answer {
        Ok(Held { ground, origin, until }) => Verdict::Permit { ground, origin, until },
        Err(refusal) => Verdict::Refuse(refusal.reason),
    }
}
