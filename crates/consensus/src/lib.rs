//! Many Raft groups in one process, and the directory that says where they live.
//!
//! The Raft library is used in this crate only, and its types do not leave it: on disk and on the wire are records of our
//! own. Each layer may use those below it, never those above:
//!
//! ```text
//! consensus      the public interface
//! serve/         answers what other nodes send
//! served         the state of the replicas that run, for the server's reads
//! cluster/       the replicas of this node, elections, balance, lost partitions, creation of a cluster
//! replica/       one replica: start, propose, read barrier, rebuild
//! peers/         messages, calls, heartbeats, the Raft library's network
//! raft/          the Raft library's log, state machine and snapshots on our storage
//! directory/     nodes and shard map, in memory
//! command · lifecycle · options · format · timing · clock · transport · blocking · error
//! ```
//! `directory` lies below `raft`, because applying an entry renews the copy of it, and `peers` lies below `replica`, because
//! a replica is built on its network. What answers peers needs the replicas, so it is `serve`, above them.
//!
//! Known traps of the Raft library are avoided where they arise, each with its reason and a regression test: the restart
//! guard in `replica/mod.rs`, taking the first request in `peers/network.rs`, late answers in `peers/acknowledgements.rs`,
//! snapshots of entries that are already held in `serve/exchange.rs`.

mod blocking;
mod clock;
mod cluster;
mod command;
mod consensus;
mod directory;
mod error;
mod format;
mod lifecycle;
mod options;
mod peers;
mod raft;
mod replica;
mod serve;
mod served;
mod timing;
mod transport;

#[cfg(test)]
extern crate self as custodia_consensus;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod tests;

pub use command::{COMMAND_BYTES_MAX, Command, CommandBatch, Condition, Expected, Outcome, Write};
pub use consensus::Consensus;
pub use directory::{ClusterShape, Directory, Placement, ShardPlacement};
pub use error::{ConsensusError, Refusal};
pub use options::{ConsensusOptions, ReadMode};
pub use replica::{GroupStatus, Leadership, PROPOSALS_QUEUED_MAX, ReplicaState, StoppedReplica};
pub use served::ReadBarrier;
pub use timing::Timing;
pub use transport::{PEER_MESSAGE_BYTES_MAX, Peer, PeerTransport, TransportError};
