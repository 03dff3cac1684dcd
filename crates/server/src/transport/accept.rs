//! From the listening port to calls: TCP, TLS handshake, identity, HTTP/2.
//!
//! ```text
//! accept ─► task: handshake (bounded in number and time) ─► identity, once ─► HTTP/2 ─► admission, per call
//! ```
//!
//! Each connection is one task from its handshake on, so a slow or a plaintext client holds up nobody. hyper is driven
//! directly, not through tonic's `Server`, which cannot end a drain that takes too long and adds a timer and boxed layers
//! to every call.
//!
//! A client may cancel calls faster than a node that was paused takes them, so as many cancelled calls may wait to be taken
//! as may be in flight. A client that has more of them ("rapid reset", CVE-2023-44487) is cut off with ENHANCE_YOUR_CALM.
//!
//! Must always hold: handshakes and connections stay within their limits; when `serve` returns, no connection is open.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::{
    Admission,
    connection::{BatchedWriter, PendingCalls, serve_batched},
};
use crate::{
    identity::Identity,
    limits::{HEADER_BYTES_MAX, Limits},
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
/// How long to pause after accepting has failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port of a node.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    shared: Arc<Shared>,
    connections_max: usize,
    handshakes: Arc<Semaphore>,
}

/// What every connection needs.
struct Shared {
    tls: TlsAcceptor,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    handshake_timeout: Duration,
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
        tls: Arc<ServerConfig>,
        admission: Arc<Admission>,
        metrics: Arc<Metrics>,
        limits: &Limits,
        finish: CancellationToken,
    ) -> Self {
        let streams = |calls: usize| u32::try_from(calls).unwrap_or(u32::MAX).saturating_add(SPARE_STREAMS);
        let shared = Shared {
            tls: TlsAcceptor::from(tls),
            admission,
            metrics,
            handshake_timeout: limits.handshake_timeout(),
            client_streams_max: streams(limits.connection_calls_max),
            // consensus and forwarded calls come on connections of their own
            peer_streams_max: streams(limits.peer_calls_max.max(limits.forwarded_calls_max)),
            finish,
        };
        Self {
            listener,
            shared: Arc::new(shared),
            connections_max: limits.connections_max,
            handshakes: Arc::new(Semaphore::new(limits.handshakes_max)),
        }
    }

    /// Serves until `finish` is cancelled: from then on no connection is accepted, and open ones take no new call. What is
    /// left after `grace` is cut off.
    pub(crate) async fn serve(self, grace: Duration) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.shared.finish.cancelled() => break,
                accepted = self.accept() => match accepted {
                    Ok((permit, stream, from)) => self.admit(&mut connections, permit, stream, from),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = connections.join_next() => self.count(&connections),
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

    /// Takes a handshake permit first: over the limit, connections wait in the kernel's queue.
    async fn accept(&self) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
        let permit = Arc::clone(&self.handshakes).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, from) = self.listener.accept().await?;
        Ok((permit, stream, from))
    }

    fn admit(
        &self,
        connections: &mut JoinSet<()>,
        permit: OwnedSemaphorePermit,
        stream: TcpStream,
        from: SocketAddr,
    ) {
        if connections.len() >= self.connections_max {
            self.shared.metrics.refused_full.increment(1);
            tracing::warn!(%from, limit = "connections_max", "connection refused: too many open connections");
            return;
        }
        let shared = Arc::clone(&self.shared);
        connections.spawn(async move {
            if let Some(stream) = shared.handshake(stream, from).await {
                drop(permit);
                shared.connection(stream, from).await;
            }
        });
        self.count(connections);
    }

    fn count(&self, connections: &JoinSet<()>) {
        self.shared.metrics.connections.set(u32::try_from(connections.len()).unwrap_or(u32::MAX));
    }
}

impl Shared {
    async fn handshake(&self, stream: TcpStream, from: SocketAddr) -> Option<TlsStream<TcpStream>> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%from, %error, "connection lost");
            return None;
        }
        match timeout(self.handshake_timeout, self.tls.accept(stream)).await {
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

    async fn connection(&self, stream: TlsStream<TcpStream>, from: SocketAddr) {
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let identity = certificates.first().map(|der| Identity::of_certificate(der)).unwrap_or_default();
        let (streams_max, windows) = match identity.node {
            Some(_) => (self.peer_streams_max, PEER_WINDOWS_BYTES),
            None => (self.client_streams_max, CLIENT_WINDOWS_BYTES),
        };
        let connection = Arc::new(
            self.admission
                .connection(identity, certificates.first().cloned().map(CertificateDer::into_owned)),
        );
        let admission = Arc::clone(&self.admission);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (admission, connection) = (Arc::clone(&admission), Arc::clone(&connection));
            async move { Ok::<_, Infallible>(admission.serve(&connection, request.map(Body::new)).await) }
        });
        let (stream, calls) = (BatchedWriter::new(stream), PendingCalls::default());
        let connection = http2::Builder::new(calls.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams_max)
            .max_pending_accept_reset_streams(usize::try_from(streams_max).ok())
            .initial_stream_window_size(windows.0)
            .initial_connection_window_size(windows.1)
            .keep_alive_interval(KEEPALIVE_AFTER)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_header_list_size(HEADER_BYTES_MAX)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream.clone()), service);
        let ended = serve_batched(connection, &stream, &calls, self.finish.cancelled()).await;
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "connection ended");
        }
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
