//! What follows the loss of a partition of the state: the node and its other replicas go on.
//!
//! ```text
//! damage met (by apply, a read, a snapshot, or in the background) ─► the partition is lost: every call on it fails
//!   ─► its replicas stop: their Raft ends, they leave the running ones ─► the damaged folder is kept under another name
//!   ─► an empty one is opened ─► the replicas start again: by their log, or with a snapshot from another node (rebuild.rs)
//! ```
//! Why this is safe: the log of these replicas is intact, with their votes and what they acknowledged, so they stay members
//! under their ids. What they had applied, they apply again, or fetch from a node that has; until then they take no part.
//! Nothing of an ended replica reaches the new state, because it holds the lost incarnation of the partition. The lease that
//! it granted is kept by the restart guard, counted from its end. If no other node has the state and the log begins later,
//! the replica stays down: see `ReplicaState::Stranded`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_store::{PartitionId, StoreError, with_causes};
use futures::future::join_all;

use super::node::Node;
use super::supervisor::spawn_marked_start;
use crate::blocking::blocking;
use crate::error::ConsensusError;
use crate::replica::start::{Progress, Start};
use crate::replica::{Replica, ReplicaState};

/// Time between two attempts to replace a partition.
const REPLACE_RETRY: Duration = Duration::from_secs(1);

/// Recovers every partition that is lost, until the node stops.
pub(super) async fn recover_partitions(node: Arc<Node>) {
    let stop = &node.context.lifecycle.stop;
    loop {
        for partition in lost(&node) {
            if node.recovering.lock().insert(partition) {
                node.spawn("the recovery of a partition", recover(Arc::clone(&node), partition));
            }
        }
        if stop.run_until_cancelled(node.damaged.notified()).await.is_none() {
            return;
        }
    }
}

/// The partitions that are lost, and those that a running replica has lost although they were replaced since.
fn lost(node: &Node) -> Vec<PartitionId> {
    let mut lost = node.context.storage.engine.lost();
    lost.extend(
        node.replicas
            .all()
            .iter()
            .filter(|replica| replica.state.is_lost())
            .map(|replica| replica.state.id()),
    );
    lost
}

async fn recover(node: Arc<Node>, partition: PartitionId) {
    let stop = &node.context.lifecycle.stop;
    let taken = node.replicas.take_lost(partition);
    if stop
        .run_until_cancelled(join_all(taken.iter().map(|(replica, _)| replica.raft.shutdown())))
        .await
        .is_none()
    {
        return;
    }
    let ran_until = Some(Instant::now());
    let Some(replaced) = stop.run_until_cancelled(replace(&node, partition, &taken)).await else { return };
    for (replica, progress) in taken {
        let (group, id, since) = (replica.group, replica.id, replica.since);
        spawn_marked_start(&node, Start { group, id, since, ran_until, progress });
    }
    // A partition that was lost too often stays in the set, so that it is not tried again.
    if replaced {
        node.recovering.lock().remove(&partition);
        node.damaged.notify_one();
    }
}

/// Replaces the partition if it is still lost. False if it was replaced too often.
async fn replace(node: &Arc<Node>, partition: PartitionId, taken: &[(Arc<Replica>, Arc<Progress>)]) -> bool {
    let mut last = String::new();
    loop {
        let engine = Arc::clone(&node.context.storage.engine);
        if !engine.lost().contains(&partition) {
            return true;
        }
        match blocking(move || engine.replace(partition)).await {
            Ok(aside) => {
                let kept = aside.map(|aside| aside.display().to_string()).unwrap_or_default();
                tracing::warn!(%partition, kept, "the damaged partition of the state is set aside; its replicas start again");
                return true;
            }
            Err(error) => {
                let reason = with_causes(&error);
                taken.iter().for_each(|(_, progress)| progress.set(ReplicaState::Failed, &reason));
                if matches!(error, ConsensusError::Store(StoreError::PartitionLost { .. })) {
                    tracing::error!(%partition, reason, "the partition of the state stays lost");
                    return false;
                }
                if reason != last {
                    tracing::error!(%partition, reason, "cannot replace the lost partition of the state; trying again");
                    last = reason;
                }
            }
        }
        tokio::time::sleep(REPLACE_RETRY).await;
    }
}
