//! What consensus needs from the wire: one call, and one exchange of two streams, between two nodes.
//!
//! The server implements it over its own connections; tests over channels. Bytes are opaque to the transport.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use custodia_profile::NodeId;
use futures::stream::BoxStream;

/// No single message between nodes is larger than this; transports must let it pass.
pub const PEER_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A node and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Which node.
    pub node: NodeId,
    /// Its address, as the transport understands it (`host:port`).
    pub address: String,
}

/// Why a message did not arrive, or its answer did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made, or it broke.
    #[error("the peer is unreachable: {reason}")]
    Unreachable {
        /// What the transport said; no payload bytes.
        reason: String,
    },
    /// No answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer's certificate or answer is not that of the node asked for.
    #[error("the peer was refused: {reason}")]
    Refused {
        /// What the transport said; no payload bytes.
        reason: String,
    },
}

/// Carries messages to other nodes.
#[async_trait]
pub trait PeerTransport: Send + Sync + 'static {
    /// Sends one message and waits for one answer.
    async fn call(&self, to: &Peer, body: Bytes, timeout: Duration) -> Result<Bytes, TransportError>;

    /// Opens a two-way exchange: `timeout` bounds the opening, not the exchange. The answer stream ends when the
    /// peer ends it, and with an error when the connection breaks; dropping it ends the exchange on both sides.
    async fn exchange(
        &self,
        to: &Peer,
        input: BoxStream<'static, Bytes>,
        timeout: Duration,
    ) -> Result<BoxStream<'static, Result<Bytes, TransportError>>, TransportError>;
}
