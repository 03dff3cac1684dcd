//! Owns how a decision about a ground changes the record. Always: a no can be recorded at any time and for any
//! purpose; a permission only where the purpose allows it and the proof is complete. What a decision leads to does
//! not depend on the order in which decisions arrive.

use crate::{
    Catalogue, Channel, Collector, ConsentMethod, CustomerRecord, GroundState, GroundStatus, LawfulBasis,
    LedgerEntry, NoticeId, ProfileError, Purpose, PurposeNumber, Reference, RefusalReason, TimestampMs,
    limits::FUTURE_MAX_MS,
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
    /// Who collected it.
    pub collector: Option<Collector>,
    /// Contract, law, incident or balancing test; required for other bases that are given.
    pub reference: Option<Reference>,
    /// Through which channel it came.
    pub channel: Option<Channel>,
    /// When it was decided; nothing: now.
    pub decided_at: Option<TimestampMs>,
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
/// allow the ground; `ObjectionStands` where a ground is recorded over the customer's objection.
pub fn record_decision(
    record: &CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<Recorded, ProfileError> {
    let mut record = record.clone();
    let (effect, ledger) = apply(&mut record, decision, catalogue, now)?;
    finish(record, effect, ledger, decision.purpose, decision.basis)
}

/// Records a withdrawal or an objection. It always holds from now on, whatever the clocks of earlier decisions said.
///
/// # Errors
/// `Unknown` where the catalogue has no such purpose.
pub fn withdraw(
    record: &CustomerRecord,
    withdrawal: &Withdrawal,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<Recorded, ProfileError> {
    if catalogue.purpose(withdrawal.purpose).is_none() {
        return Err(ProfileError::Unknown { field: "purpose" });
    }
    let mut record = record.clone();
    let stored = record.ground(withdrawal.purpose, withdrawal.basis);
    let latest = latest_decision(&record, withdrawal.purpose).unwrap_or(now);
    // A second withdrawal says nothing new, unless something was permitted since: an objection repeated after a
    // consent must beat that consent too.
    if stored.is_some_and(|state| state.status == GroundStatus::Withdrawn && state.decided_at >= latest) {
        let effect = DecisionEffect::Unchanged;
        return finish(record, effect, None, withdrawal.purpose, withdrawal.basis);
    }
    let base = stored.cloned().unwrap_or_else(|| empty_state(now));
    let state = GroundState {
        status: GroundStatus::Withdrawn,
        decided_at: latest.max(now),
        expires_at: None,
        channel: withdrawal.channel.clone(),
        recorded_at: now,
        ..base
    };
    let (effect, ledger) = settle(&mut record, withdrawal.purpose, withdrawal.basis, state, now);
    finish(record, effect, ledger, withdrawal.purpose, withdrawal.basis)
}

/// Records a decision in place.
pub(crate) fn apply(
    record: &mut CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<(DecisionEffect, Option<LedgerEntry>), ProfileError> {
    let purpose = catalogue.purpose(decision.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let decided_at = decision.decided_at.unwrap_or(now);
    if decided_at > now.plus_ms(FUTURE_MAX_MS) {
        return Err(ProfileError::InFuture { field: "decided_at", ahead_max_ms: FUTURE_MAX_MS });
    }
    if decision.expires_at.is_some_and(|end| end <= decided_at) {
        return Err(ProfileError::Malformed { field: "expires_at", expected: "a moment after the decision" });
    }
    if decision.notice.as_ref().is_some_and(|notice| !purpose.has_notice(notice)) {
        return Err(ProfileError::Unknown { field: "notice_version" });
    }
    if decision.status == GroundStatus::Given {
        check_permission(purpose, decision)?;
        let stored = record.ground(decision.purpose, decision.basis);
        let can_object = decision.basis != LawfulBasis::Consent && decision.basis.yields_to_the_customer();
        if can_object && stored.is_some_and(GroundState::is_no) {
            return Err(ProfileError::ObjectionStands);
        }
    }
    let state = GroundState {
        status: decision.status,
        decided_at,
        expires_at: decision.expires_at,
        notice: decision.notice.clone(),
        method: decision.method,
        collector: decision.collector.clone(),
        reference: decision.reference.clone(),
        channel: decision.channel.clone(),
        recorded_at: now,
    };
    Ok(settle(record, decision.purpose, decision.basis, state, now))
}

/// Whether the purpose allows the ground and the proof is complete (CO-2, CO-5, CO-6).
fn check_permission(purpose: &Purpose, decision: &Decision) -> Result<(), ProfileError> {
    if purpose.deprecated {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::PurposeDeprecated });
    }
    if !purpose.lawful_bases.contains(&decision.basis) {
        return Err(ProfileError::NotRecordable { reason: RefusalReason::BasisNotAllowed });
    }
    if decision.basis == LawfulBasis::Consent {
        if decision.notice.is_none() {
            return Err(ProfileError::Empty { field: "notice_version" });
        }
        if decision.method.is_none() {
            return Err(ProfileError::Empty { field: "method" });
        }
    } else if decision.reference.is_none() {
        return Err(ProfileError::Empty { field: "reference" });
    }
    Ok(())
}

/// Puts the state in place if it prevails over the stored one.
fn settle(
    record: &mut CustomerRecord,
    purpose: PurposeNumber,
    basis: LawfulBasis,
    state: GroundState,
    now: TimestampMs,
) -> (DecisionEffect, Option<LedgerEntry>) {
    if let Some(stored) = record.ground(purpose, basis) {
        if stored.says_the_same(&state) {
            return (DecisionEffect::Unchanged, None);
        }
        if stored.clone().prevailing(state.clone(), basis) == *stored {
            return (DecisionEffect::Superseded, None);
        }
    }
    let entry = LedgerEntry {
        sequence: record.ledger_entries,
        previous: [0; 32],
        purpose,
        basis,
        state: state.clone(),
    };
    record.ledger_entries += 1;
    record.grounds.insert((purpose, basis), state);
    record.updated_at = record.updated_at.max(now);
    (DecisionEffect::Applied, Some(entry))
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
fn latest_decision(record: &CustomerRecord, purpose: PurposeNumber) -> Option<TimestampMs> {
    let states = LawfulBasis::ALL.into_iter().filter_map(|basis| record.ground(purpose, basis));
    states.map(|state| state.decided_at).max()
}

const fn empty_state(now: TimestampMs) -> GroundState {
    GroundState {
        status: GroundStatus::Withdrawn,
        decided_at: now,
        expires_at: None,
        notice: None,
        method: None,
        collector: None,
        reference: None,
        channel: None,
        recorded_at: now,
    }
}
