//! What the nodes say about themselves when they are asked, for the operators' lists: a node that does not answer at
//! once counts as down.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use custodia_consensus::Peer;
use custodia_profile::GroupId;
use custodia_proto::v1;
use futures::future::join_all;
use prost::Message;
use tokio::time::Instant;

use super::{error::LeaderHint, forward::forward_bytes, context::ShardContext};
use crate::identity::{Caller, RoleSet};

/// The method between nodes that asks a node about itself; the answer is a `custodia.v1.Node`.
pub(crate) const FACTS_METHOD: &str = "/custodia.internal.v1/NodeFacts";

/// How long a node has to answer: a node that is well takes a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// What this node says about itself.
pub(crate) fn own_facts(context: &ShardContext) -> v1::Node {
    let statuses = context.consensus().group_statuses();
    let shards = || statuses.iter().filter(|status| status.group != GroupId::Directory && status.running);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::Node {
        node_id: context.node().as_u32(),
        address: String::new(),
        state: v1::NodeState::Up.into(),
        replicas: count(shards().count()),
        leaders: count(shards().filter(|status| status.leading).count()),
        state_engine: context.consensus().engine().kind().name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// All nodes of the cluster, each asked at the same time.
pub(crate) async fn all_nodes(context: &ShardContext, deadline: Instant) -> Vec<v1::Node> {
    let directory = Arc::clone(&context.consensus().directory());
    let patience = deadline.min(Instant::now() + PATIENCE);
    join_all(directory.nodes().map(|peer| facts_of(context, peer, patience))).await
}

async fn facts_of(context: &ShardContext, peer: &Peer, deadline: Instant) -> v1::Node {
    let facts =
        if peer.node == context.node() { Some(own_facts(context)) } else { asked(context, peer, deadline).await };
    let down = || v1::Node {
        state: v1::NodeState::Down.into(),
        replicas: placed_on(context, peer),
        ..v1::Node::default()
    };
    v1::Node { node_id: peer.node.as_u32(), address: peer.address.clone(), ..facts.unwrap_or_else(down) }
}

async fn asked(context: &ShardContext, peer: &Peer, deadline: Instant) -> Option<v1::Node> {
    let to = LeaderHint { node: peer.node, address: peer.address.clone() };
    let nobody = Caller { name: "node".into(), roles: RoleSet::NONE };
    let body = forward_bytes(context, &to, &nobody, FACTS_METHOD, Bytes::new(), deadline).await.ok()?;
    v1::Node::decode(body).ok()
}

/// The replicas that the map places on a node.
fn placed_on(context: &ShardContext, peer: &Peer) -> u32 {
    let directory = context.consensus().directory();
    let placed = directory.shards().filter(|shard| shard.replica_on(peer.node).is_some()).count();
    u32::try_from(placed).unwrap_or(u32::MAX)
}
