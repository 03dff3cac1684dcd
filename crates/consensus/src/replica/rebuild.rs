//! A replica that has lost its state fetches it from another node, without an operator.
//!
//! State is lost when the engine's applied index is below the purge point of the log, because the missing entries cannot be
//! replayed. That happens when a damaged partition was set aside, or when an engine rolled back further than it promised. The
//! purge marker names the members of the group, so the log alone tells whom to ask. The leader is asked first; a node that
//! takes the request and then goes silent is abandoned for the next one. Until it is rebuilt the replica takes no part, so it
//! cannot vote without its state. If no other node has the state, it stays down and says so in the status of the cluster: what
//! was acknowledged is not dropped in silence, and the folder that was set aside is the way back.

use std::collections::BTreeMap;
use std::time::Duration;

use custodia_profile::GroupId;
use custodia_store::Partition;
use futures::{StreamExt, stream};

use super::context::NodeContext;
use super::start::{ReplicaState, Start};
use crate::error::ConsensusError;
use crate::peers::message::{Body, Fetch, Reply, Target, read_answer};
use crate::raft::log::ReplicaLog;
use crate::raft::machine::read_applied;
use crate::raft::snapshot_stream::until_silent;
use crate::raft::types::{LogId, StoredMembership};
use crate::timing::SNAPSHOT_TIMEOUT;
use crate::transport::Peer;

/// Time between two rounds over all members.
const RETRY: Duration = Duration::from_millis(500);

/// Returns when the engine holds at least what the log has purged.
pub(super) async fn rebuild_if_lost(
    node: &NodeContext,
    start: &Start,
    state: &Partition,
    log: &ReplicaLog,
) -> Result<(), ConsensusError> {
    let (group, replica) = (start.group, start.id);
    let (purged, membership) = log.purged();
    loop {
        let (applied, _) = read_applied(state, group)?;
        let Some(purged) = purged.filter(|purged| applied.is_none_or(|applied| applied.index < purged.index))
        else {
            // The process may have died between the install and this step.
            return match applied {
                Some(applied) => log.reconcile(applied).await,
                None => Ok(()),
            };
        };
        let missing =
            format!("its log begins after entry {}, and the state up to there is missing", purged.index);
        if start.progress.state() != ReplicaState::Stranded {
            start.progress.set(ReplicaState::Rebuilding, missing.clone());
        }
        match fetch_from_any(node, start, state, purged, &membership).await {
            Ok(fetched) => {
                tracing::info!(%group, %replica, applied = fetched.index, "replica rebuilt");
                continue;
            }
            Err(refusals) => {
                start.progress.set(ReplicaState::Stranded, format!("{missing}; {refusals}"));
            }
        }
        tokio::select! {
            () = node.lifecycle.stop.cancelled() => return Err(ConsensusError::Stopped),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// The error says what each node answered.
async fn fetch_from_any(
    node: &NodeContext,
    start: &Start,
    state: &Partition,
    purged: LogId,
    membership: &StoredMembership,
) -> Result<LogId, String> {
    let mut answers = BTreeMap::new();
    let (group, replica) = (start.group, start.id);
    for leader_only in [true, false] {
        for (member, at) in membership.nodes().filter(|(member, _)| **member != replica.as_u64()) {
            let Some(id) = at.node_id() else { continue };
            let peer = Peer { node: id, address: at.address.clone() };
            let target = Target { group: u32::from(group.as_u16()), replica: *member };
            let fetch = Fetch { index_min: purged.index, leader_only };
            let fetched =
                tokio::time::timeout(SNAPSHOT_TIMEOUT, fetch_from(node, group, state, &peer, target, fetch));
            match fetched.await {
                Ok(Ok(fetched)) => return Ok(fetched),
                Ok(Err(error)) => answers.insert(id, error.to_string()),
                Err(_elapsed) => answers.insert(id, "no snapshot in time".to_owned()),
            };
        }
    }
    if answers.is_empty() {
        return Err("no other node has a replica".to_owned());
    }
    let answers: Vec<_> = answers.iter().map(|(id, answer)| format!("node {id}: {answer}")).collect();
    Err(format!("no other node gave it: {}", answers.join("; ")))
}

/// Fetches a snapshot and installs it. On `Ok`, the engine holds it durably.
async fn fetch_from(
    node: &NodeContext,
    group: GroupId,
    state: &Partition,
    peer: &Peer,
    target: Target,
    fetch: Fetch,
) -> Result<LogId, ConsensusError> {
    const WHAT: &str = "a fetched snapshot";
    let failed = |source| ConsensusError::Peer { node: peer.node, source };
    let client = &node.client;
    let head = client.envelope(Some(target), Body::Fetch(fetch));
    let opened =
        client.transport.exchange(peer, stream::iter([head]).boxed(), node.timing.election_max).await;
    let mut answers = until_silent(opened.map_err(failed)?, node.timing.snapshot_silence());
    let first = answers.next().await.ok_or(ConsensusError::Malformed { what: WHAT })?.map_err(failed)?;
    let refused = |refusal| ConsensusError::Refused { node: peer.node, refusal };
    let Reply::Found(applied) = read_answer(first).map_err(refused)? else {
        return Err(ConsensusError::Malformed { what: WHAT });
    };
    let meta = applied.meta()?;
    let last = meta.last_log_id.filter(|last| last.index >= fetch.index_min);
    let last = last.ok_or(ConsensusError::Malformed { what: WHAT })?;
    let files = &node.storage.snapshot_files;
    let data = files.receive(group, &meta, answers).await?;
    files.install(state, group, &meta, data).await?;
    node.storage.state_changed(state, group, Some(last));
    Ok(last)
}
