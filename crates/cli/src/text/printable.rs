//! Owns what may reach a terminal as it is. Always: a character that shows nothing, or changes how its neighbours are shown,
//! is written as an escape, so that what is read is what is stored (Unicode Technical Report 36, section 2;
//! CVE-2021-42574).

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Control and format characters, line and paragraph separators, and all others of zero width: Unicode's general categories
/// Cc, Cf, Zl and Zp, and the property Default_Ignorable_Code_Point.
const HIDDEN: &[RangeInclusive<char>] = &[
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

fn is_hidden(one: char) -> bool {
    // Plain text is below the first range that is not ASCII.
    if one.is_ascii() { one.is_ascii_control() } else { HIDDEN.iter().any(|range| range.contains(&one)) }
}

/// One value on one line: `\n`, `\r`, `\t`, and `\u{202e}` for others.
pub(crate) fn in_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden, |one, output| output.extend(one.escape_default()))
}

/// Lines that were laid out: line ends and tabs stay.
pub(crate) fn in_lines(text: &str) -> Cow<'_, str> {
    let hidden = |one| is_hidden(one) && !matches!(one, '\n' | '\t');
    escaped(text, hidden, |one, output| output.extend(one.escape_default()))
}

/// JSON that says the same: only its strings have such characters.
pub(crate) fn in_json(json: &str) -> Cow<'_, str> {
    let hidden = |one| is_hidden(one) && !matches!(one, '\n' | '\t' | '\r');
    escaped(json, hidden, |one, output| {
        for unit in one.encode_utf16(&mut [0; 2]) {
            output.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn escaped(text: &str, is_hidden: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut output = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        if is_hidden(one) { escape(one, &mut output) } else { output.push(one) }
    }
    Cow::Owned(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_reorders_is_escaped_and_all_else_stays() {
        for plain in ["Ada", "Zoë 北京 שלום", "e\u{301}", "👍🏽", "\u{a0}"] {
            assert_eq!((in_line(plain), in_json(plain)), (plain.into(), plain.into()));
        }
        assert_eq!(in_line("1 Main St\nApt\t2\r"), r"1 Main St\nApt\t2\r");
        assert_eq!(in_line("user\u{202e}gpj.exe\u{200b}"), r"user\u{202e}gpj.exe\u{200b}");
        assert_eq!(in_lines("a\u{1b}[31m\n\tb\u{2066}"), "a\\u{1b}[31m\n\tb\\u{2066}");
        let tag = "\"a\u{e0041}\u{200d}\"";
        assert_eq!(in_json(tag), r#""a\udb40\udc41\u200d""#);
        assert_eq!(
            serde_json::from_str::<String>(&in_json(tag)).unwrap(),
            serde_json::from_str::<String>(tag).unwrap()
        );
    }
}
