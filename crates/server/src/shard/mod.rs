//! What the leader of a shard does for every call about a customer: the prologue of reads and writes, so that a handler is its
//! own logic alone.
//!
//! ```text
//! read    catalogue ─▶ barrier ─▶ record ─▶ permission ─▶ handler's answer
//! write   catalogue ─▶ lock ─▶ barrier ─▶ record ─▶ handler's evaluation (pure) ─▶ seal ─▶ propose
//! ```
//!
//! Must always hold: a shard is read and written on its leader alone, behind a read barrier or by a conditional command.
//! Nothing of a customer is kept between calls but keys, and those by the `keys` module.

mod command;
mod context;
mod fingerprint;
mod locks;
mod read;
mod reader;
mod record;
mod write;

pub(crate) use context::ShardContext;
pub(crate) use read::{CustomerRead, ProfileView, ReadAccess};
pub(crate) use reader::reader_for;
pub(crate) use record::{Loaded, StoredEvents};
pub(crate) use write::{Answered, Commit, CustomerState, CustomerWrite, Mutation, Origin};
