//! Owns the id of a node: a member of the cluster, at least 1.

use super::number_id;

number_id! {
    /// A node of the cluster.
    pub struct NodeId(u32), as_u32, 1.., "node_id": "at least 1"
}
