//! What one replica reports about its group.

use custodia_profile::{GroupId, NodeId, ReplicaId};

/// The leadership of a group, as one replica sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term.
    pub term: u64,
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// Whether this node leads. A new leader may still refuse for a moment, until a majority has answered it.
    pub leading: bool,
}

/// How far a replica's log and state have come: the last index of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogPosition {
    pub(crate) applied: Option<u64>,
    pub(crate) snapshot: Option<u64>,
    pub(crate) purged: Option<u64>,
}

/// The state of a group on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This node's replica of it.
    pub replica: ReplicaId,
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// Whether this node leads and a quorum has answered it within a lease.
    pub leading: bool,
    /// The term.
    pub term: u64,
    /// Index of the last log entry.
    pub last_log: Option<u64>,
    /// Index of the last applied entry.
    pub applied: Option<u64>,
    /// Of the leader: how many entries the slowest other replica has not stored.
    pub replication_lag: Option<u64>,
    /// Index of the last entry in the last snapshot.
    pub snapshot: Option<u64>,
    /// Index of the last purged log entry.
    pub purged: Option<u64>,
    /// The nodes that vote.
    pub voters: Vec<NodeId>,
    /// The nodes that follow without a vote.
    pub learners: Vec<NodeId>,
    /// Whether the replica is still running: it stops when its storage fails.
    pub running: bool,
}
