//! `custodia import`: loads a file of any size as a stream, and can be interrupted at any moment.
//!
//! ```text
//! file ─▶ reader ─▶ rows ─▶ batches (mapping) ─▶ requests ══ window in flight ══▶ cluster
//!                                                                                 │ answers, in any order
//! checkpoint ◀─ state (done without a gap) ◀─ ordered ◀─ tally by reason ◀────────┘
//! ```

mod command;
mod field;
mod identity;
mod load;
mod mapping;
mod progress;
mod reader;
mod request;
mod row;
mod state;
mod tally;

pub(crate) use command::ImportCommand;
pub(crate) use identity::Identities;
pub(crate) use state::customer_of;
