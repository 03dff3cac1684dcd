//! The directory: the nodes of the cluster, the shard map, and what the server stores beside them.
//!
//! It is the state of a Raft group of its own and consists of ordinary keyed values, written by ordinary commands. Every
//! node applies them, so every node reads the directory from memory.

mod cell;
mod record;
mod shape;
mod view;

pub(crate) use cell::DirectoryCell;
pub(crate) use record::{shape_key, write_node, write_shape, write_shard};
pub use shape::{ClusterShape, Placement, ShardPlacement};
pub use view::Directory;
