//! ListShards: where each shard's replicas are, and which node leads it.

use std::collections::BTreeMap;

use custodia_consensus::{Directory, GroupStatus, ShardPlacement, StoppedReplica};
use custodia_profile::{GroupId, NodeId, ShardId};
use custodia_proto::v1;
use tokio::time::Instant;

use super::nodes::replica_state;
use crate::{
    api::handler::AnyNodeCall,
    shard::ShardContext,
    wire::{Listing, PageSize, Pager, ServiceError, page_start},
};

const PAGE: PageSize = PageSize { default: 1_000, max: 4_096 };

impl AnyNodeCall for v1::ListShardsRequest {
    async fn answer(
        self,
        context: &ShardContext,
        _deadline: Instant,
    ) -> Result<v1::ListShardsResponse, ServiceError> {
        let mut pager = Pager::new(Listing::Shards, self.page_size, PAGE)?;
        let after = page_start(Listing::Shards, &self.page_token, shard_id)?;
        let directory = context.routing().consensus().directory();
        let statuses = statuses(context);
        let stopped = context.routing().consensus().stopped_replicas();
        let rest = directory.shards().filter(|placement| after.is_none_or(|after| placement.shard > after));
        let page = rest.take_while(|placement| pager.admits(&placement.shard.as_u16().to_be_bytes(), 0));
        let shards =
            page.map(|placement| shard(context, &directory, placement, &statuses, &stopped)).collect();
        let next_page_token = pager.next_page_token();
        Ok(v1::ListShardsResponse { shards, next_page_token, map_version: directory.map_version() })
    }
}

fn shard_id(bytes: &[u8]) -> Option<ShardId> {
    ShardId::new(u16::from_be_bytes(bytes.try_into().ok()?)).ok()
}

pub(super) fn statuses(context: &ShardContext) -> BTreeMap<GroupId, GroupStatus> {
    context.routing().consensus().group_statuses().into_iter().map(|status| (status.group, status)).collect()
}

pub(super) fn leader(
    context: &ShardContext,
    shard: ShardId,
    statuses: &BTreeMap<GroupId, GroupStatus>,
) -> Option<NodeId> {
    let group = GroupId::Shard(shard);
    statuses.get(&group).map_or_else(|| context.routing().consensus().leader(group), |status| status.leader)
}

fn shard(
    context: &ShardContext,
    directory: &Directory,
    placement: &ShardPlacement,
    statuses: &BTreeMap<GroupId, GroupStatus>,
    stopped: &[StoppedReplica],
) -> v1::Shard {
    let status = statuses.get(&GroupId::Shard(placement.shard));
    let role = |node: NodeId| match status {
        Some(status) if status.learners.contains(&node) => v1::ReplicaRole::Learner,
        Some(_) | None => v1::ReplicaRole::Voter,
    };
    let (here, group) = (context.routing().node(), GroupId::Shard(placement.shard));
    let stopped = stopped.iter().find(|stopped| stopped.group == group);
    let own = match (status, stopped) {
        (Some(status), _) if status.running => v1::ReplicaState::Running,
        (Some(_), _) => v1::ReplicaState::Failed,
        (None, Some(stopped)) => replica_state(stopped.state),
        (None, None) => v1::ReplicaState::Starting,
    };
    let known = |node: &NodeId| directory.node(*node).is_some();
    v1::Shard {
        shard_id: placement.shard.as_u16().into(),
        slot_first: placement.slots.start().as_u16().into(),
        slot_last: placement.slots.end().as_u16().into(),
        replicas: placement
            .replicas
            .iter()
            .map(|at| v1::Replica {
                replica_id: at.replica.as_u64(),
                node_id: at.node.as_u32(),
                role: role(at.node).into(),
                state: if at.node == here { own.into() } else { v1::ReplicaState::Unspecified.into() },
            })
            .collect(),
        leader_node_id: leader(context, placement.shard, statuses).filter(known).map_or(0, NodeId::as_u32),
        term: status.map_or(0, |status| status.term),
        applied_index: status.and_then(|status| status.applied).unwrap_or(0),
    }
}
