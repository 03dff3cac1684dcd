//! Owns the ids of where data is kept: Raft groups, shards and their slots, nodes, replicas, residency pools.

mod group;
mod node;
mod pool;
mod replica;
mod shard;
mod slot;

pub use group::GroupId;
pub use node::NodeId;
pub use pool::PoolId;
pub use replica::ReplicaId;
pub use shard::ShardId;
pub use slot::SlotId;

use super::number_id;
