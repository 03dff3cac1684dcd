//! The rotation of the blinding key: a new key for the indexes of identifiers and of duplicates, while both are in use.
//! docs/identity.md has the protocol and its proof.
//!
//! ```text
//! directory   {1} ──▶ {1,2} ─────────────────────────────────────────────────────────────────▶ {2}
//! each shard          filling 2 ─────▶ filled 2 ─ all ─▶ switched 2 ─ all ─▶ dropping 1 ─▶ dropped 1
//!   its customers'    under 1 and 2    1 and 2           1 and 2             2              2
//!   claims are
//!   lookups here      by 1             1                 2                   2              2
//!   are answered
//! ```
//! | File | Owns |
//! |---|---|
//! | `stage` | how far a shard is: stored in the shard, and a condition of what relies on it |
//! | `blinded` | an identifier with the epoch of the key that it is blinded by |
//! | `fill`, `drop` | the steps on the leader of a shard |
//! | `ask` | the calls to the leaders |
//! | `drive` | what the next step is |
//!
//! Must always hold: a shard goes on to *switched* only after all are *filled*, and to *dropping* only after all have
//! *switched*. Every command that rests on a shard's stage has it as a condition, so a node that is behind changes nothing.

mod ask;
mod blinded;
mod drive;
mod drop;
mod fill;
mod stage;

pub(crate) use ask::answer_rotation_call;
pub(crate) use blinded::Blinded;
pub(crate) use stage::{BlindingPhase, StoredStage};
