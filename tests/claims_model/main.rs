//! A model of the protocol by which customers gain and lose identifiers across shards, checked exhaustively (ID-2).
//! docs/identity.md has the protocol and its proof.
//!
//! ```text
//!   write of A                         entry of X                              record of B
//!   lock, load A's record ── claim ──▶ read ── another holder ── settle ─────▶ has X? ── yes ──▶ held: refused
//!                                                                              no: lock, fence ▶ free
//!   propose the record ◀── granted ─── put A, if it is as it was read ◀────────┘
//!      └─ applied; what it lost ── release ──▶ settle A, put nobody
//! ```
//!
//! What is modelled: two customers, two identifiers, the writes of the table, and one lookup of X at any moment. A step is one read
//! or one applied command; the steps of all processes come in every order. A fault ends the first members of a chain of calls
//! (write, claim, settling) between any two steps, and the rest goes on alone. That is a crash of a leader, a lost request, a
//! lost answer, a deadline, or a lost lock. A proposal whose proposer is gone is applied at any later moment, or never. A
//! wait for a lock may end at any moment: a write then gives up.
//!
//! What is not: Raft itself (a group is one copy that applies each command once), more than one holder, the removal of a record.
//!
//! | Scope | With locks and 2 faults | Without locks, 1 fault | Undisturbed |
//! |---|---|---|---|
//! | both claim X | 1 682 | 5 822 | 190 |
//! | both claim X and Y | 5 826 | 78 030 | 342 |
//! | A claims X twice, B once | 15 132 | 164 156 | 262 |
//! | A releases X, B claims it | 4 074 | 2 842 | 600 |
//! | A releases X and claims it again, B claims it | 96 401 | 118 445 (no lookup) | 5 169 |
//! | A replaces X by Y, B replaces Y by X | 13 491 | 9 795 | 2 160 |
//! | the same in two writes each | 308 624 (1 fault) | 226 338 (no lookup) | a deadlock |
//! | both claim X and Y, of which each had claimed one | 12 502 | 230 990 | a deadlock |
//!
//! The two deadlocks are waits for a lock, which impatience ends; so the columns with faults have none.
#![expect(clippy::indexing_slicing, reason = "two customers and two identifiers index arrays of two")]

mod checks;
mod lookup;
mod model;
mod process;
mod scopes;
mod state;

use std::process::ExitCode;

use custodia_tests::Suite;

fn main() -> ExitCode {
    Suite::default()
        .check(checks::two_claims_of_one_identifier)
        .check(checks::two_claims_of_two_identifiers)
        .check(checks::a_claim_and_one_that_is_repeated)
        .check(checks::a_claim_of_what_is_released)
        .check(checks::a_claim_of_what_is_released_and_claimed_again)
        .check(checks::two_customers_replace_their_identifiers_by_those_of_the_other)
        .check(checks::two_customers_exchange_identifiers)
        .check(checks::two_claims_of_what_earlier_writes_had_claimed)
        .check(checks::without_faults_one_of_two_claims_wins_and_neither_gives_up)
        .check(checks::without_faults_no_claim_of_what_is_released_gives_up)
        .check(checks::old_claims_let_two_writes_wait_for_each_other)
        .check(checks::without_a_fence_two_records_have_the_identifier)
        .check(checks::without_a_fence_of_customers_without_a_record_two_have_the_identifier)
        .check(checks::without_a_second_look_a_fence_lets_two_records_have_the_identifier)
        .check(checks::without_a_condition_on_the_record_two_have_the_identifier)
        .check(checks::without_a_condition_on_the_entry_two_records_have_the_identifier)
        .check(checks::without_a_claim_before_the_proposal_two_records_have_the_identifier)
        .check(checks::without_the_rewrite_by_a_claim_the_index_loses_the_identifier)
        .check(checks::without_the_revision_of_an_emptied_entry_the_index_loses_the_identifier)
        .check(checks::without_settling_its_customer_a_release_loses_the_identifier)
        .check(checks::without_asking_the_record_a_claim_of_the_dead_stays_forever)
        .check(checks::without_asking_the_record_a_lookup_answers_what_never_was)
        .check(checks::without_one_order_of_claims_two_writes_wait_for_each_other)
        .run()
}
