//! How a new or restarted replica gets its group a leader: the preferred node creates the group if it is new, and the
//! members ask for votes while nobody leads, the preferred node first.
//!
//! They ask by pre-vote, so a leader that others still follow is not disturbed.

use std::collections::BTreeMap;

use custodia_profile::{GroupId, NodeId};
use openraft::async_runtime::WatchReceiver;

use crate::directory::{Directory, ShardPlacement};
use crate::error::ConsensusError;
use crate::raft::types::ReplicaNode;
use crate::replica::Replica;
use crate::replica::context::NodeContext;

/// How often a replica campaigns after its start while nobody leads.
const CAMPAIGNS_MAX: u32 = 12;

/// Creates the group if it is new and this node is its preferred leader; then campaigns while nobody leads. Other nodes
/// wait a little longer each, in case the preferred node does not have the longest log.
pub(super) async fn create_group_and_campaign(node: &NodeContext, replica: &Replica) {
    let directory = node.storage.directory.load();
    let Some(rank) = rank(&directory, replica.group, node.id()) else { return };
    if rank == 0
        && let GroupId::Shard(shard) = replica.group
        && let Some(placement) = directory.shard(shard)
        && let Err(error) = create_group(replica, &directory, placement).await
    {
        tracing::error!(group = %replica.group, %error, "cannot create the group");
        return;
    }
    let mut leadership = replica.leadership_watch();
    let mut patience = node.timing.heartbeat * (2 * rank);
    for attempt in 0..CAMPAIGNS_MAX {
        let led = leadership.wait_for(|now| now.leader.is_some());
        tokio::select! {
            () = node.lifecycle.stop.cancelled() => return,
            led = tokio::time::timeout(patience, led) => if led.is_ok() { return },
        }
        patience = node.timing.heartbeat * (1 << attempt.min(3));
        if campaign(replica).await.is_err() {
            return;
        }
    }
}

/// A node's position among those that may lead a group; 0 is the preferred leader.
fn rank(directory: &Directory, group: GroupId, node: NodeId) -> Option<u32> {
    let mut order: Vec<NodeId> = match group {
        GroupId::Directory => directory.nodes().map(|peer| peer.node).collect(),
        GroupId::Shard(shard) => {
            let placement = directory.shard(shard)?;
            let mut order: Vec<_> = placement.replicas.iter().map(|at| at.node).collect();
            order.sort_by_key(|at| *at != placement.preferred);
            order
        }
    };
    order.dedup();
    u32::try_from(order.iter().position(|at| *at == node)?).ok()
}

/// Asks for votes, if that can help.
pub(super) async fn campaign(replica: &Replica) -> Result<(), ConsensusError> {
    if !may_campaign(replica) {
        return Ok(());
    }
    replica.raft.trigger().elect(true).await.map_err(|_fatal| ConsensusError::Stopped)
}

/// Whether this replica is a voter and knows of no running election, its own included: a second campaign would undo the
/// first. An election without a result is left to the library's own timer.
fn may_campaign(replica: &Replica) -> bool {
    let metrics = replica.raft.metrics();
    let metrics = metrics.borrow_watched();
    let vote = &metrics.vote;
    let votes = metrics.membership_config.voter_ids().any(|voter| voter == replica.id.as_u64());
    votes && (vote.committed || vote.leader_id.term == 0)
}

async fn create_group(
    replica: &Replica,
    directory: &Directory,
    placement: &ShardPlacement,
) -> Result<(), ConsensusError> {
    let stopped = |_fatal| ConsensusError::Stopped;
    if replica.raft.is_initialized().await.map_err(stopped)? {
        return Ok(());
    }
    let mut members = BTreeMap::new();
    for at in &placement.replicas {
        let unknown = ConsensusError::Malformed { what: "a shard's placement" };
        let address = directory.node(at.node).ok_or(unknown)?.address.clone();
        members.insert(at.replica.as_u64(), ReplicaNode { node: at.node.as_u32(), address });
    }
    let created = replica.raft.initialize(members).await;
    created.map_err(|error| ConsensusError::Replica { reason: error.to_string() })
}
