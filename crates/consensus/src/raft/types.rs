//! The types that parameterise the Raft library.
//!
//! Raft's node id is our *replica id*: new for every placement and never reused. The machine on which a replica runs is
//! named by its [`ReplicaNode`].

use custodia_profile::NodeId;
use openraft::type_config::alias as of;
use openraft_rt_tokio::TokioRuntime;

use crate::command::{CommandBatch, Outcome};

/// The node that holds a replica, as stored in the membership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaNode {
    /// The node's number.
    pub node: u32,
    /// Its address.
    pub address: String,
}

impl ReplicaNode {
    /// The node's id; `None` if the stored number is not a valid one.
    pub(crate) fn node_id(&self) -> Option<NodeId> {
        NodeId::new(self.node).ok()
    }
}

openraft::declare_raft_types!(
    /// The types of every group.
    pub TypeConfig:
        D = CommandBatch,
        R = Vec<Outcome>,
        Node = ReplicaNode,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type LogId = of::LogIdOf<TypeConfig>;
pub(crate) type Vote = of::VoteOf<TypeConfig>;
pub(crate) type Entry = of::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, ReplicaNode>;
pub(crate) type StoredMembership = of::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = of::SnapshotMetaOf<TypeConfig>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub(crate) type AppendResult = openraft::raft::StreamAppendResult<TypeConfig>;
pub(crate) type RpcError = openraft::errors::RPCError<TypeConfig>;
