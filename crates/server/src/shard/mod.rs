//! What every call about a customer has in common: the steps before and after the handler's own logic, on the leader of the
//! customer's shard.
//!
//! ```text
//! read    catalogue ─▶ barrier ─▶ record ─▶ permission ─▶ handler's answer
//! write   catalogue ─▶ lock ─▶ barrier ─▶ record ─▶ handler's evaluation (pure) ─▶ seal ─▶ propose
//! ```
//!
//! Invariant: a shard is read and written only on its leader, behind a read barrier or by a conditional command.
//! Nothing about a customer is cached between calls except keys, which the `keys` module holds.

mod claims;
mod command;
mod context;
mod duplicate;
mod failpoint;
mod fingerprint;
mod holder_hints;
mod identifiers;
mod index;
mod index_call;
mod ledger;
mod locks;
mod lookup;
mod merge;
mod other;
mod read;
mod reader;
mod record;
mod rotation;
mod write;
mod writer;

pub(crate) use claims::TakenIdentifiers;
pub(crate) use context::ShardContext;
pub(crate) use duplicate::{
    Found, PairPage, ScanPosition, ScanStep, Similar, TrainedModel, answer_duplicate_call, pair_bytes,
    pair_in_bytes, score_message,
};
pub use failpoint::arm_failpoint;
pub(crate) use fingerprint::{fingerprint, with_content};
pub(crate) use identifiers::{ReportPosition, ReportQuestion, answer_identifier_call};
pub(crate) use index_call::answer_index_call;
pub(crate) use ledger::Ledger;
pub(crate) use lookup::{check_use, held_identifier, identifier, refused_value, written_identifier};
pub(crate) use merge::{EventSource, MemberEvents, Trail, answer_merge_call};
pub(crate) use other::{Need, OtherChange, OtherCustomer, check_merges};
pub(crate) use read::{CustomerRead, ProfileView, ReadAccess};
pub(crate) use reader::{reader_for, reader_named};
pub(crate) use record::{Loaded, StoredEvents};
pub(crate) use rotation::{BlindingPhase, answer_rotation_call};
pub(crate) use write::{
    Answered, Commit, CustomerState, CustomerWrite, Given, Mutation, Origin, Remembered, merged_customer,
};
pub(crate) use writer::{Sight, WriteAccess, check as check_writer};
