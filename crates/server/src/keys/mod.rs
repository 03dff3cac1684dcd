//! The keys of the shards that this node leads: found, created, cached and rotated.
//!
//! ```text
//! key of the entry                 revision         guard             payload
//! ShardKey  ‖ epoch                grows by one     the epoch in the key         WrappedKeys: that one key
//! BucketKey ‖ bucket               with every       epoch of the current key     WrappedKeys: current, and during
//! CustomerKey ‖ bucket ‖ customer  change of the    epoch of the current key       a rotation the one before
//!                                  entry's bytes
//! core, requests, events, ledger   the record's     the consents'                sealed under one of the keys of
//!   header.bucket = its bucket                                                     CustomerKey ‖ bucket ‖ customer
//! ```
//!
//! The guard of a key's entry is the *epoch of its current key*. So a command can be conditional on "nothing about this
//! entry changed" (`Revision`) or only on "this is still the key for new things" (`Guard`), and apply, which knows nothing
//! of keys, enforces either.
//!
//! # The rule that everything rests on
//!
//! **Whoever puts something that only key *k* opens makes the command conditional on *k* being current.** A sealed
//! value: on its customer's key. A wrapped customer key: on its bucket's key. A wrapped bucket key: on the shard key
//! (entry of epoch e present, entry of epoch e+1 absent; old entries are removed oldest first, so that means e is the
//! newest).
//!
//! # Rotating a key without a pause
//!
//! ```text
//!          ┌── begin ──┐        ┌─── rewrap ───┐        ┌── drop ──┐
//!  {1} ────┤ one       ├─ {2,1} ┤ batches of   ├─ {2,1} ┤ one      ├──── {2}
//!          │ command   │        │ children 1→2 │        │ command  │
//!          └───────────┘        └──────────────┘        └──────────┘
//! ```
//!
//! Begin puts a fresh key in front of the old one. From the log entry that applies it on, the rule rejects every command
//! that would leave a new child under key 1: the children under 1 only become fewer. Rewrap goes through all children
//! once; one that it finds under 1 is rewrapped (a key) or resealed (a value) under 2, in a command that is conditional
//! on that child being unchanged and on 2 being current. One pass is therefore enough, even though the scan is no
//! snapshot and others write meanwhile. Drop removes 1, conditional on 2 still being the current key. At every moment in
//! between, each child's key is in its parent's entry: a crash or a new leader at any point leaves everything readable,
//! and rotating again goes on where it stopped.
//!
//! The root key is not in the store: its rotation only rewraps the shard keys (`rotate_root`); before and after it the
//! operator changes the key file (see `FileRootKey`).
//!
//! # Does resealing a value change its revision?
//!
//! No. The revision is the etag that callers hold, and the content is the same; a reseal that raised it would refuse
//! their next update for nothing, and it would not even help: an append of events need not name the core's
//! revision. What must not happen is this: a writer loads key 1 and seals; the rotation reseals the record (same
//! revision) and drops key 1; the writer's command, conditional on that revision, is applied, and the record is lost.
//! It cannot: by the rule the writer's command is conditional on 1 being the current customer key, so it conflicts
//! from the *begin* of the rotation on, and the writer evaluates again with key 2. In the other order, the writer's
//! command changes the revision, so the reseal conflicts and reads again. The revision is in the additional data and
//! stays, so the resealed value opens in the same context. Rewrapping a customer key in a rotation of its bucket leaves
//! the customer's epoch alone, so it disturbs no writer of the customer.
//! Tests: `writer_with_the_old_customer_key_conflicts_from_the_begin_of_the_rotation`,
//! `customer_made_under_the_old_bucket_key_conflicts`, `rotation_of_a_customer_keeps_every_revision`.
//!
//! # No epoch twice
//!
//! An epoch of a place names one key for ever: that is why the cache may trust a match of epochs. Hence a key whose
//! customer is erased must leave its entry behind, empty and with the next epoch (`WrappedKeys::destroyed`), and a
//! key enters the cache only when it was read from the state, never when it was merely proposed.

mod blinding;
mod bucket_allocator;
mod cache;
mod entry;
mod error;
mod node_keys;
mod opened;
mod rewrap;
mod rotate;
mod rotate_customer;
mod shard_keys;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use blinding::{BlindingKeys, KnownBlindingKeys};
use cache::CustomerKeyCache;
pub(crate) use error::KeysError;
pub(crate) use node_keys::NodeKeys;
pub(crate) use opened::Opened;
pub(crate) use rotate::Rotated;
pub(crate) use shard_keys::ShardKeys;
use shard_keys::ShardKeysParts;
pub(crate) use writer::CustomerWriter;
