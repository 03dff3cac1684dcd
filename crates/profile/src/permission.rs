//! Owns the law: one decision at ingest, at read and at merge. Always: unknown means no, and exactly one ground
//! explains a permit.
//!
//! Whether a customer's data may be used for a purpose now:
//!
//! 1. A purpose that is no longer in use permits nothing.
//! 2. A **no** is a refused or withdrawn consent, or an objection: a refused or withdrawn public task or legitimate
//!    interests. It need not be among the purpose's bases: whoever said no meant the purpose.
//! 3. A no beats every basis that yields to the customer (consent, public task, legitimate interests), however and
//!    whenever recorded; **only the customer's own later consent lifts it**. A later consent replaces a refused
//!    or withdrawn one, and it stands beside an older objection; then consent alone permits, since an objection
//!    goes on beating public task and legitimate interests.
//! 4. A no does not touch the bases that bind whatever the customer wishes (contract, legal obligation, vital
//!    interests): these end only by their own end, an expiry or a withdrawal of that very ground.
//! 5. A basis holds if it is recorded as given and has not expired, or, with nothing recorded, if it is a standing
//!    basis of the purpose. Consent moreover must name a notice at or after the last one that asks again.
//! 6. The purpose's bases are tried in their order; the first that holds is the ground.
//! 7. If none holds, the reason is the strongest one met: a no, then an outdated notice, then an expiry, then that
//!    there is no ground.
//!
//! An attribute is judged by its definition: it must be in use for the purpose, whatever it was collected for. An
//! event has no definition, so it serves the purpose alone under which it was collected.

use crate::{
    AttributeDefinition, AttributeNumber, Catalogue, CustomerRecord, GroundState, GroundStatus, LawfulBasis,
    Purpose, PurposeNumber, RefusalReason, StoredEvent, TimestampMs,
};

/// The answer of the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Permit {
        /// The one ground that allows it.
        ground: LawfulBasis,
        /// Until when, if the ground ends by itself: the first moment at which it no longer holds.
        until: Option<TimestampMs>,
    },
    /// Not allowed.
    Refuse(RefusalReason),
}

impl Verdict {
    /// The ground, where it is a permit.
    #[must_use]
    pub const fn ground(self) -> Option<LawfulBasis> {
        match self {
            Self::Permit { ground, .. } => Some(ground),
            Self::Refuse(_) => None,
        }
    }
}

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An attribute, stored or about to be.
    Attribute(AttributeNumber),
    /// A stored event.
    Event(&'a StoredEvent),
}

/// Whether the subject may be used for the purpose now.
///
/// For many subjects of one record, make a [`Permission`] once and ask it for each.
#[must_use]
pub fn decide(
    purpose: PurposeNumber,
    subject: Subject<'_>,
    record: &CustomerRecord,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Verdict {
    let Some(purpose) = catalogue.purpose(purpose) else {
        return Verdict::Refuse(RefusalReason::NoGround);
    };
    let permission = Permission::for_purpose(purpose, record, now);
    match subject {
        Subject::Attribute(number) => match catalogue.attribute(number) {
            Some(definition) => permission.for_attribute(definition),
            None => Verdict::Refuse(RefusalReason::UnknownAttribute),
        },
        Subject::Event(event) => permission.for_event(event),
    }
}

/// What one purpose may do with one record now: the part of the decision that is the same for every attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    purpose: PurposeNumber,
    verdict: Verdict,
}

impl Permission {
    /// By any basis of the purpose, in the purpose's order.
    #[must_use]
    pub fn for_purpose(purpose: &Purpose, record: &CustomerRecord, now: TimestampMs) -> Self {
        Self { purpose: purpose.number, verdict: judge(purpose, &purpose.lawful_bases, record, now) }
    }

    /// By one stated basis alone.
    #[must_use]
    pub fn for_basis(
        purpose: &Purpose,
        basis: LawfulBasis,
        record: &CustomerRecord,
        now: TimestampMs,
    ) -> Self {
        let verdict = if purpose.lawful_bases.contains(&basis) {
            judge(purpose, &[basis], record, now)
        } else {
            Verdict::Refuse(RefusalReason::BasisNotAllowed)
        };
        Self { purpose: purpose.number, verdict }
    }

    /// The verdict on the purpose itself.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The verdict on an attribute.
    #[must_use]
    pub fn for_attribute(&self, definition: &AttributeDefinition) -> Verdict {
        if definition.allows(self.purpose) {
            self.verdict
        } else {
            Verdict::Refuse(RefusalReason::PurposeNotAllowed)
        }
    }

    /// The verdict on a stored event.
    #[must_use]
    pub fn for_event(&self, event: &StoredEvent) -> Verdict {
        if event.provenance.purpose == self.purpose {
            self.verdict
        } else {
            Verdict::Refuse(RefusalReason::PurposeNotAllowed)
        }
    }
}

/// The law of this file's head for some of a purpose's bases.
fn judge(purpose: &Purpose, bases: &[LawfulBasis], record: &CustomerRecord, now: TimestampMs) -> Verdict {
    if purpose.deprecated {
        return Verdict::Refuse(RefusalReason::PurposeDeprecated);
    }
    let no = No::of(purpose.number, record);
    let mut reason = RefusalReason::NoGround;
    for basis in bases {
        let met = match holds(purpose, *basis, record, &no, now) {
            Ok(until) => return Verdict::Permit { ground: *basis, until },
            Err(met) => met,
        };
        if strength(met) > strength(reason) {
            reason = met;
        }
    }
    Verdict::Refuse(reason)
}

/// How much a reason says, where several bases fail for different ones.
const fn strength(reason: RefusalReason) -> u8 {
    match reason {
        RefusalReason::ConsentWithdrawn => 4,
        RefusalReason::ConsentRefused => 3,
        RefusalReason::NoticeOutdated => 2,
        RefusalReason::ConsentExpired => 1,
        RefusalReason::NoGround
        | RefusalReason::PurposeNotAllowed
        | RefusalReason::BasisNotAllowed
        | RefusalReason::UnknownAttribute
        | RefusalReason::WrongType
        | RefusalReason::ValueTooLong
        | RefusalReason::ObservedInFuture
        | RefusalReason::ObservedBeforeStored
        | RefusalReason::PurposeDeprecated
        | RefusalReason::Unreadable
        | RefusalReason::EventIdReused => 0,
    }
}

/// The customer's no to a purpose.
struct No<'a> {
    consent: Option<&'a GroundState>,
    objection: Option<&'a GroundState>,
}

impl<'a> No<'a> {
    fn of(purpose: PurposeNumber, record: &'a CustomerRecord) -> Self {
        let no = |basis| record.ground(purpose, basis).filter(|state| state.is_no());
        let objections = [no(LawfulBasis::PublicTask), no(LawfulBasis::LegitimateInterests)];
        Self {
            consent: no(LawfulBasis::Consent),
            objection: objections.into_iter().flatten().max_by_key(|state| state.decided_at),
        }
    }

    /// The no that beats a basis, recorded as `state` or standing.
    fn beating(&self, basis: LawfulBasis, state: Option<&'a GroundState>) -> Option<&'a GroundState> {
        match basis {
            LawfulBasis::Consent => self.consent.or_else(|| {
                self.objection.filter(|no| state.is_none_or(|given| given.decided_at <= no.decided_at))
            }),
            LawfulBasis::PublicTask | LawfulBasis::LegitimateInterests => self.consent.or(self.objection),
            LawfulBasis::Contract | LawfulBasis::LegalObligation | LawfulBasis::VitalInterests => {
                state.filter(|state| state.is_no())
            }
        }
    }
}

/// Until when a basis holds, or why it does not.
fn holds<'a>(
    purpose: &Purpose,
    basis: LawfulBasis,
    record: &'a CustomerRecord,
    no: &No<'a>,
    now: TimestampMs,
) -> Result<Option<TimestampMs>, RefusalReason> {
    let state = record.ground(purpose.number, basis);
    if let Some(no) = no.beating(basis, state) {
        return Err(match no.status {
            GroundStatus::Refused => RefusalReason::ConsentRefused,
            GroundStatus::Withdrawn | GroundStatus::Given => RefusalReason::ConsentWithdrawn,
        });
    }
    let Some(state) = state else {
        return if purpose.standing_bases.contains(&basis) { Ok(None) } else { Err(RefusalReason::NoGround) };
    };
    if basis == LawfulBasis::Consent
        && !state.notice.as_ref().is_some_and(|notice| purpose.accepts_notice(notice))
    {
        return Err(RefusalReason::NoticeOutdated);
    }
    match state.expires_at {
        Some(end) if end <= now => Err(RefusalReason::ConsentExpired),
        until => Ok(until),
    }
}
