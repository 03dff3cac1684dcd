//! ListNodes, and the facts that each node reports about itself.

use std::{collections::BTreeSet, time::Duration};

use custodia_consensus::{GroupStatus, Peer, ReplicaState, StoppedReplica};
use custodia_profile::{GroupId, ShardId, TimestampMs};
use custodia_proto::{internal::v1::NodeFacts, v1};
use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    api::handler::AnyNodeCall,
    routing::Offset,
    shard::ShardContext,
    wire::{LeaderHint, ServiceError, wall_clock},
};

/// How long to wait for a node's facts. A healthy node answers within a few milliseconds.
const FACTS_TIMEOUT: Duration = Duration::from_millis(500);

impl AnyNodeCall for v1::ListNodesRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ListNodesResponse, ServiceError> {
        let nodes = all_nodes(context, deadline).await.into_iter();
        // Why a replica does not run is for operators.
        let nodes = nodes.map(|facts| v1::Node { stopped_replicas: Vec::new(), ..facts.node });
        Ok(v1::ListNodesResponse { nodes: nodes.collect() })
    }
}

/// What a node says about itself.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) node: v1::Node,
    running: BTreeSet<ShardId>,
    led: BTreeSet<ShardId>,
}

impl Facts {
    /// Whether a replica of a shard runs there.
    pub(super) fn runs(&self, shard: ShardId) -> bool {
        self.running.contains(&shard)
    }

    /// Whether it leads a shard.
    pub(super) fn leads(&self, shard: ShardId) -> bool {
        self.led.contains(&shard)
    }

    fn from_wire(wire: NodeFacts) -> Self {
        let shards = |numbers: Vec<u32>| {
            numbers.into_iter().filter_map(|number| ShardId::new(number.try_into().ok()?).ok()).collect()
        };
        let (running, led) = (shards(wire.running_shards), shards(wire.led_shards));
        Self { node: wire.node.unwrap_or_default(), running, led }
    }
}

/// The facts that this node reports about itself.
pub(crate) fn own_facts(context: &ShardContext) -> NodeFacts {
    let statuses = context.routing().consensus().group_statuses();
    let running = statuses.iter().filter(|status| status.running);
    let shards = |keep: fn(&GroupStatus) -> bool| -> Vec<u32> {
        let of_shard = |status: &GroupStatus| match status.group {
            GroupId::Shard(shard) if keep(status) => Some(shard.as_u16().into()),
            GroupId::Shard(_) | GroupId::Directory => None,
        };
        running.clone().filter_map(of_shard).collect()
    };
    let (running_shards, led_shards) = (shards(|_| true), shards(|status| status.leading));
    let count = |shards: &[u32]| u32::try_from(shards.len()).unwrap_or(u32::MAX);
    let ended = statuses.iter().filter(|status| !status.running).map(|status| v1::StoppedReplica {
        group: status.group.to_string(),
        state: v1::ReplicaState::Failed.into(),
        reason: "its storage failed".to_owned(),
    });
    let stopped = context.routing().consensus().stopped_replicas().into_iter().map(stopped_replica);
    let node = v1::Node {
        node_id: context.routing().node().as_u32(),
        address: String::new(),
        state: v1::NodeState::Up.into(),
        replicas: count(&running_shards),
        leaders: count(&led_shards),
        state_engine: context.routing().consensus().engine().kind().name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stopped_replicas: stopped.chain(ended).collect(),
        clock_offset_ms: None,
    };
    NodeFacts { node: Some(node), running_shards, led_shards, time_ms: wall_clock().as_ms() }
}

fn stopped_replica(stopped: StoppedReplica) -> v1::StoppedReplica {
    let StoppedReplica { group, state, reason, .. } = stopped;
    v1::StoppedReplica { group: group.to_string(), state: replica_state(state).into(), reason }
}

pub(super) const fn replica_state(state: ReplicaState) -> v1::ReplicaState {
    match state {
        ReplicaState::Starting => v1::ReplicaState::Starting,
        ReplicaState::Rebuilding => v1::ReplicaState::Rebuilding,
        ReplicaState::Stranded => v1::ReplicaState::Stranded,
        ReplicaState::Failed => v1::ReplicaState::Failed,
    }
}

/// The facts of all nodes, requested in parallel.
pub(super) async fn all_nodes(context: &ShardContext, deadline: Instant) -> Vec<Facts> {
    let directory = context.routing().consensus().directory();
    let deadline = deadline.min(Instant::now() + FACTS_TIMEOUT);
    join_all(directory.nodes().map(|peer| facts_of(context, peer, deadline))).await
}

async fn facts_of(context: &ShardContext, peer: &Peer, deadline: Instant) -> Facts {
    let facts = if peer.node == context.routing().node() {
        Some(own_facts(context))
    } else {
        asked(context, peer, deadline).await
    };
    let clock_offset_ms = match &facts {
        Some(_) if peer.node == context.routing().node() => Some(0),
        Some(_) => context.routing().clocks().of(peer.node, Instant::now()).map(|offset| offset.ms),
        None => None,
    };
    let mut facts = facts.map(Facts::from_wire).unwrap_or_default();
    facts.node.clock_offset_ms = clock_offset_ms;
    if facts.node.state() == v1::NodeState::Unspecified {
        facts.node.set_state(v1::NodeState::Down);
    }
    facts.node.node_id = peer.node.as_u32();
    facts.node.address.clone_from(&peer.address);
    facts
}

async fn asked(context: &ShardContext, peer: &Peer, deadline: Instant) -> Option<NodeFacts> {
    let to = LeaderHint { node: peer.node, address: peer.address.clone() };
    let asked = wall_clock();
    let facts = context.routing().peers().node_facts(&to, deadline).await.ok()?;
    // A node of an older version does not say.
    if facts.time_ms != 0 {
        let offset = Offset::measured(asked, TimestampMs::from_ms(facts.time_ms), wall_clock());
        context.routing().clocks().note(peer.node, offset);
    }
    Some(facts)
}
