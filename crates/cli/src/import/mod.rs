//! `custodia import`: streams a file of any size into the cluster and can be interrupted at any time. `custodia consent
//! import` uses the same code with its own mapping, batcher and call stream.
//!
//! ```text
//! file ─▶ reader ─▶ rows ─▶ batcher (mapping) ─▶ requests ══ call stream: window in flight ══▶ cluster
//!                                                                                              │ answers, in any order
//! checkpoint ◀─ state (done without a gap) ◀─ ordered ◀─ tally by reason ◀─────────────────────┘
//! ```

mod batch;
mod call_stream;
mod command;
mod delimited;
mod field;
mod grant;
mod identifier;
mod identity;
mod job;
mod lines;
mod load;
mod mapping;
mod progress;
mod reader;
mod request;
mod row;
mod state;
mod tally;

pub(crate) use batch::{Batch, Batcher, NOT_PARSED, Refusal, key_of, unsendable};
pub(crate) use call_stream::{CallStream, is_input_error, is_legal_refusal, is_record_error};
pub(crate) use command::ImportCommand;
pub(crate) use field::Field;
pub(crate) use identifier::{Customer, check_key_namespace};
pub(crate) use identity::{Identities, derived_uuid};
pub(crate) use job::{Job, LoadOptions};
pub(crate) use mapping::{Condition, Input, MappingFile, with_names};
pub(crate) use progress::Kind;
pub(crate) use row::Row;
pub(crate) use tally::{Counted, Tally};
