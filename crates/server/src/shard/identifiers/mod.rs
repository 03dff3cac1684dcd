//! What the leaders of shards do about the identifiers of their customers, besides claims and merges: a report on their quality, and an
//! identifier that is given to the customer whose it is (`write/give.rs`).

mod call;
mod report;

pub(crate) use call::answer_identifier_call;
pub(in crate::shard) use call::malformed;
pub(crate) use report::{ReportPosition, ReportQuestion};
