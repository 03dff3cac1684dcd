//! `custodia import`: loads a file of any size as a stream, and can be interrupted at any moment. `custodia consent
//! import` shares the machinery: it has other rows, another lane and other counts.
//!
//! ```text
//! file ─▶ reader ─▶ rows ─▶ batches (mapping) ─▶ requests ══ lane: window in flight ══▶ cluster
//!                                                                                       │ answers, in any order
//! checkpoint ◀─ state (done without a gap) ◀─ ordered ◀─ tally by reason ◀──────────────┘
//! ```

mod batch;
mod command;
mod field;
mod identity;
mod job;
mod lane;
mod load;
mod mapping;
mod progress;
mod reader;
mod request;
mod row;
mod state;
mod tally;

pub(crate) use batch::{Batch, NOT_PARSED, Refusal, Rows, key_of, position_behind, refusal, unsendable};
pub(crate) use command::ImportCommand;
pub(crate) use field::Field;
pub(crate) use identity::Identities;
pub(crate) use job::{Job, LoadOptions};
pub(crate) use lane::Lane;
pub(crate) use mapping::{Condition, Input, MappingFile};
pub(crate) use progress::Kind;
pub(crate) use row::Row;
pub(crate) use state::customer_of;
