//! How a call is turned away before any handler has seen it, and how that looks on the wire.
//!
//! Must always hold: the mapping is total without a wildcard arm; no text holds anything that the caller sent.

use std::{collections::HashMap, time::Duration};

use http::Response;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::identity::RoleSet;

/// `google.rpc.ErrorInfo.domain`.
const DOMAIN: &str = "custodia";

/// How long a caller should wait where the node is full.
const RETRY_AFTER_FULL: Duration = Duration::from_millis(100);
/// How long where the node is stopping: another node takes the call at once.
const RETRY_AFTER_DRAINING: Duration = Duration::from_millis(10);

/// Why a call is turned away.
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
    const fn code(self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::NotAllowed { .. } | Self::NamelessNode => Code::PermissionDenied,
            Self::MethodUnknown => Code::Unimplemented,
            Self::TimeoutMalformed => Code::InvalidArgument,
            Self::DeadlinePassed | Self::OutcomeUnknown => Code::DeadlineExceeded,
            Self::Full { .. } | Self::MessageTooLarge { .. } => Code::ResourceExhausted,
            Self::Draining => Code::Unavailable,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::NotAllowed { .. } => "ROLE_NOT_ALLOWED",
            Self::NamelessNode => "NODE_UNNAMED",
            Self::MethodUnknown => "METHOD_UNKNOWN",
            Self::TimeoutMalformed => "TIMEOUT_MALFORMED",
            Self::DeadlinePassed => "DEADLINE_PASSED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Full { .. } | Self::MessageTooLarge { .. } => "LIMIT_EXCEEDED",
            Self::Draining => "DRAINING",
        }
    }

    /// The limit's name and value, and when to try again.
    fn circumstances(self) -> (HashMap<String, String>, Option<Duration>) {
        let limit = |name: &str, most: usize| {
            HashMap::from([("limit".to_owned(), name.to_owned()), ("most".to_owned(), most.to_string())])
        };
        match self {
            Self::Full { limit: name, most } => (limit(name, most), Some(RETRY_AFTER_FULL)),
            Self::MessageTooLarge { most } => (limit("message_bytes_max", most), None),
            Self::Draining => (HashMap::new(), Some(RETRY_AFTER_DRAINING)),
            Self::Unauthenticated
            | Self::NotAllowed { .. }
            | Self::NamelessNode
            | Self::MethodUnknown
            | Self::TimeoutMalformed
            | Self::DeadlinePassed
            | Self::OutcomeUnknown => (HashMap::new(), None),
        }
    }

    /// The status, with its details.
    pub(crate) fn status(self) -> Status {
        let (metadata, retry_after) = self.circumstances();
        let mut details = ErrorDetails::with_error_info(self.reason(), DOMAIN, metadata);
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        Status::with_error_details(self.code(), self.to_string(), details)
    }

    /// The whole answer.
    pub(crate) fn response(self) -> Response<Body> {
        self.status().into_http()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    #[test]
    fn a_full_node_names_the_limit_and_when_to_come_back() {
        let status = Refusal::Full { limit: "node_calls_max", most: 7 }.status();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("node_calls_max of 7"), "{}", status.message());
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!(
            (info.reason.as_str(), info.metadata["limit"].as_str()),
            ("LIMIT_EXCEEDED", "node_calls_max")
        );
        assert!(details.retry_info().is_some());
    }

    #[test]
    fn a_caller_without_the_role_is_told_which_roles_do() {
        let status = Refusal::NotAllowed { allowed: RoleSet::of(&[Role::Ingest, Role::Privacy]) }.status();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().ends_with("ingest, privacy"), "{}", status.message());
        assert_eq!(status.get_error_details().error_info().expect("an ErrorInfo").reason, "ROLE_NOT_ALLOWED");
    }
}
