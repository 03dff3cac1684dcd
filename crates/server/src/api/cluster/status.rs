//! The calls of operators: creating a cluster, and what this node knows of it.

use std::collections::BTreeMap;

use custodia_consensus::{Directory, GroupStatus, Peer, ShardPlacement};
use custodia_profile::{GroupId, NodeId, ShardId};
use custodia_proto::v1;
use tokio::time::{Instant, timeout_at};

use super::{
    error::{FieldFault, ServiceError},
    events::page_size,
    node_facts::all_nodes,
    opaque::{Listing, page_token, parse_page_token},
    parse::each,
    context::ShardContext,
};

/// Shards where the operator does not say.
const SHARDS_DEFAULT: u16 = 256;
/// Replicas where the operator does not say and there are nodes enough.
const REPLICAS_DEFAULT: u8 = 3;
/// Shards of a page where the caller does not say, and the most.
const PAGE: (usize, usize) = (1_000, 4_096);

/// Creates the cluster.
pub(crate) async fn init_cluster(
    context: &ShardContext,
    request: v1::InitClusterRequest,
    deadline: Instant,
) -> Result<v1::ClusterStatus, ServiceError> {
    if request.nodes.is_empty() {
        return Err(ServiceError::missing("nodes"));
    }
    let nodes = each("nodes", &request.nodes, endpoint)?;
    let shards = shards(request.shards)?;
    let replicas = replicas(request.replicas, nodes.len())?;
    let created = timeout_at(deadline, context.consensus().init_cluster(nodes, shards, replicas)).await;
    created.map_err(|_elapsed| ServiceError::OutcomeUnknown)??;
    Ok(cluster_status(context, deadline).await)
}

fn endpoint(wire: &v1::NodeEndpoint) -> Result<Peer, ServiceError> {
    if wire.address.is_empty() {
        return Err(ServiceError::missing("address"));
    }
    let port = wire
        .address
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty()).then_some(port.parse::<u16>()));
    if !matches!(port, Some(Ok(1..))) {
        return Err(ServiceError::invalid("address", "expected host:port"));
    }
    Ok(Peer { node: NodeId::new(wire.node_id)?, address: wire.address.clone() })
}

fn shards(asked: u32) -> Result<u16, ServiceError> {
    if asked == 0 {
        return Ok(SHARDS_DEFAULT);
    }
    let shards = u16::try_from(asked).unwrap_or(u16::MAX);
    ShardId::check_count(shards)?;
    Ok(shards)
}

/// An even number of replicas bears no more failures than one fewer, so only odd ones are taken.
fn replicas(asked: u32, nodes: usize) -> Result<u8, ServiceError> {
    let most = u8::try_from(nodes).unwrap_or(u8::MAX);
    let odd = |count: u8| if count.is_multiple_of(2) { count.saturating_sub(1) } else { count };
    if asked == 0 {
        return Ok(odd(REPLICAS_DEFAULT.min(most)));
    }
    match u8::try_from(asked) {
        Ok(replicas) if replicas.is_multiple_of(2) => {
            Err(ServiceError::invalid("replicas", "expected an odd number"))
        }
        Ok(replicas) if replicas <= most => Ok(replicas),
        Ok(_) | Err(_) => Err(ServiceError::invalid("replicas", "there are fewer nodes than replicas")),
    }
}

/// The nodes as they answer now.
pub(crate) async fn nodes(context: &ShardContext, deadline: Instant) -> Vec<v1::Node> {
    all_nodes(context, deadline).await
}

/// The cluster as this node sees it.
pub(crate) async fn cluster_status(context: &ShardContext, deadline: Instant) -> v1::ClusterStatus {
    let nodes = all_nodes(context, deadline).await;
    let directory = context.consensus().directory();
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
        cluster_id: context.consensus().cluster().map(|cluster| cluster.to_string()).unwrap_or_default(),
        map_version: directory.map_version(),
        shards: count(directory.shards().len()),
        shards_with_leader: count(directory.shards().filter(|placement| led(placement)).count()),
        shards_with_full_replicas: count(directory.shards().filter(|placement| up(placement)).count()),
        answering_node: context.node().as_u32(),
        nodes,
    }
}

fn is_up(node: &v1::Node) -> bool {
    node.state == i32::from(v1::NodeState::Up)
}

fn statuses(context: &ShardContext) -> BTreeMap<GroupId, GroupStatus> {
    context.consensus().group_statuses().into_iter().map(|status| (status.group, status)).collect()
}

fn leader(context: &ShardContext, shard: ShardId, statuses: &BTreeMap<GroupId, GroupStatus>) -> Option<NodeId> {
    let group = GroupId::Shard(shard);
    statuses.get(&group).map_or_else(|| context.consensus().leader(group), |status| status.leader)
}

/// The shards, in order.
pub(crate) fn list_shards(
    context: &ShardContext,
    request: &v1::ListShardsRequest,
) -> Result<v1::ListShardsResponse, ServiceError> {
    let size = page_size(request.page_size, PAGE.0, PAGE.1)?;
    let after = page_start(&request.page_token)?;
    let directory = context.consensus().directory();
    let statuses = statuses(context);
    let behind = directory.shards().filter(|placement| after.is_none_or(|after| placement.shard > after));
    let mut found: Vec<_> = behind.take(size.saturating_add(1)).collect();
    let more = found.len() > size;
    found.truncate(size);
    let next_page_token = match found.last() {
        Some(last) if more => page_token(Listing::Shards, &last.shard.as_u16().to_be_bytes()),
        Some(_) | None => String::new(),
    };
    let shards = found.into_iter().map(|placement| shard(context, &directory, placement, &statuses)).collect();
    Ok(v1::ListShardsResponse { shards, next_page_token, map_version: directory.map_version() })
}

fn page_start(token: &str) -> Result<Option<ShardId>, ServiceError> {
    let malformed =
        || ServiceError::field("page_token", FieldFault::Invalid("is not a token of this list".into()));
    let Some(place) = parse_page_token(Listing::Shards, token)? else { return Ok(None) };
    let number = <[u8; 2]>::try_from(place).map(u16::from_be_bytes).map_err(|_length| malformed())?;
    ShardId::new(number).map(Some).map_err(|_range| malformed())
}

fn shard(
    context: &ShardContext,
    directory: &Directory,
    placement: &ShardPlacement,
    statuses: &BTreeMap<GroupId, GroupStatus>,
) -> v1::Shard {
    let status = statuses.get(&GroupId::Shard(placement.shard));
    let role = |node: NodeId| match status {
        Some(status) if status.learners.contains(&node) => v1::ReplicaRole::Learner,
        Some(_) | None => v1::ReplicaRole::Voter,
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
            })
            .collect(),
        leader_node_id: leader(context, placement.shard, statuses).filter(known).map_or(0, NodeId::as_u32),
        term: status.map_or(0, |status| status.term),
        applied_index: status.and_then(|status| status.applied).unwrap_or(0),
    }
}
