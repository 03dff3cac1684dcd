//! Customers found by what identifies them, on every node of one cluster (ID-1, ID-2, ID-3, PR-5).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says why and stops; the kills print which steps they met"
)]

mod claims;
mod context;
mod kills;
mod lookup;
mod merge_kills;
mod merge_law;
mod merging;
mod namespaces;
mod upsert;

use std::process::ExitCode;

use custodia_tests::{Options, Suite};

fn main() -> ExitCode {
    // Nothing fails over here: elections are as slow as in production, so that a busy machine causes none.
    let suite = Suite::sharing(Options { config: String::new(), ..Options::default() });
    let suite = merge_law::tests(merging::tests(claims::tests(lookup::tests(suite))));
    merge_kills::tests(kills::tests(upsert::tests(context::tests(suite)))).run()
}
