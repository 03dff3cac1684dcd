//! A model of the protocol by which two customers become one, and two again, across shards, checked exhaustively (ID-4).
//! docs/identity.md has the protocol and its proof. `tests/claims_model` is the model of claims without merges.
//!
//! ```text
//!   merge of L into S                    record of L                  whoever meets L
//!   load S ── read ────────────────────▶ L                            does S list the merge?
//!   put: L names S and the merge ──────▶ if it is as it was read        yes ─▶ go on with S
//!   commit S, if it is as it was loaded                                 no: fence S ─▶ L is a customer again, if as it was read
//! ```
//!
//! What is modelled: three customers L, S and T, one identifier, merges and undoings, writes that are redirected, claims that follow
//! merges, and one lookup. A step is one read or one applied command; the steps of all calls come in every order. There are no locks,
//! as if each were lost at once. Every call may be slower than all others, so one that dies, whose request or answer is lost, or whose
//! proposal is applied late, is one that makes no more steps, or late ones: what holds in every state holds then too. In every state
//! each customer can be written, X be claimed, and S and L be merged if they are apart, by a call that runs alone from there.
//!
//! What is not: Raft itself (a group is one copy that applies each command once), identifiers that several customers share, events,
//! consents, the removal of a record.
//!
//! | Scope | States |
//! |---|---|
//! | S and L are merged twice at once, L is written | 103 158 |
//! | merged, both are written | 2 812 |
//! | merged, T claims X | 18 727 |
//! | merged, L releases X, T claims it | 27 385 |
//! | merged in both directions, L is written | 121 007 |
//! | merged and undone, S claims X | 898 |
//! | merged after L had claimed X in vain, S and T claim it | 41 244, with the ids in the opposite order 49 718 |
//! | undone, T claims X | 414 |
//! | undone twice at once, S releases X, T claims it | 20 750 |
//! | undone and merged again, L is written | 1 407 |
//! | undone, X is claimed for L and by T | 28 491, with the ids in the opposite order 29 382 |
//! | undone so that L gets X, T claims it | 1 138, with the ids in the opposite order 1 436 |
//! | undone while S is merged into T, X is released | 4 325 |
//! | both merges of a chain are undone, L is written | 2 112 |
#![expect(clippy::indexing_slicing, reason = "three customers index an array of three")]

mod checks;
mod claim;
mod lookup;
mod merge;
mod model;
mod path;
mod process;
mod scopes;
mod state;
mod write;

use std::process::ExitCode;

use custodia_tests::Suite;

fn main() -> ExitCode {
    Suite::default()
        .check(checks::two_merges_at_once)
        .check(checks::a_merge_of_customers_who_are_written)
        .check(checks::a_merge_and_a_claim_of_what_it_moves)
        .check(checks::a_merge_and_a_release_of_what_it_moves)
        .check(checks::two_merges_in_opposite_directions)
        .check(checks::a_merge_and_its_undoing)
        .check(checks::a_merge_of_one_who_had_claimed)
        .check(checks::an_undoing_and_a_claim_of_what_it_moves)
        .check(checks::two_undoings_at_once)
        .check(checks::an_undoing_and_a_merge_again)
        .check(checks::an_undoing_and_claims_of_what_nobody_has)
        .check(checks::an_undoing_that_gives_what_only_the_survivor_had_claimed)
        .check(checks::an_undoing_while_the_survivor_is_merged)
        .check(checks::undoings_of_a_chain)
        .check(checks::without_the_condition_on_the_other_customer_an_acknowledged_write_is_lost)
        .check(checks::without_the_condition_on_the_survivor_an_acknowledged_write_is_lost)
        .check(checks::without_the_condition_on_who_is_settled_two_live_records_have_the_identifier)
        .check(checks::without_the_condition_on_the_entry_two_records_have_the_identifier)
        .check(checks::without_the_order_of_archives_one_gets_back_what_was_released)
        .check(checks::without_a_fence_a_merge_comes_into_force_that_nobody_names)
        .check(checks::without_the_check_of_the_survivor_an_acknowledged_write_is_lost)
        .check(checks::without_a_survivor_who_is_nobodys_merges_lead_in_a_circle)
        .check(checks::without_a_pointer_before_the_undoing_the_index_loses_the_identifier)
        .check(checks::without_following_pointers_two_records_have_the_identifier)
        .check(checks::without_settling_all_pointers_two_records_have_the_identifier)
        .check(checks::without_the_pointers_that_lead_to_the_claimant_two_records_have_the_identifier)
        .check(checks::without_a_look_behind_a_dead_merge_the_survivor_is_refused_forever)
        .run()
}
