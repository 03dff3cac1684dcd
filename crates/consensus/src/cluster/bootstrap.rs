//! How a cluster is created from nodes that belong to none.
//!
//! ```text
//! creating node                                    joining nodes
//!   probe ─────────────────────────────────────────► empty, or already in this very cluster?
//!   write the cluster id into its data folder
//!   join ──────────────────────────────────────────► write it too, start the directory's replica
//!   create the directory group, add learners
//!   write nodes, shards …, and the shape of the cluster last: from then on the cluster exists
//! ```
//! Each step can be repeated: an interrupted creation is completed by asking the same node for the same cluster again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, NodeId};
use custodia_seal::ClusterId;
use uuid::Uuid;

use super::campaign::campaign;
use super::node::Node;
use super::placement::{FIRST_MAP_VERSION, checked_nodes, directory_replica, directory_voters, place};
use super::supervisor;
use crate::command::{Command, Condition, Expected, Outcome, Write};
use crate::directory::{ClusterShape, shape_key, write_node, write_shape, write_shard};
use crate::error::{ConsensusError, Refusal};
use crate::peers::message::{Body, Empty, Envelope, Reply};
use crate::raft::types::ReplicaNode;
use crate::replica::Replica;
use crate::transport::Peer;

/// Limit on one call to another node.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit on electing the directory's leader and writing the directory.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(20);
/// The most directory entries written by one command.
const WRITES_PER_COMMAND: usize = 256;

/// Creates a cluster from this node.
pub(crate) async fn init_cluster(
    node: &Arc<Node>,
    nodes: Vec<Peer>,
    shards: u16,
    replicas: u8,
) -> Result<ClusterId, ConsensusError> {
    let nodes = checked_nodes(nodes, shards, replicas)?;
    if !nodes.contains(&node.context.client.own) {
        return Err(ConsensusError::InvalidShape {
            reason: "this node is not in the list with its own address",
        });
    }
    let _bootstrapping = node.bootstrapping.lock().await;
    let directory = node.context.storage.directory.load();
    if let Some(shape) = directory.shape() {
        let same = (shape.shards, shape.replicas) == (shards, replicas) && directory.nodes().eq(nodes.iter());
        if same {
            node.end_creating().await?;
            return Ok(shape.cluster);
        }
        return Err(ConsensusError::OtherShape);
    }
    // A node of a cluster that does not know its shape has lost its state, unless it was creating the cluster itself. If it asked
    // emptied nodes to join again, they would vote with their votes forgotten.
    let folder = &node.context.storage.folder;
    let may_create = if node.cluster().is_some() { folder.is_creating() } else { !holds_data(node) };
    if !may_create {
        return Err(ConsensusError::AlreadyInitialised { node: node.context.id() });
    }
    let cluster = node.cluster().unwrap_or_else(|| ClusterId::new(Uuid::new_v4()));
    let others: Vec<&Peer> = nodes.iter().filter(|peer| peer.node != node.context.id()).collect();
    for peer in &others {
        ask(node, peer, cluster, Body::Probe(Empty {})).await?;
    }
    node.begin_creating().await?;
    node.set_cluster(cluster).await?;
    for peer in &others {
        ask(node, peer, cluster, Body::Join(Empty {})).await?;
    }
    supervisor::start_directory(node)?;
    let deadline = Instant::now() + DIRECTORY_TIMEOUT;
    let directory = lead_directory(node, &nodes, deadline).await?;
    write_directory(&directory, cluster, &nodes, shards, replicas, deadline).await?;
    node.end_creating().await?;
    Ok(cluster)
}

/// Asks a node whether it could join the cluster, or to join it.
async fn ask(node: &Node, peer: &Peer, cluster: ClusterId, body: Body) -> Result<(), ConsensusError> {
    let client = &node.context.client;
    match client.send(peer, client.envelope_for(Some(cluster), None, body), CALL_TIMEOUT).await {
        Ok(Reply::Joined(Empty {})) => Ok(()),
        Ok(_) => Err(ConsensusError::Refused { node: peer.node, refusal: Refusal::Malformed }),
        Err(ConsensusError::Refused { refusal: Refusal::AlreadyInitialised, .. }) => {
            Err(ConsensusError::AlreadyInitialised { node: peer.node })
        }
        Err(error) => Err(error),
    }
}

/// Whether this node holds anything that joining a cluster would lose or mix up.
fn holds_data(node: &Node) -> bool {
    !node.context.storage.log.replicas().is_empty() || node.context.storage.directory.load().shape().is_some()
}

/// Whether this node may join a cluster; it may join again the one to which it belongs.
fn check_joinable(node: &Node, from: NodeId, envelope: &Envelope) -> Result<ClusterId, Refusal> {
    if envelope.from_node != from.as_u32() {
        return Err(Refusal::OtherNode);
    }
    node.context.client.check_lease(envelope)?;
    let asked = envelope.cluster.as_ref().try_into().or(Err(Refusal::Malformed))?;
    let asked = ClusterId::from_bytes(asked);
    match node.cluster() {
        Some(cluster) if cluster == asked => Ok(asked),
        Some(_) => Err(Refusal::AlreadyInitialised),
        None if holds_data(node) => Err(Refusal::AlreadyInitialised),
        None => Ok(asked),
    }
}

/// Answers whether this node may join a cluster.
pub(crate) async fn probe(node: &Arc<Node>, from: NodeId, envelope: &Envelope) -> Result<Reply, Refusal> {
    let _bootstrapping = node.bootstrapping.lock().await;
    check_joinable(node, from, envelope)?;
    Ok(Reply::Joined(Empty {}))
}

/// Joins a cluster.
pub(crate) async fn join(node: &Arc<Node>, from: NodeId, envelope: &Envelope) -> Result<Reply, Refusal> {
    let _bootstrapping = node.bootstrapping.lock().await;
    let cluster = check_joinable(node, from, envelope)?;
    let joined = node.set_cluster(cluster).await.and_then(|()| supervisor::start_directory(node));
    joined.map_err(|error| {
        tracing::error!(%error, "cannot join the cluster");
        Refusal::Stopped
    })?;
    Ok(Reply::Joined(Empty {}))
}

/// Creates the directory's group unless it exists, and waits until this node leads it.
async fn lead_directory(
    node: &Arc<Node>,
    nodes: &[Peer],
    deadline: Instant,
) -> Result<Arc<Replica>, ConsensusError> {
    let replica = running_directory(node, deadline).await?;
    let member = |peer: &Peer| {
        let at = ReplicaNode { node: peer.node.as_u32(), address: peer.address.clone() };
        (directory_replica(peer.node), at)
    };
    // The creating node is always a voter, so it comes first.
    let mut order = nodes.to_vec();
    order.sort_by_key(|peer| (peer.node != node.context.id(), peer.node));
    let voters: BTreeMap<u64, ReplicaNode> = directory_voters(&order).iter().map(member).collect();
    let refused = |reason: String| ConsensusError::Replica { reason };
    if !replica.raft.is_initialized().await.map_err(|_fatal| ConsensusError::Stopped)? {
        replica.raft.initialize(voters.clone()).await.map_err(|error| refused(error.to_string()))?;
    }
    let mut leadership = replica.leadership_watch();
    while leadership.borrow_and_update().leader.is_none() {
        campaign(&replica).await?;
        if Instant::now() >= deadline {
            return Err(ConsensusError::NoQuorum);
        }
        // The loop checks again, whether the leadership changed or the time ran out.
        let waited = tokio::time::timeout(node.context.timing.heartbeat, leadership.changed()).await;
        tracing::debug!(elected = waited.is_ok(), "waiting for the leader of the directory");
    }
    let now = replica.leadership();
    if !now.leading {
        return Err(ConsensusError::NotLeader { leader: now.leader });
    }
    for (id, at) in nodes.iter().map(member).filter(|(id, _)| !voters.contains_key(id)) {
        add_learner(node, &replica, id, at, deadline).await?;
    }
    Ok(replica)
}

async fn running_directory(node: &Arc<Node>, deadline: Instant) -> Result<Arc<Replica>, ConsensusError> {
    let mut changed = node.context.leadership.subscribe();
    loop {
        if let Ok(replica) = node.replica(GroupId::Directory) {
            return Ok(replica);
        }
        let waited = tokio::time::timeout_at(deadline.into(), changed.changed()).await;
        if !matches!(waited, Ok(Ok(()))) {
            return Err(ConsensusError::NoReplica { group: GroupId::Directory });
        }
    }
}

/// Retries until the deadline, because a new leader refuses until a majority has answered it.
async fn add_learner(
    node: &Node,
    replica: &Replica,
    id: u64,
    at: ReplicaNode,
    deadline: Instant,
) -> Result<(), ConsensusError> {
    loop {
        let Err(error) = replica.raft.add_learner(id, at.clone(), false).await else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(ConsensusError::Replica { reason: error.to_string() });
        }
        tokio::time::sleep(node.context.timing.heartbeat).await;
    }
}

/// Writes the directory, the shape last.
async fn write_directory(
    directory: &Replica,
    cluster: ClusterId,
    nodes: &[Peer],
    shards: u16,
    replicas: u8,
    deadline: Instant,
) -> Result<(), ConsensusError> {
    let (map, next_replica) = place(nodes, shards, replicas)?;
    let mut writes: Vec<Write> = nodes.iter().map(|peer| write_node(peer, FIRST_MAP_VERSION)).collect();
    writes.extend(map.iter().map(write_shard));
    let absent = || vec![Condition { key: shape_key(), expected: Expected::Absent }];
    for part in writes.chunks(WRITES_PER_COMMAND) {
        let command = Command { conditions: absent(), writes: part.to_vec() };
        propose_as_new_leader(directory, command, deadline).await?;
    }
    let shape = ClusterShape { cluster, shards, replicas, next_replica, map_version: FIRST_MAP_VERSION };
    let command = Command { conditions: absent(), writes: vec![write_shape(&shape)] };
    propose_as_new_leader(directory, command, deadline).await
}

/// Retries as [`add_learner`] does. A conflict means that an earlier attempt got further than it knew.
async fn propose_as_new_leader(
    directory: &Replica,
    command: Command,
    deadline: Instant,
) -> Result<(), ConsensusError> {
    loop {
        match directory.propose(command.clone(), deadline).await {
            Ok(Outcome::Applied { .. } | Outcome::Conflict { .. }) => return Ok(()),
            Err(ConsensusError::NotLeader { leader: None } | ConsensusError::NoQuorum)
                if Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}
