//! GetClusterStatus: nodes, shards and their health, as the nodes report them to this one.

use custodia_consensus::ShardPlacement;
use custodia_proto::v1;
use tokio::time::Instant;

use super::nodes::all_nodes;
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
    let facts = all_nodes(context, deadline).await;
    let directory = context.routing().consensus().directory();
    let led = |placement: &ShardPlacement| facts.iter().any(|node| node.leads(placement.shard));
    let full = |placement: &ShardPlacement| {
        let running = facts.iter().filter(|node| node.runs(placement.shard)).count();
        running >= placement.replicas.len()
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
        shards_with_full_replicas: count(directory.shards().filter(|placement| full(placement)).count()),
        answering_node: context.routing().node().as_u32(),
        nodes: facts.into_iter().map(|facts| facts.node).collect(),
    }
}
