//! Why a call is refused before any handler has seen it; `wire/status.rs` says how that looks on the wire.
//!
//! Must always hold: no text holds anything that the caller sent.

use http::Response;
use tonic::{Status, body::Body};

use crate::identity::RoleSet;

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the caller is unknown: neither a certificate with a role nor a valid token was shown")]
    Unauthenticated,
    #[error("the caller's roles do not allow this call; it takes one of: {allowed}")]
    NotAllowed { allowed: RoleSet },
    #[error("the certificate has the role node, but its name is no node's number")]
    NamelessNode,
    #[error("there is no such method")]
    MethodUnknown,
    #[error("the header grpc-timeout is malformed")]
    TimeoutMalformed,
    #[error("the deadline had passed when the call arrived")]
    DeadlinePassed,
    #[error(
        "the deadline passed; whether a write took place is unknown, and the same request_id may be sent again"
    )]
    OutcomeUnknown,
    #[error("over the limit {limit} of {most}: too many calls in flight")]
    Full { limit: &'static str, most: usize },
    #[error("over the limit message_bytes_max of {most}: the request is too large")]
    MessageTooLarge { most: usize },
    #[error("the node is stopping; another node takes the call")]
    Draining,
}

impl Refusal {
    /// The whole answer.
    pub(crate) fn response(self) -> Response<Body> {
        Status::from(self).into_http()
    }
}
