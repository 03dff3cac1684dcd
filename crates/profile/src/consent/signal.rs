//! Owns signals of a customer, a browser or a consent platform: Global Privacy Control, "do not sell or share", "limit the
//! use of sensitive data", and TC strings. Always: a signal that is honoured is a no, and counts from now on.

use std::cmp::Ordering;

use super::{latest_decision, live_moment, settle};
use crate::{
    catalogue::{Catalogue, Jurisdiction, Purpose},
    chain::ChangeContext,
    data_subject::DataSubject,
    error::ProfileError,
    ground::{GroundState, GroundStatus, LawfulBasis},
    iab::StoredTcString,
    id::{PurposeNumber, TimestampMs},
    label::{Channel, Reference},
    ledger::{LedgerBody, LedgerEntry},
    numbered::numbered,
    record::CustomerRecord,
    replacement::Precondition,
    subject_change::Changed,
};

numbered! {
    /// A privacy signal. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum PrivacySignal ("signal", expected "GPC, DO_NOT_SELL or LIMIT_SENSITIVE") {
        /// `Sec-GPC: 1`, W3C Global Privacy Control: do not sell or share.
        Gpc = 1,
        /// The customer's own opt-out of sale and sharing, Cal. Civ. Code §1798.120(a).
        DoNotSell = 2,
        /// The customer's own limit on the use of sensitive data, Cal. Civ. Code §1798.121(a).
        LimitSensitive = 3,
    }
}

impl PrivacySignal {
    /// What the ledger calls it.
    const fn reference(self) -> &'static str {
        match self {
            Self::Gpc => "Sec-GPC: 1",
            Self::DoNotSell => "Do not sell or share",
            Self::LimitSensitive => "Limit the use of sensitive data",
        }
    }
}

/// The record after a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecorded {
    /// The record; the same as before if nothing changed.
    pub record: CustomerRecord,
    /// Whether the signal counts: the customer's own does, a browser's where one of the customer's jurisdictions honours it.
    pub honoured: bool,
    /// The entries to append to the ledger.
    pub ledger: Vec<LedgerEntry>,
    /// The state of consent to each purpose of sale or sharing, by the purpose's name; none unless an opt-out is honoured.
    pub states: Vec<(PurposeNumber, GroundState)>,
}

/// Records a signal. It counts from now on, as a withdrawal does, is remembered for purposes and regions that come
/// later, and changes nothing if it is repeated, unless something was permitted since.
///
/// - An opt-out of sale and sharing also refuses consent to every such purpose. The customer's own is honoured
///   everywhere; that of a browser where a jurisdiction of the customer honours Global Privacy Control.
///   Where the law lets it, a consent that was given after a browser's signal stands though the signal is repeated.
/// - A limit on the use of sensitive data refuses no purpose: `permission` applies it to sensitive attributes.
#[must_use]
pub fn record_signal(
    record: &CustomerRecord,
    signal: PrivacySignal,
    channel: Option<&Channel>,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> SignalRecorded {
    let honours = |jurisdiction: &Jurisdiction| match signal {
        PrivacySignal::Gpc => jurisdiction.honours_gpc,
        PrivacySignal::DoNotSell | PrivacySignal::LimitSensitive => true,
    };
    let honoured = record.subject.jurisdictions(catalogue).any(|jurisdiction| honours(jurisdiction));
    let mut result =
        SignalRecorded { record: record.clone(), honoured, ledger: Vec::new(), states: Vec::new() };
    let earlier = *counts_from(&mut result.record.subject, signal);
    let answered = earlier.filter(|_| signal == PrivacySignal::Gpc && yields_to_consent(record, catalogue));
    let of_sale = honoured && signal != PrivacySignal::LimitSensitive;
    for purpose in catalogue.purposes().filter(|purpose| of_sale && purpose.sale_or_sharing) {
        let stored = result.record.ground(purpose.number, LawfulBasis::Consent);
        let answers = |state: &&GroundState| {
            state.status == GroundStatus::Given && answered.is_some_and(|signal| state.decided_at > signal)
        };
        match stored.filter(answers).cloned() {
            Some(state) => result.states.push((purpose.number, state)),
            None => refuse(&mut result, signal, (purpose, catalogue), channel, context),
        }
    }
    let permitted_since = record.grounds.iter().any(|((_, basis), state)| {
        let is_consent = *basis == LawfulBasis::Consent && state.status == GroundStatus::Given;
        is_consent && Some(state.decided_at) > earlier
    });
    if answered.is_none() && (earlier.is_none() || permitted_since || !result.ledger.is_empty()) {
        // Not before any decision: a purpose may become one of sale, and its consent must then be the older one.
        let decided = result.record.grounds.values().map(|state| state.decided_at).max();
        let moment = decided.max(earlier).max(Some(context.now));
        let subject = &mut result.record.subject;
        *counts_from(subject, signal) = moment;
        subject.updated_at = Some(context.now);
        let body = LedgerBody::Subject(subject.clone());
        result.ledger.push(result.record.append_ledger(body, context));
    }
    result
}

/// Whether every jurisdiction of the customer that honours a browser's signal lets a consent that was given after it stand
/// when it is repeated (11 CCR §7025(c)(3)).
fn yields_to_consent(record: &CustomerRecord, catalogue: &Catalogue) -> bool {
    let mut honouring = record.subject.jurisdictions(catalogue).filter(|of| of.honours_gpc).peekable();
    honouring.peek().is_some() && honouring.all(|of| of.gpc_yields_to_consent)
}

/// From when the signal counts.
const fn counts_from(subject: &mut DataSubject, signal: PrivacySignal) -> &mut Option<TimestampMs> {
    match signal {
        PrivacySignal::Gpc => &mut subject.sale_opt_out,
        PrivacySignal::DoNotSell => &mut subject.do_not_sell,
        PrivacySignal::LimitSensitive => &mut subject.sensitive_limit,
    }
}

/// Refuses consent to a purpose of sale or sharing, unless a no stands.
fn refuse(
    result: &mut SignalRecorded,
    signal: PrivacySignal,
    of @ (purpose, _): (&Purpose, &Catalogue),
    channel: Option<&Channel>,
    context: ChangeContext<'_>,
) {
    let latest = latest_decision(&result.record, purpose.number);
    let stored = result.record.ground(purpose.number, LawfulBasis::Consent);
    let stands = |state: &&GroundState| state.is_no() && Some(state.decided_at) >= latest;
    let state = if let Some(state) = stored.filter(stands) {
        state.clone()
    } else {
        let decided_at = live_moment(&result.record, of, context.now);
        let state = GroundState {
            reference: Reference::new("reference", signal.reference()).ok(),
            channel: channel.cloned(),
            ..GroundState::bare(GroundStatus::Refused, decided_at, context.now)
        };
        let (_, entry) = settle(&mut result.record, purpose, LawfulBasis::Consent, state.clone(), context);
        result.ledger.extend(entry);
        state
    };
    result.states.push((purpose.number, state));
}

/// Records a TC string. The one with the latest update counts, of two that were updated on one day the one that was sent
/// later; the same again changes nothing.
///
/// # Errors
/// `TcString` with the fault; `TcStringSuperseded` if the recorded one was updated on a later day, `RequestSuperseded` if
/// on the same day and sent later.
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
            Ordering::Less => return Err(ProfileError::TcStringSuperseded),
            Ordering::Equal => precondition.check(record.requested.tc_string)?,
            Ordering::Greater => {}
        }
    }
    record.requested.tc_string = precondition.date_after(record.requested.tc_string);
    record.tc_string = Some(incoming.clone());
    let entry = record.append_ledger(LedgerBody::TcString(incoming), context);
    Ok(Changed { record, ledger: Some(entry) })
}
