//! The checks: what holds in each scope, in how many states, and that no safeguard can be left out.

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::model::{LOOKUP_TRUE, NEW_COMPLETE, OLD_COMPLETE, OLD_GONE, ONE_HOLDER, Rotation, Scope};
use crate::state::{Customer, Safeguards};
use crate::write::Wish;

const A_GAINS: (Customer, Wish) = (Customer::A, Wish::Gain);
const A_LOSES: (Customer, Wish) = (Customer::A, Wish::Lose);
const B_GAINS: (Customer, Wish) = (Customer::B, Wish::Gain);

/// A wants the identifier; somebody looks it up.
const ONE_GAINS: Scope = Scope { held: false, writes: &[A_GAINS], placed: [0, 1], tries: 1, lookup: true };
/// Both want it.
const BOTH_GAIN: Scope =
    Scope { held: false, writes: &[A_GAINS, B_GAINS], placed: [0, 1], tries: 0, lookup: false };
/// A has it and gives it back, B wants it, somebody looks it up.
const HANDED_ON: Scope =
    Scope { held: true, writes: &[A_LOSES, B_GAINS], placed: [0, 1], tries: 0, lookup: true };
/// The same with the entries on other shards.
const fn placed(scope: Scope, placed: [usize; 2]) -> Scope {
    Scope { placed, ..scope }
}

/// Visits every state of a scope. The number is that of the table in `main.rs`: a change of the model shows in it.
fn holds(scope: Scope, states: usize) {
    let checker = Rotation { scope, safeguards: Safeguards::ALL }.checker().spawn_bfs().join();
    checker.assert_properties();
    assert_eq!(checker.unique_state_count(), states, "{scope:?}");
}

/// Finds a shortest counterexample.
fn fails(scope: Scope, safeguards: Safeguards, property: &'static str) {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Rotation { scope, safeguards }.checker().finish_when(until).spawn_bfs().join();
    checker.assert_any_discovery(property);
}

pub(crate) fn one_claim_and_a_lookup() {
    holds(ONE_GAINS, 34_156);
}

pub(crate) fn one_claim_and_a_lookup_with_the_entries_elsewhere() {
    holds(placed(ONE_GAINS, [1, 0]), 35_176);
}

pub(crate) fn two_claims_of_one_identifier() {
    holds(BOTH_GAIN, 109_532);
}

pub(crate) fn two_claims_with_both_entries_on_one_shard() {
    holds(placed(BOTH_GAIN, [0, 0]), 106_372);
}

pub(crate) fn a_claim_and_a_lookup_of_what_is_given_back() {
    holds(HANDED_ON, 366_691);
}

pub(crate) fn without_claims_under_the_old_key_two_records_have_the_identifier() {
    let safeguards = Safeguards { claims_under_old: false, ..Safeguards::ALL };
    fails(BOTH_GAIN, safeguards, ONE_HOLDER);
    fails(BOTH_GAIN, safeguards, OLD_COMPLETE);
}

pub(crate) fn without_claims_under_the_new_key_it_does_not_name_the_holder() {
    let safeguards = Safeguards { claims_under_new: false, ..Safeguards::ALL };
    fails(BOTH_GAIN, safeguards, NEW_COMPLETE);
    fails(BOTH_GAIN, safeguards, ONE_HOLDER);
}

pub(crate) fn without_the_stage_as_a_condition_of_the_record_a_slow_write_is_missed() {
    let safeguards = Safeguards { record_names_stage: false, ..Safeguards::ALL };
    fails(BOTH_GAIN, safeguards, NEW_COMPLETE);
    fails(ONE_GAINS, safeguards, LOOKUP_TRUE);
}

pub(crate) fn without_the_stage_as_a_condition_of_the_entry_an_old_one_is_left() {
    fails(BOTH_GAIN, Safeguards { entry_names_stage: false, ..Safeguards::ALL }, OLD_GONE);
}

pub(crate) fn without_filling_a_holder_is_missed() {
    let safeguards = Safeguards { fills: false, ..Safeguards::ALL };
    fails(HANDED_ON, safeguards, NEW_COMPLETE);
    fails(HANDED_ON, safeguards, LOOKUP_TRUE);
    fails(HANDED_ON, safeguards, ONE_HOLDER);
}

pub(crate) fn without_filling_after_the_stage_was_raised_a_holder_is_missed() {
    let safeguards = Safeguards { fills_after_raise: false, ..Safeguards::ALL };
    fails(BOTH_GAIN, safeguards, NEW_COMPLETE);
}

pub(crate) fn without_waiting_for_all_to_be_filled_a_lookup_misses_the_holder() {
    let safeguards = Safeguards { switch_waits: false, ..Safeguards::ALL };
    fails(placed(HANDED_ON, [1, 0]), safeguards, LOOKUP_TRUE);
}

pub(crate) fn without_waiting_for_all_to_have_switched_a_lookup_misses_the_holder() {
    let safeguards = Safeguards { drop_waits: false, ..Safeguards::ALL };
    fails(placed(ONE_GAINS, [1, 0]), safeguards, LOOKUP_TRUE);
}

pub(crate) fn without_a_refusal_a_late_node_misses_the_holder() {
    let safeguards = Safeguards { refuses_old_lookups: false, ..Safeguards::ALL };
    fails(ONE_GAINS, safeguards, LOOKUP_TRUE);
}

pub(crate) fn without_reading_the_stage_after_the_entry_a_lookup_misses_the_holder() {
    let safeguards = Safeguards { stage_after_entry: false, ..Safeguards::ALL };
    fails(HANDED_ON, safeguards, LOOKUP_TRUE);
}
