//! Whole-cluster behaviour: the sandbox that starts real nodes, and the suite that runs tests on them.
//!
//! Tests drive the cluster through its public gRPC API. Nothing in here reaches into a node: a test knows a node by its
//! answers, its log and its bytes on disk.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says why and stops"
)]

pub mod actions;
mod authority;
mod links;
mod node;
mod node_clocks;
mod oracle;
pub mod sample;
mod sandbox;
mod suite;

pub use authority::{Authority, Identity, Validity};
pub use links::Links;
pub use node::{Node, PATIENCE, binary, free_port};
pub use node_clocks::NodeClocks;
pub use oracle::Oracle;
pub use sandbox::{FAST_TIMING, Options, Sandbox, connect, custodia, endpoint, engine, eventually};
pub use suite::Suite;
