//! Kill -9: this binary starts itself as the process that is killed. It is separate from `tests/store`, because a process that
//! is being forked holds copies of every open file, lock files included, until it executes its own program.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panic, and a child process reports on its standard output"
)]

use std::process::{Child, Command};

use parking_lot::RwLock;

mod engine;
mod log;
#[path = "../store/model.rs"]
mod model;
#[path = "../store/random.rs"]
mod random;

/// Held for reading while lock files are open in this process.
static SPAWN: RwLock<()> = RwLock::new(());

fn spawn(command: &mut Command) -> Child {
    let _no_open_locks = SPAWN.write();
    command.spawn().unwrap()
}
