//! Owns the ids of where data is kept: Raft groups, shards and their slots, nodes and their addresses, replicas, residency pools.

mod address;
mod group;
mod node;
mod pool;
mod replica;
mod shard;
mod slot;

pub use address::{NodeAddress, NodeAddressError};
pub use group::GroupId;
pub use node::NodeId;
pub use pool::PoolId;
pub use replica::ReplicaId;
pub use shard::ShardId;
pub use slot::SlotId;

use super::number_id;
