//! The checks: what holds in each scope, in how many states, and that no safeguard can be left out.

use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::model::{Claims, IN_THE_INDEX, LOOKUP_TRUE, NEVER_STUCK, NO_DEADLOCK, ONE_HOLDER, Scope};
use crate::scopes::{
    CLAIM, CLAIM_AGAIN, CLAIM_BOTH, EXCHANGE, OLD_CLAIMS, RELEASE, RELEASE_AND_CLAIM, REPLACE,
    all_are_answered, one_gains_all, undisturbed, without_locks, without_lookup,
};
use crate::state::Safeguards;

/// Visits every state of a scope. The number is that of the table in `main.rs`: a change of the model shows in it.
fn holds(scope: Scope, states: usize) {
    let checker = Claims { scope, safeguards: Safeguards::ALL }.checker().spawn_bfs().join();
    checker.assert_properties();
    assert_eq!(checker.unique_state_count(), states);
}

/// Finds a shortest counterexample.
fn fails(scope: Scope, safeguards: Safeguards, property: &'static str) {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = Claims { scope, safeguards }.checker().finish_when(until).spawn_bfs().join();
    checker.assert_any_discovery(property);
}

pub(crate) fn two_claims_of_one_identifier() {
    holds(CLAIM, 1_682);
    holds(without_locks(CLAIM), 5_822);
}

pub(crate) fn two_claims_of_two_identifiers() {
    holds(CLAIM_BOTH, 5_826);
    holds(without_locks(CLAIM_BOTH), 78_030);
}

pub(crate) fn a_claim_and_one_that_is_repeated() {
    holds(CLAIM_AGAIN, 15_132);
    holds(without_locks(CLAIM_AGAIN), 164_156);
}

pub(crate) fn a_claim_of_what_is_released() {
    holds(RELEASE, 4_074);
    holds(without_locks(RELEASE), 2_842);
}

pub(crate) fn a_claim_of_what_is_released_and_claimed_again() {
    holds(RELEASE_AND_CLAIM, 96_401);
    holds(without_lookup(without_locks(RELEASE_AND_CLAIM)), 118_445);
}

pub(crate) fn two_customers_replace_their_identifiers_by_those_of_the_other() {
    holds(REPLACE, 13_491);
    holds(without_locks(REPLACE), 9_795);
}

pub(crate) fn two_customers_exchange_identifiers() {
    holds(EXCHANGE, 308_624);
    holds(without_lookup(without_locks(EXCHANGE)), 226_338);
}

pub(crate) fn two_claims_of_what_earlier_writes_had_claimed() {
    holds(OLD_CLAIMS, 12_502);
    holds(without_locks(OLD_CLAIMS), 230_990);
}

pub(crate) fn without_faults_one_of_two_claims_wins_and_neither_gives_up() {
    holds(undisturbed(CLAIM, one_gains_all), 190);
    holds(undisturbed(CLAIM_BOTH, one_gains_all), 342);
    holds(undisturbed(CLAIM_AGAIN, one_gains_all), 262);
}

pub(crate) fn without_faults_no_claim_of_what_is_released_gives_up() {
    holds(undisturbed(RELEASE, all_are_answered), 600);
    holds(undisturbed(RELEASE_AND_CLAIM, all_are_answered), 5_169);
    holds(undisturbed(REPLACE, all_are_answered), 2_160);
}

/// Two writes wait for each other if each claims what an earlier write of the other had claimed. Impatience ends that: with it
/// the same scopes have no deadlock.
pub(crate) fn old_claims_let_two_writes_wait_for_each_other() {
    fails(undisturbed(OLD_CLAIMS, Vec::new), Safeguards::ALL, NO_DEADLOCK);
    fails(undisturbed(EXCHANGE, Vec::new), Safeguards::ALL, NO_DEADLOCK);
}

pub(crate) fn without_a_fence_two_records_have_the_identifier() {
    fails(CLAIM, Safeguards { fence: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_fence_of_customers_without_a_record_two_have_the_identifier() {
    fails(CLAIM, Safeguards { fence_without_record: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_second_look_a_fence_lets_two_records_have_the_identifier() {
    fails(CLAIM, Safeguards { fence_checks_again: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_condition_on_the_record_two_have_the_identifier() {
    fails(CLAIM, Safeguards { record_condition: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_condition_on_the_entry_two_records_have_the_identifier() {
    fails(CLAIM, Safeguards { entry_condition: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_a_claim_before_the_proposal_two_records_have_the_identifier() {
    fails(CLAIM, Safeguards { claim_before_propose: false, ..Safeguards::ALL }, ONE_HOLDER);
}

pub(crate) fn without_the_rewrite_by_a_claim_the_index_loses_the_identifier() {
    let safeguards = Safeguards { claim_rewrites: false, ..Safeguards::ALL };
    fails(RELEASE_AND_CLAIM, safeguards, IN_THE_INDEX);
    fails(without_locks(CLAIM), safeguards, ONE_HOLDER);
}

pub(crate) fn without_the_revision_of_an_emptied_entry_the_index_loses_the_identifier() {
    fails(RELEASE_AND_CLAIM, Safeguards { emptied_keeps_revision: false, ..Safeguards::ALL }, IN_THE_INDEX);
}

pub(crate) fn without_settling_its_customer_a_release_loses_the_identifier() {
    fails(RELEASE_AND_CLAIM, Safeguards { release_settles: false, ..Safeguards::ALL }, IN_THE_INDEX);
}

pub(crate) fn without_asking_the_record_a_claim_of_the_dead_stays_forever() {
    fails(CLAIM, Safeguards { claim_asks_record: false, ..Safeguards::ALL }, NEVER_STUCK);
}

pub(crate) fn without_asking_the_record_a_lookup_answers_what_never_was() {
    fails(CLAIM, Safeguards { lookup_asks_record: false, ..Safeguards::ALL }, LOOKUP_TRUE);
}

pub(crate) fn without_one_order_of_claims_two_writes_wait_for_each_other() {
    let safeguards = Safeguards { claim_in_order: false, ..Safeguards::ALL };
    fails(undisturbed(CLAIM_BOTH, all_are_answered), safeguards, NO_DEADLOCK);
}
