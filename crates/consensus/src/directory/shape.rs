//! The shape of a cluster: how many shards it has, and where their replicas are placed.

use std::ops::RangeInclusive;

use custodia_profile::{NodeId, ReplicaId, ShardId, SlotId};
use custodia_seal::ClusterId;

/// One replica of a shard and the node that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placement {
    /// The replica id, never reused.
    pub replica: ReplicaId,
    /// The node that holds it.
    pub node: NodeId,
}

/// A shard and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlacement {
    /// The shard.
    pub shard: ShardId,
    /// The slots that it owns.
    pub slots: RangeInclusive<SlotId>,
    /// Its replicas.
    pub replicas: Vec<Placement>,
    /// The node that should lead it while that node is healthy.
    pub preferred: NodeId,
    /// The map version of this placement.
    pub since: u64,
}

impl ShardPlacement {
    /// The replica on a node, if there is one.
    #[must_use]
    pub fn replica_on(&self, node: NodeId) -> Option<ReplicaId> {
        self.replicas.iter().find(|placement| placement.node == node).map(|placement| placement.replica)
    }
}

/// The cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterShape {
    /// The cluster id.
    pub cluster: ClusterId,
    /// The number of shards, fixed when the cluster is created.
    pub shards: u16,
    /// The number of replicas of each shard.
    pub replicas: u8,
    /// The id of the next new replica.
    pub next_replica: u64,
    /// Incremented by every change of nodes or shards.
    pub map_version: u64,
}
