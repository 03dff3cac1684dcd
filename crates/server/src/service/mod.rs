//! The implementations of the public API.
//!
//! ```text
//! api.rs        the generated traits ─▶ one function each
//! parse.rs      wire ─▶ profile types, errors name the field     convert.rs, time.rs, opaque.rs   and back
//! forward.rs    here or one hop to the leader                    stream.rs, batch.rs               many at a time
//! room.rs       what every call works with                       shards.rs                         keys per shard
//! read.rs       barrier ─▶ get ─▶ open ─▶ permission ─▶ profile  record.rs                         one value
//! write.rs      lock ─▶ barrier ─▶ evaluate ─▶ seal ─▶ propose   locks.rs, fingerprint.rs
//! profiles.rs, events.rs, consents.rs, definitions.rs, cluster.rs, turning.rs   the calls themselves
//! status.rs     every error ─▶ gRPC, in one table                error.rs
//! ```
//!
//! **Architecture Invariant:** nothing here knows raft, encryption or files; nothing here decides what is allowed,
//! `custodia-profile` does; no call is forwarded twice and nothing here retries over the network.

mod api;
mod batch;
mod catalogue_view;
mod cluster;
#[cfg(test)]
mod cluster_for_tests;
#[cfg(test)]
mod cluster_tests;
mod consents;
mod convert;
#[cfg(test)]
mod damage_tests;
mod definitions;
mod definitions_parse;
mod error;
mod events;
mod fingerprint;
mod forward;
mod forwarded;
mod locks;
mod meters;
mod node_facts;
mod opaque;
mod parse;
#[cfg(test)]
mod parse_tests;
mod profiles;
mod read;
mod record;
mod room;
mod shards;
mod status;
mod stream;
mod time;
mod turning;
mod write;

pub(crate) use api::routes;
pub(crate) use error::LeaderHint;
pub(crate) use forward::Forwarder;
pub(crate) use forwarded::is_internal;
pub(crate) use room::Room;
pub(crate) use shards::NodeKeys;
