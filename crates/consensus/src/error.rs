//! Every way in which consensus can fail, one variant for each condition a caller can act on.
//!
//! What a caller may conclude about a proposal: [`ConsensusError::Timeout`] means *unknown*, it may still be applied;
//! every other variant means that it was not applied by this call.

use custodia_profile::{GroupId, NodeId, ReplicaId};
use custodia_store::StoreError;

use crate::transport::TransportError;

/// What went wrong in consensus.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// Another node leads the group, or nobody is known to.
    #[error("this node does not lead the group")]
    NotLeader {
        /// Who leads it, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// This node holds no running replica of the group.
    #[error("this node holds no replica of {group}")]
    NoReplica {
        /// The group that was asked for.
        group: GroupId,
    },
    /// A majority of the group does not answer; nothing was proposed or read.
    #[error("the group has no quorum")]
    NoQuorum,
    /// The deadline passed, or leadership was lost on the way: the outcome is unknown.
    #[error("the outcome is unknown")]
    Timeout,
    /// Too many proposals wait in the group's queue.
    #[error("more than {limit} proposals wait in the queue")]
    Overloaded {
        /// The length of the queue.
        limit: usize,
    },
    /// A command is larger than a log entry may be.
    #[error("the command has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// A command touches a key that is not the group's, or the group's own bookkeeping.
    #[error("a key of the command does not belong to {group}")]
    ForeignKey {
        /// The group that it was proposed to.
        group: GroupId,
    },
    /// The node is not part of a cluster yet.
    #[error("the node is not part of a cluster yet")]
    NotInitialised,
    /// A node is already part of a cluster, or holds data.
    #[error("node {node} already belongs to a cluster or holds data")]
    AlreadyInitialised {
        /// Which node.
        node: NodeId,
    },
    /// The cluster was asked for with other parameters than it already has.
    #[error("the cluster exists with other nodes, shards or replicas")]
    OtherShape,
    /// The nodes, shards or replicas asked for make no cluster.
    #[error("not a valid cluster: {reason}")]
    InvalidShape {
        /// What is wrong.
        reason: &'static str,
    },
    /// Consensus on this node is shut down, or the group was stopped by a failure of storage.
    #[error("consensus is stopped")]
    Stopped,
    /// Storage failed.
    #[error("storage failed")]
    Store(#[from] StoreError),
    /// A part of consensus on this node panicked, or ended by itself.
    #[error("{part} broke off")]
    BrokenOff {
        /// Which part.
        part: String,
    },
    /// The Raft library refused its configuration or its stored state.
    #[error("the replica cannot start: {reason}")]
    Replica {
        /// What it said.
        reason: String,
    },
    /// The engine holds a replica's state, and the log knows nothing of the replica.
    #[error(
        "the log of {group} (replica {replica}) is gone: bring the folder `log` back, or replace the node"
    )]
    LogLost {
        /// Its group.
        group: GroupId,
        /// The replica.
        replica: ReplicaId,
    },
    /// Another node could not be reached.
    #[error("node {node} cannot be reached")]
    Peer {
        /// Which node.
        node: NodeId,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// Another node refused a call.
    #[error("node {node} refused: {refusal}")]
    Refused {
        /// Which node.
        node: NodeId,
        /// Its answer.
        refusal: Refusal,
    },
    /// Bytes from the disk or from another node cannot be read.
    #[error("cannot read {what}")]
    Malformed {
        /// Which kind of bytes.
        what: &'static str,
    },
}

/// Why a node refuses a message of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The message is for another cluster.
    #[error("it is for another cluster")]
    OtherCluster,
    /// The sender says it is another node than its connection proves.
    #[error("its sender is not who it says")]
    OtherNode,
    /// The node does not run the replica that the message is for.
    #[error("the replica is not here")]
    NoReplica,
    /// The sender's map is older than the placement of the replica.
    #[error("it was sent under a map that is too old")]
    OldMap,
    /// The node already belongs to a cluster or holds data.
    #[error("the node already belongs to a cluster or holds data")]
    AlreadyInitialised,
    /// The node cannot serve the snapshot that was asked for.
    #[error("no such snapshot here")]
    NoSnapshot,
    /// The bytes cannot be read.
    #[error("the message is malformed")]
    Malformed,
    /// The replica is stopped or failed.
    #[error("the replica is stopped")]
    Stopped,
    /// The sender's longest election timeout is not the node's: a lease that one counts on, the other would not keep.
    #[error("its longest election timeout is another; it must be the same on every node")]
    OtherLease,
}

impl Refusal {
    const ALL: [Self; 9] = [
        Self::OtherCluster,
        Self::OtherNode,
        Self::NoReplica,
        Self::OldMap,
        Self::AlreadyInitialised,
        Self::NoSnapshot,
        Self::Malformed,
        Self::Stopped,
        Self::OtherLease,
    ];

    /// Its number on the wire; never reused.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::OtherCluster => 1,
            Self::OtherNode => 2,
            Self::NoReplica => 3,
            Self::OldMap => 4,
            Self::AlreadyInitialised => 5,
            Self::NoSnapshot => 6,
            Self::Malformed => 7,
            Self::Stopped => 8,
            Self::OtherLease => 9,
        }
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.number() == number)
    }
}
