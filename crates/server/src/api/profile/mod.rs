//! ProfileService: a customer's attributes and events.

mod append_events;
mod batch_get_profiles;
mod convert;
mod find_holder;
mod get_profile;
mod ingest_profile;
mod ingest_profiles;
mod list_events;
mod parse;
#[cfg(test)]
mod parse_tests;
mod seen_event;

pub(super) use convert::{stored_event, withheld_events};
pub(super) use get_profile::ReadRequest;
pub(super) use ingest_profiles::ingest_profiles;
pub(super) use seen_event::{SeenEvent, seen_event};
