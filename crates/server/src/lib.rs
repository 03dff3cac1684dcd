//! The node: one port, TLS 1.3, callers identified and authorised, calls routed to the customer's shard.
//!
//! ```text
//! listener ── TLS handshake ── connection (identity parsed once) ── admission ── router ── service ── consensus
//!  run.rs       accept.rs, tls.rs  identity.rs, turn.rs              admission.rs  router.rs  service/  keys/
//!                                                                   authorisation.rs, tokens.rs, limits.rs,
//!                                                                   refusal.rs, metrics.rs
//! start:        config.rs, data.rs (data folder, engine, log, proof of the root key), error.rs with hints
//! other nodes:  peer/, both sides of custodia.internal.v1.PeerService
//! page:         metrics_endpoint.rs                                 log: telemetry.rs
//! ```
//!
//! A handler finds in the extensions of its request: [`Caller`], [`Deadline`], and in the peer service [`PeerNode`].
//! Nothing reaches a handler that the table in `authorisation.rs` does not allow.

use custodia_profile::NodeId;

mod accept;
mod admission;
mod authorisation;
mod config;
mod data;
mod error;
mod identity;
mod keys;
mod limits;
mod metrics;
mod metrics_endpoint;
mod peer;
mod propose;
mod refusal;
mod root_key;
mod router;
mod run;
mod service;
mod telemetry;
#[cfg(test)]
#[path = "authority_for_tests.rs"]
mod test_authority;
mod tls;
mod tokens;
mod turn;

pub use config::{
    Config, ControllerConfig, LogConfig, LogFormat, LogLevel, StateEngineName, TimingConfig, TlsFiles,
    TokenFile,
};
pub use error::{ConfigError, ServerError, TlsError};
pub use identity::{Caller, Identity, PeerNode, Role, RoleSet, UnknownRole};
pub use limits::Limits;
pub use root_key::{add_root_key, generate_root_key_file};
pub use run::{Started, run};
pub use telemetry::init_log;

/// When the caller stops waiting. In the extensions of every request that reaches a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub tokio::time::Instant);
