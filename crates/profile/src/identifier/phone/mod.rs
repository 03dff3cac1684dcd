//! Owns the normal form of telephone numbers, ITU-T E.164: `+`, country code, national number. Always: a number that is
//! valid in its country's plan; no extension, which names a desk and not the number.

mod plan;

use super::characters::digit;
use plan::{DIGITS_MAX, Plan};

/// The signs that people write between the digits.
const SEPARATORS: &str = " \u{a0}\u{2009}\u{202f}\u{3000}-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}\u{ff0d}.\u{ff0e}/\u{ff0f}()\u{ff08}\u{ff09}[]";
/// The plus sign, and that of full width.
const PLUS: [char; 2] = ['+', '\u{ff0b}'];

/// How a namespace reads a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct PhoneRules {
    home: Option<&'static Plan>,
}

impl PhoneRules {
    /// Numbers without a country code are of this country; without one, they are refused.
    ///
    /// None if the country has no numbering plan.
    pub(crate) fn of_country(code: Option<&str>) -> Option<Self> {
        let Some(code) = code else { return Some(Self::default()) };
        Plan::of_region(code).map(|plan| Self { home: Some(plan) })
    }

    pub(super) fn normalise(&self, text: &str) -> Option<String> {
        let Dialled { has_plus, digits } = Dialled::read(text)?;
        if has_plus { plan::international(&digits) } else { self.home?.national(&digits) }
    }
}

/// The digits of a number as written, without what stands between them.
struct Dialled {
    has_plus: bool,
    digits: String,
}

impl Dialled {
    /// None if the text has anything but digits, one plus sign before them, and separators: letters dial an extension or a
    /// word, `*` and `#` a service.
    fn read(text: &str) -> Option<Self> {
        let text = match text.split_at_checked(4) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest,
            Some(_) | None => text,
        };
        let mut dialled = Self { has_plus: false, digits: String::with_capacity(DIGITS_MAX) };
        for character in text.chars() {
            if let Some(digit) = digit(character) {
                dialled.digits.push(digit);
            } else if PLUS.contains(&character) && !dialled.has_plus && dialled.digits.is_empty() {
                dialled.has_plus = true;
            } else if !SEPARATORS.contains(character) {
                return None;
            }
        }
        (dialled.digits.len() <= DIGITS_MAX).then_some(dialled)
    }
}
