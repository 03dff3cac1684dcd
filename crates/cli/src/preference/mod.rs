//! `custodia preferences` and `custodia contact`: how a customer wants to be contacted, and whether a contact is allowed.

mod contact;
mod preferences;

pub(crate) use contact::ContactCommand;
pub(crate) use preferences::{PreferencesCommand, Quiet, hours_text, preferences_text};
