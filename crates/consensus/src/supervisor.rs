//! Keeps a node's replicas as the directory says: starts them, has them led by whom the map prefers, and stops them.
//!
//! ```text
//! start ─► directory replica ─┐
//!          shard replicas  ◄──┴── whenever the directory changes
//!          preferred leader: creates its group; all stand for election while nobody leads, it first
//!          balance: every few seconds a leader gives leadership back to a preferred node that is well and caught up
//! stop  ─► leadership away (bounded) ─► groups stop ─► tasks end ─► flush
//! engine or log fails, or a part of this breaks off ─► groups stop ─► the process is to end
//! ```
//! **Failed storage.** A leader whose engine is poisoned need not notice: what comes to it fails at its first read, so it
//! proposes nothing, applies nothing, and its heartbeats go on. Its group had no leader that serves until the process
//! was ended. So the first failure stops all replicas of the node at once, and the others elect. The regression test is
//! `failed_engine_stops_every_replica_of_its_node`.
//!
//! **A part that breaks off.** A panic leaves half of a group: a leader whose state machine is gone goes on with its
//! heartbeats, and a replica that was being started is never started again. Nobody knows what else the panic has left
//! half done, so it ends like failed storage. A new process begins from what is on disk, under the restart guard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, NodeId, ReplicaId};
use futures::future::join_all;
use openraft::async_runtime::WatchReceiver;

use crate::directory::{Directory, ShardPlacement};
use crate::error::ConsensusError;
use crate::node::Node;
use crate::placement::directory_replica;
use crate::replica::Replica;
use crate::types::ReplicaNode;

/// Between two tries to start a replica that failed to.
const START_RETRY: Duration = Duration::from_secs(1);
/// Leaderships given back in one look.
const TRANSFERS_MAX: usize = 8;
/// A follower that misses no more than so many entries is caught up.
const TRANSFER_LAG_MAX: u64 = 64;
/// How often a preferred leader stands for election while nobody leads, after its start.
const CAMPAIGNS_MAX: u32 = 12;

/// Starts what this node has.
pub(crate) fn start(node: &Arc<Node>) -> Result<(), ConsensusError> {
    if node.cluster().is_some() {
        start_directory(node)?;
    }
    node.spawn("the end after a failure", stop_when_failed(Arc::clone(node)));
    node.spawn("the start of replicas", follow_directory(Arc::clone(node)));
    node.spawn("the balance of leaders", balance(Arc::clone(node)));
    Ok(())
}

/// Starts the directory's replica, unless it runs or is on its way.
pub(crate) fn start_directory(node: &Arc<Node>) -> Result<(), ConsensusError> {
    let id = match node.replica_in_log(GroupId::Directory)? {
        Some(id) => id,
        None => {
            let number = directory_replica(node.id);
            ReplicaId::new(number).or(Err(ConsensusError::Malformed { what: "a node id" }))?
        }
    };
    spawn_start(node, GroupId::Directory, id, 0);
    Ok(())
}

fn spawn_start(node: &Arc<Node>, group: GroupId, id: ReplicaId, since: u64) {
    if node.begin_start(group) {
        node.spawn("the start of a replica", bring(Arc::clone(node), group, id, since));
    }
}

async fn bring(node: Arc<Node>, group: GroupId, id: ReplicaId, since: u64) {
    let replica = start_until_it_runs(&node, group, id, since).await;
    if let Some(replica) = &replica {
        node.add_running(Arc::clone(replica));
    }
    node.end_start(group);
    // It may have come too late for those who stop what runs.
    if node.stop.is_cancelled() {
        return stop_replicas(&node).await;
    }
    if let Some(replica) = replica {
        bring_up(&node, &replica).await;
    }
}

async fn start_until_it_runs(
    node: &Arc<Node>,
    group: GroupId,
    id: ReplicaId,
    since: u64,
) -> Option<Arc<Replica>> {
    loop {
        let started = tokio::select! {
            () = node.stop.cancelled() => return None,
            started = Replica::start(node, group, id, since) => started,
        };
        match started {
            Ok(replica) => return Some(replica),
            Err(error) => tracing::error!(%group, replica = %id, %error, "the replica does not start"),
        }
        tokio::select! {
            () = node.stop.cancelled() => return None,
            () = tokio::time::sleep(START_RETRY) => {}
        }
    }
}

/// A node's place among those that may lead a group: 0 is who should.
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

/// The preferred leader creates its group if it is new. Then everyone asks for votes while nobody leads: the preferred
/// one first, the others a little later each, in case its log is not the longest. They ask by pre-vote, so a leader that
/// others still hear is not disturbed.
async fn bring_up(node: &Arc<Node>, replica: &Arc<Replica>) {
    let directory = node.directory.load();
    let Some(rank) = rank(&directory, replica.group, node.id) else { return };
    if rank == 0
        && let GroupId::Shard(shard) = replica.group
        && let Some(placement) = directory.shard(shard)
        && let Err(error) = create_group(replica, &directory, placement).await
    {
        tracing::error!(group = %replica.group, %error, "the group cannot be created");
        return;
    }
    let mut leadership = replica.leadership_watch();
    let mut patience = node.timing.heartbeat * (2 * rank);
    for campaign in 0..CAMPAIGNS_MAX {
        let led = leadership.wait_for(|now| now.leader.is_some());
        tokio::select! {
            () = node.stop.cancelled() => return,
            led = tokio::time::timeout(patience, led) => if led.is_ok() { return },
        }
        patience = node.timing.heartbeat * (1 << campaign.min(3));
        if stand(replica).await.is_err() {
            return;
        }
    }
}

/// Asks for votes, if that can help.
pub(crate) async fn stand(replica: &Replica) -> Result<(), ConsensusError> {
    if !may_stand(replica) {
        return Ok(());
    }
    replica.raft.trigger().elect(true).await.map_err(|_fatal| ConsensusError::Stopped)
}

/// Whether this replica votes and nobody, itself included, is being elected as far as it knows: a second campaign would
/// undo the first. An election that came to nothing is left to the library's own timer.
fn may_stand(replica: &Replica) -> bool {
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

/// Starts the replicas that the directory places here.
async fn follow_directory(node: Arc<Node>) {
    let mut changed = node.directory.changed();
    loop {
        changed.mark_unchanged();
        let directory = node.directory.load();
        for placement in directory.shards() {
            if let Some(id) = placement.replica_on(node.id) {
                spawn_start(&node, GroupId::Shard(placement.shard), id, placement.since);
            }
        }
        tokio::select! {
            () = node.stop.cancelled() => return,
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}

/// Gives leadership back, a few groups at a time.
async fn balance(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.draining.cancelled() => return,
            () = tokio::time::sleep(node.timing.balance) => {}
        }
        let directory = node.directory.load();
        let mut given = 0;
        for replica in node.running() {
            let GroupId::Shard(shard) = replica.group else { continue };
            let Some(placement) = directory.shard(shard) else { continue };
            if node.draining.is_cancelled() {
                return;
            }
            if given == TRANSFERS_MAX || placement.preferred == node.id || !replica.leadership().leading {
                continue;
            }
            let wanted = placement.replica_on(placement.preferred);
            let Some(wanted) = wanted else { continue };
            let fresh = node.timing.heartbeat * 3;
            if let Some(successor) = replica.successor(Some(wanted), fresh, TRANSFER_LAG_MAX) {
                tracing::info!(group = %replica.group, to = %placement.preferred, "leadership goes to the preferred node");
                given += 1;
                if replica.give_leadership_to(successor).await.is_err() {
                    tracing::warn!(group = %replica.group, "the replica is stopped");
                }
            }
        }
    }
}

/// Stops everything, in order.
pub(crate) async fn stop(node: &Arc<Node>) {
    node.draining.cancel();
    give_leadership_away(node).await;
    halt(node).await;
}

/// Stops everything as it stands.
pub(crate) async fn halt(node: &Arc<Node>) {
    stop_replicas(node).await;
    node.tasks.close();
    node.tasks.wait().await;
    if let Err(error) = node.flush().await {
        tracing::error!(%error, "the state was not made durable at the end");
    }
}

/// From now on the node sends no heartbeat, grants no vote and serves no barrier.
async fn stop_replicas(node: &Arc<Node>) {
    node.draining.cancel();
    node.stop.cancel();
    let replicas = node.take_running();
    let stopped = join_all(replicas.iter().map(|replica| replica.raft.shutdown())).await;
    if stopped.iter().any(Result::is_err) {
        tracing::warn!("a replica did not stop cleanly");
    }
}

async fn stop_when_failed(node: Arc<Node>) {
    tokio::select! {
        () = node.stop.cancelled() => {}
        () = node.failed.cancelled() => stop_replicas(&node).await,
    }
}

/// Every group that has someone to lead it gets its new leader now, rather than after an election timeout.
async fn give_leadership_away(node: &Arc<Node>) {
    let mut leaving = Vec::new();
    for replica in node.running() {
        if !replica.leadership().leading {
            continue;
        }
        let successor = replica.successor(None, node.timing.heartbeat * 3, u64::MAX);
        let Some(successor) = successor else { continue };
        if replica.give_leadership_to(successor).await.is_ok() {
            leaving.push(replica);
        }
    }
    let deadline = Instant::now() + node.timing.election_max;
    for replica in leaving {
        let mut leadership = replica.leadership_watch();
        let left = leadership.wait_for(|now| !now.leading);
        if tokio::time::timeout_at(deadline.into(), left).await.is_err() {
            tracing::warn!(group = %replica.group, "leadership was not taken over in time");
        }
    }
}
