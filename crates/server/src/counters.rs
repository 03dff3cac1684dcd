//! The counters of the services; this file is their only documentation.
//!
//! Invariant: a label value comes from a closed list and is never a customer or a stored value. Of callers only those that
//! the catalogue registers are named. Successful
//! reads are not counted here but with the calls.

use custodia_profile::NodeId;
use custodia_proto::v1;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Counter by `reason` (that of `google.rpc.ErrorInfo`): calls and rows that ended in an error.
const ERRORS: &str = "custodia_call_errors_total";
/// Counter by `kind` (`attribute`, `event`) and `outcome` (`MERGED` or the reason of the refusal): outcomes of everything
/// that callers sent to be stored (CO-3, GO-3).
const INGESTED: &str = "custodia_ingested_total";
/// Counter: stored values that do not authenticate or decode. Alert on any value above 0.
const UNREADABLE: &str = "custodia_unreadable_records_total";
/// Counter by `method`: calls forwarded to another node.
const FORWARDED: &str = "custodia_forwarded_calls_total";

/// Counter by `outcome` (`agree`, `differ`, `incomplete`): groups whose replicas were compared from here, as their leader.
/// `incomplete`: nothing differs, but not every replica was compared. Alert on any `differ` above 0.
const VERIFICATIONS: &str = "custodia_verifications_total";

/// Counter by `caller` (a registered application, or `unregistered`) and `outcome` (`refused`: not registered for the purpose;
/// `version_named`: it named a version that it may not read; `validate_only`; `without_effect`: what is stored prevailed):
/// writes by callers who may not read. A rise of one caller tells that it may be probing for what is stored (SE-2).
const BLIND_WRITES: &str = "custodia_blind_writes_total";

/// Gauge by `node`: how far another node's clock is ahead of this one's, in seconds; negative: behind. Alert beyond half a second.
const CLOCK_OFFSET: &str = "custodia_clock_offset_seconds";

/// What a caller who may not read attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlindWrite {
    Refused,
    VersionNamed,
    ValidateOnly,
    WithoutEffect,
}

impl BlindWrite {
    const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::VersionNamed => "version_named",
            Self::ValidateOnly => "validate_only",
            Self::WithoutEffect => "without_effect",
        }
    }
}

/// Registers the descriptions of the metrics.
pub(crate) fn describe() {
    describe_counter!(ERRORS, "calls and rows that ended in an error");
    describe_counter!(INGESTED, "attributes and events by outcome: merged, or the reason of the refusal");
    describe_counter!(UNREADABLE, "stored values that do not authenticate or decode");
    describe_counter!(FORWARDED, "calls forwarded to another node");
    describe_counter!(VERIFICATIONS, "groups whose replicas were compared, by outcome");
    describe_gauge!(CLOCK_OFFSET, Unit::Seconds, "how far the clock of another node is ahead of this one's");
    describe_counter!(BLIND_WRITES, "attempts of callers who may not read to learn from a write");
}

/// Sets the offset of another node's clock.
#[expect(clippy::cast_precision_loss, reason = "an offset of 2^53 ms is as bad as a larger one")]
pub(crate) fn set_clock_offset(node: NodeId, offset_ms: i64) {
    gauge!(CLOCK_OFFSET, "node" => node.to_string()).set(offset_ms as f64 / 1_000.0);
}

/// `caller`: a name that the catalogue registers, or a fixed word.
pub(crate) fn count_blind_write(caller: String, what: BlindWrite) {
    counter!(BLIND_WRITES, "caller" => caller, "outcome" => what.label()).increment(1);
}

pub(crate) fn count_error(reason: &'static str) {
    counter!(ERRORS, "reason" => reason).increment(1);
}

pub(crate) fn count_unreadable() {
    counter!(UNREADABLE).increment(1);
}

pub(crate) fn count_forwarded(method: &'static str) {
    counter!(FORWARDED, "method" => method).increment(1);
}

pub(crate) fn count_verification(outcome: &'static str) {
    counter!(VERIFICATIONS, "outcome" => outcome).increment(1);
}

/// Counts each outcome, refusals by reason.
pub(crate) fn count_outcomes(attributes: &[v1::AttributeOutcome], events: &[v1::EventOutcome]) {
    let attributes = attributes.iter().map(|outcome| ("attribute", outcome.merged, outcome.refusal()));
    let events = events.iter().map(|outcome| ("event", outcome.appended, outcome.refusal()));
    for (kind, is_merged, refusal) in attributes.chain(events) {
        let name = refusal.as_str_name();
        let reason = name.strip_prefix("REFUSAL_REASON_").unwrap_or(name);
        let outcome = if is_merged { "MERGED" } else { reason };
        counter!(INGESTED, "kind" => kind, "outcome" => outcome).increment(1);
    }
}
