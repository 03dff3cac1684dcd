//! Calls from other nodes: votes, leadership transfers, heartbeats of many groups, and joining a cluster.

use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::NodeId;
use futures::future::join_all;
use prost::Message;

use crate::cluster::bootstrap;
use crate::cluster::node::Node;
use crate::error::Refusal;
use crate::peers::message::{
    Answer, Appended, Body, Empty, Envelope, Heartbeat, HeartbeatAnswer, HeartbeatAnswers, Heartbeats, Reply,
};
use crate::raft::types::{AppendRequest, AppendResult};
use crate::replica::Replica;

/// Answers a call.
pub(crate) async fn handle(node: &Arc<Node>, from: NodeId, body: Bytes) -> Bytes {
    let answer = match Envelope::decode(body) {
        Ok(envelope) => answer(node, from, envelope).await,
        Err(_) => Err(Refusal::Malformed),
    };
    let answer = match answer {
        Ok(reply) => Answer::from(reply),
        Err(refusal) => {
            tracing::debug!(%from, %refusal, "refused a call from another node");
            Answer::from(refusal)
        }
    };
    answer.to_bytes()
}

async fn answer(node: &Arc<Node>, from: NodeId, mut envelope: Envelope) -> Result<Reply, Refusal> {
    let body = envelope.body.take().ok_or(Refusal::Malformed)?;
    // A node that is asked to join need not belong to the cluster yet.
    match body {
        Body::Probe(Empty {}) => return bootstrap::probe(node, from, &envelope).await,
        Body::Join(Empty {}) => return bootstrap::join(node, from, &envelope).await,
        Body::Vote(_)
        | Body::PreVote(_)
        | Body::Transfer(_)
        | Body::Heartbeats(_)
        | Body::Append(_)
        | Body::Push(_)
        | Body::Fetch(_) => {}
    }
    node.context.client.check_sender(from, &envelope)?;
    let replica = || {
        let target = envelope.target.ok_or(Refusal::Malformed)?;
        node.replicas.addressed(target, envelope.map_version)
    };
    let stopped = |_fatal| Refusal::Stopped;
    let may_vote = || if node.context.may_use_leases() { Ok(()) } else { Err(Refusal::ClockJumped) };
    match body {
        Body::Vote(vote) => {
            may_vote()?;
            let response = replica()?.raft.vote(vote.into()).await.map_err(stopped)?;
            Ok(Reply::Voted(response.into()))
        }
        Body::PreVote(vote) => {
            may_vote()?;
            let response = replica()?.raft.pre_vote(vote.into()).await.map_err(stopped)?;
            Ok(Reply::Voted(response.into()))
        }
        Body::Transfer(transfer) => {
            let taken = replica()?.raft.handle_transfer_leader(transfer.into()).await;
            Ok(Reply::Transferred(taken.or(Err(Refusal::Stopped))?.is_ok()))
        }
        Body::Heartbeats(heartbeats) => Ok(answer_heartbeats(node, envelope.map_version, heartbeats).await),
        // These need an exchange.
        Body::Append(_) | Body::Push(_) | Body::Fetch(_) | Body::Probe(_) | Body::Join(_) => {
            Err(Refusal::Malformed)
        }
    }
}

/// Answers all heartbeats of a call together. A group that is slow, for instance because of its disk, cannot delay the
/// others for longer than a heartbeat may take.
async fn answer_heartbeats(node: &Arc<Node>, map_version: u64, heartbeats: Heartbeats) -> Reply {
    let patience = node.context.timing.heartbeat * 3 / 4;
    let answers = heartbeats.items.into_iter().map(|Heartbeat { target, append }| async move {
        let replica = node.replicas.addressed(target, map_version).ok()?;
        let request = AppendRequest::try_from(append).ok()?;
        tokio::time::timeout(patience, heartbeat(&replica, request)).await.ok().flatten()
    });
    let items = join_all(answers).await.into_iter().map(|appended| HeartbeatAnswer { appended }).collect();
    Reply::Heartbeats(HeartbeatAnswers { items })
}

async fn heartbeat(replica: &Replica, request: AppendRequest) -> Option<Appended> {
    use openraft::raft::{AppendEntriesResponse, StreamAppendError};

    let prev = request.prev_log_id;
    let result: AppendResult = match replica.raft.append_entries(request).await.ok()? {
        AppendEntriesResponse::Success => Ok(prev),
        AppendEntriesResponse::PartialSuccess(through) => Ok(through),
        AppendEntriesResponse::Conflict => Err(StreamAppendError::Conflict(prev?)),
        AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote)),
    };
    Some(result.into())
}
