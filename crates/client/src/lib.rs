//! The Rust client of a Custodia cluster.
//!
//! Owns the connections to the nodes and a copy of the shard map. Invariants:
//!
//! - a call ends by its deadline, whatever the cluster does;
//! - a call is retried only if that cannot apply it twice: reads, writes with a `request_id` (set by the client if the
//!   caller did not), and calls that certainly had no effect;
//! - a stale shard map costs a hop, never a wrong answer: the node forwards the call or names the leader.
//!
//! ```text
//!  request ─▶ customer id ─▶ slot ─▶ shard ─▶ leader's channel ─▶ answer
//!                                      ▲                │
//!                                      │   UNAVAILABLE, │ `custodia-leader`
//!                                      └── new map ◀────┘
//! ```

mod call;
mod channels;
mod client;
mod error;
mod ingest;
mod map;
mod options;
mod plan;
mod services;
mod stubs;
mod timing;
mod unavailable;

pub use client::Client;
pub use error::{Answered, ClientError};
pub use ingest::{IngestOutcome, IngestReceiver, IngestSender};
pub use options::{ClientIdentity, ClientOptions, Token};

/// The messages of the public API, which the client's methods take and return.
pub use custodia_proto::v1 as proto;
