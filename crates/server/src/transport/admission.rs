//! Admission: every call is checked here, in this order, before a handler sees it.
//!
//! ```text
//! method known? ── metadata ── caller allowed? ── deadline ── below the limits? ── draining? ──► handler ─► answer counted
//! UNIMPLEMENTED    RESOURCE_   UNAUTHENTICATED    DEADLINE_   RESOURCE_            UNAVAILABLE
//!                  EXHAUSTED   PERMISSION_DENIED  EXCEEDED    EXHAUSTED
//! ```
//!
//! Must always hold: a call holds its permits until the caller has taken its answer or it is given up (`bodies.rs`), so who
//! takes no answers has no more calls and bytes in flight than its limits. Other nodes' calls have permits of their own, so
//! clients cannot starve consensus; so have the calls that other nodes forward, so their clients cannot either.
//!
//! A draining node refuses every call of a client. Where one node leads what the call is about, the handler refuses it
//! ([`Hop::Draining`]): only the request says which node to ask instead.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use http_body::Body as _;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};

use super::{
    BoxError, Router,
    bodies::{AnswerBody, RequestBytes, SentBody, ShownToken, StreamBody, StreamEnd},
    budget::{Budget, BytesBudgets},
    credentials::CurrentTokens,
    deadline::deadline_of,
    tokens::TokenHash,
};
use crate::{
    Deadline,
    identity::{Caller, Identity, PeerNode},
    limits::{Limits, METADATA_BYTES_MAX},
    method::{self, Access, Method, ServiceId},
    metrics::{Metrics, code_name},
    refusal::Refusal,
    routing::Hop,
};

/// Handlers keep the deadline themselves and can say more exactly what happened; admission ends the call this much later.
const DEADLINE_GRACE: Duration = Duration::from_millis(250);

/// So many of the largest messages of a client's stream count to the budgets of bytes at most: one that is being received,
/// and the rows in flight, which together are no larger (`api/profile/ingest_profiles.rs`).
const STREAM_MESSAGES: usize = 2;

/// Calls of clients that a draining node reads, in order to name the node to ask instead. Beyond that, it names none.
const DRAINING_CALLS_MAX: usize = 64;

/// One connection, as admission sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whom the certificate names.
    caller: Option<Caller>,
    node: Option<PeerNode>,
    calls: Budget,
    bytes: Budget,
    /// When a call was last authenticated by its token, on a connection that gives no role.
    authenticated: Mutex<Option<Instant>>,
    /// Ends what its client is still sending on its streams.
    interrupt: CancellationToken,
    /// Ends its streams.
    finish: CancellationToken,
}

impl Connection {
    /// From now on its client's streams are read no further, as when the node drains.
    pub(super) fn interrupt(&self) {
        self.interrupt.cancel();
    }

    /// Ends its streams with UNAVAILABLE.
    pub(super) fn finish(&self) {
        self.finish.cancel();
    }

    /// Waits until nothing on this connection has been authenticated for `first`, or later for `patience`; then for at most twice
    /// as long. For ever if its certificate gives a role.
    pub(super) async fn until_idle(&self, first: Duration, patience: Duration) {
        if self.caller.is_some() {
            return std::future::pending().await;
        }
        let mut wait = first;
        loop {
            sleep(wait).await;
            wait = patience;
            let is_recent = self.authenticated.lock().is_some_and(|at| at.elapsed() < patience);
            if !is_recent && self.calls.in_use() == 0 {
                return;
            }
        }
    }
}

/// The admission of one node.
#[derive(Debug)]
pub(crate) struct Admission {
    router: Router,
    limits: Limits,
    tokens: CurrentTokens,
    metrics: Arc<Metrics>,
    client_calls: Budget,
    client_bytes: Budget,
    peer_calls: Budget,
    forwarded_calls: Budget,
    forwarded_bytes: Budget,
    /// Not among the calls that a drain waits for.
    draining_calls: Budget,
    draining: AtomicBool,
    /// Ends what clients are still sending on their streams.
    interrupt: CancellationToken,
    /// Ends all streams.
    finish: CancellationToken,
}

/// A call that may proceed.
struct Admitted {
    caller: Option<Caller>,
    /// By which the caller was identified, if not by its certificate.
    token: Option<TokenHash>,
    peer: Option<PeerNode>,
    deadline: Deadline,
    hop: Hop,
    permits: Permits,
    bytes: Option<BytesBudgets>,
    /// No bytes were left.
    full: Option<Refusal>,
}

/// In the extensions of a call that another node forwards: no bytes are left, and it is refused for this reason if it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BytesFull(pub(crate) Refusal);

/// What a call holds while it is in progress.
#[derive(Debug, Default)]
struct Permits {
    _node: Option<OwnedSemaphorePermit>,
    _connection: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(crate) fn new(router: Router, limits: Limits, tokens: CurrentTokens, metrics: Arc<Metrics>) -> Self {
        Self {
            client_calls: Budget::new("node_calls_max", limits.node_calls_max),
            client_bytes: Budget::new("node_bytes_max", limits.node_bytes_max),
            peer_calls: Budget::new("peer_calls_max", limits.peer_calls_max),
            forwarded_calls: Budget::new("forwarded_calls_max", limits.forwarded_calls_max),
            forwarded_bytes: Budget::new("forwarded_bytes_max", limits.forwarded_bytes_max),
            draining_calls: Budget::new("draining", DRAINING_CALLS_MAX),
            router,
            limits,
            tokens,
            metrics,
            draining: AtomicBool::new(false),
            interrupt: CancellationToken::new(),
            finish: CancellationToken::new(),
        }
    }

    /// A new connection, whose other end the TLS layer has verified, and the certificate that this end has shown.
    pub(crate) fn connection(
        &self,
        identity: Identity,
        certificate: Option<CertificateDer<'static>>,
    ) -> Connection {
        let Identity { caller, node } = identity;
        Connection {
            caller,
            node: node.zip(certificate).map(|(node, certificate)| PeerNode::new(node, certificate)),
            calls: Budget::new("connection_calls_max", self.limits.connection_calls_max),
            bytes: Budget::new("connection_bytes_max", self.limits.connection_bytes_max),
            authenticated: Mutex::default(),
            interrupt: self.interrupt.child_token(),
            finish: self.finish.child_token(),
        }
    }

    /// From now on clients' calls are refused, and their streams are read no further: what has been read is answered, then
    /// the stream ends with UNAVAILABLE.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.interrupt.cancel();
    }

    /// Ends every stream, also those of health watchers and of other nodes.
    pub(crate) fn finish(&self) {
        self.finish.cancel();
    }

    /// Waits until no client's call is in flight, at most for `patience`.
    pub(crate) async fn idle(&self, patience: Duration) -> bool {
        timeout(patience, self.client_calls.take_all()).await.is_ok()
    }

    /// Calls in flight of clients and of other nodes.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        (self.client_calls.in_use(), self.peer_calls.in_use() + self.forwarded_calls.in_use())
    }

    /// Bytes in flight of clients' calls, and of those that other nodes forward.
    pub(crate) fn bytes_in_flight(&self) -> (usize, usize) {
        (self.client_bytes.in_use(), self.forwarded_bytes.in_use())
    }

    /// Serves one call.
    pub(crate) async fn serve<B>(&self, connection: &Connection, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let arrived = Instant::now();
        let Some((index, method)) = method::find(request.uri().path()) else {
            return Refusal::MethodUnknown.response();
        };
        let mut response = match self.admit(connection, method, request.headers(), arrived) {
            Ok(admitted) => self.run(connection, method, admitted, request).await,
            Err(refusal) => {
                let caller = connection.caller.as_ref().map(|caller| &*caller.name);
                tracing::info!(method = method.path, caller, reason = %refusal, "call refused");
                refusal.response()
            }
        };
        let mut code = code_of(&response);
        if code == Code::OutOfRange && !method.is_streaming {
            // tonic's code for a message over the limit; nothing else here uses it
            response = Refusal::MessageTooLarge { most: self.limits.message_bytes_max }.response();
            code = Code::ResourceExhausted;
        }
        let took = arrived.elapsed();
        self.metrics.answered(index, code, took);
        tracing::debug!(
            method = method.path,
            code = code_name(code),
            took_us = took.as_micros(),
            "call answered"
        );
        response
    }

    fn admit(
        &self,
        connection: &Connection,
        method: &Method,
        headers: &HeaderMap,
        arrived: Instant,
    ) -> Result<Admitted, Refusal> {
        if metadata_bytes(headers) > METADATA_BYTES_MAX {
            return Err(Refusal::MetadataTooLarge { most: METADATA_BYTES_MAX });
        }
        let (caller, token) = self.caller(connection, headers).unzip();
        if let Access::Roles(allowed) = method.access {
            let caller = caller.as_ref().ok_or(Refusal::Unauthenticated)?;
            if !caller.roles.intersects(allowed) {
                return Err(Refusal::NotAllowed { allowed });
            }
        }
        let peer = match method.service {
            ServiceId::Peer => Some(connection.node.clone().ok_or(Refusal::NamelessNode)?),
            ServiceId::Profile
            | ServiceId::Identity
            | ServiceId::Duplicate
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster
            | ServiceId::Health
            | ServiceId::Reflection
            | ServiceId::ReflectionAlpha => None,
        };
        let deadline = deadline_of(method, headers, &self.limits, arrived)?;
        let (hop, permits) = self.permits(connection, method)?;
        let bytes = self.bytes_budgets(connection, method);
        let full = bytes.as_ref().and_then(|bytes| bytes.check_left().err());
        // A "no" is never refused for what others do not take. And a draining node says that it drains.
        match full {
            Some(full) if method.is_read && hop != Hop::Draining => Err(full),
            Some(_) | None => {
                Ok(Admitted { caller, token: token.flatten(), peer, deadline, hop, permits, bytes, full })
            }
        }
    }

    /// The certificate decides. A token counts only where the certificate gives no role.
    fn caller(&self, connection: &Connection, headers: &HeaderMap) -> Option<(Caller, Option<TokenHash>)> {
        if let Some(caller) = &connection.caller {
            return Some((caller.clone(), None));
        }
        let token = TokenHash::of(headers.get(AUTHORIZATION)?.as_bytes())?;
        let caller = self.tokens.load().as_ref()?.caller(&token)?;
        *connection.authenticated.lock() = Some(Instant::now());
        Some((caller, Some(token)))
    }

    fn permits(&self, connection: &Connection, method: &Method) -> Result<(Hop, Permits), Refusal> {
        let of_node = |calls: &Budget| Ok(Permits { _node: Some(calls.take(1)?), _connection: None });
        let permits = match method.service {
            ServiceId::Profile
            | ServiceId::Identity
            | ServiceId::Duplicate
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster => {
                let permits = self.client_permits(connection);
                // Read after the permits are taken: `idle` waits for every call that saw the flag unset. And it waits for
                // them by taking them, so that a lack of permits means nothing from then on.
                if self.draining.load(Ordering::Acquire) {
                    return Ok((Hop::Draining, self.draining_permits(method)?));
                }
                permits
            }
            ServiceId::Peer if method.is_forward => of_node(&self.forwarded_calls),
            ServiceId::Peer => of_node(&self.peer_calls),
            // bounded by the streams of the connection; a node at its limits must still answer health checks
            ServiceId::Health | ServiceId::Reflection | ServiceId::ReflectionAlpha => Ok(Permits::default()),
        };
        Ok((Hop::First, permits?))
    }

    fn client_permits(&self, connection: &Connection) -> Result<Permits, Refusal> {
        let (of_connection, of_node) = (connection.calls.take(1)?, self.client_calls.take(1)?);
        Ok(Permits { _node: Some(of_node), _connection: Some(of_connection) })
    }

    /// Permits to read a call that is refused in any case, so that the answer can name another node.
    fn draining_permits(&self, method: &Method) -> Result<Permits, Refusal> {
        if !method.has_one_leader {
            return Err(Refusal::Draining);
        }
        let permit = self.draining_calls.take(1).or(Err(Refusal::Draining))?;
        Ok(Permits { _node: Some(permit), _connection: None })
    }

    /// Whose bytes a call counts to. Messages of consensus and health checks are small or bounded by their senders.
    fn bytes_budgets(&self, connection: &Connection, method: &Method) -> Option<BytesBudgets> {
        match method.service {
            ServiceId::Profile
            | ServiceId::Identity
            | ServiceId::Duplicate
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster => Some(BytesBudgets {
                connection: Some(connection.bytes.clone()),
                node: self.client_bytes.clone(),
            }),
            ServiceId::Peer if method.is_forward => {
                Some(BytesBudgets { connection: None, node: self.forwarded_bytes.clone() })
            }
            ServiceId::Peer | ServiceId::Health | ServiceId::Reflection | ServiceId::ReflectionAlpha => None,
        }
    }

    async fn run<B>(
        &self,
        connection: &Connection,
        method: &Method,
        admitted: Admitted,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let Admitted { caller, token, peer, deadline, hop, permits, bytes, full } = admitted;
        if !method.is_brief {
            // a call that yields becomes a task of its own
            tokio::task::yield_now().await;
        }
        let is_client_stream = method.is_streaming && method.service != ServiceId::Peer;
        let held = bytes.clone().map(|bytes| self.request_bytes(method, bytes));
        let end = is_client_stream.then(|| {
            let shown = token.zip(caller.clone());
            let in_force = Arc::clone(&self.tokens);
            let shown = shown.map(|(hash, caller)| ShownToken { in_force, hash, caller });
            StreamEnd::new(connection.interrupt.clone(), self.limits.stream_idle(), shown)
        });
        let mut request = request.map(|body| Body::new(SentBody::new(body, held.clone(), end)));
        let extensions = request.extensions_mut();
        extensions.insert(deadline);
        if hop != Hop::First {
            extensions.insert(hop);
        }
        if let Some(caller) = caller {
            extensions.insert(caller);
        }
        if let Some(peer) = peer {
            extensions.insert(peer);
        }
        if let Some(full) = full.filter(|_| method.is_forward) {
            extensions.insert(BytesFull(full));
        }
        if let Some(held) = held.as_ref().filter(|_| is_client_stream) {
            extensions.insert(held.clone());
        }
        let Some(answer) = self.router.route(method.service, request) else {
            return Refusal::MethodUnknown.response();
        };
        let last = deadline.0 + DEADLINE_GRACE;
        let response = match timeout_at(last, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_elapsed) => return Refusal::OutcomeUnknown.response(),
        };
        if method.is_streaming {
            let patience = is_client_stream.then(|| self.limits.answer_timeout());
            let finish = connection.finish.clone();
            return response.map(|body| Body::new(StreamBody::new(body, last, finish, patience, permits)));
        }
        // the request's bytes are free when its answer is ready
        drop(held);
        match bytes {
            Some(bytes) => self.held_answer(method, response, last, permits, &bytes).await,
            None => response,
        }
    }

    fn request_bytes(&self, method: &Method, budgets: BytesBudgets) -> RequestBytes {
        if method.is_streaming {
            RequestBytes::of_stream(budgets, STREAM_MESSAGES * self.limits.message_bytes_max)
        } else {
            RequestBytes::of_call(budgets)
        }
    }

    /// The answer, which from here on holds the call's permits and its own bytes. A read is refused beyond the budgets; what
    /// another call says has happened, so it is sent in any case.
    async fn held_answer(
        &self,
        method: &Method,
        response: Response<Body>,
        last: Instant,
        permits: Permits,
        bytes: &BytesBudgets,
    ) -> Response<Body> {
        let (head, mut body) = response.into_parts();
        if body.is_end_stream() {
            return Response::from_parts(head, body);
        }
        // tonic encodes the message when it is asked for the first time, as one frame before the trailers
        let message = match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => Bytes::new(),
            Some(Err(status)) => return status.into_http(),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(message) => message,
                Err(other) => {
                    let status = other.trailers_ref().and_then(Status::from_header_map);
                    return match status {
                        // tonic's code for a message over the limit
                        Some(status) if status.code() == Code::OutOfRange => {
                            Refusal::AnswerTooLarge { most: self.limits.response_bytes_max }.response()
                        }
                        Some(status) => status.into_http(),
                        None => Status::internal("the answer has no message").into_http(),
                    };
                }
            },
        };
        let held =
            if method.is_read { bytes.take(message.len()) } else { Ok(bytes.take_at_most(message.len())) };
        match held {
            Ok(held) => {
                let held = (permits, held);
                let answer = AnswerBody::new(message, body, last, self.limits.answer_timeout(), held);
                Response::from_parts(head, Body::new(answer))
            }
            Err(refusal) => refusal.response(),
        }
    }
}

/// As HTTP/2 counts them.
fn metadata_bytes(headers: &HeaderMap) -> usize {
    const EACH: usize = 32;
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + EACH).sum()
}

fn code_of(response: &Response<Body>) -> Code {
    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
