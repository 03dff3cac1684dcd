//! Customers found by what identifies them, on every node of one cluster (ID-1, ID-2, ID-3, PR-5), and customers who may be one
//! person (ID-4).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says why and stops; the kills print which steps they met"
)]

mod activity;
mod claims;
mod cleaning;
mod context;
mod duplicates;
mod kills;
mod lookup;
mod merge_kills;
mod merge_law;
mod merging;
mod namespaces;
mod people;
mod proposals;
mod rotation;
mod split;
#[path = "../stored_state.rs"]
#[expect(dead_code, reason = "what is stored is only read here")]
mod stored_state;
mod upsert;

use std::process::ExitCode;

use custodia_tests::{Options, Suite};

fn main() -> ExitCode {
    // Nothing fails over here: elections are as slow as in production, so that a busy machine causes none.
    let suite = Suite::sharing(Options { config: String::new(), ..Options::default() });
    let suite = duplicates::tests(claims::tests(lookup::tests(suite)));
    let suite = proposals::tests(merge_law::tests(merging::tests(suite)));
    let suite = split::tests(cleaning::tests(suite));
    let suite = activity::tests(suite);
    let suite = merge_kills::tests(kills::tests(upsert::tests(context::tests(suite))));
    rotation::tests(suite).run()
}
