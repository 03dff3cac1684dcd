//! Owns which terms of the W3C Data Privacy Vocabulary (DPV), version 2, a catalogue may name. The list and how it was made:
//! `dpv_terms.txt`.

use std::sync::LazyLock;

use crate::error::ProfileError;

const LIST: &str = include_str!("dpv_terms.txt");

/// The names of the purposes, in ascending order.
static PURPOSES: LazyLock<Vec<&'static str>> = LazyLock::new(|| section("dpv]"));
/// The names of the categories of personal data, in ascending order.
static PERSONAL_DATA: LazyLock<Vec<&'static str>> = LazyLock::new(|| section("pd]"));

/// The terms of a section of the list.
fn section(heading: &str) -> Vec<&'static str> {
    let terms = LIST.split("\n[").find_map(|section| section.strip_prefix(heading));
    terms.unwrap_or_default().split_whitespace().collect()
}

/// Checks that a text is a purpose of the vocabulary, e.g. `dpv:Marketing`, or empty.
///
/// # Errors
/// Names the field.
pub fn check_dpv_purpose(field: &'static str, text: &str) -> Result<(), ProfileError> {
    let is_known = text.strip_prefix("dpv:").is_some_and(|term| PURPOSES.binary_search(&term).is_ok());
    if text.is_empty() || is_known {
        return Ok(());
    }
    Err(ProfileError::Malformed { field, expected: "a purpose of DPV 2.0 to 2.3, e.g. dpv:Marketing" })
}

/// The vocabulary's category of personal data of the same name, e.g. `pd:EmailAddress` for `email-address` or
/// `email_address`; none if there is none.
#[must_use]
pub fn dpv_personal_data(name: &str) -> Option<String> {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|letter| !matches!(letter, '-' | '_'));
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let name = plain(name);
    PERSONAL_DATA.iter().find(|term| plain(term) == name).map(|term| format!("pd:{term}"))
}
