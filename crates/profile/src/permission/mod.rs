//! Owns the law: one decision for ingest, read, contact and merge. Always: unknown means no, and exactly one ground
//! explains a permit. `docs/consent.md` describes this law, with its table; a test runs that table.
//!
//! Whether a customer's data may be used for a purpose now is decided in this order:
//!
//! 1. A purpose that is no longer in use permits nothing.
//! 2. The reader is the controller, or a registered application that may have this purpose.
//! 3. Under a restriction (Art. 18 GDPR) the data is stored and not used, but for data subjects' rights and legal claims. A
//!    legal hold forbids no use: it keeps what is stored from being erased or changed, see `ingest`.
//! 4. Every jurisdiction of the customer must permit ([`jurisdictions`]). In each, the purpose's bases are tried in
//!    the order that applies there, and the first that holds is its ground ([`ground`]). The verdict names the first
//!    jurisdiction's ground, and ends as soon as one of them ends.
//! 5. An attribute must be in use for the purpose, belong to a category that the purpose may use, rest on a basis that
//!    allows sensitive data if it is sensitive, and be within its retention. A value or an event that was collected by a
//!    consent which was taken back is served by no ground that was recorded later.
//!
//! An event has no definition, so it serves only the purpose for which it was collected, for that purpose's retention.
//!
//! The ground is judged once for the purpose, for plain and for sensitive data; each attribute then costs a lookup in a
//! few short lists.

mod ground;
mod jurisdictions;

use crate::{
    catalogue::{
        AttributeDefinition, Catalogue, Classification, ConsentModel, Jurisdiction, Namespace, Purpose,
        Recipient,
    },
    data_subject::DataSubject,
    event::StoredEvent,
    ground::LawfulBasis,
    id::{DAY_MS, PurposeNumber, TimestampMs},
    numbered::numbered,
    provenance::Provenance,
    reason::RefusalReason,
    record::CustomerRecord,
};
pub(crate) use ground::Urgency;
use ground::{Answer, Case, Held, Judged, Lost, Refusal};
pub(crate) use jurisdictions::{Applied, Jurisdictions};

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
    /// What holds for data that was collected by a consent which was taken back, where it may differ from `judged`.
    after_lost_consents: Vec<(PurposeNumber, Judged)>,
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

    /// By consent alone where the law is opt-in, else by any basis, for the controller: for signals that say that the
    /// customer consents.
    #[must_use]
    pub fn for_consent_signal(
        purpose: &'a Purpose,
        record: &CustomerRecord,
        catalogue: &'a Catalogue,
        now: TimestampMs,
    ) -> Self {
        let question = |jurisdiction: &'a Jurisdiction| {
            let bases = purpose.bases_in(&jurisdiction.id);
            Ok(match jurisdiction.consent_model {
                ConsentModel::OptOut => bases,
                ConsentModel::OptIn => {
                    let consent = bases.iter().find(|basis| **basis == LawfulBasis::Consent);
                    consent.map_or(&[][..], std::slice::from_ref)
                }
            })
        };
        Self::judge(purpose, Reader::Controller, record, catalogue, now, question)
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
        if let Some(reason) = refused_outright(purpose, reader, &record.subject) {
            let judged = Judged::refused(reason);
            return Self { purpose, jurisdictions, now, judged, after_lost_consents: Vec::new() };
        }
        let judge = |case: Case<'_>| {
            let judged = jurisdictions.iter().map(|applied| match bases_in(applied.jurisdiction) {
                Ok(bases) => case.judge(applied, bases),
                Err(reason) => Judged::refused(reason),
            });
            judged.reduce(Judged::and).unwrap_or(Judged::refused(RefusalReason::NoGround))
        };
        let case = Case::new(purpose, record, now);
        let after = |(lost, case): (Lost, Case<'_>)| (lost.purpose, judge(case));
        let after_lost_consents = case.after_lost_consents().map(after).collect();
        let judged = judge(case);
        Self { purpose, jurisdictions, now, judged, after_lost_consents }
    }

    /// The verdict on the purpose itself.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        verdict(self.judged.plain)
    }

    /// Whether the customer must be told, whatever the customer wishes; refused: no.
    pub(crate) fn urgency(&self) -> Urgency {
        self.judged.plain.map_or(Urgency::Ordinary, |held| held.urgency)
    }

    /// The jurisdictions whose rules were applied: at least one, each once.
    pub fn jurisdictions(&self) -> impl Iterator<Item = &'a Jurisdiction> + '_ {
        self.jurisdictions.iter().map(|applied| applied.jurisdiction)
    }

    /// The basis whose recorded state decides the verdict on the purpose, or on an attribute: the state of the
    /// ground, of the no, or of what has expired. None if no recorded state decides it.
    #[must_use]
    pub fn rests_on(&self, definition: Option<&AttributeDefinition>) -> Option<LawfulBasis> {
        match definition.map_or(self.judged.plain, |definition| self.answer(definition, self.judged)) {
            Ok(held) => (held.origin == GroundOrigin::Recorded).then_some(held.ground),
            Err(refusal) => refusal.rests_on,
        }
    }

    /// The verdict on an attribute, and on a value of it that is about to be collected and was observed at a moment. Without
    /// a moment retention is not checked.
    #[must_use]
    pub fn for_attribute(
        &self,
        definition: &AttributeDefinition,
        observed_at: Option<TimestampMs>,
    ) -> Verdict {
        let answer = self.answer(definition, self.judged);
        let kept = |observed_at| self.retained(answer, self.retention_days(definition), observed_at);
        verdict(observed_at.map_or(answer, kept))
    }

    /// The verdict on a stored value.
    #[must_use]
    pub fn for_value(&self, definition: &AttributeDefinition, provenance: &Provenance) -> Verdict {
        let answer = self.answer(definition, self.judged_for(provenance));
        verdict(self.retained(answer, self.retention_days(definition), provenance.observed_at))
    }

    /// The verdict on an identifier of a namespace that is about to be collected or looked up. It is personal data, has no
    /// retention of its own, and no category: the namespace names its purposes one by one.
    #[must_use]
    pub fn for_identifier(&self, namespace: &Namespace) -> Verdict {
        verdict(self.identifier(namespace, self.judged))
    }

    /// The verdict on a stored identifier.
    #[must_use]
    pub fn for_stored_identifier(&self, namespace: &Namespace, provenance: &Provenance) -> Verdict {
        verdict(self.identifier(namespace, self.judged_for(provenance)))
    }

    fn identifier(&self, namespace: &Namespace, judged: Judged) -> Answer {
        let held = judged.plain?;
        if namespace.allows(self.purpose.number) {
            Ok(held)
        } else {
            Err(Refusal::unrecorded(RefusalReason::PurposeNotAllowed))
        }
    }

    /// The verdict on a stored event.
    #[must_use]
    pub fn for_event(&self, event: &StoredEvent) -> Verdict {
        let Provenance { purpose, observed_at, .. } = event.provenance;
        self.event(self.judged_for(&event.provenance).plain, purpose, observed_at)
    }

    /// The verdict on an event that is about to be collected for a purpose and occurred at a moment.
    #[must_use]
    pub fn for_event_of(&self, collected_for: PurposeNumber, occurred_at: TimestampMs) -> Verdict {
        self.event(self.judged.plain, collected_for, occurred_at)
    }

    fn event(&self, answer: Answer, collected_for: PurposeNumber, occurred_at: TimestampMs) -> Verdict {
        if self.judged.plain.is_ok() && collected_for != self.purpose.number {
            return Verdict::Refuse(RefusalReason::PurposeNotAllowed);
        }
        verdict(self.retained(answer, self.purpose.retention_days, occurred_at))
    }

    /// What holds for data of this provenance: the basis on which it was collected is compared with the ground.
    fn judged_for(&self, provenance: &Provenance) -> Judged {
        if provenance.basis != LawfulBasis::Consent {
            return self.judged;
        }
        let mut lost = self.after_lost_consents.iter();
        lost.find(|(purpose, _)| *purpose == provenance.purpose).map_or(self.judged, |(_, judged)| *judged)
    }

    fn retention_days(&self, definition: &AttributeDefinition) -> u32 {
        match definition.retention_days {
            0 => self.purpose.retention_days,
            days => days,
        }
    }

    /// The answer for an attribute, before its retention.
    fn answer(&self, definition: &AttributeDefinition, judged: Judged) -> Answer {
        let held = judged.plain?;
        if !definition.allows(self.purpose.number) {
            return Err(Refusal::unrecorded(RefusalReason::PurposeNotAllowed));
        }
        let categories = &self.purpose.data_categories;
        let allowed = |category| categories.contains(category);
        if !categories.is_empty() && !definition.data_category.as_ref().is_some_and(allowed) {
            return Err(Refusal::unrecorded(RefusalReason::CategoryNotAllowed));
        }
        match definition.classification {
            Classification::Sensitive => judged.sensitive,
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
    let is_restricted = subject.restriction.is_some() && purpose.special_use.is_none();
    reader.refused(purpose).or(is_restricted.then_some(RefusalReason::ProcessingRestricted))
}

fn verdict(answer: Answer) -> Verdict {
    match answer {
        Ok(Held { ground, origin, until, .. }) => Verdict::Permit { ground, origin, until },
        Err(refusal) => Verdict::Refuse(refusal.reason),
    }
}
