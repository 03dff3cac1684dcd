//! The Rust client of a Custodia cluster.
//!
//! Owns the connections to the nodes and a copy of the shard map, and must always hold:
//!
//! - a call ends by its deadline, whatever the cluster does;
//! - a call is repeated only where a repetition cannot do a second thing: reads, writes with a `request_id`
//!   (which the client sets when the caller did not), and calls that certainly never reached a node;
//! - a stale shard map costs a hop, never a wrong answer: the node asked forwards, or names the leader.
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
mod outage;
mod plan;
mod services;
mod timing;

pub use client::Client;
pub use error::{Answered, ClientError};
pub use ingest::{IngestOutcome, IngestReceiver, IngestSender};
pub use options::{ClientIdentity, ClientOptions, Token};

/// The messages of the public interface, which the client's methods take and return.
pub use custodia_proto::v1 as proto;
