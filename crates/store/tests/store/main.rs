//! The behaviour of the store as its users see it, crashes and damage included.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panic, and a child process reports on its standard output"
)]

mod engine_conformance;
mod engine_corruption;
mod engine_journal;
mod engine_open;
mod engine_power_cut;
mod image;
mod install;
mod log_behaviour;
mod log_damage;
mod model;
mod partitions;
mod random;
mod subjects;
