//! The library's way to other replicas: one client for each (group, replica), over the node's shared transport.
//!
//! ```text
//! stream_append:  pull the first request ─► open an exchange ─► envelope, first, then the rest as they come; answers in
//!                 order, each for its own request (in_flight.rs)
//! heartbeat:      pull the one request ─► queue of the node (heartbeat.rs)
//! ```
//! The first request is pulled *before* connecting. The library backs off inside its stream of requests, so a client that
//! fails without pulling is called again at once: a dead peer made 213,000 tries a second. The regression test is
//! `tests/dead_peer.rs`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId};
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

use crate::error::ConsensusError;
use crate::in_flight::{self, Verdict};
use crate::message::{Append, Body, Empty, Heartbeat, Push, Reply, Target, read_answer};
use crate::node::Node;
use crate::snapshot::{self, Sending, SnapshotData};
use crate::timing::SNAPSHOT_TIMEOUT;
use crate::transport::{Peer, TransportError};
use crate::types::{AppendRequest, AppendResult, ReplicaNode, RpcError, Snapshot, TypeConfig, Vote};

/// Makes the clients of one replica.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) node: Arc<Node>,
    pub(crate) group: GroupId,
    pub(crate) replica: u64,
}

impl Network {
    fn client(&self, target: u64, node: &ReplicaNode, path: Path) -> Client {
        Client {
            node: Arc::clone(&self.node),
            target: Target { group: u32::from(self.group.as_u16()), replica: target },
            replica: self.replica,
            peer: NodeId::new(node.node).ok().map(|id| Peer { node: id, address: node.address.clone() }),
            path,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &ReplicaNode) -> Client {
        self.client(target, node, Path::Exchange)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &ReplicaNode) -> Client {
        self.client(target, node, Path::Heartbeat)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Exchange,
    Heartbeat,
}

/// The way to one replica.
#[derive(Debug)]
pub(crate) struct Client {
    node: Arc<Node>,
    target: Target,
    replica: u64,
    /// Nothing where the membership names a node that cannot be.
    peer: Option<Peer>,
    path: Path,
}

type Answers<'s> = BoxStream<'s, Result<AppendResult, RpcError>>;

fn unreachable(error: &(impl std::error::Error + 'static)) -> Unreachable<TypeConfig> {
    Unreachable::new(error)
}

impl Client {
    fn peer(&self) -> Result<&Peer, Unreachable<TypeConfig>> {
        let malformed = ConsensusError::Malformed { what: "a member's node" };
        self.peer.as_ref().ok_or_else(|| unreachable(&malformed))
    }

    /// The peer may be someone else by now, or may not know the replica yet: all of it is waited out.
    fn rpc_error(&self, error: &ConsensusError, action: RPCTypes, timeout: Duration) -> RpcError {
        if let ConsensusError::Peer { source: TransportError::Timeout, .. } = error {
            return Timeout { action, id: self.replica, target: self.target.replica, timeout }.into();
        }
        unreachable(error).into()
    }

    async fn call(&self, body: Body, action: RPCTypes, timeout: Duration) -> Result<Reply, RpcError> {
        let called = self.node.call(self.peer()?, Some(self.target), body, timeout).await;
        called.map_err(|error| self.rpc_error(&error, action, timeout))
    }

    async fn ask_vote(&self, body: Body, timeout: Duration) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let Reply::Voted(voted) = self.call(body, RPCTypes::Vote, timeout).await? else {
            return Err(Unreachable::from_string("not an answer to a vote").into());
        };
        Ok(voted.into())
    }

    async fn heartbeat(&self, request: AppendRequest) -> Result<AppendResult, RpcError> {
        let heartbeat = Heartbeat { target: self.target, append: Append::from(&request) };
        let appended = self.node.heartbeats.send(&self.node, self.peer()?, heartbeat).await;
        let silent = || Unreachable::from_string("the heartbeat was not answered");
        let result = appended.ok_or_else(silent)?.result();
        result.map_err(|refusal| unreachable(&refusal).into())
    }

    fn in_flight<S>(&self, input: S) -> (in_flight::Requests<S>, in_flight::Answers) {
        in_flight::in_flight(input, self.node.timing.ack_slack())
    }

    async fn open_append(
        &self,
        first: AppendRequest,
        rest: impl Stream<Item = AppendRequest> + Send + 'static,
        in_flight: in_flight::Answers,
        timeout: Duration,
    ) -> Result<Answers<'static>, RpcError> {
        let requests = stream::iter([first]).chain(rest);
        let requests = requests.map(|request| Bytes::from(Append::from(&request).encode_to_vec()));
        let head = self.node.envelope(Some(self.target), Body::Append(Empty {}));
        let input = stream::iter([head]).chain(requests).boxed();
        let peer = self.peer()?;
        let opened = self.node.transport.exchange(peer, input, timeout).await;
        let answers = opened.map_err(|source| {
            let error = ConsensusError::Peer { node: peer.node, source };
            self.rpc_error(&error, RPCTypes::AppendEntries, timeout)
        })?;
        let patience = self.node.timing.election_max;
        let silent = Timeout {
            action: RPCTypes::AppendEntries,
            id: self.replica,
            target: self.target.replica,
            timeout: patience,
        };
        Ok(results(answers, in_flight, patience, silent))
    }
}

/// The answers to append requests. Silence is an error only while a request waits for its answer.
fn results(
    answers: BoxStream<'static, Result<Bytes, TransportError>>,
    in_flight: in_flight::Answers,
    patience: Duration,
    silent: Timeout<TypeConfig>,
) -> Answers<'static> {
    let state = Some((answers, in_flight, silent));
    stream::unfold(state, move |state| async move {
        let (mut answers, in_flight, silent) = state?;
        in_flight.asked();
        let result = loop {
            let were_waiting = in_flight.is_waiting();
            let result = match tokio::time::timeout(patience, answers.next()).await {
                Ok(answer) => result_of(answer?),
                Err(_elapsed) if were_waiting => return Some((Err(silent.into()), None)),
                Err(_elapsed) => continue,
            };
            let Ok(Ok(matched)) = &result else { break result };
            match in_flight.acknowledged(*matched) {
                Verdict::Deliver => break result,
                Verdict::Drop => {}
                Verdict::Unasked => {
                    break Err(Unreachable::from_string("an answer to no append request").into());
                }
            }
        };
        let goes_on = matches!(result, Ok(Ok(_)));
        Some((result, goes_on.then_some((answers, in_flight, silent))))
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

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let closed = NetworkError::from_string("the exchange ended without an answer");
        let (mut requests, in_flight) = self.in_flight(stream::iter([rpc]));
        let first = requests.next().await.ok_or_else(|| Unreachable::from_string("no request"))?;
        let mut answers = self.open_append(first, requests, in_flight, option.soft_ttl()).await?;
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
            let (mut input, in_flight) = self.in_flight(input);
            let Some(first) = input.next().await else { return Ok(stream::empty().boxed()) };
            if self.path == Path::Heartbeat {
                let result = self.heartbeat(first).await?;
                return Ok(stream::iter([Ok(result)]).boxed());
            }
            let timeout = option.soft_ttl().max(self.node.timing.heartbeat);
            let answers: Answers<'s> = self.open_append(first, input, in_flight, timeout).await?;
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
        // A deposed leader's view may hold what a later leader committed. Under the old vote it must not travel: the
        // receiver's library would panic.
        if snapshot.meta.last_log_id.is_some_and(|last| last.leader_id > vote.leader_id) {
            return Err(ReplicationClosed::new("the snapshot is newer than the leader").into());
        }
        let push = Push { vote: vote.into(), meta: (&snapshot.meta).into() };
        let sent = async {
            let permit = Arc::clone(&self.node.snapshots_out).acquire_owned().await;
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

impl Client {
    async fn push(&self, push: Push, data: SnapshotData) -> Result<Vote, Unreachable<TypeConfig>> {
        let head = self.node.envelope(Some(self.target), Body::Push(push));
        let sending = Arc::new(Sending::default());
        let input = stream::iter([head]).chain(sending.follow(snapshot::chunks(data))).boxed();
        let opened = self.node.transport.exchange(self.peer()?, input, self.node.timing.election_max).await;
        let answers = opened.map_err(|error| unreachable(&error))?;
        let answer = sending.answer(answers, self.node.timing.snapshot_silence()).await;
        let answer =
            answer.ok_or_else(|| Unreachable::from_string("the receiver of the snapshot is silent"))?;
        let answer =
            answer.ok_or_else(|| Unreachable::from_string("the exchange ended without an answer"))?;
        match read_answer(answer.map_err(|error| unreachable(&error))?) {
            Ok(Reply::Installed(vote)) => Ok(vote.into()),
            Ok(_) => Err(Unreachable::from_string("not an answer to a snapshot")),
            Err(refusal) => Err(unreachable(&refusal)),
        }
    }
}
