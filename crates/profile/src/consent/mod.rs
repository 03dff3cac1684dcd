//! Owns how a decision about a ground changes the record. Always: a no can be recorded at any time and for any
//! purpose; a permission only if the purpose allows it and the proof is complete. What is recorded has the status that
//! was asked for, or the call fails; and all of it is in the ledger. The order in which imported decisions arrive does
//! not change the state: see `late`. From which moment a decision counts: see `moment`.

mod gpp_string;
mod late;
mod moment;
mod signal;
mod validation;
mod withdrawal;

pub use gpp_string::{GppRecorded, gpp_signals, record_gpp_string};
use late::sort_in;
use moment::{latest_decision, live_moment, moment_of};
pub use signal::{PrivacySignal, SignalRecorded, record_signal, record_tc_string};
use validation::{Validation, as_recorded, check_form};
pub use withdrawal::{AllWithdrawn, Withdrawal, withdraw, withdraw_all};

use crate::{
    catalogue::{Catalogue, Purpose},
    chain::ChangeContext,
    error::ProfileError,
    ground::{
        ConsentMethod, Evidence, GroundState, GroundStatus, LawfulBasis, Transition, is_objection, not_given,
    },
    id::{PurposeNumber, TimestampMs},
    label::{Channel, Collector, NoticeId, Reference},
    ledger::{LedgerBody, LedgerEntry},
    reason::RefusalReason,
    record::CustomerRecord,
};

/// How a decision reaches the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// It is passed on as it is made.
    Live {
        /// The customer's consent revision on which a given ground was decided: the number of ledger entries. It is
        /// required to lift a no.
        answers: Option<u64>,
    },
    /// It is imported from a file or another system, as of its date.
    Imported,
}

/// A consent, a refusal or another ground to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The purpose decided upon.
    pub purpose: PurposeNumber,
    /// The basis decided upon.
    pub basis: LawfulBasis,
    /// What was decided. `Withdrawn` is for imports of the past; a withdrawal now is [`withdraw`].
    pub status: GroundStatus,
    /// How it reaches the store.
    pub recording: Recording,
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
    /// When it was decided; none: now. Required of an import; of other decisions it counts only if a ground is given.
    pub decided_at: Option<TimestampMs>,
    /// From when it holds; none: from the decision on.
    pub valid_from: Option<TimestampMs>,
    /// Until when it holds; none: until withdrawn.
    pub expires_at: Option<TimestampMs>,
}

impl Decision {
    /// Whether it passes on a no as it is said. A guardian's no, or an authority's, is a revocation.
    #[must_use]
    pub const fn is_live_no(&self) -> bool {
        matches!(self.recording, Recording::Live { .. })
            && matches!(self.status, GroundStatus::Refused | GroundStatus::Withdrawn | GroundStatus::Revoked)
    }

    /// Whether the ledger is needed to sort it in: it is imported, or older than what is recorded.
    #[must_use]
    pub fn comes_late(&self, record: &CustomerRecord) -> bool {
        let is_older = || {
            let stored = record.ground(self.purpose, self.basis);
            stored.zip(self.decided_at).is_some_and(|(stored, decided_at)| decided_at <= stored.decided_at)
        };
        match self.recording {
            Recording::Imported => record.ledger_entries > 0,
            Recording::Live { .. } => self.status == GroundStatus::Given && is_older(),
        }
    }
}

/// What a decision did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionEffect {
    /// It changed the state.
    Applied,
    /// The state said the same already.
    Unchanged,
    /// It is an entry of the ledger; the state is another, because a newer decision or a no stands.
    Superseded,
}

/// The record after a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The record; the same as before if there is nothing to append to the ledger.
    pub record: CustomerRecord,
    /// What the decision did.
    pub effect: DecisionEffect,
    /// The entries to append to the ledger: none if it has the decision already. Mostly one; two if a decision that comes
    /// late makes another one, which the ledger had already, the state.
    pub ledger: Vec<LedgerEntry>,
    /// The decision as it is recorded; the state of the ground, unless it was superseded.
    pub state: GroundState,
}

/// Checks what does not depend on a record: whether the decision's form is right and its proof complete, and whether
/// any jurisdiction allows the ground for the purpose.
///
/// # Errors
/// Names the field if the decision is incomplete or lies in the future; `NotRecordable` if the purpose does not allow
/// the ground or the act is not a valid consent.
pub fn check_decision(
    decision: &Decision,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<(), ProfileError> {
    let purpose = catalogue.purpose(decision.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    check_form(purpose, &as_recorded(purpose, decision), now)
}

/// Records a decision.
///
/// # Errors
/// Those of [`check_decision`]; `NotRecordable` if the customer's jurisdictions or age do not allow the ground. Unless it is
/// imported, also: `NotRecordable` if the state cannot follow the recorded one; `NoStands`, `NewerStands`,
/// `ObjectionStands` if what is recorded prevails; `ConsentRevisionStale` if it names another revision than the record's.
pub fn record_decision(
    record: &CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<Recorded, ProfileError> {
    let mut record = record.clone();
    let Done { effect, ledger, state } = apply(&mut record, decision, catalogue, context)?;
    Ok(Recorded { record, effect, ledger, state })
}

/// What a decision did to a record in place.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) effect: DecisionEffect,
    pub(crate) ledger: Vec<LedgerEntry>,
    state: GroundState,
}

/// Records a decision in place. If it fails, the record is as before.
pub(crate) fn apply(
    record: &mut CustomerRecord,
    decision: &Decision,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<Done, ProfileError> {
    let now = context.now;
    let purpose = catalogue.purpose(decision.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let decision = &*as_recorded(purpose, decision);
    check_form(purpose, decision, now)?;
    let basis = decision.basis;
    let is_live = decision.recording != Recording::Imported;
    let objected =
        is_objection(basis) && record.ground(purpose.number, basis).is_some_and(GroundState::is_no);
    if is_live && objected && matches!(decision.status, GroundStatus::Given | GroundStatus::Revoked) {
        return Err(ProfileError::ObjectionStands);
    }
    let decided_at = moment_of(record, (purpose, catalogue), decision, now)?;
    let validation = Validation { record, purpose, decision, catalogue, decided_at };
    validation.check_customer()?;
    let state = state_of(&validation, now);
    if !is_live {
        return Ok(sort_in(record, (purpose, basis), state, catalogue, context));
    }
    let transition = validation.transition();
    let effect = match record.ground(purpose.number, basis) {
        Some(stored) => effect_on(stored, &state, decision, latest_decision(record, purpose.number))?,
        None => None,
    };
    match effect {
        Some(DecisionEffect::Superseded) => Ok(sort_in(record, (purpose, basis), state, catalogue, context)),
        Some(effect) => {
            let stored = record.ground(purpose.number, basis).cloned().unwrap_or(state);
            Ok(Done { effect, ledger: Vec::new(), state: stored })
        }
        None if transition == Transition::Allowed => {
            let ledger = vec![store(record, purpose, basis, state.clone(), context)];
            let state = record.ground(purpose.number, basis).cloned().unwrap_or(state);
            Ok(Done { effect: DecisionEffect::Applied, ledger, state })
        }
        None => Err(ProfileError::NotRecordable { reason: RefusalReason::IllegalTransition }),
    }
}

fn state_of(validation: &Validation<'_>, now: TimestampMs) -> GroundState {
    let Validation { decision, decided_at, .. } = *validation;
    GroundState {
        valid_from: decision.valid_from,
        expires_at: decision.expires_at,
        notice: decision.notice.clone(),
        method: decision.method,
        evidence: decision.evidence.clone().and_then(Evidence::or_nothing),
        collector: decision.collector.clone(),
        reference: decision.reference.clone(),
        channel: decision.channel.clone(),
        guardian_below_age: validation.guardian_below_age(),
        ..GroundState::bare(decision.status, decided_at, now)
    }
}

/// The effect of a decision that is made live and does not become the state. `latest` is the newest decision on the purpose.
///
/// # Errors
/// `NewerStands` if the stored state prevails and has another status: an answer must not report what was not asked for.
fn effect_on(
    stored: &GroundState,
    state: &GroundState,
    decision: &Decision,
    latest: Option<TimestampMs>,
) -> Result<Option<DecisionEffect>, ProfileError> {
    if stored.says_the_same(state) {
        return Ok(Some(DecisionEffect::Unchanged));
    }
    if decision.is_live_no() {
        // Said again it is a no again, as of now: what is imported with a date in between is not the newer decision.
        return Ok(None);
    }
    if state.status != GroundStatus::Given {
        // Said again it adds nothing, unless something was decided since. Otherwise it is the newest, by its moment.
        let again = GroundState { decided_at: stored.decided_at, ..state.clone() };
        let stands = stored.says_the_same(&again) && Some(stored.decided_at) >= latest;
        return Ok(stands.then_some(DecisionEffect::Unchanged));
    }
    if stored.clone().prevailing(state.clone(), decision.basis) != *stored {
        return Ok(None);
    }
    if stored.status == state.status {
        Ok(Some(DecisionEffect::Superseded))
    } else {
        let reason = not_given(decision.basis, stored.status).unwrap_or(RefusalReason::IllegalTransition);
        Err(ProfileError::NewerStands { reason })
    }
}

/// Stores a state unless the stored one says the same.
pub(crate) fn settle(
    record: &mut CustomerRecord,
    purpose: &Purpose,
    basis: LawfulBasis,
    state: GroundState,
    context: ChangeContext<'_>,
) -> (DecisionEffect, Option<LedgerEntry>) {
    if record.ground(purpose.number, basis).is_some_and(|stored| stored.says_the_same(&state)) {
        return (DecisionEffect::Unchanged, None);
    }
    (DecisionEffect::Applied, Some(store(record, purpose, basis, state, context)))
}

/// Stores a state, and says so in the ledger.
fn store(
    record: &mut CustomerRecord,
    purpose: &Purpose,
    basis: LawfulBasis,
    state: GroundState,
    context: ChangeContext<'_>,
) -> LedgerEntry {
    let state = state.following(record.ground(purpose.number, basis));
    record.grounds.insert((purpose.number, basis), state.clone());
    let body = LedgerBody::Ground { purpose: purpose.number, purpose_id: purpose.id.clone(), basis, state };
    record.append_ledger(body, context)
}

fn finish(
    record: CustomerRecord,
    effect: DecisionEffect,
    ledger: Vec<LedgerEntry>,
    purpose: PurposeNumber,
    basis: LawfulBasis,
) -> Result<Recorded, ProfileError> {
    let state = record.ground(purpose, basis).cloned().ok_or(ProfileError::Unknown { field: "purpose" })?;
    Ok(Recorded { record, effect, ledger, state })
}
