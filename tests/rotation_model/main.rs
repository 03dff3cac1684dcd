//! A model of the rotation of the blinding key while customers gain and lose an identifier and others look it up, checked
//! exhaustively (ID-2, SE-1). docs/identity.md has the protocol and its proof.
//!
//! What is modelled: two customers on two shards, one identifier with an entry under each of two keys, writes that gain or lose it, a
//! lookup, and whoever rotates. A step is one read or one applied command; the steps of all come in every order, and each may be slower
//! than all others, so a call that has died is one that makes no more steps. Nobody waits for a lock. Who fills a shard may die
//! between any two steps. A lookup may be on a node that has heard of no rotation.
//!
//! | Scope | Entries under the old and the new key | States |
//! |---|---|---|
//! | A gains it, a lookup; a write is tried again after a conflict | on A's shard, on B's | 34 156 |
//! | | on B's, on A's | 35 176 |
//! | A and B want it | on A's, on B's | 109 532 |
//! | | both on A's | 106 372 |
//! | A loses it, B gains it, a lookup | on A's, on B's | 366 691 |
//!
//! What is not: merges, shared identifiers, the blocking keys of duplicates, more than one rotation, and Raft itself (a group is one
//! copy that applies each command once).
#![expect(clippy::indexing_slicing, reason = "two customers, shards and keys index arrays of two")]

mod checks;
mod lookup;
mod model;
mod state;
mod write;

use std::process::ExitCode;

use custodia_tests::Suite;

fn main() -> ExitCode {
    Suite::default()
        .check(checks::one_claim_and_a_lookup)
        .check(checks::one_claim_and_a_lookup_with_the_entries_elsewhere)
        .check(checks::two_claims_of_one_identifier)
        .check(checks::two_claims_with_both_entries_on_one_shard)
        .check(checks::a_claim_and_a_lookup_of_what_is_given_back)
        .check(checks::without_claims_under_the_old_key_two_records_have_the_identifier)
        .check(checks::without_claims_under_the_new_key_it_does_not_name_the_holder)
        .check(checks::without_the_stage_as_a_condition_of_the_record_a_slow_write_is_missed)
        .check(checks::without_the_stage_as_a_condition_of_the_entry_an_old_one_is_left)
        .check(checks::without_filling_a_holder_is_missed)
        .check(checks::without_filling_after_the_stage_was_raised_a_holder_is_missed)
        .check(checks::without_waiting_for_all_to_be_filled_a_lookup_misses_the_holder)
        .check(checks::without_waiting_for_all_to_have_switched_a_lookup_misses_the_holder)
        .check(checks::without_a_refusal_a_late_node_misses_the_holder)
        .check(checks::without_reading_the_stage_after_the_entry_a_lookup_misses_the_holder)
        .run()
}
