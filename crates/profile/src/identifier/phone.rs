//! Owns the normal form of telephone numbers, ITU-T E.164: `+`, country code, national number. Always: a number that is
//! valid in its country's plan; no extension, which names a desk and not the number.

use phonenumber::{country, metadata::DATABASE};

use super::characters::digit;

/// The signs that people write between the digits.
const SEPARATORS: &str = " \u{a0}\u{2009}\u{202f}\u{3000}-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}\u{ff0d}.\u{ff0e}/\u{ff0f}()\u{ff08}\u{ff09}[]";
/// The plus sign, and that of full width.
const PLUS: [char; 2] = ['+', '\u{ff0b}'];
/// Digits of a number with the longest international prefix and a trunk zero.
const DIGITS_MAX: usize = 24;

/// How a namespace reads a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct PhoneRules {
    region: Option<country::Id>,
}

impl PhoneRules {
    /// Numbers without a country code are of this country; without one, they are refused.
    ///
    /// None if the country has no numbering plan of its own.
    pub(crate) fn of_country(code: Option<&str>) -> Option<Self> {
        let Some(code) = code else { return Some(Self::default()) };
        let region: country::Id = code.parse().ok()?;
        DATABASE.by_id(region.as_ref()).map(|_| Self { region: Some(region) })
    }

    pub(super) fn normalise(&self, text: &str) -> Option<String> {
        let dialled = Dialled::read(text)?;
        let number = match (self.international(&dialled), self.region) {
            // The library would strip the region's trunk prefix from a number of another country: `+39 06…` of Rome.
            (Some(digits), _) => phonenumber::parse(None, format!("+{digits}")),
            (None, Some(region)) => phonenumber::parse(Some(region), &dialled.digits),
            (None, None) => return None,
        };
        let number = number.ok().filter(phonenumber::PhoneNumber::is_valid)?;
        Some(format!("+{}{}", number.code().value(), number.national()))
    }

    /// The digits from the country code on, if the number is written with one.
    fn international<'a>(&self, dialled: &'a Dialled) -> Option<&'a str> {
        if dialled.has_plus {
            return Some(&dialled.digits);
        }
        let prefix = DATABASE.by_id(self.region?.as_ref())?.international_prefix()?;
        let found = prefix.find(&dialled.digits).filter(|found| found.start() == 0)?;
        // A country code has no leading zero, so this is a national number that begins alike.
        dialled.digits.get(found.end()..).filter(|rest| !rest.starts_with('0'))
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
