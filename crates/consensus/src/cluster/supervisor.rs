//! Runs the replicas that the directory assigns to this node, and stops them.
//!
//! ```text
//! start ─► directory replica ─┐
//!          shard replicas  ◄──┴── whenever the directory changes; each then campaigns (campaign.rs)
//!          balance: returns leadership to the preferred nodes (balance.rs)
//! stop  ─► leadership handed over (bounded) ─► groups stop ─► tasks end ─► flush
//! engine, log or a part of this fails ─► groups stop ─► the process is expected to end
//! a partition of the state is lost ─► its replicas stop and start again (recovery.rs)
//! ```
//! **Failed storage.** A leader whose engine is poisoned need not notice: requests fail at their first read, so it proposes
//! nothing and applies nothing, while its heartbeats continue. Its group then had a leader that served nothing until the
//! process was ended. So the first failure stops all replicas of the node at once, and the others elect new leaders. The
//! regression test is `failed_engine_stops_every_replica_of_its_node`.
//!
//! **Failed parts.** A panic leaves half of a group: a leader without its state machine continues its heartbeats, and a
//! replica that panicked while starting is never started again. What else the panic left unfinished is unknown, so it is
//! handled like failed storage. A new process starts from what is on disk, under the restart guard.

use std::sync::Arc;
use std::time::Duration;

use custodia_profile::{GroupId, ReplicaId};
use custodia_store::with_causes;
use futures::future::join_all;

use super::balance::{balance, hand_over_leadership};
use super::campaign::create_group_and_campaign;
use super::log_bound::bound_logs;
use super::node::Node;
use super::placement::directory_replica;
use super::recovery::recover_partitions;
use crate::error::ConsensusError;
use crate::raft::log::find_replica;
use crate::replica::start::Start;
use crate::replica::{Replica, ReplicaState};

/// Time between two attempts to start a replica.
const START_RETRY: Duration = Duration::from_secs(1);

/// Starts the replicas of this node and the tasks that look after them.
pub(crate) fn start(node: &Arc<Node>) -> Result<(), ConsensusError> {
    if node.cluster().is_some() {
        start_directory(node)?;
    }
    node.spawn("the stop after a failure", stop_when_failed(Arc::clone(node)));
    node.spawn("the recovery of partitions", recover_partitions(Arc::clone(node)));
    node.spawn("the start of replicas", follow_directory(Arc::clone(node)));
    node.spawn("the leadership balancer", balance(Arc::clone(node)));
    node.spawn("the purge of long logs", bound_logs(Arc::clone(node)));
    node.spawn("the watch on the clocks", watch_clocks(Arc::clone(node)));
    Ok(())
}

/// Notices a jump of a clock soon, also where no lease is used, so that its consequences are over soon.
async fn watch_clocks(node: Arc<Node>) {
    let stop = &node.context.lifecycle.stop;
    while stop.run_until_cancelled(tokio::time::sleep(node.context.timing.heartbeat)).await.is_some() {
        node.context.may_use_leases();
    }
}

/// Starts the directory's replica, unless it runs or is being started.
pub(crate) fn start_directory(node: &Arc<Node>) -> Result<(), ConsensusError> {
    let id = match find_replica(&node.context.storage.log, GroupId::Directory)? {
        Some(id) => id,
        None => {
            let number = directory_replica(node.context.id());
            ReplicaId::new(number).or(Err(ConsensusError::Malformed { what: "a node id" }))?
        }
    };
    spawn_start(node, GroupId::Directory, id, 0);
    Ok(())
}

fn spawn_start(node: &Arc<Node>, group: GroupId, id: ReplicaId, since: u64) {
    if let Some(progress) = node.replicas.begin_start(group, id) {
        spawn_marked_start(node, Start { group, id, since, ran_until: None, progress });
    }
}

/// Starts a replica that is marked as being started.
pub(super) fn spawn_marked_start(node: &Arc<Node>, start: Start) {
    node.spawn("the start of a replica", start_replica(Arc::clone(node), start));
}

async fn start_replica(node: Arc<Node>, start: Start) {
    let replica = start_with_retries(&node, &start).await;
    match &replica {
        Some(replica) => node.add_running(Arc::clone(replica)),
        None => node.replicas.end_start(start.group),
    }
    // If the node was stopped meanwhile, this replica may have come too late to be stopped with the others.
    if node.context.lifecycle.stop.is_cancelled() {
        return stop_replicas(&node).await;
    }
    if let Some(replica) = replica {
        // Its state may have been lost before it was among those that run.
        node.damaged.notify_one();
        create_group_and_campaign(&node.context, &replica).await;
    }
}

async fn start_with_retries(node: &Arc<Node>, start: &Start) -> Option<Arc<Replica>> {
    let stop = &node.context.lifecycle.stop;
    loop {
        let started = tokio::select! {
            () = stop.cancelled() => return None,
            started = Replica::start(&node.context, start) => started,
        };
        match started {
            Ok(replica) => return Some(replica),
            Err(error) => start.progress.set(ReplicaState::Failed, with_causes(&error)),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(START_RETRY) => {}
        }
    }
}

/// Starts the replicas that the directory places on this node.
async fn follow_directory(node: Arc<Node>) {
    let mut changed = node.context.storage.directory.changed();
    loop {
        changed.mark_unchanged();
        let directory = node.context.storage.directory.load();
        for placement in directory.shards() {
            if let Some(id) = placement.replica_on(node.context.id()) {
                spawn_start(&node, GroupId::Shard(placement.shard), id, placement.since);
            }
        }
        tokio::select! {
            () = node.context.lifecycle.stop.cancelled() => return,
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}

/// Stops everything in order.
pub(crate) async fn stop(node: &Arc<Node>) {
    node.context.lifecycle.draining.cancel();
    hand_over_leadership(node).await;
    halt(node).await;
}

/// Stops everything without handing leadership over.
pub(crate) async fn halt(node: &Arc<Node>) {
    stop_replicas(node).await;
    node.context.lifecycle.tasks_ended().await;
    if let Err(error) = node.context.storage.flush().await {
        tracing::error!(%error, "cannot make the state durable at shutdown");
    }
}

/// From here on the node sends no heartbeat, grants no vote and passes no barrier.
async fn stop_replicas(node: &Arc<Node>) {
    node.context.lifecycle.draining.cancel();
    node.context.lifecycle.stop.cancel();
    let replicas = node.replicas.take_all();
    let stopped = join_all(replicas.iter().map(|replica| replica.raft.shutdown())).await;
    if stopped.iter().any(Result::is_err) {
        tracing::warn!("a replica did not stop cleanly");
    }
}

async fn stop_when_failed(node: Arc<Node>) {
    tokio::select! {
        () = node.context.lifecycle.stop.cancelled() => {}
        () = node.context.lifecycle.failed.cancelled() => stop_replicas(&node).await,
    }
}
