//! Owns how a decision about a ground changes the record. Always: a no can be recorded at any time and for any
//! purpose; a permission only where the purpose allows it and the proof is complete. What givings, refusals and
//! withdrawals lead to does not depend on the order in which they arrive.

mod consideration;

use consideration::{Consideration, check_form};

use crate::{
    Catalogue, Channel, Collector, ConsentMethod, CustomerId, CustomerRecord, DecidedBy, Evidence,
    GroundState, GroundStatus, LawfulBasis, LedgerBody, LedgerEntry, NoticeId, ProfileError, Purpose,
    PurposeNumber, Reference, RefusalReason, TimestampMs, Transition,
};

/// A consent, a refusal or another ground, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The purpose decided upon.
    pub purpose: PurposeNumber,
    /// The basis decided upon.
    pub basis: LawfulBasis,
    /// What was decided. `Withdrawn` is for imports of the past; a withdrawal now is [`withdraw`].
    pub status: GroundStatus,
    /// The notice shown; required for a given consent.
    pub notice: Option<NoticeId>,
    /// How consent was expressed; required for a given consent.
    pub method: Option<ConsentMethod>,
    /// What proves it, and who decided; an act is required for a given consent unless it is an opt-out.
    pub evidence: Option<Evidence>,
    /// The same act answered for other purposes as well and left no separate choice.
    pub bundled: bool,
    /// Who collected it.
    pub collector: Option<Collector>,
    /// Contract, law, incident or balancing test; required for other bases that are given.
    pub reference: Option<Reference>,
    /// Through which channel it came.
    pub channel: Option<Channel>,
    /// When it was decided; nothing: now.
    pub decided_at: Option<TimestampMs>,
    /// From when it holds; nothing: from the decision on.
    pub valid_from: Option<TimestampMs>,
    /// Until when it holds; nothing: until withdrawn.
    pub expires_at: Option<TimestampMs>,
}

/// A withdrawal, or an objection where the basis is public task or legitimate interests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The purpose.
    pub purpose: PurposeNumber,
    /// The basis.
    pub basis: LawfulBasis,
    /// Through which channel it came.
    pub channel: Option<Channel>,
}

/// What a decision did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionEffect {
    /// It changed the state.
    Applied,
    /// The state said the same already.
    Unchanged,
    /// A newer or stronger decision stands; nothing changed.
    Superseded,
}

/// The record after a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The record; the same as before unless the decision was applied.
    pub record: CustomerRecord,
    /// What the decision did.
    pub effect: DecisionEffect,
    /// The entry to append to the ledger, where the decision was applied.
    pub ledger: Option<LedgerEntry>,
    /// The state that now holds.
    pub state: GroundState,
}

/// Records a decision.
///
/// # Errors
/// Names the field where the decision is incomplete or lies in the future; `NotRecordable` where the purpose does not
/// allow the ground, what is said to be consent is none, or the state cannot follow upon the one that stands;
/// `ObjectionStands` where a ground is recorded over the customer's objection.
pub fn record_decision(
    record: &CustomerRecord,
    customer: &CustomerId,
    decision: &Decision,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<Recorded, ProfileError> {
    let mut record = record.clone();
    let (effect, ledger) = apply(&mut record, customer, decision, catalogue, now)?;
    finish(record, effect, ledger, decision.purpose, decision.basis)
}

/// Records a withdrawal or an objection. It always holds from now on, whatever the clocks of earlier decisions said.
///
/// # Errors
/// `Unknown` where the catalogue has no such purpose.
pub fn withdraw(
    record: &CustomerRecord,
    customer: &CustomerId,
    withdrawal: &Withdrawal,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<Recorded, ProfileError> {
    let Withdrawal { purpose, basis, channel } = withdrawal;
    let purpose = catalogue.purpose(*purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let mut record = record.clone();
    let stored = record.ground(purpose.number, *basis);
    let latest = latest_decision(&record, purpose.number).unwrap_or(now);
    // A second withdrawal says nothing new, unless something was permitted since: an objection repeated after a
    // consent must beat that consent too.
    if stored.is_some_and(|state| state.status == GroundStatus::Withdrawn && state.decided_at >= latest) {
        return finish(record, DecisionEffect::Unchanged, None, purpose.number, *basis);
    }
    let base = stored.cloned().unwrap_or_else(|| GroundState::bare(GroundStatus::Withdrawn, now, now));
    // The proof of what is withdrawn stays; who gave it does not matter any more.
    let evidence = base.evidence.map(|evidence| Evidence { decided_by: DecidedBy::DataSubject, ..evidence });
    let state = GroundState {
        status: GroundStatus::Withdrawn,
        decided_at: latest.max(now),
        valid_from: None,
        expires_at: None,
        evidence: evidence.and_then(Evidence::or_nothing),
        channel: channel.clone(),
        recorded_at: now,
        ..base
    };
    let (effect, ledger) = settle(&mut record, customer, purpose, *basis, state, now);
    finish(record, effect, ledger, purpose.number, *basis)
}

/// Records a decision in place.
pub(crate) fn apply(
    record: &mut CustomerRecord,
    customer: &CustomerId,
    decision: &Decision,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<(DecisionEffect, Option<LedgerEntry>), ProfileError> {
    let purpose = catalogue.purpose(decision.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let decided_at = decision.decided_at.unwrap_or(now);
    check_form(purpose, decision, decided_at, now)?;
    let consideration = Consideration { record, purpose, decision, catalogue, decided_at };
    match decision.status {
        GroundStatus::Given => {
            consideration.check_allowed()?;
            consideration.check_proof()?;
        }
        GroundStatus::Requested => consideration.check_allowed()?,
        GroundStatus::Revoked => consideration.check_revoked()?,
        GroundStatus::Refused | GroundStatus::Withdrawn | GroundStatus::Invalidated => {}
    }
    let transition = consideration.transition();
    if transition == Transition::ObjectionStands {
        return Err(ProfileError::ObjectionStands);
    }
    let state = GroundState {
        status: decision.status,
        decided_at,
        valid_from: decision.valid_from,
        expires_at: decision.expires_at,
        notice: decision.notice.clone(),
        method: decision.method,
        evidence: decision.evidence.clone().and_then(Evidence::or_nothing),
        collector: decision.collector.clone(),
        reference: decision.reference.clone(),
        channel: decision.channel.clone(),
        recorded_at: now,
    };
    let stored = record.ground(purpose.number, decision.basis);
    let effect = effect_of(stored, &state, decision.basis);
    let is_fault = match effect {
        None => true,
        // What came late and changes nothing is no fault: it may have been legal in its time.
        Some(DecisionEffect::Superseded) => stored.is_some_and(|stored| stored.decided_at < decided_at),
        Some(DecisionEffect::Unchanged | DecisionEffect::Applied) => false,
    };
    if transition == Transition::Illegal && is_fault {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::IllegalTransition });
    }
    if let Some(effect) = effect {
        return Ok((effect, None));
    }
    Ok(settle(record, customer, purpose, decision.basis, state, now))
}

/// What a state does that changes nothing beside the stored one.
fn effect_of(
    stored: Option<&GroundState>,
    state: &GroundState,
    basis: LawfulBasis,
) -> Option<DecisionEffect> {
    let stored = stored?;
    if stored.says_the_same(state) {
        return Some(DecisionEffect::Unchanged);
    }
    (stored.clone().prevailing(state.clone(), basis) == *stored).then_some(DecisionEffect::Superseded)
}

/// Puts the state in place if it prevails over the stored one.
pub(crate) fn settle(
    record: &mut CustomerRecord,
    customer: &CustomerId,
    purpose: &Purpose,
    basis: LawfulBasis,
    state: GroundState,
    now: TimestampMs,
) -> (DecisionEffect, Option<LedgerEntry>) {
    if let Some(effect) = effect_of(record.ground(purpose.number, basis), &state, basis) {
        return (effect, None);
    }
    record.grounds.insert((purpose.number, basis), state.clone());
    let body =
        LedgerBody::Ground { purpose: purpose.number, purpose_id: Some(purpose.id.clone()), basis, state };
    (DecisionEffect::Applied, Some(record.append_ledger(customer, body, now)))
}

fn finish(
    record: CustomerRecord,
    effect: DecisionEffect,
    ledger: Option<LedgerEntry>,
    purpose: PurposeNumber,
    basis: LawfulBasis,
) -> Result<Recorded, ProfileError> {
    let state = record.ground(purpose, basis).cloned().ok_or(ProfileError::Unknown { field: "purpose" })?;
    Ok(Recorded { record, effect, ledger, state })
}

/// The newest decision on a purpose by any basis: an objection must be newer than the consent that it beats.
pub(crate) fn latest_decision(record: &CustomerRecord, purpose: PurposeNumber) -> Option<TimestampMs> {
    let states = LawfulBasis::ALL.into_iter().filter_map(|basis| record.ground(purpose, basis));
    states.map(|state| state.decided_at).max()
}
