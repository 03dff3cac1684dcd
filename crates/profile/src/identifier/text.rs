//! Owns the normal form of all other identifiers: accounts, cards, devices, social handles. Always: trimmed, in
//! Normalization Form C, of visible characters and single spaces, and as the pattern asks.

use regex::{Regex, RegexBuilder};

use super::characters::{is_hidden, lower_case, nfc};
use crate::limits::NAMESPACE_PATTERN_COMPILED_BYTES_MAX;

/// How a namespace reads a text.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextRules {
    case_sensitive: bool,
    pattern: Option<Regex>,
}

impl TextRules {
    /// The whole normal form must match the pattern, unless that is empty.
    ///
    /// None if the pattern is no regular expression of this size. What matches takes linear time, whatever the pattern.
    pub(crate) fn new(case_sensitive: bool, pattern: &str) -> Option<Self> {
        let compile = |pattern: &str| {
            let mut builder = RegexBuilder::new(pattern);
            builder.size_limit(NAMESPACE_PATTERN_COMPILED_BYTES_MAX);
            builder.dfa_size_limit(NAMESPACE_PATTERN_COMPILED_BYTES_MAX);
            builder.build().ok()
        };
        if pattern.is_empty() {
            return Some(Self { case_sensitive, pattern: None });
        }
        // First by itself: `a)(b` would be valid between brackets alone.
        compile(pattern)?;
        let whole = compile(&format!(r"\A(?:{pattern})\z"))?;
        Some(Self { case_sensitive, pattern: Some(whole) })
    }

    pub(super) fn normalise(&self, text: &str) -> Option<String> {
        let form = if self.case_sensitive { nfc(text).into_owned() } else { lower_case(text) };
        let is_visible =
            |character: char| character == ' ' || !character.is_whitespace() && !is_hidden(character);
        let fits = !form.is_empty()
            && form.chars().all(is_visible)
            && !form.contains("  ")
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&form));
        fits.then_some(form)
    }
}
