//! What the services count. Each metric is documented here, and nowhere else.
//!
//! Must always hold: a label is a word from a closed list, never a caller, a customer or a value; reads that go well
//! count nothing here, they are counted as calls.

use custodia_proto::v1;
use metrics::{counter, describe_counter};

/// Counter by `reason` (that of `google.rpc.ErrorInfo`): calls and rows that ended in an error.
const ERRORS: &str = "custodia_call_errors_total";
/// Counter by `kind` (`attribute`, `event`) and `outcome` (`MERGED` or the reason of the refusal): what became of
/// everything that was to be stored (CO-3, GO-3).
const INGESTED: &str = "custodia_ingested_total";
/// Counter: stored values that do not open or decode. Anything above 0 is an alarm.
const UNREADABLE: &str = "custodia_unreadable_records_total";
/// Counter by `method`: calls that were passed on to another node.
const FORWARDED: &str = "custodia_forwarded_calls_total";

/// Tells the recorder what the metrics mean.
pub(crate) fn describe() {
    describe_counter!(ERRORS, "calls and rows that ended in an error");
    describe_counter!(INGESTED, "what became of everything that was to be stored");
    describe_counter!(UNREADABLE, "stored values that do not open or decode");
    describe_counter!(FORWARDED, "calls passed on to another node");
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

/// Every refusal is counted with its reason.
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
