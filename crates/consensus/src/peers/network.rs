//! The Raft library's network: a client for each replica of another node, over the node's shared transport.
//!
//! ```text
//! stream_append:  take the first request ─► open an exchange ─► envelope, first request, then the rest as they come;
//!                 answers in order, each to its own request (acknowledgements.rs)
//! heartbeat:      take the one request ─► the node's queue (heartbeat.rs)
//! ```
//! The first request is taken *before* connecting. The library backs off inside its stream of requests, so it calls a
//! client that fails without taking one again at once: a dead peer caused 213,000 attempts a second. The regression test is
//! `tests/dead_peer.rs`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use custodia_profile::GroupId;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::BoxFuture;
use openraft::errors::{NetworkError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use prost::Message;

use super::acknowledgements::{Acknowledgements, Verdict, track};
use super::client::PeerClient;
use super::heartbeat::HeartbeatQueues;
use super::message::{Append, Body, Empty, Heartbeat, Push, Reply, Target, read_answer};
use crate::clock::LeaseClock;
use crate::error::ConsensusError;
use crate::raft::snapshot_files::{Snapshot, SnapshotData};
use crate::raft::snapshot_stream::{SendProgress, chunks};
use crate::raft::types::{AppendRequest, AppendResult, ReplicaNode, RpcError, TypeConfig, Vote};
use crate::timing::SNAPSHOT_TIMEOUT;
use crate::transport::{Peer, TransportError};

/// Creates the clients of one replica.
pub(crate) struct Network {
    pub(crate) client: Arc<PeerClient>,
    pub(crate) heartbeats: Arc<HeartbeatQueues>,
    pub(crate) clock: Arc<LeaseClock>,
    pub(crate) group: GroupId,
    pub(crate) replica: u64,
}

impl Network {
    fn client(&self, target: u64, node: &ReplicaNode, path: Path) -> ReplicaClient {
        ReplicaClient {
            client: Arc::clone(&self.client),
            heartbeats: Arc::clone(&self.heartbeats),
            clock: Arc::clone(&self.clock),
            target: Target { group: u32::from(self.group.as_u16()), replica: target },
            replica: self.replica,
            peer: node.node_id().map(|id| Peer { node: id, address: node.address.clone() }),
            path,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = ReplicaClient;

    async fn new_client(&mut self, target: u64, node: &ReplicaNode) -> ReplicaClient {
        self.client(target, node, Path::Exchange)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &ReplicaNode) -> ReplicaClient {
        self.client(target, node, Path::Heartbeat)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Exchange,
    Heartbeat,
}

/// Calls one replica of another node.
pub(crate) struct ReplicaClient {
    client: Arc<PeerClient>,
    heartbeats: Arc<HeartbeatQueues>,
    clock: Arc<LeaseClock>,
    target: Target,
    replica: u64,
    /// `None` if the membership names an invalid node.
    peer: Option<Peer>,
    path: Path,
}

type Answers<'s> = BoxStream<'s, Result<AppendResult, RpcError>>;

fn unreachable(error: &(impl std::error::Error + 'static)) -> Unreachable<TypeConfig> {
    Unreachable::new(error)
}

impl ReplicaClient {
    fn peer(&self) -> Result<&Peer, Unreachable<TypeConfig>> {
        let malformed = ConsensusError::Malformed { what: "a member's node" };
        self.peer.as_ref().ok_or_else(|| unreachable(&malformed))
    }

    /// Only a timeout is reported as such. Everything else counts as unreachable, so that the library backs off: the peer may
    /// have been replaced, or may not know the replica yet.
    fn rpc_error(&self, error: &ConsensusError, action: RPCTypes, timeout: Duration) -> RpcError {
        if let ConsensusError::Peer { source: TransportError::Timeout, .. } = error {
            return Timeout { action, id: self.replica, target: self.target.replica, timeout }.into();
        }
        unreachable(error).into()
    }

    async fn call(&self, body: Body, action: RPCTypes, timeout: Duration) -> Result<Reply, RpcError> {
        let called = self.client.call(self.peer()?, Some(self.target), body, timeout).await;
        called.map_err(|error| self.rpc_error(&error, action, timeout))
    }

    /// A candidate votes for itself, which breaks a lease that it granted as any other vote does.
    async fn ask_vote(&self, body: Body, timeout: Duration) -> Result<VoteResponse<TypeConfig>, RpcError> {
        if !self.clock.steady_for_a_lease() {
            return Err(Unreachable::from_string("this node's clock has jumped").into());
        }
        let Reply::Voted(voted) = self.call(body, RPCTypes::Vote, timeout).await? else {
            return Err(Unreachable::from_string("not an answer to a vote").into());
        };
        Ok(voted.into())
    }

    async fn heartbeat(&self, request: AppendRequest) -> Result<AppendResult, RpcError> {
        let heartbeat = Heartbeat { target: self.target, append: Append::from(&request) };
        let appended = self.heartbeats.send(self.peer()?, heartbeat).await;
        let silent = || Unreachable::from_string("the heartbeat was not answered");
        let result = appended.ok_or_else(silent)?.result();
        result.map_err(|refusal| unreachable(&refusal).into())
    }

    async fn open_append(
        &self,
        first: AppendRequest,
        rest: impl Stream<Item = AppendRequest> + Send + 'static,
        acknowledgements: Acknowledgements,
        timeout: Duration,
    ) -> Result<Answers<'static>, RpcError> {
        let requests = stream::iter([first]).chain(rest);
        let requests = requests.map(|request| Bytes::from(Append::from(&request).encode_to_vec()));
        let head = self.client.envelope(Some(self.target), Body::Append(Empty {}));
        let input = stream::iter([head]).chain(requests).boxed();
        let peer = self.peer()?;
        let opened = self.client.transport.exchange(peer, input, timeout).await;
        let answers = opened.map_err(|source| {
            let error = ConsensusError::Peer { node: peer.node, source };
            self.rpc_error(&error, RPCTypes::AppendEntries, timeout)
        })?;
        let patience = self.client.timing.election_max;
        let silent = Timeout {
            action: RPCTypes::AppendEntries,
            id: self.replica,
            target: self.target.replica,
            timeout: patience,
        };
        Ok(results(answers, acknowledgements, patience, silent))
    }
}

/// The results of append requests. Silence is an error only while a request is unanswered.
fn results(
    answers: BoxStream<'static, Result<Bytes, TransportError>>,
    acknowledgements: Acknowledgements,
    patience: Duration,
    silent: Timeout<TypeConfig>,
) -> Answers<'static> {
    let state = Some((answers, acknowledgements, silent));
    stream::unfold(state, move |state| async move {
        let (mut answers, acknowledgements, silent) = state?;
        acknowledgements.next_wanted();
        let result = loop {
            let was_waiting = acknowledgements.is_waiting();
            let result = match tokio::time::timeout(patience, answers.next()).await {
                Ok(answer) => result_of(answer?),
                Err(_elapsed) if was_waiting => return Some((Err(silent.into()), None)),
                Err(_elapsed) => continue,
            };
            let Ok(Ok(matched)) = &result else { break result };
            match acknowledgements.judge(*matched) {
                Verdict::Deliver => break result,
                Verdict::Drop => {}
                Verdict::Unexpected => {
                    break Err(Unreachable::from_string("an answer to no append request").into());
                }
            }
        };
        let continues = matches!(result, Ok(Ok(_)));
        Some((result, continues.then_some((answers, acknowledgements, silent))))
    })
    .boxed()
}

fn result_of(answer: Result<Bytes, TransportError>) -> Result<AppendResult, RpcError> {
    let answer = answer.map_err(|error| unreachable(&error))?;
    match read_answer(answer) {
        Ok(Reply::Appended(appended)) => appended.result().map_err(|refusal| unreachable(&refusal).into()),
        Ok(_) => Err(Unreachable::from_string("not an answer to an append request").into()),
        Err(refusal) => Err(unreachable(&refusal).into()),
    }
}

impl RaftNetworkV2<TypeConfig> for ReplicaClient {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let closed = NetworkError::from_string("the exchange ended without an answer");
        let (mut requests, acknowledgements) = track(stream::iter([rpc]));
        let first = requests.next().await.ok_or_else(|| Unreachable::from_string("no request"))?;
        let mut answers = self.open_append(first, requests, acknowledgements, option.soft_ttl()).await?;
        Ok(answers.next().await.ok_or(closed)??.into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<Answers<'s>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        async move {
            let (mut input, acknowledgements) = track(input);
            let Some(first) = input.next().await else { return Ok(stream::empty().boxed()) };
            if self.path == Path::Heartbeat {
                let result = self.heartbeat(first).await?;
                return Ok(stream::iter([Ok(result)]).boxed());
            }
            let timeout = option.soft_ttl().max(self.client.timing.heartbeat);
            let answers: Answers<'s> = self.open_append(first, input, acknowledgements, timeout).await?;
            Ok(answers)
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.ask_vote(Body::Vote(rpc.into()), option.soft_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.ask_vote(Body::PreVote(rpc.into()), option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        // A deposed leader's view may contain what a later leader committed. It must not be sent under the old vote: the
        // receiver's library would panic.
        if snapshot.meta.last_log_id.is_some_and(|last| last.leader_id > vote.leader_id) {
            return Err(ReplicationClosed::new("the snapshot is newer than the leader that sends it").into());
        }
        let push = Push { vote: vote.into(), meta: (&snapshot.meta).into() };
        let sent = async {
            let permit = Arc::clone(&self.client.snapshots_out).acquire_owned().await;
            let _permit = permit.map_err(|closed| unreachable(&closed))?;
            let sent = tokio::time::timeout(SNAPSHOT_TIMEOUT, self.push(push, snapshot.snapshot)).await;
            sent.unwrap_or_else(|_elapsed| Err(Unreachable::from_string("the snapshot took too long")))
        };
        tokio::pin!(cancel);
        tokio::select! {
            closed = &mut cancel => Err(closed.into()),
            sent = sent => Ok(SnapshotResponse::new(sent?)),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let (expected, actual) = (req.last_log_id().copied(), None);
        let asked =
            self.call(Body::Transfer(req.into()), RPCTypes::TransferLeader, option.soft_ttl()).await?;
        let Reply::Transferred(taken) = asked else {
            return Err(Unreachable::from_string("not an answer to a transfer").into());
        };
        Ok(if taken { Ok(()) } else { Err(TransferLeaderError::LogNotFlushed { expected, actual }) })
    }
}

impl ReplicaClient {
    async fn push(&self, push: Push, data: SnapshotData) -> Result<Vote, Unreachable<TypeConfig>> {
        let head = self.client.envelope(Some(self.target), Body::Push(push));
        let sending = Arc::new(SendProgress::default());
        let input = stream::iter([head]).chain(sending.follow(chunks(data.into_view()))).boxed();
        let opened =
            self.client.transport.exchange(self.peer()?, input, self.client.timing.election_max).await;
        let answers = opened.map_err(|error| unreachable(&error))?;
        let answer = sending.answer(answers, self.client.timing.snapshot_silence()).await;
        let answer = answer
            .ok_or_else(|| Unreachable::from_string("the receiver of the snapshot does not respond"))?;
        let answer =
            answer.ok_or_else(|| Unreachable::from_string("the exchange ended without an answer"))?;
        match read_answer(answer.map_err(|error| unreachable(&error))?) {
            Ok(Reply::Installed(vote)) => Ok(vote.into()),
            Ok(_) => Err(Unreachable::from_string("not an answer to a snapshot")),
            Err(refusal) => Err(unreachable(&refusal)),
        }
    }
}
