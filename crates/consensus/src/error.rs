//! Every way in which consensus can fail, with one variant for each condition that a caller can act on.
//!
//! What a caller may conclude about its proposal: [`ConsensusError::Timeout`] means *unknown*, it may still be applied.
//! Every other variant means that this call did not apply it.

use std::io;

use custodia_profile::{GroupId, NodeId, ReplicaId};
use custodia_store::StoreError;

use crate::transport::TransportError;

/// An error of consensus.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// This node does not lead the group.
    #[error("this node does not lead the group")]
    NotLeader {
        /// The leader, if this node knows one.
        leader: Option<NodeId>,
    },
    /// This node runs no replica of the group.
    #[error("this node runs no replica of {group}")]
    NoReplica {
        /// The requested group.
        group: GroupId,
    },
    /// A majority of the group did not answer; nothing was proposed or read.
    #[error("the group has no quorum")]
    NoQuorum,
    /// The deadline passed or leadership was lost meanwhile: the outcome is unknown.
    #[error("the outcome is unknown")]
    Timeout,
    /// The group's proposal queue is full.
    #[error("the proposal queue is full: {limit} proposals are waiting")]
    Overloaded {
        /// The capacity of the queue.
        limit: usize,
    },
    /// The command is larger than a log entry may be.
    #[error("the command has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest allowed size.
        limit: usize,
    },
    /// The command touches a key of another group, or one that replicas keep for themselves.
    #[error("the command touches a key that does not belong to {group}")]
    ForeignKey {
        /// The group to which the command was proposed.
        group: GroupId,
    },
    /// This node does not belong to a cluster yet.
    #[error("this node does not belong to a cluster yet")]
    NotInitialised,
    /// A node already belongs to a cluster or holds data.
    #[error("node {node} already belongs to a cluster or holds data")]
    AlreadyInitialised {
        /// The node.
        node: NodeId,
    },
    /// The cluster already exists with other parameters than those requested.
    #[error("the cluster already exists with other nodes, shards or replicas")]
    OtherShape,
    /// The requested nodes, shards or replicas cannot form a cluster.
    #[error("invalid cluster: {reason}")]
    InvalidShape {
        /// What is wrong.
        reason: &'static str,
    },
    /// Consensus on this node is shut down, or a storage failure stopped the group.
    #[error("consensus on this node has stopped")]
    Stopped,
    /// Storage failed.
    #[error("storage failed")]
    Store(#[from] StoreError),
    /// A part of consensus on this node panicked, or ended although nobody stopped it.
    #[error("{part} stopped unexpectedly")]
    PartFailed {
        /// The part.
        part: String,
    },
    /// The Raft library rejected its configuration or its stored state.
    #[error("the replica cannot start: {reason}")]
    Replica {
        /// The reason it gave.
        reason: String,
    },
    /// The engine holds the replica's state, but the log does not know the replica.
    #[error(
        "the log of {group} (replica {replica}) is missing: restore the folder `log`, or replace the node"
    )]
    LogLost {
        /// The group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// A call to another node failed before its answer came.
    #[error("the call to node {node} failed")]
    Peer {
        /// The node.
        node: NodeId,
        /// The reason.
        #[source]
        source: TransportError,
    },
    /// Another node refused a call.
    #[error("node {node} refused the call: {refusal}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Its reason.
        refusal: Refusal,
    },
    /// Bytes from disk or from another node could not be decoded.
    #[error("cannot decode {what}")]
    Malformed {
        /// What the bytes should have been.
        what: &'static str,
    },
}

/// The Raft library reports storage failures as I/O errors.
pub(crate) fn as_io(error: impl Into<ConsensusError>) -> io::Error {
    io::Error::other(error.into())
}

/// Why a node refuses a message from another node. The numbers are those on the wire and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error, prost::Enumeration)]
#[repr(i32)]
pub enum Refusal {
    /// The message is for another cluster.
    #[error("the message is for another cluster")]
    OtherCluster = 1,
    /// The sender's node id differs from the one that its connection proves.
    #[error("the sender's node id differs from the one in its certificate")]
    OtherNode = 2,
    /// The node does not run the replica that the message is for.
    #[error("the node does not run that replica")]
    NoReplica = 3,
    /// The sender's shard map is older than the replica's placement.
    #[error("the sender's shard map is too old")]
    OldMap = 4,
    /// The node already belongs to a cluster or holds data.
    #[error("the node already belongs to a cluster or holds data")]
    AlreadyInitialised = 5,
    /// The node cannot send the requested snapshot, or did not receive the offered one completely.
    #[error("the snapshot is unavailable")]
    NoSnapshot = 6,
    /// The bytes could not be decoded.
    #[error("the message is malformed")]
    Malformed = 7,
    /// The replica has stopped or failed.
    #[error("the replica has stopped")]
    Stopped = 8,
    /// The sender's longest election timeout differs from the node's: one would not keep the lease that the other relies on.
    #[error("the longest election timeout differs; it must be the same on every node")]
    OtherLease = 9,
    /// The node's clock has jumped, so it cannot tell whether a lease that it granted has ended.
    #[error("the node's clock has jumped; it votes again after one lease")]
    ClockJumped = 10,
}
