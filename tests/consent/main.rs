//! The law and its account through the API of one cluster: what is decided, and what can be shown about it later.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

mod account;
mod command;
mod law;

use std::process::ExitCode;

use custodia_tests::{Options, Suite};

fn main() -> ExitCode {
    // Nothing fails over here: elections are as slow as in production, so that a busy machine causes none.
    let suite = Suite::sharing(Options { config: String::new(), ..Options::default() });
    command::tests(account::tests(law::tests(suite))).run()
}
