//! The keys of the shards that this node leads: found, made, cached and turned.
//!
//! ```text
//! key of the entry                 revision         guard             payload
//! ShardKey  ‖ epoch                grows by one     the epoch in the key         WrappedKeys: that one key
//! BucketKey ‖ bucket               with every       epoch of the current key     WrappedKeys: current, and while
//! CustomerKey ‖ bucket ‖ customer  change of the    epoch of the current key       it is turned the one before
//!                                  entry's bytes
//! core, requests, events, ledger   the record's     the consents'                sealed under one of the keys of
//!   header.bucket = its bucket                                                     CustomerKey ‖ bucket ‖ customer
//! ```
//!
//! An entry of a key is no customer record; its guard holds the *epoch of its current key*. So a command can be
//! conditional on "nothing about this entry changed" (`Revision`) or just on "this is still the key for new things"
//! (`ConsentRevision`), and apply, which knows nothing of keys, enforces either.
//!
//! # The rule that everything rests on
//!
//! **Whoever puts something that only key *k* opens makes the command conditional on *k* being current.** A sealed
//! value: on its customer's key. A wrapped customer key: on its bucket's key. A wrapped bucket key: on the shard key
//! (entry of epoch e there, entry of epoch e+1 absent; old entries go oldest first, so that means e is the newest).
//!
//! # Turning a key without a pause
//!
//! ```text
//!          ┌── begin ──┐        ┌── carry over ──┐        ┌── drop ──┐
//!  {1} ────┤ one       ├─ {2,1} ┤ batches of     ├─ {2,1} ┤ one      ├──── {2}
//!          │ command   │        │ children 1 → 2 │        │ command  │
//!          └───────────┘        └────────────────┘        └──────────┘
//! ```
//!
//! Begin puts a fresh key in front of the old one. From the log entry that applies it on, the rule lets no command
//! pass any more that would leave a new child under key 1: the children under 1 only become fewer. Carry over goes
//! through all children once; one that it meets under 1 is rewrapped (a key) or resealed (a value) under 2, in a
//! command that is conditional on that child being unchanged and on 2 being current. One pass is therefore enough,
//! even though the scan is no snapshot and although others write meanwhile. Drop takes 1 away, conditional on 2 still
//! being the current key. At every moment in between, each child's key is in its parent's entry:
//! a crash or a new leader at any point leaves everything readable, and turning again goes on where it stopped.
//!
//! The root is not in the store: its turn is to carry over the shard keys (`turn_root`); before and after it the
//! operator changes the key file (see `FileRootKey`).
//!
//! # Does resealing a value change its revision?
//!
//! No. The revision is the etag that callers hold, and the content is the same; a reseal that bumped it would refuse
//! their next update for nothing, and it would not even help: an append of events need not name the core's
//! revision. What must not happen is this: a writer loads key 1 and seals; the turn reseals the record (same
//! revision) and drops key 1; the writer's command, conditional on that revision, is applied, and the record is lost.
//! It can't: by the rule the writer's command is conditional on 1 being the current customer key, so it conflicts
//! from the *begin* of the turn on; the writer evaluates again with key 2. In the other order, the writer's command
//! changes the revision, so the reseal conflicts and reads again. The revision is in the additional data and stays,
//! so the resealed value opens in the same context. Rewrapping a customer key in a turn of its bucket leaves the
//! customer's epoch alone, hence no writer of the customer is disturbed by it.
//! Tests: `writer_with_the_old_customer_key_conflicts_from_the_begin_of_the_turn`,
//! `customer_made_under_the_old_bucket_key_conflicts`, `turn_of_a_customer_keeps_every_revision`.
//!
//! # No epoch twice
//!
//! An epoch of a place names one key for ever: that is why the cache may trust a match of epochs. Hence a key whose
//! customer is erased must leave its entry behind, empty and with the next epoch (`WrappedKeys::destroyed`), and a
//! key enters the cache only when it was read from the state, never when it was merely proposed.

mod cache;
mod carry;
mod entry;
mod error;
mod filling;
mod opened;
mod shard_keys;
mod turn;
mod turn_customer;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use cache::CustomerKeyCache;
pub(crate) use error::KeysError;
pub(crate) use opened::Opened;
pub(crate) use shard_keys::{ShardKeys, ShardKeysParts};
pub(crate) use turn::Turned;
pub(crate) use writer::CustomerWriter;
