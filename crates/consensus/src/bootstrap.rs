//! How nodes become a cluster.
//!
//! ```text
//! founder                                          others
//!   probe ─────────────────────────────────────────► empty, or already in this very cluster?
//!   write the cluster id into its data folder
//!   join ──────────────────────────────────────────► write it too, start the directory's replica
//!   create the directory group, add learners
//!   write nodes, shards …, and last the shape of the cluster: from then on the cluster exists
//! ```
//! Each step may be repeated: an interrupted creation is finished by asking the same founder for the same cluster again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, NodeId};
use custodia_seal::ClusterId;
use uuid::Uuid;

use crate::command::{Command, Condition, Expected, Outcome, Write};
use crate::directory::{ClusterShape, shape_key, write_node, write_shape, write_shard};
use crate::error::{ConsensusError, Refusal};
use crate::message::{Body, Empty, Envelope, Reply};
use crate::node::Node;
use crate::placement::{FIRST_MAP_VERSION, checked_nodes, directory_replica, directory_voters, place};
use crate::replica::Replica;
use crate::supervisor;
use crate::transport::Peer;
use crate::types::ReplicaNode;

/// For one call to another node.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// For the directory group to elect its leader and take what is written.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(20);
/// Entries of the directory written by one command.
const WRITES_PER_COMMAND: usize = 256;

/// Creates the cluster from this node.
pub(crate) async fn init_cluster(
    node: &Arc<Node>,
    nodes: Vec<Peer>,
    shards: u16,
    replicas: u8,
) -> Result<ClusterId, ConsensusError> {
    let nodes = checked_nodes(nodes, shards, replicas)?;
    if !nodes.contains(&node.peer()) {
        return Err(ConsensusError::InvalidShape {
            reason: "this node is not among them, under its own address",
        });
    }
    let _founding = node.founding.lock().await;
    let directory = node.directory.load();
    if let Some(shape) = directory.shape() {
        let same = (shape.shards, shape.replicas) == (shards, replicas) && directory.nodes().eq(nodes.iter());
        return if same { Ok(shape.cluster) } else { Err(ConsensusError::OtherShape) };
    }
    if node.cluster().is_none() && holds_data(node) {
        return Err(ConsensusError::AlreadyInitialised { node: node.id });
    }
    let cluster = node.cluster().unwrap_or_else(|| ClusterId::new(Uuid::new_v4()));
    let others: Vec<&Peer> = nodes.iter().filter(|peer| peer.node != node.id).collect();
    for peer in &others {
        ask(node, peer, cluster, Body::Probe(Empty {})).await?;
    }
    node.set_cluster(cluster).await?;
    for peer in &others {
        ask(node, peer, cluster, Body::Join(Empty {})).await?;
    }
    supervisor::start_directory(node)?;
    let deadline = Instant::now() + DIRECTORY_TIMEOUT;
    let directory = lead_directory(node, &nodes, deadline).await?;
    write_directory(&directory, cluster, &nodes, shards, replicas, deadline).await?;
    Ok(cluster)
}

/// Asks a node to prepare for the cluster, or to enter it.
async fn ask(node: &Node, peer: &Peer, cluster: ClusterId, body: Body) -> Result<(), ConsensusError> {
    let message = node.envelope_for(cluster, None, body);
    match node.call_with(peer, message, CALL_TIMEOUT).await {
        Ok(Reply::Joined(Empty {})) => Ok(()),
        Ok(_) => Err(ConsensusError::Refused { node: peer.node, refusal: Refusal::Malformed }),
        Err(ConsensusError::Refused { refusal: Refusal::AlreadyInitialised, .. }) => {
            Err(ConsensusError::AlreadyInitialised { node: peer.node })
        }
        Err(error) => Err(error),
    }
}

/// Whether anything here would be lost or mixed up by entering a cluster.
fn holds_data(node: &Node) -> bool {
    !node.log.replicas().is_empty() || node.directory.load().shape().is_some()
}

/// Whether this node may enter a cluster; it may again if it has already.
fn check_joinable(node: &Node, from: NodeId, envelope: &Envelope) -> Result<ClusterId, Refusal> {
    if envelope.from_node != from.as_u32() {
        return Err(Refusal::OtherNode);
    }
    node.check_lease(envelope)?;
    let asked = envelope.cluster.as_ref().try_into().or(Err(Refusal::Malformed))?;
    let asked = ClusterId::from_bytes(asked);
    match node.cluster() {
        Some(cluster) if cluster == asked => Ok(asked),
        Some(_) => Err(Refusal::AlreadyInitialised),
        None if holds_data(node) => Err(Refusal::AlreadyInitialised),
        None => Ok(asked),
    }
}

/// Answers whether this node may enter a cluster.
pub(crate) async fn probe(node: &Arc<Node>, from: NodeId, envelope: &Envelope) -> Result<Reply, Refusal> {
    let _founding = node.founding.lock().await;
    check_joinable(node, from, envelope)?;
    Ok(Reply::Joined(Empty {}))
}

/// Enters a cluster.
pub(crate) async fn join(node: &Arc<Node>, from: NodeId, envelope: &Envelope) -> Result<Reply, Refusal> {
    let _founding = node.founding.lock().await;
    let cluster = check_joinable(node, from, envelope)?;
    let joined = node.set_cluster(cluster).await.and_then(|()| supervisor::start_directory(node));
    joined.map_err(|error| {
        tracing::error!(%error, "this node cannot enter the cluster");
        Refusal::Stopped
    })?;
    Ok(Reply::Joined(Empty {}))
}

/// Creates the directory's group, if it is not, and waits until this node leads it.
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
    // The founder votes, so it comes first.
    let mut order = nodes.to_vec();
    order.sort_by_key(|peer| (peer.node != node.id, peer.node));
    let voters: BTreeMap<u64, ReplicaNode> = directory_voters(&order).iter().map(member).collect();
    let refused = |reason: String| ConsensusError::Replica { reason };
    if !replica.raft.is_initialized().await.map_err(|_fatal| ConsensusError::Stopped)? {
        replica.raft.initialize(voters.clone()).await.map_err(|error| refused(error.to_string()))?;
    }
    let mut leadership = replica.leadership_watch();
    while leadership.borrow_and_update().leader.is_none() {
        supervisor::stand(&replica).await?;
        if Instant::now() >= deadline {
            return Err(ConsensusError::NoQuorum);
        }
        // Whether it changed or not, it is looked at again.
        let waited = tokio::time::timeout(node.timing.heartbeat, leadership.changed()).await;
        tracing::debug!(elected = waited.is_ok(), "waited for the directory's leader");
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
    let mut changed = node.leadership.subscribe();
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

/// A leader that is new refuses until a majority has answered it, so this asks again until the deadline.
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
        tokio::time::sleep(node.timing.heartbeat).await;
    }
}

/// Writes the directory, its shape last.
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

/// As [`add_learner`]. A conflict means that an earlier try came further than it knew.
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
