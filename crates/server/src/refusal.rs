//! Why admission refuses a call, before any handler runs. `wire/status.rs` maps it to gRPC.
//!
//! Invariant: no text repeats anything that the caller sent.

use http::Response;
use tonic::{Status, body::Body};

use crate::identity::RoleSet;

/// The reason of a refusal by admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("unauthenticated: no certificate with a role and no valid token")]
    Unauthenticated,
    #[error("the caller's roles do not allow this call; allowed roles: {allowed}")]
    NotAllowed { allowed: RoleSet },
    #[error("the certificate has the role node, but its name is not a node number")]
    NamelessNode,
    #[error("the certificate is not that of a node of this cluster")]
    NotMember,
    #[error("this node has lost its directory and is fetching it back: retry on another node")]
    DirectoryMissing,
    #[error("unknown method")]
    MethodUnknown,
    #[error("the metadata of the call is too large: the limit is {most} bytes")]
    MetadataTooLarge { most: usize },
    #[error("the header grpc-timeout is malformed")]
    TimeoutMalformed,
    #[error("the deadline had passed when the call arrived")]
    DeadlinePassed,
    #[error("the deadline passed and the outcome of a write is unknown: retry with the same request_id")]
    OutcomeUnknown,
    #[error("too much in flight: the limit {limit} is {most}")]
    Full { limit: &'static str, most: usize },
    #[error("the request is too large: the limit message_bytes_max is {most} bytes")]
    MessageTooLarge { most: usize },
    #[error("the answer is too large: the limit response_bytes_max is {most} bytes")]
    AnswerTooLarge { most: usize },
    #[error("the node is shutting down: retry on another node")]
    Draining,
    #[error(
        "nothing was sent on the stream for stream_idle_ms, {after_ms} ms: open another when there is more"
    )]
    StreamIdle { after_ms: u64 },
}

impl Refusal {
    /// The complete HTTP response.
    pub(crate) fn response(self) -> Response<Body> {
        Status::from(self).into_http()
    }
}
