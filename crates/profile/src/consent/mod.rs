//! Owns how a decision about a ground changes the record. Always: a no can be recorded at any time and for any
//! purpose; a permission only if the purpose allows it and the proof is complete. The order in which consents, refusals
//! and withdrawals arrive does not change the result.

mod signal;
mod validation;
mod withdrawal;

pub use signal::{PrivacySignal, SignalRecorded, record_signal, record_tc_string};
use validation::{Validation, check_form};
pub use withdrawal::{AllWithdrawn, Withdrawal, withdraw, withdraw_all};

use crate::{
    catalogue::{Catalogue, Purpose},
    chain::ChangeContext,
    error::ProfileError,
    ground::{ConsentMethod, Evidence, GroundState, GroundStatus, LawfulBasis, Transition},
    id::{PurposeNumber, TimestampMs},
    label::{Channel, Collector, NoticeId, Reference},
    ledger::{LedgerBody, LedgerEntry},
    reason::RefusalReason,
    record::CustomerRecord,
};

/// A consent, a refusal or another ground to record.
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
    /// Contract, law, incident or balancing test; required to give any basis but consent.
    pub reference: Option<Reference>,
    /// Through which channel it came.
    pub channel: Option<Channel>,
    /// When it was decided; none: now.
    pub decided_at: Option<TimestampMs>,
    /// From when it holds; none: from the decision on.
    pub valid_from: Option<TimestampMs>,
    /// Until when it holds; none: until withdrawn.
    pub expires_at: Option<TimestampMs>,
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
    /// The entry to append to the ledger, if the decision was applied.
    pub ledger: Option<LedgerEntry>,
    /// The state that now holds.
    pub state: GroundState,
}

/// Records a decision.
///
/// # Errors
/// Names the field if the decision is incomplete or lies in the future; `NotRecordable` if the purpose does not allow
/// the ground, if the act is not a valid consent, or if the state cannot follow the recorded one; `ObjectionStands` if
/// the customer has objected to the ground.
pub fn record_decision(
    record: &CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<Recorded, ProfileError> {
    let mut record = record.clone();
    let (effect, ledger) = apply(&mut record, decision, catalogue, context)?;
    finish(record, effect, ledger, decision.purpose, decision.basis)
}

/// Records a decision in place.
pub(crate) fn apply(
    record: &mut CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<(DecisionEffect, Option<LedgerEntry>), ProfileError> {
    let now = context.now;
    let purpose = catalogue.purpose(decision.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let decided_at = decision.decided_at.unwrap_or(now);
    check_form(purpose, decision, decided_at, now)?;
    let validation = Validation { record, purpose, decision, catalogue, decided_at };
    match decision.status {
        GroundStatus::Given => {
            validation.check_allowed()?;
            validation.check_proof()?;
        }
        GroundStatus::Requested => validation.check_allowed()?,
        GroundStatus::Revoked => validation.check_revoked()?,
        GroundStatus::Refused | GroundStatus::Withdrawn | GroundStatus::Invalidated => {}
    }
    let transition = validation.transition();
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
        // A late decision that changes nothing is not an error: it may have been legal at its time.
        Some(DecisionEffect::Superseded) => stored.is_some_and(|stored| stored.decided_at < decided_at),
        Some(DecisionEffect::Unchanged | DecisionEffect::Applied) => false,
    };
    if transition == Transition::Illegal && is_fault {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::IllegalTransition });
    }
    if let Some(effect) = effect {
        return Ok((effect, None));
    }
    Ok((DecisionEffect::Applied, Some(store(record, purpose, decision.basis, state, context))))
}

/// The effect of a state that changes nothing, given the stored one.
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

/// Stores the state if it prevails over the stored one.
pub(crate) fn settle(
    record: &mut CustomerRecord,
    purpose: &Purpose,
    basis: LawfulBasis,
    state: GroundState,
    context: ChangeContext<'_>,
) -> (DecisionEffect, Option<LedgerEntry>) {
    match effect_of(record.ground(purpose.number, basis), &state, basis) {
        Some(effect) => (effect, None),
        None => (DecisionEffect::Applied, Some(store(record, purpose, basis, state, context))),
    }
}

/// Stores a state, and says so in the ledger.
fn store(
    record: &mut CustomerRecord,
    purpose: &Purpose,
    basis: LawfulBasis,
    state: GroundState,
    context: ChangeContext<'_>,
) -> LedgerEntry {
    record.grounds.insert((purpose.number, basis), state.clone());
    let body = LedgerBody::Ground { purpose: purpose.number, purpose_id: purpose.id.clone(), basis, state };
    record.append_ledger(body, context)
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
