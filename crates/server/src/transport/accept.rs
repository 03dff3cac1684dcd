//! From the listening port to calls: TCP, TLS handshake, identity, HTTP/2.
//!
//! ```text
//! accept ─► task: handshake (bounded in number and time) ─► identity, once ─► slot ─► HTTP/2 ─► admission, per call
//!                                                                               └ end: for how long
//! ```
//!
//! Each connection is one task from its handshake on, so a slow or a plaintext client holds up nobody. hyper is driven
//! directly, not through tonic's `Server`, which cannot end a drain that takes too long and adds a timer and boxed layers
//! to every call.
//!
//! A client may cancel calls faster than a node that was paused takes them, so as many cancelled calls may wait to be taken
//! as may be in flight. A client that has more of them ("rapid reset", CVE-2023-44487) is cut off with ENHANCE_YOUR_CALM.
//!
//! Must always hold: handshakes and connections stay within their limits (`slots.rs`); a connection ends when what its other
//! end has shown is no longer valid, and at a certain age; when `serve` returns, no connection is open.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Admission, Credentials,
    accept_failures::AcceptFailures,
    admission::Connection,
    connection::{BatchedWriter, PendingCalls, serve_batched},
    slots::{Handshake, Owner, Slots},
};
use crate::{
    identity::Identity,
    limits::{Limits, METADATA_BYTES_READ_MAX},
    metrics::Metrics,
};

/// Streams of a client's connection beyond its `connection_calls_max`: a call over the limit is refused with a reason
/// instead of waiting unseen at the client, and health checks get through.
const SPARE_STREAMS: u32 = 64;
/// How many bytes a client may send on one call, and on its connection, before the node has read them.
const CLIENT_WINDOWS_BYTES: (u32, u32) = (1 << 20, 4 << 20);
/// The same for another node: log entries and snapshots.
const PEER_WINDOWS_BYTES: (u32, u32) = (4 << 20, 32 << 20);
/// A connection that has been silent for so long is pinged …
const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
/// … and is closed when it does not answer within this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of one answer wait to be sent, beyond which the answer keeps the rest.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How long calls on a connection may take to end whose certificate is no longer valid, or on which nothing is authenticated.
const DISTRUSTED_GRACE: Duration = Duration::from_secs(1);
/// How long what was told to end may take, before its connection is cut off.
const CUT_GRACE: Duration = Duration::from_millis(500);
/// How long to pause after accepting has failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port of a node.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What every connection needs.
struct Shared {
    credentials: Arc<Credentials>,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    slots: Slots,
    limits: Limits,
    client_streams_max: u32,
    peer_streams_max: u32,
    /// Ends the accepting, and connections once their calls in flight are done.
    finish: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Port {
    /// A port that serves until `finish` is cancelled.
    pub(crate) fn new(
        listener: TcpListener,
        credentials: Arc<Credentials>,
        admission: Arc<Admission>,
        metrics: Arc<Metrics>,
        limits: &Limits,
        finish: CancellationToken,
    ) -> Self {
        let streams = |calls: usize| u32::try_from(calls).unwrap_or(u32::MAX).saturating_add(SPARE_STREAMS);
        let shared = Shared {
            credentials,
            admission,
            slots: Slots::new(limits, metrics.connections.clone()),
            metrics,
            limits: limits.clone(),
            client_streams_max: streams(limits.connection_calls_max),
            // consensus and forwarded calls come on connections of their own
            peer_streams_max: streams(limits.peer_calls_max.max(limits.forwarded_calls_max)),
            finish,
        };
        Self { listener, shared: Arc::new(shared) }
    }

    /// Serves until `finish` is cancelled: from then on no connection is accepted, and open ones take no new call. What is
    /// left after `grace` is cut off.
    pub(crate) async fn serve(self, grace: Duration) {
        let mut connections = JoinSet::new();
        let mut failures = AcceptFailures::of("listen");
        loop {
            tokio::select! {
                () = self.shared.finish.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => self.admit(&mut connections, stream, from),
                    Err(error) => {
                        failures.note(&error);
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = connections.join_next() => {}
            }
        }
        let Self { listener, shared, .. } = self;
        drop(listener);
        shared.admission.finish();
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if timeout(grace, all_ended).await.is_err() {
            tracing::warn!(connections = connections.len(), "drain timed out: closing open connections");
        }
        connections.shutdown().await;
    }

    fn admit(&self, connections: &mut JoinSet<()>, stream: TcpStream, from: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let handshake = shared.slots.handshake(from);
        connections.spawn(async move {
            if let Some(stream) = shared.handshake(handshake, stream, from).await {
                shared.connection(stream, from).await;
            }
        });
    }
}

/// Why this node ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The node stops; the port cuts off what is left.
    Drain,
    Age,
    Certificate,
    Idle,
}

impl Shared {
    async fn handshake(
        &self,
        slot: Handshake,
        stream: TcpStream,
        from: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%from, %error, "connection lost");
            return None;
        }
        let tls = TlsAcceptor::from(Arc::clone(&self.credentials.tls().server));
        let accepted = tokio::select! {
            accepted = timeout(self.limits.handshake_timeout(), tls.accept(stream)) => accepted,
            () = slot.given_up() => {
                self.metrics.refused_crowded.increment(1);
                tracing::debug!(%from, limit = "handshakes_max", "TLS handshake given up: its address has the most");
                return None;
            }
        };
        match accepted {
            Ok(Ok(stream)) => Some(stream),
            // a probe that only checks whether the port is open
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.metrics.refused_tls.increment(1);
                tracing::debug!(%from, %error, "TLS handshake interrupted");
                None
            }
            Ok(Err(error)) => {
                self.metrics.refused_tls.increment(1);
                tracing::info!(%from, %error, "TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                self.metrics.refused_timeout.increment(1);
                tracing::info!(%from, limit = "handshake_timeout_ms", "TLS handshake timed out");
                None
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TlsStream<TcpStream>, from: SocketAddr) {
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown: Vec<_> = shown.iter().cloned().map(CertificateDer::into_owned).collect();
        let identity = shown.first().map(|der| Identity::of_certificate(der)).unwrap_or_default();
        let (owner, streams_max, windows) = match identity.node {
            Some(_) => (Owner::Node, self.peer_streams_max, PEER_WINDOWS_BYTES),
            None => (Owner::Client, self.client_streams_max, CLIENT_WINDOWS_BYTES),
        };
        let _slot = match self.slots.connection(from, owner) {
            Ok(slot) => slot,
            Err(limit) => {
                self.metrics.refused_full.increment(1);
                tracing::warn!(%from, limit, "connection refused: too many open connections");
                return;
            }
        };
        let connection = Arc::new(self.admission.connection(identity, shown.first().cloned()));
        let (finish, cut) = (CancellationToken::new(), CancellationToken::new());
        let ending = Arc::clone(&self).end(from, Arc::clone(&connection), shown, finish.clone(), cut.clone());
        let _ending = AbortOnDropHandle::new(tokio::spawn(ending));
        let admission = Arc::clone(&self.admission);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (admission, connection) = (Arc::clone(&admission), Arc::clone(&connection));
            async move { Ok::<_, Infallible>(admission.serve(&connection, request).await) }
        });
        let (stream, calls) = (BatchedWriter::new(stream), PendingCalls::default());
        let connection = http2::Builder::new(calls.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams_max)
            .max_pending_accept_reset_streams(usize::try_from(streams_max).ok())
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .initial_stream_window_size(windows.0)
            .initial_connection_window_size(windows.1)
            .keep_alive_interval(KEEPALIVE_AFTER)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_header_list_size(METADATA_BYTES_READ_MAX)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream.clone()), service);
        let patience = self.limits.answer_timeout();
        let serving = serve_batched(connection, &stream, &calls, finish.cancelled(), patience);
        match cut.run_until_cancelled(serving).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%from, %error, "connection ended"),
            None => tracing::info!(%from, "connection cut off: its calls did not end in time"),
        }
    }

    /// Lets a connection finish when its time has come: what its client sends is read no further, what has been read is
    /// answered. Some time later its streams are ended, and the connection is cut off.
    async fn end(
        self: Arc<Self>,
        from: SocketAddr,
        connection: Arc<Connection>,
        shown: Vec<CertificateDer<'static>>,
        finish: CancellationToken,
        cut: CancellationToken,
    ) {
        let patience = self.limits.unauthenticated_idle();
        let first = patience.min(self.limits.handshake_timeout());
        let ending = tokio::select! {
            () = self.finish.cancelled() => Ending::Drain,
            () = sleep(age_max(&self.limits, from)) => Ending::Age,
            () = connection.until_idle(first, patience) => Ending::Idle,
            error = self.credentials.until_refused(&shown) => {
                tracing::info!(%from, %error, "connection ended: its certificate is no longer valid");
                Ending::Certificate
            }
        };
        finish.cancel();
        let (counter, grace) = match ending {
            Ending::Drain => return,
            Ending::Age => (&self.metrics.ended_age, self.limits.deadline_max()),
            Ending::Certificate => (&self.metrics.ended_certificate, DISTRUSTED_GRACE),
            Ending::Idle => (&self.metrics.ended_idle, DISTRUSTED_GRACE),
        };
        counter.increment(1);
        connection.interrupt();
        sleep(grace).await;
        connection.finish();
        sleep(CUT_GRACE).await;
        cut.cancel();
    }
}

/// The age at which a connection ends: the limit less up to an eighth, by its port, so that connections that were made
/// together do not end together.
fn age_max(limits: &Limits, from: SocketAddr) -> Duration {
    let most = limits.connection_age_max();
    most - most / 8 * u32::from(from.port()) / (u32::from(u16::MAX) + 1)
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
