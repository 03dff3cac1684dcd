//! The node: one port, TLS 1.3, callers identified and authorised, calls routed to the customer's shard.
//!
//! ```text
//! client ─► transport/ (TLS, identity, admission, router) ─► api/, by service ─► shard/ ─► consensus
//! other nodes ─► peer/, both sides of custodia.internal.v1.PeerService
//!
//! api/        one folder for each service, one file for each RPC or small family; handler.rs, dispatch.rs
//! shard/      the prologue of reads and writes about a customer: record, permission, mutation, seal
//! catalogue/  the catalogue on this node, its log of changes, the use of its attributes
//! routing/    who leads, and the one hop to it          propose.rs  evaluate, propose, again on a conflict
//! wire/       parsing, conversion, paging, moments, errors ─► status (the only map)
//! keys/       the keys of the shards                    method.rs   the table of methods, from the .proto options
//! verification.rs   compares the replicas of a group, and has one that differs rebuilt
//!
//! run.rs: from start to drain          config.rs, limits.rs, error.rs      data.rs, root_key.rs: what lies on disk
//! metrics.rs, counters.rs, telemetry.rs: metrics and log                   identity.rs: roles and callers
//! process_limits.rs: what the operating system allows this process
//! ```

use custodia_profile::NodeId;

mod api;
mod catalogue;
mod config;
mod counters;
mod data;
mod error;
mod identity;
mod keys;
mod limits;
mod method;
mod metrics;
mod peer;
mod process_limits;
mod propose;
mod refusal;
mod root_key;
mod routing;
mod run;
mod scan;
mod shard;
mod telemetry;
#[cfg(test)]
#[path = "authority_for_tests.rs"]
mod test_authority;
mod transport;
mod verification;
mod wire;

pub use config::{
    Config, ControllerConfig, LogConfig, LogFormat, LogLevel, StateEngineName, TimingConfig, TlsFiles,
    TokenFile,
};
pub use error::{ConfigError, ServerError, TlsError, TlsFile};
pub use identity::{Caller, Identity, PeerNode, Role, RoleSet, UnknownRole, is_caller_name};
pub use limits::Limits;
pub use root_key::{add_root_key, generate_root_key_file};
pub use run::{Started, run};
pub use shard::arm_failpoint;
pub use telemetry::init_log;
pub use transport::ClientTlsFiles;

/// When the caller stops waiting. In the extensions of every request that reaches a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub tokio::time::Instant);
