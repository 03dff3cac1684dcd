//! Typed call errors. The code, reason and field that a node answered are kept as sent.

use std::time::Duration;

use custodia_profile::NodeAddressError;
use custodia_proto::LEADER_METADATA;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::StatusExt as _;

/// Reasons of a node that rejected the call before doing anything.
const NOT_STARTED: [&str; 3] = ["NOT_LEADER", "NO_LEADER", "DRAINING"];

/// Reasons that are transient. A row's error has no `RetryInfo`, so the reason alone tells.
const TRANSIENT: [&str; 4] = ["CUSTOMER_BUSY", "CONTENDED", "OVERLOADED", "IDENTIFIER_MOVED"];

/// The TLS library's texts for a refusal by either side. In TLS 1.3 a node refuses a client's certificate after the
/// handshake, and HTTP/2 then keeps only the text.
const TLS_REFUSALS: [&str; 2] = ["invalid peer certificate", "received fatal alert"];

/// Wait before a row with a transient reason is sent again.
const ROW_RETRY_AFTER: Duration = Duration::from_millis(100);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A node answered with an error.
    #[error("{0}")]
    Answered(Box<Answered>),
    /// The node could not be connected to; the call was not sent.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// The node's `host:port`.
        address: String,
        /// The transport's error text.
        cause: String,
    },
    /// The connection broke during the call; whether a write took effect is unknown.
    #[error("connection to {address} lost: {cause}")]
    ConnectionLost {
        /// The node's `host:port`.
        address: String,
        /// The transport's error text.
        cause: String,
    },
    /// One side did not accept the other's certificate; the call was not sent.
    #[error("TLS handshake with {address} failed: {cause}")]
    TlsRefused {
        /// The node's `host:port`.
        address: String,
        /// The TLS library's error text.
        cause: String,
    },
    /// No answer within the deadline; whether a write took effect is unknown.
    #[error("timed out after {} ms{}", .deadline.as_millis(), last_error(.last.as_deref()))]
    DeadlineExceeded {
        /// The call's deadline.
        deadline: Duration,
        /// How often the call was sent.
        attempts: u32,
        /// The error of the last attempt that ended before its time limit.
        last: Option<Box<ClientError>>,
    },
    /// The options name no node.
    #[error("no node address given")]
    NoAddress,
    /// An address is not `host:port`.
    #[error("`{address}` is not the address of a node: {reason}")]
    BadAddress {
        /// The invalid text.
        address: String,
        /// What is wrong with it.
        #[source]
        reason: NodeAddressError,
    },
    /// The authority, certificate or key is unusable.
    #[error("cannot use the TLS files: {cause}")]
    BadTls {
        /// What is wrong; never key bytes.
        cause: String,
    },
    /// The token has characters that a header does not allow.
    #[error("the token has characters that are not allowed in a header")]
    BadToken,
    /// A node's answer violates the API.
    #[error("the answer of {address} has no result")]
    EmptyAnswer {
        /// The node's `host:port`.
        address: String,
    },
    /// The receiving half of an ingest stream was dropped.
    #[error("the ingest stream is closed")]
    StreamClosed,
}

/// An error that a node answered with.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Answered {
    /// The gRPC code.
    pub code: Code,
    /// The machine-readable reason (`google.rpc.ErrorInfo`); empty if there is none.
    pub reason: String,
    /// The invalid field of the request (`google.rpc.BadRequest`); empty if there is none.
    pub field: String,
    /// For people; contains no personal data.
    pub message: String,
    /// The leader as `<node id>@<host:port>`, if the node named one.
    pub leader: Option<String>,
    /// When to try again (`google.rpc.RetryInfo`).
    pub retry_after: Option<Duration>,
}

impl ClientError {
    /// The gRPC code that describes the failure.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Answered(answered) => answered.code,
            Self::Unreachable { .. } | Self::ConnectionLost { .. } | Self::TlsRefused { .. } => {
                Code::Unavailable
            }
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::NoAddress | Self::BadAddress { .. } | Self::BadTls { .. } | Self::BadToken => {
                Code::InvalidArgument
            }
            Self::EmptyAnswer { .. } => Code::Internal,
            Self::StreamClosed => Code::Cancelled,
        }
    }

    /// The machine-readable reason, if a node sent one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.answered().map(|answered| answered.reason.as_str()).filter(|reason| !reason.is_empty())
    }

    /// The invalid field of the request, if a node named one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.answered().map(|answered| answered.field.as_str()).filter(|field| !field.is_empty())
    }

    /// The error that a node answered with.
    #[must_use]
    pub fn answered(&self) -> Option<&Answered> {
        if let Self::Answered(answered) = self { Some(answered) } else { None }
    }

    /// `limit` is the attempt's time limit.
    pub(crate) fn from_status(status: &Status, address: &str, limit: Duration) -> Self {
        let Some(source) = std::error::Error::source(status) else {
            return Self::Answered(Box::new(Answered::from_status(status)));
        };
        let cause = innermost(source);
        let address = address.to_owned();
        if chain(source).any(|error| error.is::<tonic::TimeoutExpired>()) {
            Self::DeadlineExceeded { deadline: limit, attempts: 1, last: None }
        } else if TLS_REFUSALS.iter().any(|text| cause.contains(text)) {
            Self::TlsRefused { address, cause }
        } else if chain(source).any(|error| error.is::<tonic::ConnectError>()) {
            Self::Unreachable { address, cause }
        } else {
            Self::ConnectionLost { address, cause }
        }
    }

    /// The call certainly had no effect, so even an unsafe call may be sent again.
    pub(crate) fn had_no_effect(&self) -> bool {
        if let Self::Answered(answered) = self {
            return NOT_STARTED.contains(&answered.reason.as_str());
        }
        matches!(self, Self::Unreachable { .. } | Self::TlsRefused { .. })
    }

    /// Another attempt may succeed, if the call is safe to repeat.
    pub(crate) fn is_transient(&self) -> bool {
        let retry_after = self.answered().and_then(|answered| answered.retry_after);
        retry_after.is_some()
            || matches!(self.code(), Code::Unavailable | Code::DeadlineExceeded)
            || self.answered().is_some_and(|answered| answered.code == Code::Cancelled)
    }
}

impl Answered {
    fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let field = details
            .bad_request()
            .and_then(|bad| bad.field_violations.first())
            .map(|violation| violation.field.clone())
            .unwrap_or_default();
        Self {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            field,
            message: status.message().to_owned(),
            leader: leader(status.metadata()).map(str::to_owned),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl From<custodia_proto::v1::RowError> for Answered {
    fn from(row: custodia_proto::v1::RowError) -> Self {
        let retry_after = TRANSIENT.contains(&row.reason.as_str()).then_some(ROW_RETRY_AFTER);
        Self {
            code: Code::from_i32(row.code),
            reason: row.reason,
            field: row.field,
            message: row.message,
            leader: None,
            retry_after,
        }
    }
}

/// The leader that a node names in the metadata of its answer.
pub(crate) fn leader(metadata: &MetadataMap) -> Option<&str> {
    metadata.get(LEADER_METADATA)?.to_str().ok().filter(|leader| !leader.is_empty())
}

fn last_error(last: Option<&ClientError>) -> String {
    last.map(|error| format!("; last error: {error}")).unwrap_or_default()
}

fn chain<'e>(
    first: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(first), |error| error.source())
}

/// The transport wraps its errors several times; only the innermost is informative.
pub(crate) fn innermost(source: &(dyn std::error::Error + 'static)) -> String {
    chain(source).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn an_answered_error_keeps_code_reason_field_and_delay() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("PURPOSE_MISSING", "custodia", std::collections::HashMap::new())
            .add_bad_request_violation("purpose", "is required")
            .set_retry_info(Some(Duration::from_millis(40)));
        let status = Status::with_error_details(Code::InvalidArgument, "no purpose", details);
        let error = ClientError::from_status(&status, "localhost:1", Duration::ZERO);
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.reason(), Some("PURPOSE_MISSING"));
        assert_eq!(error.field(), Some("purpose"));
        assert_eq!(error.answered().unwrap().retry_after, Some(Duration::from_millis(40)));
        assert_eq!(error.to_string(), "no purpose");
    }

    #[test]
    fn a_rejected_call_had_no_effect() {
        let answered = |reason: &str| {
            let mut details = ErrorDetails::new();
            details.set_error_info(reason, "custodia", std::collections::HashMap::new());
            let mut status = Status::with_error_details(Code::Unavailable, "not now", details);
            status.metadata_mut().insert(LEADER_METADATA, "2@localhost:7444".parse().unwrap());
            ClientError::from_status(&status, "localhost:7443", Duration::ZERO)
        };
        for reason in ["NOT_LEADER", "DRAINING"] {
            assert!(answered(reason).had_no_effect() && answered(reason).is_transient(), "{reason}");
        }
        let rejected = answered("NOT_LEADER");
        assert_eq!(rejected.answered().unwrap().leader.as_deref(), Some("2@localhost:7444"));
        let unknown = answered("NO_QUORUM");
        assert!(!unknown.had_no_effect() && unknown.is_transient());
    }

    #[test]
    fn a_stale_etag_is_final_and_contention_is_transient() {
        let row = |code: Code, reason: &str| {
            let row = custodia_proto::v1::RowError {
                code: code.into(),
                reason: reason.into(),
                message: String::new(),
                field: String::new(),
            };
            ClientError::Answered(Box::new(row.into()))
        };
        assert!(!row(Code::Aborted, "ETAG_STALE").is_transient());
        assert!(row(Code::Aborted, "CONTENDED").is_transient());
        assert!(row(Code::Aborted, "IDENTIFIER_MOVED").is_transient());
        assert!(!row(Code::ResourceExhausted, "LIMIT_EXCEEDED").is_transient());
        assert!(row(Code::Unavailable, "NO_QUORUM").is_transient());
    }
}
