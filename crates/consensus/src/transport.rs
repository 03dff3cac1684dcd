//! What consensus needs from the network: a call, and an exchange (a stream each way), between two nodes.
//!
//! The server implements it over its own connections, tests over channels. The transport does not interpret the bytes.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use custodia_profile::NodeId;
use futures::stream::BoxStream;

/// The largest single message between nodes; transports must accept it.
pub const PEER_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A node and its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The node's id.
    pub node: NodeId,
    /// Its address, as the transport understands it (`host:port`).
    pub address: String,
}

/// Why a message or its answer did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The connection failed or could not be made.
    #[error("the peer is unreachable: {reason}")]
    Unreachable {
        /// What the transport said; no payload bytes.
        reason: String,
    },
    /// No answer came in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer is reachable and refused the call, for instance because its certificate names another node.
    #[error("the peer refused the call: {reason}")]
    Refused {
        /// What the transport said; no payload bytes.
        reason: String,
    },
}

/// Sends messages to other nodes.
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
