//! To other nodes: the transport of consensus and the forwarding of calls, over three connections per node.
//!
//! Three, so that votes and heartbeats (`Call`) wait for nothing: a snapshot may fill the connection of `Exchange`
//! (log entries, snapshots), and many callers that of `Forward`.
//!
//! Must always hold: an exchange waits for its first message before it connects, so that consensus does not retry a dead
//! peer in a busy loop. No connection is used on when certificates, authorities or the revocation list have changed since it
//! was made.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use custodia_consensus::{Peer, PeerTransport, TransportError};
use custodia_proto::internal::v1::{
    DuplicateAnswer, DuplicateRequest, ForwardRequest, ForwardResponse, GetNodeFactsRequest,
    GetStateChecksumsRequest, GetStateChecksumsResponse, IdentifierAnswer, IdentifierRequest, IndexAnswer,
    IndexRequest, MergeAnswer, MergeRequest, NodeFacts, PeerFrame, RecordUsageRequest,
    RenewCatalogueLeaseRequest, RenewCatalogueLeaseResponse, ReplaceReplicaRequest, RotationAnswer,
    RotationRequest, peer_service_client::PeerServiceClient,
};
use futures::{Stream, StreamExt as _, stream, stream::BoxStream};
use metrics::Counter;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

use super::connector::Connector;
use crate::{
    NodeId, limits::PEER_MESSAGE_BYTES_MAX, routing::PeerCalls, transport::Credentials, wire::LeaderHint,
};

/// Unacknowledged bytes on one exchange, and on a connection.
const WINDOWS_BYTES: (u32, u32) = (4 << 20, 32 << 20);
/// A connection is pinged this often, also when idle …
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
/// … and is closed when it does not answer within this time: faster than TCP notices that a node is cut off.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections to all other nodes.
pub(crate) struct Peers {
    credentials: Arc<Credentials>,
    connect_failed: Counter,
    peers: Mutex<HashMap<NodeId, Arc<Channels>>>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peers({})", self.peers.lock().len())
    }
}

#[derive(Debug)]
struct Channels {
    address: String,
    credentials_version: u64,
    calls: Channel,
    exchanges: Channel,
    forwards: Channel,
}

impl Peers {
    pub(crate) fn new(credentials: Arc<Credentials>, connect_failed: Counter) -> Self {
        Self { credentials, connect_failed, peers: Mutex::default() }
    }

    /// The connections to a node, opened at first use, and again when its address or this node's credentials have changed.
    /// Calls in flight end on the old ones, exchanges at once.
    fn channels(&self, node: NodeId, address: &str) -> Arc<Channels> {
        let credentials_version = self.credentials.version();
        let mut peers = self.peers.lock();
        if let Some(channels) = peers.get(&node)
            && channels.address == address
            && channels.credentials_version == credentials_version
        {
            return Arc::clone(channels);
        }
        let channels = Arc::new(Channels {
            address: address.to_owned(),
            credentials_version,
            calls: self.channel(node, address),
            exchanges: self.channel(node, address),
            forwards: self.channel(node, address),
        });
        peers.insert(node, Arc::clone(&channels));
        channels
    }

    /// For calls that many callers wait for.
    fn forwards(&self, to: &LeaderHint) -> PeerServiceClient<Channel> {
        client(&self.channels(to.node, &to.address).forwards)
    }

    fn channel(&self, node: NodeId, address: &str) -> Channel {
        let connector =
            Connector::new(Arc::clone(&self.credentials), node, address, self.connect_failed.clone());
        // the connector knows the address and speaks TLS itself; this name is only what the requests carry
        Endpoint::from_static("http://node.custodia")
            .initial_stream_window_size(WINDOWS_BYTES.0)
            .initial_connection_window_size(WINDOWS_BYTES.1)
            .http2_keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }
}

fn client(channel: &Channel) -> PeerServiceClient<Channel> {
    PeerServiceClient::new(channel.clone())
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
}

/// A request that tells the other end how long this node waits for it.
fn request<T>(message: T, patience: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}

#[async_trait]
impl PeerTransport for Peers {
    async fn call(&self, to: &Peer, body: Bytes, patience: Duration) -> Result<Bytes, TransportError> {
        let mut client = client(&self.channels(to.node, &to.address).calls);
        match timeout(patience, client.call(request(PeerFrame { body }, patience))).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().body),
            Ok(Err(status)) => Err(transport_error(&status)),
            Err(_elapsed) => Err(TransportError::Timeout),
        }
    }

    async fn exchange(
        &self,
        to: &Peer,
        mut input: BoxStream<'static, Bytes>,
        patience: Duration,
    ) -> Result<BoxStream<'static, Result<Bytes, TransportError>>, TransportError> {
        let Some(first) = input.next().await else {
            return Ok(stream::empty().boxed());
        };
        let outgoing = Outgoing(stream::iter([first]).chain(input).map(framed).boxed());
        let channels = self.channels(to.node, &to.address);
        let mut client = client(&channels.exchanges);
        match timeout(patience, client.exchange(outgoing)).await {
            Ok(Ok(answers)) => {
                // The next one opens a connection on which the other node is judged by what is in force then.
                let (credentials, version) = (Arc::clone(&self.credentials), channels.credentials_version);
                let outdated = async move { credentials.until_other_than(version).await };
                Ok(answers.into_inner().map(unframed).take_until(Box::pin(outdated)).boxed())
            }
            Ok(Err(status)) => Err(transport_error(&status)),
            Err(_elapsed) => Err(TransportError::Timeout),
        }
    }
}

#[async_trait]
impl PeerCalls for Peers {
    async fn forward(
        &self,
        to: &LeaderHint,
        message: ForwardRequest,
        deadline: Instant,
    ) -> Result<ForwardResponse, Status> {
        answer(deadline, self.forwards(to).forward(request_until(message, deadline))).await
    }

    async fn renew_catalogue_lease(
        &self,
        to: &LeaderHint,
        request: RenewCatalogueLeaseRequest,
        deadline: Instant,
    ) -> Result<RenewCatalogueLeaseResponse, Status> {
        answer(deadline, self.forwards(to).renew_catalogue_lease(request_until(request, deadline))).await
    }

    async fn record_usage(
        &self,
        to: &LeaderHint,
        usage: RecordUsageRequest,
        deadline: Instant,
    ) -> Result<(), Status> {
        answer(deadline, self.forwards(to).record_usage(request_until(usage, deadline))).await.map(drop)
    }

    async fn state_checksums(
        &self,
        to: &LeaderHint,
        request: GetStateChecksumsRequest,
        deadline: Instant,
    ) -> Result<GetStateChecksumsResponse, Status> {
        answer(deadline, self.forwards(to).get_state_checksums(request_until(request, deadline))).await
    }

    async fn replace_replica(
        &self,
        to: &LeaderHint,
        request: ReplaceReplicaRequest,
        deadline: Instant,
    ) -> Result<(), Status> {
        answer(deadline, self.forwards(to).replace_replica(request_until(request, deadline))).await.map(drop)
    }

    async fn call_index(
        &self,
        to: &LeaderHint,
        request: IndexRequest,
        deadline: Instant,
    ) -> Result<IndexAnswer, Status> {
        answer(deadline, self.forwards(to).call_index(request_until(request, deadline))).await
    }

    async fn call_merge(
        &self,
        to: &LeaderHint,
        request: MergeRequest,
        deadline: Instant,
    ) -> Result<MergeAnswer, Status> {
        answer(deadline, self.forwards(to).call_merge(request_until(request, deadline))).await
    }

    async fn call_duplicates(
        &self,
        to: &LeaderHint,
        request: DuplicateRequest,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, Status> {
        answer(deadline, self.forwards(to).call_duplicates(request_until(request, deadline))).await
    }

    async fn call_identifiers(
        &self,
        to: &LeaderHint,
        request: IdentifierRequest,
        deadline: Instant,
    ) -> Result<IdentifierAnswer, Status> {
        answer(deadline, self.forwards(to).call_identifiers(request_until(request, deadline))).await
    }

    async fn call_rotation(
        &self,
        to: &LeaderHint,
        request: RotationRequest,
        deadline: Instant,
    ) -> Result<RotationAnswer, Status> {
        answer(deadline, self.forwards(to).call_rotation(request_until(request, deadline))).await
    }

    async fn node_facts(&self, to: &LeaderHint, deadline: Instant) -> Result<NodeFacts, Status> {
        answer(deadline, self.forwards(to).get_node_facts(request_until(GetNodeFactsRequest {}, deadline)))
            .await
    }
}

fn request_until<T>(message: T, deadline: Instant) -> Request<T> {
    request(message, deadline.saturating_duration_since(Instant::now()))
}

/// Waits for the answer of a unary call, at most until the deadline.
async fn answer<T>(
    deadline: Instant,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    match timeout_at(deadline, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_elapsed) => Err(Status::deadline_exceeded("the node did not answer in time")),
    }
}

/// What goes out on an exchange. A type without a lifetime: for a boxed stream inside a future, the compiler loses the
/// `'static`, and the future would not be `Send`.
struct Outgoing(BoxStream<'static, PeerFrame>);

impl Stream for Outgoing {
    type Item = PeerFrame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PeerFrame>> {
        self.0.as_mut().poll_next(cx)
    }
}

const fn framed(body: Bytes) -> PeerFrame {
    PeerFrame { body }
}

fn unframed(frame: Result<PeerFrame, Status>) -> Result<Bytes, TransportError> {
    match frame {
        Ok(frame) => Ok(frame.body),
        Err(status) => Err(transport_error(&status)),
    }
}

/// What a failed call means. A node that refuses a call is reachable; callers tell it apart from one that is not.
fn transport_error(status: &Status) -> TransportError {
    let reason = || std::error::Error::source(status).map_or_else(|| status.message().to_owned(), innermost);
    match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => TransportError::Timeout,
        Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented | Code::InvalidArgument => {
            TransportError::Refused { reason: reason() }
        }
        Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => TransportError::Unreachable { reason: reason() },
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
