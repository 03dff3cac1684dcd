//! The node: one port, TLS 1.3, callers identified and authorised, calls routed to the customer's shard.
//!
//! ```text
//! client ─► transport/ (TLS, identity, admission, router) ─► service/ ─► propose.rs ─► consensus
//!              authorisation.rs, refusal.rs                    keys/
//! other nodes ─► peer/, both sides of custodia.internal.v1.PeerService
//! run.rs: from start to drain          config.rs, limits.rs, error.rs      data.rs, root_key.rs: what lies on disk
//! metrics.rs, telemetry.rs: metrics and log                                identity.rs: roles and callers
//! ```

use custodia_profile::NodeId;

mod authorisation;
mod config;
mod data;
mod error;
mod identity;
mod keys;
mod limits;
mod metrics;
mod peer;
mod propose;
mod refusal;
mod root_key;
mod run;
mod service;
mod telemetry;
#[cfg(test)]
#[path = "authority_for_tests.rs"]
mod test_authority;
mod transport;

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
