//! ClusterService: for operators, and for clients that call the leaders directly.

mod clocks;
mod init_cluster;
mod list_shards;
mod nodes;
mod rotate_keys;
mod status;
mod verify_shard;

pub(crate) use clocks::keep_clocks;
pub(crate) use nodes::own_facts;
