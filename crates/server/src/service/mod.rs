//! The implementations of the public API.
//!
//! ```text
//! api/          the generated traits ─▶ one function each
//! parse.rs      wire ─▶ profile types, errors name the field     convert.rs, time.rs, opaque.rs   and back
//! forward.rs    here or one hop to the leader                    stream.rs, batch.rs               many at a time
//! room.rs       what every call works with                       shards.rs                         keys per shard
//! read.rs       barrier ─▶ get ─▶ open ─▶ permission ─▶ profile  record.rs                         one value
//! write.rs      lock ─▶ barrier ─▶ evaluate ─▶ seal ─▶ propose   locks.rs, fingerprint.rs
//! reader.rs     who a call reads for                             usage.rs                          what is read and collected
//! definition.rs, definitions.rs, changes.rs   the catalogue and its log
//! consents.rs, history.rs, explain.rs, data_subject.rs, signals.rs, tc_string.rs, consent_mode.rs   the consent service
//! consent_parse.rs, consent_convert.rs   its wire ─▶ profile types and back
//! preferences.rs, contact.rs   the preference service            preferences_parse.rs             its wire and back
//! export/       consent in the formats of others
//! profiles.rs, events.rs, cluster.rs, turning.rs   the other calls themselves
//! status.rs     every error ─▶ gRPC, in one table                error.rs
//! ```
//!
//! **Architecture Invariant:** nothing here knows raft, encryption or files; nothing here decides what is allowed,
//! `custodia-profile` does; no call is forwarded twice and nothing here retries over the network.

mod api;
mod batch;
mod catalogue_convert;
#[cfg(test)]
mod catalogue_for_tests;
mod catalogue_view;
mod changes;
mod cluster;
mod consent_convert;
mod consent_mode;
mod consent_parse;
mod consents;
mod contact;
mod convert;
mod data_subject;
mod definition;
mod definitions;
mod definitions_parse;
mod error;
mod events;
mod explain;
mod export;
mod fingerprint;
mod forward;
mod forwarded;
mod history;
mod locks;
mod meters;
mod node_facts;
mod opaque;
mod parse;
#[cfg(test)]
mod parse_tests;
mod preferences;
mod preferences_parse;
#[cfg(test)]
mod preferences_parse_tests;
mod profiles;
mod read;
mod reader;
mod record;
mod room;
mod shards;
mod signals;
mod status;
mod stream;
mod tc_string;
mod time;
mod turning;
mod usage;
mod write;

pub(crate) use api::routes;
pub(crate) use error::LeaderHint;
pub(crate) use forward::Forwarder;
pub(crate) use forwarded::is_internal;
pub(crate) use room::Room;
pub(crate) use shards::NodeKeys;
pub(crate) use usage::{keep_up as keep_up_usage, report_last as report_last_usage};
