//! One connection to one other node: TCP, TLS with this node's certificate, and a check that the other end is the
//! intended node.
//!
//! ```text
//!            connect ok
//!   ┌─────────────────────────┐
//!   ▼                         │
//! ready ── failed ──► waiting(delay) ── delay over ──► one attempt  
//!                        ▲   50 ms, doubled up to 1 s      │ failed
//!                        └──────────────────────────────────┘
//! ```
//!
//! While waiting, a call fails at once, so a dead node costs its callers neither time nor CPU. Nothing here retries: the
//! next call is the next attempt.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use metrics::Counter;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::codegen::Service;

use crate::{NodeId, identity::Identity, transport::Credentials};

/// TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const DELAY_FIRST: Duration = Duration::from_millis(50);
const DELAY_LONGEST: Duration = Duration::from_secs(1);

/// Why connecting failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the last attempt to connect failed; waiting before the next one")]
    Waiting,
    #[error("`{0}` is not host:port")]
    Address(Arc<str>),
    #[error("cannot connect within {CONNECT_TIMEOUT:?}")]
    TimedOut,
    #[error("cannot connect")]
    Io(#[from] io::Error),
    #[error("the peer's certificate is not that of node {0}")]
    OtherNode(NodeId),
}

/// Connects to one node. Clones share the delay.
#[derive(Clone)]
pub(crate) struct Connector {
    credentials: Arc<Credentials>,
    node: NodeId,
    address: Arc<str>,
    failed: Counter,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector(node {} at {})", self.node, self.address)
    }
}

#[derive(Default)]
struct State {
    failures: u32,
    not_before: Option<Instant>,
}

impl State {
    fn failed(&mut self, now: Instant) {
        let delay = DELAY_FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(DELAY_LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + delay);
    }
}

impl Connector {
    pub(crate) fn new(credentials: Arc<Credentials>, node: NodeId, address: &str, failed: Counter) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        Self { credentials, node, address: address.into(), failed, state }
    }

    async fn connect(self) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectError> {
        if self.state.lock().not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Err(ConnectError::Waiting);
        }
        let result = match timeout(CONNECT_TIMEOUT, self.handshake()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ConnectError::TimedOut),
        };
        let mut state = self.state.lock();
        match &result {
            Ok(_) => {
                if state.failures > 0 {
                    tracing::info!(node = %self.node, address = %self.address, "reconnected to node");
                }
                *state = State::default();
            }
            Err(error) => {
                self.failed.increment(1);
                if state.failures == 0 {
                    let cause = std::error::Error::source(error).map(ToString::to_string);
                    tracing::warn!(node = %self.node, address = %self.address, %error, cause, "cannot connect to node");
                }
                state.failed(Instant::now());
            }
        }
        drop(state);
        result.map(TokioIo::new)
    }

    async fn handshake(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let host = host_of(&self.address).ok_or_else(|| ConnectError::Address(Arc::clone(&self.address)))?;
        let stream = TcpStream::connect(&*self.address).await?;
        stream.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::clone(&self.credentials.tls().client));
        let stream = tls.connect(host, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let node = certificates.first().and_then(|der| Identity::of_certificate(der).node);
        if node != Some(self.node) {
            return Err(ConnectError::OtherNode(self.node));
        }
        Ok(stream)
    }
}

/// The host in `host:port`, as a certificate names it.
pub(super) fn host_of(address: &str) -> Option<ServerName<'static>> {
    let (host, _port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_longest_and_starts_anew() {
        let now = Instant::now();
        let mut state = State::default();
        let mut delays = Vec::new();
        for _ in 0..8 {
            state.failed(now);
            delays.push(state.not_before.expect("a delay") - now);
        }
        assert_eq!(delays[..3], [50, 100, 200].map(Duration::from_millis));
        assert_eq!(delays[7], DELAY_LONGEST);
        state.failures = u32::MAX;
        state.failed(now);
        assert_eq!(state.not_before, Some(now + DELAY_LONGEST));
    }

    #[test]
    fn the_server_name_is_the_address_without_its_port() {
        for (address, host) in
            [("127.0.0.1:7100", "127.0.0.1"), ("[::1]:7100", "::1"), ("node-1.local:7100", "node-1.local")]
        {
            assert_eq!(host_of(address).expect("a name"), ServerName::try_from(host).expect("a name"));
        }
        assert_eq!(host_of("no-port"), None);
    }
}
