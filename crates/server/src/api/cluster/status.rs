//! GetClusterStatus: nodes, shards and their health, as this node sees them.

use custodia_consensus::ShardPlacement;
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    list_shards::{leader, statuses},
    nodes::all_nodes,
};
use crate::{api::handler::AnyNodeCall, shard::ShardContext, wire::ServiceError};

impl AnyNodeCall for v1::GetClusterStatusRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ClusterStatus, ServiceError> {
        Ok(cluster_status(context, deadline).await)
    }
}

/// The cluster's status, as this node sees it.
pub(super) async fn cluster_status(context: &ShardContext, deadline: Instant) -> v1::ClusterStatus {
    let nodes = all_nodes(context, deadline).await;
    let directory = context.routing().consensus().directory();
    let statuses = statuses(context);
    let up = |placement: &ShardPlacement| {
        placement
            .replicas
            .iter()
            .all(|at| nodes.iter().any(|node| node.node_id == at.node.as_u32() && is_up(node)))
    };
    let led = |placement: &ShardPlacement| {
        let leader = leader(context, placement.shard, &statuses);
        leader.is_some_and(|leader| nodes.iter().any(|node| node.node_id == leader.as_u32() && is_up(node)))
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::ClusterStatus {
        cluster_id: context
            .routing()
            .consensus()
            .cluster()
            .map(|cluster| cluster.to_string())
            .unwrap_or_default(),
        map_version: directory.map_version(),
        shards: count(directory.shards().len()),
        shards_with_leader: count(directory.shards().filter(|placement| led(placement)).count()),
        shards_with_full_replicas: count(directory.shards().filter(|placement| up(placement)).count()),
        answering_node: context.routing().node().as_u32(),
        nodes,
    }
}

fn is_up(node: &v1::Node) -> bool {
    node.state == i32::from(v1::NodeState::Up)
}
