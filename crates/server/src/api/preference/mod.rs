//! PreferenceService: how, when and about what a customer wants to be contacted.

mod contact;
mod parse;
#[cfg(test)]
mod parse_tests;
mod preferences;
