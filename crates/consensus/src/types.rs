//! The types that the Raft library is run with. Nothing of this file is public outside the crate but for tests.
//!
//! Raft's node id is our *replica id*: fresh for every placement, never reused. The machine is in [`ReplicaNode`].

use openraft::type_config::alias as of;
use openraft_rt_tokio::TokioRuntime;

use crate::command::{CommandBatch, Outcome};
use crate::machine::StateMachine;

/// Where a replica lives, as kept in the membership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaNode {
    /// The node's number.
    pub node: u32,
    /// Its address.
    pub address: String,
}

openraft::declare_raft_types!(
    /// The types of every group.
    pub TypeConfig:
        D = CommandBatch,
        R = Vec<Outcome>,
        Node = ReplicaNode,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub(crate) type LogId = of::LogIdOf<TypeConfig>;
pub(crate) type Vote = of::VoteOf<TypeConfig>;
pub(crate) type Entry = of::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, ReplicaNode>;
pub(crate) type StoredMembership = of::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = of::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = of::SnapshotOf<TypeConfig, crate::snapshot::SnapshotData>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub(crate) type AppendResult = openraft::raft::StreamAppendResult<TypeConfig>;
pub(crate) type RpcError = openraft::errors::RPCError<TypeConfig>;
