//! From the listening port to a service: everything that a call passes before its handler sees it.
//!
//! ```text
//! accept.rs ── TLS 1.3 ── connection.rs ── admission.rs ───────────────────── router.rs ─► service
//!   port        tls.rs     batched I/O      role, deadline, limits; tokens.rs   by index
//!  slots.rs                   due.rs          deadline.rs, budget.rs, bodies.rs
//!              credentials.rs: certificates, revocation list and tokens, read again when they change
//! metrics_endpoint.rs: the page for Prometheus, on a port of its own
//! ```
//!
//! A handler finds in the extensions of its request: [`Caller`](crate::Caller), [`Deadline`](crate::Deadline), and in the
//! peer service [`PeerNode`](crate::PeerNode); of a client's stream also [`RequestBytes`]. Nothing reaches a handler that
//! the method table does not allow.

mod accept;
mod accept_failures;
mod admission;
mod bodies;
mod budget;
mod connection;
pub(crate) mod credentials;
mod deadline;
mod due;
pub(crate) mod metrics_endpoint;
mod router;
mod slots;
mod tls;
mod tokens;

pub(crate) use accept::Port;
pub(crate) use admission::{Admission, BytesFull};
pub(crate) use bodies::RequestBytes;
pub(crate) use credentials::Credentials;
pub(crate) use router::Router;
pub use tls::ClientTlsFiles;

/// Why a body or a connection failed.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
