//! The checks: what holds in each scope, in how many states, and that no safeguard can be left out.

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::model::{
    CLAIMABLE, IN_THE_INDEX, LOOKUP_TRUE, Merges, NAMED, NO_CIRCLE, NOTHING_LOST, ONE_HOLDER, Scope,
};
use crate::scopes::{
    MERGE_AND_CLAIM, MERGE_AND_NOTES, MERGE_AND_RELEASE, MERGE_AND_UNDO, MERGE_TWICE, OLD_CLAIM, OPPOSITE,
    UNDO_AND_CHAIN, UNDO_AND_CLAIM, UNDO_AND_CLAIMS, UNDO_AND_MERGE, UNDO_CHAIN, UNDO_GIVES_X, UNDO_TWICE,
    descending,
};
use crate::state::Safeguards;

/// Visits every state of a scope. The number is that of the table in `main.rs`: a change of the model shows in it.
fn holds(scope: Scope, states: usize) {
    let checker = Merges { scope, safeguards: Safeguards::ALL }.checker().spawn_bfs().join();
    checker.assert_properties();
    assert_eq!(checker.unique_state_count(), states);
}

/// Finds a shortest counterexample.
fn fails(scope: Scope, safeguards: Safeguards, property: &'static str) {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Merges { scope, safeguards }.checker().finish_when(until).spawn_bfs().join();
    checker.assert_any_discovery(property);
}

pub(crate) fn two_merges_at_once() {
    holds(MERGE_TWICE, 103_158);
}

pub(crate) fn a_merge_of_customers_who_are_written() {
    holds(MERGE_AND_NOTES, 2_812);
}

pub(crate) fn a_merge_and_a_claim_of_what_it_moves() {
    holds(MERGE_AND_CLAIM, 18_727);
}

pub(crate) fn a_merge_and_a_release_of_what_it_moves() {
    holds(MERGE_AND_RELEASE, 27_385);
}

pub(crate) fn two_merges_in_opposite_directions() {
    holds(OPPOSITE, 121_007);
}

pub(crate) fn a_merge_and_its_undoing() {
    holds(MERGE_AND_UNDO, 898);
}

pub(crate) fn a_merge_of_one_who_had_claimed() {
    holds(OLD_CLAIM, 41_244);
    holds(descending(OLD_CLAIM), 49_718);
}

pub(crate) fn an_undoing_and_a_claim_of_what_it_moves() {
    holds(UNDO_AND_CLAIM, 414);
}

pub(crate) fn two_undoings_at_once() {
    holds(UNDO_TWICE, 20_750);
}

pub(crate) fn an_undoing_and_a_merge_again() {
    holds(UNDO_AND_MERGE, 1_407);
}

pub(crate) fn an_undoing_and_claims_of_what_nobody_has() {
    holds(UNDO_AND_CLAIMS, 28_491);
    holds(descending(UNDO_AND_CLAIMS), 29_382);
}

pub(crate) fn an_undoing_that_gives_what_only_the_survivor_had_claimed() {
    holds(UNDO_GIVES_X, 1_138);
    holds(descending(UNDO_GIVES_X), 1_436);
}

pub(crate) fn an_undoing_while_the_survivor_is_merged() {
    holds(UNDO_AND_CHAIN, 4_325);
}

pub(crate) fn undoings_of_a_chain() {
    holds(UNDO_CHAIN, 2_112);
}

pub(crate) fn without_the_condition_on_the_other_customer_an_acknowledged_write_is_lost() {
    let safeguards = Safeguards { put_condition: false, ..Safeguards::ALL };
    fails(MERGE_AND_NOTES, safeguards, NOTHING_LOST);
    fails(MERGE_AND_RELEASE, safeguards, ONE_HOLDER);
}

pub(crate) fn without_the_condition_on_the_survivor_an_acknowledged_write_is_lost() {
    let safeguards = Safeguards { commit_condition: false, ..Safeguards::ALL };
    fails(MERGE_AND_NOTES, safeguards, NOTHING_LOST);
    fails(OPPOSITE, safeguards, NAMED);
}

pub(crate) fn without_the_condition_on_who_is_settled_two_live_records_have_the_identifier() {
    let safeguards = Safeguards { unpoint_condition: false, ..Safeguards::ALL };
    fails(MERGE_AND_NOTES, safeguards, NAMED);
    fails(MERGE_AND_RELEASE, safeguards, ONE_HOLDER);
}

pub(crate) fn without_the_condition_on_the_entry_two_records_have_the_identifier() {
    fails(UNDO_GIVES_X, Safeguards { entry_condition: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_the_order_of_archives_one_gets_back_what_was_released() {
    fails(UNDO_TWICE, Safeguards { newer_survivor_stays: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_fence_a_merge_comes_into_force_that_nobody_names() {
    let safeguards = Safeguards { settle_fences: false, ..Safeguards::ALL };
    fails(MERGE_AND_NOTES, safeguards, NAMED);
    fails(MERGE_TWICE, safeguards, NOTHING_LOST);
}

pub(crate) fn without_the_check_of_the_survivor_an_acknowledged_write_is_lost() {
    let safeguards = Safeguards { survivor_is_checked: false, ..Safeguards::ALL };
    fails(MERGE_AND_NOTES, safeguards, NOTHING_LOST);
    fails(UNDO_AND_CLAIM, safeguards, LOOKUP_TRUE);
}

pub(crate) fn without_a_survivor_who_is_nobodys_merges_lead_in_a_circle() {
    fails(OPPOSITE, Safeguards { merged_survivor_refused: false, ..Safeguards::ALL }, NO_CIRCLE);
}

pub(crate) fn without_a_pointer_before_the_undoing_the_index_loses_the_identifier() {
    fails(UNDO_GIVES_X, Safeguards { undoing_points: false, ..Safeguards::ALL }, IN_THE_INDEX);
}

pub(crate) fn without_following_pointers_two_records_have_the_identifier() {
    fails(MERGE_AND_CLAIM, Safeguards { claim_follows: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_settling_all_pointers_two_records_have_the_identifier() {
    fails(OLD_CLAIM, Safeguards { claim_settles_all: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_the_pointers_that_lead_to_the_claimant_two_records_have_the_identifier() {
    let safeguards = Safeguards { claim_keeps_own: false, ..Safeguards::ALL };
    fails(MERGE_AND_UNDO, safeguards, IN_THE_INDEX);
    fails(MERGE_AND_UNDO, safeguards, ONE_HOLDER);
}

pub(crate) fn without_a_look_behind_a_dead_merge_the_survivor_is_refused_forever() {
    fails(MERGE_AND_RELEASE, Safeguards { claim_looks_behind: false, ..Safeguards::ALL }, CLAIMABLE);
}
