//! Exchanges with other nodes: entries to append, a snapshot that a leader pushes, and a snapshot that a replica fetches
//! because it has lost its state.

use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::NodeId;
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use openraft::raft::AppendEntriesResponse;
use prost::Message;

use crate::cluster::node::Node;
use crate::error::Refusal;
use crate::peers::message::{Answer, Append, Body, Empty, Envelope, Fetch, Push, Reply};
use crate::raft::snapshot_files::Snapshot;
use crate::raft::snapshot_stream::{chunks, until_silent};
use crate::raft::types::{AppendRequest, LogId, Vote};
use crate::replica::Replica;
use crate::transport::TransportError;

type Input = BoxStream<'static, Result<Bytes, TransportError>>;
type Output = BoxStream<'static, Bytes>;

/// Answers an exchange.
pub(crate) async fn handle(node: &Arc<Node>, from: NodeId, input: Input) -> Output {
    match answer(node, from, input).await {
        Ok(output) => output,
        Err(refusal) => {
            tracing::debug!(%from, %refusal, "refused an exchange with another node");
            stream::iter([Answer::from(refusal).to_bytes()]).boxed()
        }
    }
}

async fn answer(node: &Arc<Node>, from: NodeId, mut input: Input) -> Result<Output, Refusal> {
    let Some(Ok(head)) = input.next().await else { return Err(Refusal::Malformed) };
    let mut envelope = Envelope::decode(head).or(Err(Refusal::Malformed))?;
    node.context.client.check_sender(from, &envelope)?;
    let replica =
        node.replicas.addressed(envelope.target.ok_or(Refusal::Malformed)?, envelope.map_version)?;
    match envelope.body.take().ok_or(Refusal::Malformed)? {
        Body::Append(Empty {}) => Ok(append(&replica, input)),
        Body::Push(push) => {
            // The exchange opens before the snapshot has arrived: a transport limits the time to open, not the exchange.
            let node = Arc::clone(node);
            let received = async move { received(&node, &replica, push, input).await.to_bytes() };
            Ok(stream::once(received).boxed())
        }
        Body::Fetch(fetch) => send(node, &replica, fetch).await,
        Body::Vote(_)
        | Body::PreVote(_)
        | Body::Transfer(_)
        | Body::Heartbeats(_)
        | Body::Probe(_)
        | Body::Join(_) => Err(Refusal::Malformed),
    }
}

/// Ends when the input ends or cannot be decoded, when the library refuses, or when the caller drops the answers.
fn append(replica: &Replica, input: Input) -> Output {
    let requests = input.map(|message| {
        let append = Append::decode(message.ok()?).ok()?;
        AppendRequest::try_from(append).ok()
    });
    let requests = requests.take_while(|request| ready(request.is_some())).filter_map(ready);
    let results = replica.raft.stream_append(requests);
    let answers = results.map(|result| match result {
        Ok(result) => Answer::from(Reply::Appended(result.into())).to_bytes(),
        Err(_fatal) => Answer::from(Refusal::Stopped).to_bytes(),
    });
    answers.boxed()
}

async fn received(node: &Arc<Node>, replica: &Replica, push: Push, input: Input) -> Answer {
    match receive(node, replica, push, input).await {
        Ok(vote) => Reply::Installed(vote.into()).into(),
        Err(refusal) => {
            tracing::debug!(group = %replica.group, %refusal, "refused a snapshot from another node");
            refusal.into()
        }
    }
}

/// Receives a snapshot into a file and lets the library install it.
async fn receive(node: &Arc<Node>, replica: &Replica, push: Push, input: Input) -> Result<Vote, Refusal> {
    let vote: Vote = push.vote.into();
    let meta = push.meta.meta().or(Err(Refusal::Malformed))?;
    // The library would panic on these.
    let Some(last) = meta.last_log_id else { return Err(Refusal::Malformed) };
    if last.leader_id > vote.leader_id || !vote.committed {
        return Err(Refusal::Malformed);
    }
    let _permit = node.context.client.snapshots_in.acquire().await.or(Err(Refusal::Stopped))?;
    let files = &node.context.storage.snapshot_files;
    let input = until_silent(input, node.context.timing.snapshot_silence());
    let data = files.receive(replica.group, &meta, input).await.map_err(|error| {
        tracing::warn!(group = %replica.group, %error, "cannot receive the snapshot");
        Refusal::NoSnapshot
    })?;
    if let Some(vote) = offer_commit(replica, vote, last).await? {
        if let Err(error) = files.discard(data).await {
            tracing::warn!(group = %replica.group, %error, "cannot remove a snapshot file that is not needed");
        }
        return Ok(vote);
    }
    let installed = replica.raft.install_full_snapshot(vote, Snapshot { meta, snapshot: data }).await;
    Ok(installed.or(Err(Refusal::Stopped))?.vote)
}

/// Tells the library that everything through `last` is committed, as a heartbeat would. If that makes the snapshot
/// unnecessary, returns the vote to answer with.
///
/// A replica may hold the entries of a snapshot without knowing that they are committed, because they arrived during the
/// transfer. The library skips a snapshot only if it is behind its *commit* index. Otherwise it moves the log's progress
/// back to the snapshot, behind entries that it has already accepted: a failed assertion in a debug build, and in a release
/// build nothing is applied until the next entry. After this call, it has either committed `last` or has no such entry.
///
/// The claim is true, because a leader's snapshot contains applied entries only. The vote is checked as for any append, so
/// a deposed leader's is refused. An entry below the purge point is committed and counts as held. The regression test is
/// `snapshot_of_entries_that_are_held_is_not_installed`.
async fn offer_commit(replica: &Replica, vote: Vote, last: LogId) -> Result<Option<Vote>, Refusal> {
    let offer =
        AppendRequest { vote, prev_log_id: Some(last), entries: Vec::new(), leader_commit: Some(last) };
    let answer = replica.raft.append_entries(offer).await.or(Err(Refusal::Stopped))?;
    Ok(match answer {
        AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_) => Some(vote),
        AppendEntriesResponse::HigherVote(higher) => Some(higher),
        AppendEntriesResponse::Conflict => None,
    })
}

/// Sends a view of the state to a replica that has lost its own.
async fn send(node: &Arc<Node>, replica: &Replica, fetch: Fetch) -> Result<Output, Refusal> {
    if fetch.leader_only && !replica.leadership().leading {
        return Err(Refusal::NoSnapshot);
    }
    let permit =
        Arc::clone(&node.context.client.snapshots_out).try_acquire_owned().or(Err(Refusal::NoSnapshot))?;
    let found = replica.raft.get_snapshot().await.or(Err(Refusal::Stopped))?;
    let Snapshot { meta, snapshot } = found.ok_or(Refusal::NoSnapshot)?;
    if meta.last_log_id.is_none_or(|last| last.index < fetch.index_min) {
        return Err(Refusal::NoSnapshot);
    }
    let head = Answer::from(Reply::Found((&meta).into())).to_bytes();
    let chunks = chunks(snapshot.into_view()).inspect(move |_| {
        // Held until the last chunk is sent.
        let _held = &permit;
    });
    Ok(stream::iter([head]).chain(chunks).boxed())
}
