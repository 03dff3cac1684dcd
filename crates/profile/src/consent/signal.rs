//! Owns signals of a customer's browser or consent platform: Global Privacy Control, and TC strings. Always: a signal
//! that is honoured is a no, and counts from now on.

use std::cmp::Ordering;

use super::{latest_decision, live_moment, settle};
use crate::{
    catalogue::{Catalogue, Purpose},
    chain::ChangeContext,
    error::ProfileError,
    ground::{GroundState, GroundStatus, LawfulBasis},
    id::PurposeNumber,
    label::{Channel, Reference},
    ledger::{LedgerBody, LedgerEntry},
    record::CustomerRecord,
    replacement::Precondition,
    subject_change::Changed,
    tcf::StoredTcString,
};

/// A privacy signal. Numbers are those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PrivacySignal {
    /// `Sec-GPC: 1`, W3C Global Privacy Control: do not sell or share.
    Gpc = 1,
}

/// The record after a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecorded {
    /// The record; the same as before if nothing changed.
    pub record: CustomerRecord,
    /// Whether one of the customer's jurisdictions honours the signal.
    pub honoured: bool,
    /// The entries to append to the ledger.
    pub ledger: Vec<LedgerEntry>,
    /// The state of consent to each purpose of sale or sharing, by the purpose's name; empty unless honoured.
    pub states: Vec<(PurposeNumber, GroundState)>,
}

/// Records a signal: as an opt-out of sale and sharing, so that it also covers later purposes and regions, and, if
/// one of the customer's jurisdictions honours it, as refused consent to every purpose of sale or sharing. It counts
/// from now on, as a withdrawal does. Repeated, it changes nothing unless something was permitted since.
#[must_use]
pub fn record_signal(
    record: &CustomerRecord,
    signal: PrivacySignal,
    channel: Option<&Channel>,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> SignalRecorded {
    let now = context.now;
    let reference = match signal {
        PrivacySignal::Gpc => Reference::new("reference", "Sec-GPC: 1").ok(),
    };
    let mut result =
        SignalRecorded { record: record.clone(), honoured: false, ledger: Vec::new(), states: Vec::new() };
    result.honoured = record.subject.jurisdictions(catalogue).any(|jurisdiction| jurisdiction.honours_gpc);
    let refused = |purpose: &&std::sync::Arc<Purpose>| result.honoured && purpose.sale_or_sharing;
    for purpose in catalogue.purposes().filter(refused) {
        let latest = latest_decision(&result.record, purpose.number);
        let stored = result.record.ground(purpose.number, LawfulBasis::Consent);
        let stands = |state: &&GroundState| state.is_no() && Some(state.decided_at) >= latest;
        let state = if let Some(state) = stored.filter(stands) {
            state.clone()
        } else {
            let decided_at = live_moment(&result.record, purpose, now);
            let state = GroundState {
                reference: reference.clone(),
                channel: channel.cloned(),
                ..GroundState::bare(GroundStatus::Refused, decided_at, now)
            };
            let basis = LawfulBasis::Consent;
            let (_, entry) = settle(&mut result.record, purpose, basis, state.clone(), context);
            result.ledger.extend(entry);
            state
        };
        result.states.push((purpose.number, state));
    }
    // Not before any decision: a purpose may become one of sale, and its consent must then be the older one.
    let decided = |record: &CustomerRecord| record.grounds.values().map(|state| state.decided_at).max();
    let newest = decided(&result.record).max(result.record.subject.sale_opt_out).unwrap_or(now);
    let opted_out = result.record.subject.sale_opt_out;
    let permitted_since = result.record.grounds.iter().any(|((_, basis), state)| {
        let is_consent = *basis == LawfulBasis::Consent && state.status == GroundStatus::Given;
        is_consent && Some(state.decided_at) > opted_out
    });
    if opted_out.is_none() || permitted_since || !result.ledger.is_empty() {
        result.record.subject.sale_opt_out = Some(newest.max(now));
        result.record.subject.updated_at = Some(now);
        let body = LedgerBody::Subject(result.record.subject.clone());
        result.ledger.push(result.record.append_ledger(body, context));
    }
    result
}

/// Records a TC string. The one with the latest update counts, of two that were updated on one day the one that was sent
/// later; the same again changes nothing.
///
/// # Errors
/// `TcString` with the fault; `RequestSuperseded` if the recorded one is newer.
pub fn record_tc_string(
    record: &CustomerRecord,
    text: &str,
    precondition: Precondition,
    context: ChangeContext<'_>,
) -> Result<Changed, ProfileError> {
    let incoming = StoredTcString::new(text, context.now)?;
    let mut record = record.clone();
    if let Some(stored) = &record.tc_string {
        if stored.text == incoming.text {
            return Ok(Changed { record, ledger: None });
        }
        match incoming.updated_on().cmp(&stored.updated_on()) {
            Ordering::Less => return Err(ProfileError::RequestSuperseded),
            Ordering::Equal => precondition.check(record.requested.tc_string)?,
            Ordering::Greater => {}
        }
    }
    record.requested.tc_string = precondition.date_after(record.requested.tc_string);
    record.tc_string = Some(incoming.clone());
    let entry = record.append_ledger(LedgerBody::TcString(incoming), context);
    Ok(Changed { record, ledger: Some(entry) })
}
