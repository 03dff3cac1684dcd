//! Many Raft groups in one process, and the directory that says where they live.
//!
//! The Raft library is used in this crate alone and nothing of it shows outside. On disk and on the wire are records of
//! our own. What the library is known to get wrong, and the cure, stands where the cure is: the restart guard in
//! `replica.rs`, the pulled first request in `network.rs`, the late answer in `in_flight.rs`, the snapshot of what is held in
//! `service/exchange.rs`, each with a regression test.

mod bootstrap;
mod command;
mod consensus;
mod directory;
mod error;
mod heartbeat;
mod in_flight;
mod log;
mod machine;
mod message;
mod network;
mod node;
mod passed;
mod placement;
mod proposer;
mod rebuild;
mod record;
mod replica;
mod service;
mod snapshot;
mod supervisor;
mod timing;
mod transport;
mod types;

#[cfg(test)]
extern crate self as custodia_consensus;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod dead_peer_tests;
#[cfg(test)]
mod failed_node_tests;
#[cfg(test)]
mod late_answer_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod push_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod suite_tests;

pub use command::{COMMAND_BYTES_MAX, Command, CommandBatch, Condition, Expected, Outcome, Write};
pub use consensus::{Consensus, ConsensusOptions};
pub use directory::{ClusterShape, Directory, Placement, ShardPlacement};
pub use error::{ConsensusError, Refusal};
pub use proposer::PROPOSALS_QUEUED_MAX;
pub use replica::{GroupStatus, Leadership};
pub use timing::Timing;
pub use transport::{PEER_MESSAGE_BYTES_MAX, Peer, PeerTransport, TransportError};
