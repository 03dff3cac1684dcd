//! Tests that need to see inside: regressions of the Raft library's traps, laws of log and state machine.

mod dead_peer;
mod failed_node;
mod late_acknowledgement;
mod library_suite;
mod log;
mod machine;
mod refusals;
mod restart_guard;
mod snapshot_push;
