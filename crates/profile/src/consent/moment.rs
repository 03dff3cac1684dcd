//! Owns from which moment a decision counts. Always: a no that is recorded as it is said beats everything recorded
//! before it, whatever any clock says; and nothing lifts it that did not see it.
//!
//! ```text
//!   newest = the latest moment recorded about the purpose: of any of its grounds, and of a signal that says no to it
//!
//!   recorded as it happens
//!     any status but GIVEN         max(newest, now)     what the caller's clock says does not matter
//!     GIVEN, no no stands          min(stated, now)     the node's clock bounds the caller's
//!     GIVEN, a no stands           refused, unless it names the consent revision that it answers
//!     GIVEN, naming the revision   the same, or a millisecond after `newest` if that is later
//!   imported
//!     any status                   stated, and before now      sorted in by its date: see `late`
//! ```
//! Why no clock can lift a no: a caller's date is used for a given ground alone, and such a ground is refused while a no
//! stands. The one that is not refused names the number of ledger entries that the customer had, so it was sent by
//! someone who had seen the no, and the command that records it fails if anything was recorded since.
//!
//! Two leaders' clocks may differ. A no takes the newest recorded moment where that lies ahead of its own clock; then its
//! tie with what it beats goes to the no ([`GroundState::prevailing`](crate::ground::GroundState::prevailing),
//! `permission`).

use super::{Decision, Recording};
use crate::{
    catalogue::{AttributeDefinition, Catalogue, Classification, Purpose},
    error::ProfileError,
    ground::{GroundState, GroundStatus, LawfulBasis, not_given},
    id::{PurposeNumber, TimestampMs},
    reason::RefusalReason,
    record::CustomerRecord,
};

/// When the decision counts from.
///
/// # Errors
/// `ConsentRevisionStale` if it names another revision than the record's; `NoStands` if it would lift a no without
/// naming one.
pub(super) fn moment_of(
    record: &CustomerRecord,
    (purpose, catalogue): (&Purpose, &Catalogue),
    decision: &Decision,
    now: TimestampMs,
) -> Result<TimestampMs, ProfileError> {
    let stated = decision.decided_at.unwrap_or(now).min(now);
    // An import is of the past, so it is never taken for a no that was said live ([`GroundState::is_live_no`]).
    let past = stated.min(now.plus_ms(-1));
    let newest = newest_moment(record, purpose, catalogue);
    match (decision.recording, decision.status) {
        (Recording::Imported, _) => Ok(past),
        (Recording::Live { answers: Some(revision) }, _) if revision != record.consent_revision() => {
            Err(ProfileError::ConsentRevisionStale)
        }
        (Recording::Live { answers: Some(_) }, GroundStatus::Given) => {
            Ok(newest.map_or(stated, |newest| stated.max(newest.plus_ms(1))))
        }
        (Recording::Live { answers: None }, GroundStatus::Given) => {
            match standing_no(record, (purpose, catalogue), decision.basis) {
                Some(reason) => Err(ProfileError::NoStands { reason }),
                None => Ok(stated),
            }
        }
        (Recording::Live { .. }, _) => Ok(live_moment(record, (purpose, catalogue), now)),
    }
}

/// When a no counts from that is said now.
pub(super) fn live_moment(
    record: &CustomerRecord,
    (purpose, catalogue): (&Purpose, &Catalogue),
    now: TimestampMs,
) -> TimestampMs {
    newest_moment(record, purpose, catalogue).map_or(now, |newest| newest.max(now))
}

/// The newest decision on a purpose by any basis.
pub(super) fn latest_decision(record: &CustomerRecord, purpose: PurposeNumber) -> Option<TimestampMs> {
    let states = LawfulBasis::ALL.into_iter().filter_map(|basis| record.ground(purpose, basis));
    states.map(|state| state.decided_at).max()
}

/// The same, or a later signal that says no to the purpose.
fn newest_moment(record: &CustomerRecord, purpose: &Purpose, catalogue: &Catalogue) -> Option<TimestampMs> {
    latest_decision(record, purpose.number).max(signalled_no(record, purpose, catalogue))
}

/// The newest signal of the customer that only a later consent to the purpose answers. Signals are always live.
pub(super) fn signalled_no(
    record: &CustomerRecord,
    purpose: &Purpose,
    catalogue: &Catalogue,
) -> Option<TimestampMs> {
    sale_opt_out(record, purpose).max(sensitive_limit(record, purpose, catalogue))
}

fn sale_opt_out(record: &CustomerRecord, purpose: &Purpose) -> Option<TimestampMs> {
    let opted_out = record.subject.sale_opt_out.max(record.subject.do_not_sell);
    opted_out.filter(|_| purpose.sale_or_sharing)
}

/// A limit on sensitive data, if the purpose may use some.
fn sensitive_limit(record: &CustomerRecord, purpose: &Purpose, catalogue: &Catalogue) -> Option<TimestampMs> {
    let is_sensitive = |attribute: &AttributeDefinition| {
        attribute.classification == Classification::Sensitive && attribute.purposes.contains(&purpose.number)
    };
    record.subject.sensitive_limit.filter(|_| catalogue.attributes().any(|of| is_sensitive(of)))
}

/// The no that a given ground would lift. A consent lifts any no to its purpose, another basis only its own. A no that
/// a later consent has answered no longer stands. A signal is a no wherever the customer lives: the region may change.
fn standing_no(
    record: &CustomerRecord,
    (purpose, catalogue): (&Purpose, &Catalogue),
    basis: LawfulBasis,
) -> Option<RefusalReason> {
    let own = record.ground(purpose.number, basis);
    if let Some(reason) = own.and_then(|state| no_of(basis, state)) {
        return Some(reason);
    }
    if basis != LawfulBasis::Consent {
        return None;
    }
    // A request, and a consent that was found invalid, are no answer, however new they are.
    let unanswered =
        |no: &TimestampMs| own.is_none_or(|own| own.status != GroundStatus::Given || own.decided_at <= *no);
    let objected = [LawfulBasis::PublicTask, LawfulBasis::LegitimateInterests].into_iter().any(|basis| {
        record.ground(purpose.number, basis).is_some_and(|of| of.is_no() && unanswered(&of.decided_at))
    });
    let is_unanswered = |no: Option<TimestampMs>| no.is_some_and(|no| unanswered(&no));
    if objected {
        Some(RefusalReason::Objected)
    } else if is_unanswered(sale_opt_out(record, purpose)) {
        Some(RefusalReason::ConsentRefused)
    } else {
        is_unanswered(sensitive_limit(record, purpose, catalogue)).then_some(RefusalReason::SensitiveLimited)
    }
}

/// What a state says no by; a consent that somebody else revoked counts too.
const fn no_of(basis: LawfulBasis, state: &GroundState) -> Option<RefusalReason> {
    match state.status {
        GroundStatus::Refused | GroundStatus::Withdrawn | GroundStatus::Revoked => {
            not_given(basis, state.status)
        }
        GroundStatus::Given | GroundStatus::Requested | GroundStatus::Invalidated => None,
    }
}
