//! The API on every node of one cluster: each test calls nodes that lead the customer's shard and nodes that do not.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

mod activity;
mod bad_input;
mod blindness;
mod catalogue;
mod clocks;
mod contact;
mod data_subjects;
mod decisions;
mod namespaces;
mod preferences;
mod profiles;
mod requests;
mod withdraw_all;

use std::process::ExitCode;

use custodia_tests::{Options, Suite};

fn main() -> ExitCode {
    // Nothing fails over here: elections are as slow as in production, so that a busy machine causes none.
    let suite = Suite::sharing(Options { config: String::new(), ..Options::default() });
    let suite = requests::tests(profiles::tests(suite));
    let suite = preferences::tests(contact::tests(suite));
    let suite = data_subjects::tests(decisions::tests(suite));
    let suite = namespaces::tests(catalogue::tests(bad_input::tests(suite)));
    let suite = blindness::tests(clocks::tests(suite));
    activity::tests(withdraw_all::tests(suite)).run()
}
