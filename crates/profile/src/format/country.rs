//! Owns the codes of countries. Always: an ISO 3166-1 alpha-2 code that the standard has assigned.
//!
//! `countries.txt` has the standard's 249 pairs of alpha-2 and alpha-3, as of February 2026, from Debian's iso-codes. Names are not read: they
//! differ by language, and several are one country's or another's.

use crate::identifier::trim;

const PAIRS: &str = include_str!("countries.txt");

/// Codes that are widely written for a country whose code is another: the one is reserved for it, the other used by the EU.
const MISTAKEN: [(&str, &str); 2] = [("EL", "GR"), ("UK", "GB")];

/// The alpha-2 code of a country by its alpha-2 or alpha-3 code in any case.
pub(crate) fn country_code(text: &str) -> Option<&'static str> {
    let written = trim(text).to_ascii_uppercase();
    let meant = MISTAKEN.into_iter().find(|(code, _)| *code == written);
    let written = meant.map_or(written.as_str(), |(_, meant)| meant);
    let mut pairs = PAIRS.lines().filter_map(|pair| pair.split_once(' '));
    pairs.find(|(two, three)| *two == written || *three == written).map(|(two, _)| two)
}
