//! Owns the normal form of postal codes. Always: ASCII capitals and digits, with blanks and hyphens where the country writes them.
//!
//! `postal_codes.txt` has the layouts of countries: `9` is a digit, `a` a letter, `*` either, all else stands for itself. Each was
//! compared with the patterns and examples of google/libaddressinput (June 2025), and is as wide or wider. Korea (five digits since
//! 2015), Estonia and Ireland are not as there. A valid code that is refused harms more than a wrong one that is kept. So the letters of British codes are not checked against the post towns, for which the rules change.

use super::lines::stands_for_nothing;
use crate::identifier::{digit, trim};

const LAYOUTS: &str = include_str!("postal_codes.txt");
/// Characters of a code, its blanks and hyphens included. The longest of any country has 10.
const CODE_CHARACTERS_MAX: usize = 16;

/// The normal form of a postal code of a country, by its alpha-2 code; none if it is none of that country.
pub(super) fn normalise(text: &str, country: Option<&str>) -> Option<String> {
    let written = spelt(text)?;
    let layouts = country.and_then(|country| {
        let mut countries = LAYOUTS.lines().filter_map(|line| line.split_once(' '));
        countries.find(|(of, _)| *of == country)
    });
    let Some((country, layouts)) = layouts else { return Some(written) };
    let compact: String = written.chars().filter(|one| !is_separator(*one)).collect();
    let in_layout = |compact: &str| layouts.split('|').find_map(|layout| fitted(compact, layout));
    in_layout(&compact).or_else(|| {
        // `D-10115`, `DE 10115`: as Europe wrote codes on letters abroad. Only where the code itself begins with a digit.
        let rest = compact.strip_prefix(country).or_else(|| compact.strip_prefix(country.get(..1)?))?;
        in_layout(rest).filter(|code| code.starts_with(|one: char| one.is_ascii_digit()))
    })
}

/// What all postal codes have in common: capitals and digits, in parts with one blank between them.
fn spelt(text: &str) -> Option<String> {
    let text = trim(text);
    if text.chars().count() > CODE_CHARACTERS_MAX || stands_for_nothing(text) {
        return None;
    }
    let spelt = |one: char| match one {
        '-' | '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' | '\u{2212}' | '\u{ff0d}' => Some('-'),
        blank if blank.is_whitespace() => Some(' '),
        one if one.is_ascii_alphanumeric() => Some(one.to_ascii_uppercase()),
        one => digit(one),
    };
    let spelt = text.chars().map(spelt).collect::<Option<String>>()?;
    let parts: Vec<_> = spelt.split(' ').filter(|part| !part.is_empty()).collect();
    let spelt = parts.join(" ");
    let begins_and_ends = |one: &dyn Fn(char) -> bool| spelt.starts_with(one) && spelt.ends_with(one);
    begins_and_ends(&|one| one.is_ascii_alphanumeric()).then_some(spelt)
}

const fn is_separator(one: char) -> bool {
    matches!(one, ' ' | '-')
}

/// The code as the layout writes it; none if it has another number, or other kinds, of characters. A layout's own first letters may be
/// left out.
fn fitted(compact: &str, layout: &str) -> Option<String> {
    filled(compact, layout).or_else(|| {
        let own = layout.split('-').next().filter(|own| own.bytes().all(|byte| byte.is_ascii_uppercase()))?;
        filled(&format!("{own}{compact}"), layout)
    })
}

fn filled(compact: &str, layout: &str) -> Option<String> {
    let mut code = compact.chars();
    let mut filled = String::with_capacity(layout.len());
    for place in layout.chars() {
        if is_separator(place) {
            filled.push(place);
            continue;
        }
        let one = code.next()?;
        let fits = match place {
            '9' => one.is_ascii_digit(),
            'a' => one.is_ascii_uppercase(),
            '*' => true,
            own => one == own,
        };
        if !fits {
            return None;
        }
        filled.push(one);
    }
    code.next().is_none().then_some(filled)
}
