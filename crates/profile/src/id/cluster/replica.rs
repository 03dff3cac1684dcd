//! Owns the id of a replica: fresh for every placement of a group on a node, never reused, at least 1.

use super::number_id;

number_id! {
    /// One placement of one group on one node.
    pub struct ReplicaId(u64), as_u64, 1.., "replica_id": "at least 1"
}
