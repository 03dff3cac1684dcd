//! Admission: every call is checked here, in this order, before a handler sees it.
//!
//! ```text
//! method known? ── caller allowed? ── deadline ── below the limits? ── draining? ──► handler ─► answer counted
//! UNIMPLEMENTED    UNAUTHENTICATED    DEADLINE_   RESOURCE_            UNAVAILABLE
//!                  PERMISSION_DENIED  EXCEEDED    EXHAUSTED
//! ```
//!
//! Must always hold: a call holds its permits until its answer is complete (a stream: until its body is dropped). Other
//! nodes' calls have permits of their own, so clients cannot starve consensus; so have the calls that other nodes
//! forward, so their clients cannot either.
//!
//! A draining node refuses every call of a client. Where one node leads what the call is about, the handler refuses it
//! ([`Hop::Draining`]): only the request says which node to ask instead.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::Frame;
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body};

use super::{Router, Tokens};
use crate::{
    Deadline,
    identity::{Caller, Identity, PeerNode},
    limits::Limits,
    method::{self, Access, Method, ServiceId},
    metrics::{Metrics, code_name},
    refusal::Refusal,
    routing::Hop,
};

/// Handlers keep the deadline themselves and can say more exactly what happened; admission ends the call this much later.
const DEADLINE_GRACE: Duration = Duration::from_millis(250);

/// Calls of clients that a draining node reads, in order to name the node to ask instead. Beyond that, it names none.
const DRAINING_CALLS_MAX: usize = 64;

/// The deadline of a stream that states none: in effect it ends with its connection.
const STREAM_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// One connection, as admission sees it.
#[derive(Debug)]
pub(crate) struct Connection {
    identity: Identity,
    certificate: Option<Arc<CertificateDer<'static>>>,
    calls: Arc<Semaphore>,
}

impl Connection {
    fn node(&self) -> Option<PeerNode> {
        Some(PeerNode { node: self.identity.node?, certificate: self.certificate.clone()? })
    }
}

/// The admission of one node.
#[derive(Debug)]
pub(crate) struct Admission {
    router: Router,
    limits: Limits,
    tokens: Option<Tokens>,
    metrics: Arc<Metrics>,
    client_calls: Arc<Semaphore>,
    peer_calls: Arc<Semaphore>,
    forwarded_calls: Arc<Semaphore>,
    /// Not among the calls that a drain waits for.
    draining_calls: Arc<Semaphore>,
    draining: AtomicBool,
    /// Ends what clients are still sending on their streams.
    interrupt: CancellationToken,
    /// Ends all streams.
    finish: CancellationToken,
}

/// A call that may proceed.
struct Admitted {
    caller: Option<Caller>,
    peer: Option<PeerNode>,
    deadline: Deadline,
    hop: Hop,
    permits: Permits,
}

/// What a call holds while it is in progress.
#[derive(Debug, Default)]
struct Permits {
    _node: Option<OwnedSemaphorePermit>,
    _connection: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(crate) fn new(router: Router, limits: Limits, tokens: Option<Tokens>, metrics: Arc<Metrics>) -> Self {
        let client_calls = Arc::new(Semaphore::new(limits.node_calls_max));
        let peer_calls = Arc::new(Semaphore::new(limits.peer_calls_max));
        let forwarded_calls = Arc::new(Semaphore::new(limits.forwarded_calls_max));
        Self {
            router,
            limits,
            tokens,
            metrics,
            client_calls,
            peer_calls,
            forwarded_calls,
            draining_calls: Arc::new(Semaphore::new(DRAINING_CALLS_MAX)),
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
        let certificate = certificate.map(Arc::new);
        Connection {
            identity,
            certificate,
            calls: Arc::new(Semaphore::new(self.limits.connection_calls_max)),
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
        let all = u32::try_from(self.limits.node_calls_max).unwrap_or(u32::MAX);
        timeout(patience, self.client_calls.acquire_many(all)).await.is_ok()
    }

    /// Calls in flight of clients and of other nodes.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        let taken = |most: usize, calls: &Semaphore| most.saturating_sub(calls.available_permits());
        let consensus = taken(self.limits.peer_calls_max, &self.peer_calls);
        let forwarded = taken(self.limits.forwarded_calls_max, &self.forwarded_calls);
        (taken(self.limits.node_calls_max, &self.client_calls), consensus + forwarded)
    }

    /// Serves one call.
    pub(crate) async fn serve(&self, connection: &Connection, request: Request<Body>) -> Response<Body> {
        let arrived = Instant::now();
        let Some((index, method)) = method::find(request.uri().path()) else {
            return Refusal::MethodUnknown.response();
        };
        let mut response = match self.admit(connection, method, request.headers(), arrived) {
            Ok(admitted) => self.run(method, admitted, request).await,
            Err(refusal) => {
                let caller = connection.identity.caller.as_ref().map(|caller| &*caller.name);
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
        let caller = self.caller(connection, headers);
        if let Access::Roles(allowed) = method.access {
            let caller = caller.as_ref().ok_or(Refusal::Unauthenticated)?;
            if !caller.roles.intersects(allowed) {
                return Err(Refusal::NotAllowed { allowed });
            }
        }
        let peer = match method.service {
            ServiceId::Peer => Some(connection.node().ok_or(Refusal::NamelessNode)?),
            ServiceId::Profile
            | ServiceId::Consent
            | ServiceId::Preference
            | ServiceId::Catalog
            | ServiceId::Cluster
            | ServiceId::Health
            | ServiceId::Reflection
            | ServiceId::ReflectionAlpha => None,
        };
        let deadline = self.deadline(method, headers, arrived)?;
        let (hop, permits) = self.permits(connection, method)?;
        Ok(Admitted { caller, peer, deadline, hop, permits })
    }

    /// The certificate decides. A token counts only where the certificate gives no role.
    fn caller(&self, connection: &Connection, headers: &HeaderMap) -> Option<Caller> {
        connection.identity.caller.clone().or_else(|| {
            let authorization = headers.get(AUTHORIZATION)?;
            self.tokens.as_ref()?.caller(authorization.as_bytes())
        })
    }

    fn deadline(&self, method: &Method, headers: &HeaderMap, arrived: Instant) -> Result<Deadline, Refusal> {
        let stated = match headers.get("grpc-timeout") {
            None => None,
            Some(value) => Some(parse_timeout(value).ok_or(Refusal::TimeoutMalformed)?),
        };
        if stated == Some(Duration::ZERO) {
            return Err(Refusal::DeadlinePassed);
        }
        let left = if method.is_streaming {
            stated.unwrap_or(STREAM_DEADLINE).min(STREAM_DEADLINE)
        } else {
            stated.unwrap_or(self.limits.deadline_default()).min(self.limits.deadline_max())
        };
        Ok(Deadline(arrived + left))
    }

    fn permits(&self, connection: &Connection, method: &Method) -> Result<(Hop, Permits), Refusal> {
        let of_node =
            |calls, limit, most| Ok(Permits { _node: Some(take(calls, limit, most)?), _connection: None });
        let permits = match method.service {
            ServiceId::Profile
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
            ServiceId::Peer if method.is_forward => {
                of_node(&self.forwarded_calls, "forwarded_calls_max", self.limits.forwarded_calls_max)
            }
            ServiceId::Peer => of_node(&self.peer_calls, "peer_calls_max", self.limits.peer_calls_max),
            // bounded by the streams of the connection; a node at its limits must still answer health checks
            ServiceId::Health | ServiceId::Reflection | ServiceId::ReflectionAlpha => Ok(Permits::default()),
        };
        Ok((Hop::First, permits?))
    }

    fn client_permits(&self, connection: &Connection) -> Result<Permits, Refusal> {
        let of_connection =
            take(&connection.calls, "connection_calls_max", self.limits.connection_calls_max)?;
        let of_node = take(&self.client_calls, "node_calls_max", self.limits.node_calls_max)?;
        Ok(Permits { _node: Some(of_node), _connection: Some(of_connection) })
    }

    /// Permits to read a call that is refused in any case, so that the answer can name another node.
    fn draining_permits(&self, method: &Method) -> Result<Permits, Refusal> {
        if !method.has_one_leader {
            return Err(Refusal::Draining);
        }
        let permit = Arc::clone(&self.draining_calls).try_acquire_owned();
        Ok(Permits { _node: Some(permit.map_err(|_none_left| Refusal::Draining)?), _connection: None })
    }

    async fn run(&self, method: &Method, admitted: Admitted, mut request: Request<Body>) -> Response<Body> {
        let Admitted { caller, peer, deadline, hop, permits } = admitted;
        if !method.is_brief {
            // a call that yields becomes a task of its own
            tokio::task::yield_now().await;
        }
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
        if method.is_streaming && method.service != ServiceId::Peer {
            let interrupt = self.interrupt.clone();
            request = request.map(|body| Body::new(SentBody { body, interrupt: wait_for(interrupt) }));
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
            let finish = wait_for(self.finish.clone());
            response.map(|body| Body::new(HeldBody::new(body, permits, last, finish)))
        } else {
            response
        }
    }
}

fn take(calls: &Arc<Semaphore>, limit: &'static str, most: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    Arc::clone(calls).try_acquire_owned().map_err(|_none_left| Refusal::Full { limit, most })
}

fn code_of(response: &Response<Body>) -> Code {
    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

/// `grpc-timeout` of the gRPC specification: at most 8 digits and a unit.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

fn wait_for(token: CancellationToken) -> Cancelled {
    Box::pin(token.cancelled_owned())
}

/// What a client sends on a stream; ends when the node drains.
struct SentBody {
    body: Body,
    interrupt: Cancelled,
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.interrupt.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Refusal::Draining.into())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

/// The answers of a stream. They hold the call's permits and end at its deadline or when the node stops.
struct HeldBody {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    finish: Cancelled,
    ended: bool,
    _permits: Permits,
}

impl HeldBody {
    fn new(body: Body, permits: Permits, deadline: Instant, finish: Cancelled) -> Self {
        Self { body, deadline: Box::pin(sleep_until(deadline)), finish, ended: false, _permits: permits }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.body).poll_frame(cx) {
            return ready;
        }
        let refusal = if self.finish.as_mut().poll(cx).is_ready() {
            Refusal::Draining
        } else if self.deadline.as_mut().poll(cx).is_ready() {
            Refusal::OutcomeUnknown
        } else {
            return Poll::Pending;
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Status::from(refusal).add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
