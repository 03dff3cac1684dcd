//! Owns how a GPP string changes the record. Always: an opt-out that it says is recorded as the signal that it is, and a
//! string with an opt-out is never refused for its age: a live no always wins.

use super::signal::{PrivacySignal, record_signal};
use crate::{
    catalogue::Catalogue,
    chain::ChangeContext,
    error::ProfileError,
    iab::{GppOptOut, GppString, StoredGppString},
    label::Channel,
    ledger::{LedgerBody, LedgerEntry},
    record::CustomerRecord,
    replacement::Precondition,
};

/// The record after a GPP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GppRecorded {
    /// The record; the same as before if nothing changed.
    pub record: CustomerRecord,
    /// The entries to append to the ledger: the string's, then those of its signals.
    pub ledger: Vec<LedgerEntry>,
    /// The opt-outs that the string says.
    pub signals: Vec<PrivacySignal>,
}

/// The opt-outs of a GPP string as signals: of sale as the customer's own, since a platform records what it was told.
#[must_use]
pub fn gpp_signals(read: &GppString) -> Vec<PrivacySignal> {
    let signal = |opt_out| match opt_out {
        GppOptOut::Gpc => PrivacySignal::Gpc,
        GppOptOut::Sale => PrivacySignal::DoNotSell,
        GppOptOut::SensitiveData => PrivacySignal::LimitSensitive,
    };
    read.opt_outs().into_iter().map(signal).collect()
}

/// Records a GPP string and its opt-outs. A string names no moment, so the one that was sent last is kept; the opt-outs of
/// any count. The same string again is no new statement of the customer, who may have consented since, but a browser's
/// signal in it is: that is sent with every page ([`record_signal`]).
///
/// # Errors
/// `GppString` with the fault; `RequestSuperseded` if a later request recorded the stored one, and this one has no
/// opt-out.
pub fn record_gpp_string(
    record: &CustomerRecord,
    text: &str,
    channel: Option<&Channel>,
    precondition: Precondition,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<GppRecorded, ProfileError> {
    let incoming = StoredGppString::new(text, context.now)?;
    let signals = gpp_signals(&incoming.read()?);
    let mut record = record.clone();
    let mut ledger = Vec::new();
    let is_repeated = record.gpp_string.as_ref().is_some_and(|stored| stored.text == incoming.text);
    if !is_repeated {
        match precondition.check(record.requested.gpp_string) {
            Ok(()) => {
                record.requested.gpp_string = precondition.date_after(record.requested.gpp_string);
                record.gpp_string = Some(incoming.clone());
                ledger.push(record.append_ledger(LedgerBody::GppString(incoming), context));
            }
            Err(error) if signals.is_empty() => return Err(error),
            // It was sent before the stored one, which stays; what it opted out of counts.
            Err(_superseded) => {}
        }
    }
    let is_new = |signal: &&PrivacySignal| !is_repeated || **signal == PrivacySignal::Gpc;
    for signal in signals.iter().filter(is_new) {
        let recorded = record_signal(&record, *signal, channel, catalogue, context);
        record = recorded.record;
        ledger.extend(recorded.ledger);
    }
    Ok(GppRecorded { record, ledger, signals })
}
