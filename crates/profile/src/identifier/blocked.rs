//! Owns what stands in the place of an identifier and is none: many customers would have it, and be taken for one person.
//! Always: what is blocked as written is blocked in its normal form, and the other way round.

use std::collections::BTreeSet;

use super::{
    IdentifierValue, NormalForm,
    characters::{digit, lower_case, trim},
    email::normal_domain,
};

/// What people and systems write for nothing, in lower case.
const PLACEHOLDERS: [&str; 11] =
    ["anonymous", "n.a.", "n/a", "na", "nan", "nil", "none", "not available", "null", "undefined", "unknown"];

/// Local parts of mail addresses that are no person's, at any domain: placeholders, tests, and senders that read nothing.
const LOCAL_PARTS: [&str; 12] = [
    "anonymous",
    "do-not-reply",
    "donotreply",
    "na",
    "no-reply",
    "nobody",
    "none",
    "noreply",
    "null",
    "test",
    "undefined",
    "unknown",
];

/// What a namespace blocks, in lower case: a namespace that tells `A` from `a` blocks both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocked {
    /// Normal forms, and texts that have none.
    values: BTreeSet<String>,
    /// Local parts of mail addresses.
    local_parts: BTreeSet<String>,
    /// Mail domains.
    domains: BTreeSet<String>,
    of_email: bool,
}

impl Blocked {
    /// The built-in ones and these. For mail addresses, `local@` blocks the local part at any domain, and `@domain` every
    /// address of the domain.
    pub(super) fn new(form: &NormalForm, values: &[String]) -> Self {
        let mut blocked = Self { of_email: matches!(form, NormalForm::Email(_)), ..Self::default() };
        for value in values.iter().map(|value| trim(value)) {
            match value.split_once('@') {
                Some((local, "")) if blocked.of_email => {
                    blocked.local_parts.insert(lower_case(local));
                }
                Some(("", domain)) if blocked.of_email => {
                    blocked.domains.insert(normal_domain(domain).unwrap_or_else(|| lower_case(domain)));
                }
                Some(_) | None => {
                    let normal = form.of(value);
                    let value = normal.as_ref().map_or(value, IdentifierValue::as_str);
                    blocked.values.insert(lower_case(value));
                }
            }
        }
        blocked
    }

    /// Whether a text, as written or in normal form, is blocked.
    pub(super) fn contains(&self, text: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        let lower = lower_case(text);
        is_placeholder(&lower) || self.values.contains(&lower) || self.has_address(&lower)
    }

    fn has_address(&self, lower: &str) -> bool {
        let Some((local, domain)) = lower.rsplit_once('@').filter(|_| self.of_email) else { return false };
        LOCAL_PARTS.contains(&local) || self.local_parts.contains(local) || self.domains.contains(domain)
    }
}

/// A word for nothing, only zeros (`0000`, `00-00`), or neither a letter nor a digit (`-`, `???`).
pub(crate) fn is_placeholder(lower: &str) -> bool {
    let mut meant = lower.chars().filter(|character| character.is_alphanumeric());
    PLACEHOLDERS.contains(&lower) || meant.all(|character| digit(character) == Some('0'))
}
