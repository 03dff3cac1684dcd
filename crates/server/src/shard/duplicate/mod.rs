//! Where duplicates are sought: the index of blinded blocking keys, the model, and the pairs that were found.
//!
//! ```text
//! a write ──▶ features ──▶ blinded blocking keys ──▶ difference to the stored set, in the record's own command
//!
//! one customer: keys ──▶ all leaders: who is in these blocks ─┐
//! a scan: ranges of keys of all shards, merged by key ────────┴─▶ their records ──▶ model ──▶ scores ──▶ queue of pairs
//! ```
//! | File | Owns |
//! |---|---|
//! | `features` | which values of a record are compared |
//! | `blocking` | the change of the index that belongs to a write |
//! | `reindex` | the same without a write, after a change of the catalogue or of the blinding key |
//! | `lookup`, `leader` | what the leader of a shard answers |
//! | `ask` | the calls to all leaders |
//! | `model` | training, and what was learned |
//! | `find`, `scan` | one customer, all customers |
//! | `pairs`, `message` | the pairs that were found, stored and on the wire |
//! | `proposal` | the pairs that follow from the identifiers of one ingest |
//!
//! Must always hold: a customer is in the index under exactly the keys of its stored set, and the set changes only by a command
//! whose conditions it is part of. Nothing of a value is on disk. A customer whose data is restricted has no key.

mod ask;
mod blocking;
mod features;
mod find;
mod leader;
mod lookup;
mod message;
mod model;
mod pairs;
mod proposal;
mod reindex;
mod scan;

pub(in crate::shard) use ask::no_answer;
pub(crate) use find::{Found, Similar};
pub(crate) use leader::answer_duplicate_call;
pub(crate) use message::{pair_bytes, pair_in_bytes, score_message};
pub(crate) use model::TrainedModel;
pub(crate) use pairs::PairPage;
pub(crate) use proposal::HeldByOthers;
pub(in crate::shard) use reindex::{core_after, customer_of};
pub(crate) use scan::{ScanPosition, ScanStep};

use model::Models;
use tokio::sync::Mutex;

/// What a node keeps in memory about duplicates.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    models: Models,
    /// Held by the one step of a scan, or of a report of identifiers, that this node does.
    scanning: Mutex<()>,
}
