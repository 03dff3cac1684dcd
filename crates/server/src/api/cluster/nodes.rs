//! ListNodes, and the facts that each node reports about itself.

use std::time::Duration;

use custodia_consensus::Peer;
use custodia_profile::GroupId;
use custodia_proto::v1;
use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::{
    api::handler::AnyNodeCall,
    shard::ShardContext,
    wire::{LeaderHint, ServiceError},
};

/// How long to wait for a node's facts. A healthy node answers within a few milliseconds.
const FACTS_TIMEOUT: Duration = Duration::from_millis(500);

impl AnyNodeCall for v1::ListNodesRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ListNodesResponse, ServiceError> {
        Ok(v1::ListNodesResponse { nodes: all_nodes(context, deadline).await })
    }
}

/// The facts that this node reports about itself.
pub(crate) fn own_facts(context: &ShardContext) -> v1::Node {
    let statuses = context.routing().consensus().group_statuses();
    let shards = || statuses.iter().filter(|status| status.group != GroupId::Directory && status.running);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::Node {
        node_id: context.routing().node().as_u32(),
        address: String::new(),
        state: v1::NodeState::Up.into(),
        replicas: count(shards().count()),
        leaders: count(shards().filter(|status| status.leading).count()),
        state_engine: context.routing().consensus().engine().kind().name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The facts of all nodes, requested in parallel.
pub(super) async fn all_nodes(context: &ShardContext, deadline: Instant) -> Vec<v1::Node> {
    let directory = context.routing().consensus().directory();
    let deadline = deadline.min(Instant::now() + FACTS_TIMEOUT);
    join_all(directory.nodes().map(|peer| facts_of(context, peer, deadline))).await
}

async fn facts_of(context: &ShardContext, peer: &Peer, deadline: Instant) -> v1::Node {
    let facts = if peer.node == context.routing().node() {
        Some(own_facts(context))
    } else {
        asked(context, peer, deadline).await
    };
    let down = || v1::Node {
        state: v1::NodeState::Down.into(),
        replicas: placed_on(context, peer),
        ..v1::Node::default()
    };
    v1::Node { node_id: peer.node.as_u32(), address: peer.address.clone(), ..facts.unwrap_or_else(down) }
}

async fn asked(context: &ShardContext, peer: &Peer, deadline: Instant) -> Option<v1::Node> {
    let to = LeaderHint { node: peer.node, address: peer.address.clone() };
    timeout_at(deadline, context.routing().peers().node_facts(&to, deadline)).await.ok()?.ok()
}

/// The number of replicas that the shard map places on a node.
fn placed_on(context: &ShardContext, peer: &Peer) -> u32 {
    let directory = context.routing().consensus().directory();
    let placed = directory.shards().filter(|shard| shard.replica_on(peer.node).is_some()).count();
    u32::try_from(placed).unwrap_or(u32::MAX)
}
