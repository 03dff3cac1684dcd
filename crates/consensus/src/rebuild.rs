//! A replica that has lost its state gets it back from another node, with nobody's help.
//!
//! It has lost it when the engine's applied index is below the purge point of the log: what is missing cannot be replayed.
//! That happens when an engine was set aside because it did not open, or rolled back further than it had promised. The
//! marker of the purge names the members of the group, so the log alone is enough to know whom to ask. The leader is asked
//! first; a node that takes the question and then says nothing is left for the next one. Until it is rebuilt the replica
//! does not take part, so it cannot vote without its state.

use std::sync::Arc;
use std::time::Duration;

use custodia_profile::{GroupId, ReplicaId};
use futures::{StreamExt, stream};

use crate::error::ConsensusError;
use crate::log::ReplicaLog;
use crate::machine::read_applied;
use crate::message::{Body, Fetch, Reply, Target, read_answer};
use crate::node::Node;
use crate::replica::node_id;
use crate::snapshot;
use crate::timing::SNAPSHOT_TIMEOUT;
use crate::transport::Peer;
use crate::types::{LogId, StoredMembership};

const RETRY: Duration = Duration::from_millis(500);

/// Returns when the engine holds at least what the log has purged.
pub(crate) async fn rebuild_if_lost(
    node: &Arc<Node>,
    group: GroupId,
    replica: ReplicaId,
    log: &ReplicaLog,
) -> Result<(), ConsensusError> {
    let (purged, membership) = log.purged();
    loop {
        let (applied, _) = read_applied(node.engine.as_ref(), group)?;
        let Some(purged) = purged.filter(|purged| applied.is_none_or(|applied| applied.index < purged.index))
        else {
            // The process may have died between an install and this.
            return match applied {
                Some(applied) => log.reconcile(applied).await,
                None => Ok(()),
            };
        };
        tracing::warn!(%group, %replica, purged = purged.index, applied = applied.map(|id| id.index),
            "the replica has lost its state and is rebuilt from another node");
        if let Some(fetched) = fetch_from_any(node, group, replica, purged, &membership).await {
            tracing::info!(%group, %replica, applied = fetched.index, "the replica is rebuilt");
            continue;
        }
        tokio::select! {
            () = node.stop.cancelled() => return Err(ConsensusError::Stopped),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn fetch_from_any(
    node: &Arc<Node>,
    group: GroupId,
    replica: ReplicaId,
    purged: LogId,
    membership: &StoredMembership,
) -> Option<LogId> {
    for leader_only in [true, false] {
        for (member, at) in membership.nodes().filter(|(member, _)| **member != replica.as_u64()) {
            let Some(id) = node_id(at) else { continue };
            let peer = Peer { node: id, address: at.address.clone() };
            let target = Target { group: u32::from(group.as_u16()), replica: *member };
            let fetch = Fetch { index_min: purged.index, leader_only };
            let fetched =
                tokio::time::timeout(SNAPSHOT_TIMEOUT, fetch_from(node, group, &peer, target, fetch));
            match fetched.await {
                Ok(Ok(fetched)) => return Some(fetched),
                Ok(Err(error)) => tracing::info!(%group, from = %id, %error, "no snapshot from this node"),
                Err(_elapsed) => tracing::info!(%group, from = %id, "no snapshot from this node in time"),
            }
        }
    }
    None
}

/// Fetches and installs; after it the engine holds the snapshot durably.
async fn fetch_from(
    node: &Arc<Node>,
    group: GroupId,
    peer: &Peer,
    target: Target,
    fetch: Fetch,
) -> Result<LogId, ConsensusError> {
    const WHAT: &str = "a fetched snapshot";
    let broken = |source| ConsensusError::Peer { node: peer.node, source };
    let head = node.envelope(Some(target), Body::Fetch(fetch));
    let opened = node.transport.exchange(peer, stream::iter([head]).boxed(), node.timing.election_max).await;
    let mut answers = snapshot::until_silent(opened.map_err(broken)?, node.timing.snapshot_silence());
    let first = answers.next().await.ok_or(ConsensusError::Malformed { what: WHAT })?.map_err(broken)?;
    let refused = |refusal| ConsensusError::Refused { node: peer.node, refusal };
    let Reply::Found(applied) = read_answer(first).map_err(refused)? else {
        return Err(ConsensusError::Malformed { what: WHAT });
    };
    let meta = applied.meta()?;
    let last = meta.last_log_id.filter(|last| last.index >= fetch.index_min);
    let last = last.ok_or(ConsensusError::Malformed { what: WHAT })?;
    let context = node.machine_context();
    let data = context.spool.receive(group, &meta, answers).await?;
    context.spool.install(&context, group, &meta, data).await?;
    if group == GroupId::Directory {
        node.directory.reload(node.engine.as_ref());
    }
    Ok(last)
}
