//! PreferenceService: how, when and about what a customer wants to be contacted.

mod batch_check_contact;
mod contact;
mod parse;
#[cfg(test)]
mod parse_tests;
mod preferences;

pub(super) use contact::channel_permissions;
pub(super) use parse::{hours, hours_wire};
pub(super) use preferences::{knows_purposes, preferences_for};
