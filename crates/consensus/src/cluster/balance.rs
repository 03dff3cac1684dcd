//! Moves leadership: back to the preferred nodes while the cluster runs, and away from a node that stops.

use std::sync::Arc;
use std::time::Instant;

use custodia_profile::GroupId;

use super::node::Node;

/// The most leaderships that are returned in one round.
const TRANSFERS_MAX: usize = 8;
/// A follower that misses at most this many entries may take over.
const TRANSFER_LAG_MAX: u64 = 64;

/// Returns leadership to the preferred nodes that are healthy and caught up, a few groups at a time.
pub(super) async fn balance(node: Arc<Node>) {
    let draining = &node.context.lifecycle.draining;
    loop {
        tokio::select! {
            () = draining.cancelled() => return,
            () = tokio::time::sleep(node.context.timing.balance) => {}
        }
        let directory = node.context.storage.directory.load();
        let mut transfers = 0;
        for replica in node.replicas.all() {
            let GroupId::Shard(shard) = replica.group else { continue };
            let Some(placement) = directory.shard(shard) else { continue };
            if draining.is_cancelled() {
                return;
            }
            let is_preferred = placement.preferred == node.context.id();
            if transfers == TRANSFERS_MAX || is_preferred || !replica.leadership().leading {
                continue;
            }
            let Some(preferred) = placement.replica_on(placement.preferred) else { continue };
            let fresh = node.context.timing.heartbeat * 3;
            if let Some(successor) = replica.successor(Some(preferred), fresh, TRANSFER_LAG_MAX) {
                tracing::info!(group = %replica.group, to = %placement.preferred, "moving leadership to the preferred node");
                transfers += 1;
                if replica.transfer_leadership(successor).await.is_err() {
                    tracing::warn!(group = %replica.group, "cannot move leadership: the replica has stopped");
                }
            }
        }
    }
}

/// Gives every group that has a possible successor its new leader now, instead of after an election timeout.
pub(super) async fn hand_over_leadership(node: &Node) {
    let mut leaving = Vec::new();
    for replica in node.replicas.all() {
        if !replica.leadership().leading {
            continue;
        }
        let successor = replica.successor(None, node.context.timing.heartbeat * 3, u64::MAX);
        let Some(successor) = successor else { continue };
        if replica.transfer_leadership(successor).await.is_ok() {
            leaving.push(replica);
        }
    }
    let deadline = Instant::now() + node.context.timing.election_max;
    for replica in leaving {
        let mut leadership = replica.leadership_watch();
        let left = leadership.wait_for(|now| !now.leading);
        if tokio::time::timeout_at(deadline.into(), left).await.is_err() {
            tracing::warn!(group = %replica.group, "no other node took over leadership in time");
        }
    }
}
