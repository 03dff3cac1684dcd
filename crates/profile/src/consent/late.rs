//! Owns how a decision is sorted in that is imported, or that comes after a newer one of its kind (CO-8). Always: it is an
//! entry of the ledger, and only once; the state is what all decisions on the ground say in the order of their dates, so
//! the order in which they arrive does not matter; and nothing that is imported lifts a no that was said live.
//!
//! ```text
//!   decisions on the ground, by date:   GIVEN 1 March   REFUSED 4 March   GIVEN 9 March   ◀─ in whatever order they came
//!                                              └──────────────▶└───────────────▶└──▶ the state
//! ```
//! 1. All decisions of the ledger on the purpose and basis are gone through by date, with the new one among them. Each
//!    becomes the state if the table of `ground` lets it follow the one before; else it is passed over.
//! 2. A given ground that is imported is passed over if it is dated after a **live no** that nothing has answered: a no to
//!    the same basis, or for consent an objection, an opt-out of sale, or a limit on sensitive data that it is about. Whoever imports a file has not read the no, and
//!    the date of a file proves nothing against it; the customer's own consent that names the revision does.
//! 3. What was the state once was lawful then. So it needs no predecessor, and it answers the nos before it. A live no follows
//!    whatever is imported with a date before it: nothing makes it vanish.
//!
//! 4. A merge of two customers, and its undoing, states again what stands. A permission that is dated before it becomes an entry, but
//!    never the state: it may be one that did not prevail there. A live no from before it still counts, and what answered it must
//!    have been stated again.
//!
//! Why the order of arrival does not matter, between one merge and the next: rules 1 and 2 look at the set of decisions alone. Of a given ground they
//! also ask whether it was the state once, but only if it is dated after a live no: then it was the state because it
//! answered that no, as an import cannot.

use super::{DecisionEffect, Done, moment::signalled_no, store, validation::follows};
use crate::{
    catalogue::{Catalogue, Purpose},
    chain::ChangeContext,
    ground::{GroundState, GroundStatus, LawfulBasis, Transition, is_objection},
    id::TimestampMs,
    ledger::{LedgerBody, LedgerEntry},
    record::CustomerRecord,
};

/// A decision of the ledger.
#[derive(Debug, Clone, Copy)]
struct PastDecision<'a> {
    basis: LawfulBasis,
    state: &'a GroundState,
    /// Whether it was the state of its ground once.
    was_state: bool,
    /// Whether it was decided before a merge, or its undoing, that stated again what stands.
    restated: bool,
}

/// Sorts a decision into those on the same ground. The record has whatever state follows from all of them.
pub(super) fn sort_in(
    record: &mut CustomerRecord,
    (purpose, basis): (&Purpose, LawfulBasis),
    state: GroundState,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Done {
    let past = past_decisions(record, purpose, context.history);
    let mut own: Vec<_> = past.iter().copied().filter(|one| one.basis == basis).collect();
    let is_known = own.iter().any(|one| one.state.says_the_same(&state));
    let signal = signalled_no(record, purpose, catalogue).filter(|_| basis == LawfulBasis::Consent);
    let live_no = unanswered_live_no(basis, &past, signal);
    own.push(PastDecision { basis, state: &state, was_state: false, restated: false });
    own.retain(|one| !one.restated && (one.was_state || !precedes_a_merge(one.state, context.history)));
    let follows_from_all = state_after(own, purpose, live_no).cloned();
    let before = record.ground(purpose.number, basis);
    let is_state = |of: Option<&GroundState>, one: &GroundState| of.is_some_and(|of| of.says_the_same(one));
    let stands = is_state(follows_from_all.as_ref(), &state);
    let changed = follows_from_all.filter(|after| !is_state(before, after));
    let mut ledger = Vec::new();
    if !stands && !is_known {
        let (number, purpose_id) = (purpose.number, purpose.id.clone());
        let body = LedgerBody::Superseded { purpose: number, purpose_id, basis, state: state.clone() };
        ledger.push(record.append_ledger(body, context));
    }
    ledger.extend(changed.map(|after| store(record, purpose, basis, after, context)));
    let effect = match (stands, ledger.is_empty()) {
        (true, false) => DecisionEffect::Applied,
        (true, true) => DecisionEffect::Unchanged,
        (false, _) => DecisionEffect::Superseded,
    };
    // As it is stored where it stands: it may follow another without a break.
    let stored = record.ground(purpose.number, basis).filter(|_| stands).cloned();
    Done { effect, ledger, state: stored.unwrap_or(state) }
}

/// The decisions of the ledger on a purpose. What the record has was a state even if the ledger was left out.
fn past_decisions<'a>(
    record: &'a CustomerRecord,
    purpose: &Purpose,
    history: &'a [LedgerEntry],
) -> Vec<PastDecision<'a>> {
    let of_purpose = |entry: &'a LedgerEntry| match &entry.body {
        LedgerBody::Ground { purpose: of, basis, state, .. } if *of == purpose.number => {
            Some(PastDecision { basis: *basis, state, was_state: true, restated: false })
        }
        LedgerBody::Superseded { purpose: of, basis, state, .. } if *of == purpose.number => {
            Some(PastDecision { basis: *basis, state, was_state: false, restated: false })
        }
        LedgerBody::Ground { .. }
        | LedgerBody::Superseded { .. }
        | LedgerBody::Subject(_)
        | LedgerBody::TcString(_)
        | LedgerBody::GppString(_)
        | LedgerBody::Merged(_)
        | LedgerBody::Unmerged(_) => None,
    };
    let stored = LawfulBasis::ALL.into_iter().filter_map(|basis| {
        let state = record.ground(purpose.number, basis)?;
        Some(PastDecision { basis, state, was_state: true, restated: false })
    });
    let before = history.len() - since_restated(history).len();
    let decided = history.iter().zip(0..).filter_map(|(entry, position)| {
        of_purpose(entry).map(|decision| PastDecision { restated: position < before, ..decision })
    });
    decided.chain(stored).collect()
}

/// The entries from the last merge on, or its undoing: they state again all that stands.
fn since_restated(history: &[LedgerEntry]) -> &[LedgerEntry] {
    let begins = history.iter().rposition(is_merge).unwrap_or(0);
    history.get(begins..).unwrap_or_default()
}

fn is_merge(entry: &LedgerEntry) -> bool {
    matches!(entry.body, LedgerBody::Merged(_) | LedgerBody::Unmerged(_))
}

/// Whether a permission was dated before a merge, or its undoing. It may be in the other ledger, where it did not prevail.
fn precedes_a_merge(state: &GroundState, history: &[LedgerEntry]) -> bool {
    let last = history.iter().rev().find(|entry| is_merge(entry));
    let permits = matches!(state.status, GroundStatus::Given | GroundStatus::Requested);
    permits && last.is_some_and(|merge| state.decided_at <= merge.recorded_at)
}

/// Goes through the decisions on one ground, by date.
fn state_after<'a>(
    mut own: Vec<PastDecision<'a>>,
    purpose: &Purpose,
    live_no: Option<TimestampMs>,
) -> Option<&'a GroundState> {
    own.sort_by(|one, other| one.state.order(other.state));
    let mut stands = None;
    for PastDecision { basis, state, was_state, .. } in own {
        let saw_every_no = was_state
            || state.status != GroundStatus::Given
            || live_no.is_none_or(|no| state.decided_at <= no);
        let step = follows(purpose, basis, stands, (state.status, state.decided_at));
        let was_lawful = was_state && (stands.is_none() || state.is_live_no());
        if saw_every_no && (step == Transition::Allowed || was_lawful) {
            stands = Some(state);
        }
    }
    stands
}

/// The newest no that was said live to what the basis permits, unless a ground that answered it was given since.
fn unanswered_live_no(
    basis: LawfulBasis,
    past: &[PastDecision<'_>],
    signal: Option<TimestampMs>,
) -> Option<TimestampMs> {
    let consent = basis == LawfulBasis::Consent;
    let concerns = |one: &PastDecision<'_>| {
        one.basis == basis || (consent && is_objection(one.basis) && one.state.is_no())
    };
    let live_nos = past.iter().filter(|one| one.state.is_live_no() && concerns(one));
    let newest = live_nos.map(|one| one.state.decided_at).max();
    let newest = newest.max(signal)?;
    let answers = |one: &PastDecision<'_>| {
        one.was_state
            && !one.restated
            && one.basis == basis
            && one.state.status == GroundStatus::Given
            && one.state.decided_at > newest
    };
    (!past.iter().any(answers)).then_some(newest)
}
