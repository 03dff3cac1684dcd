//! Owns the normal form of the lines of an address, and of a town. Always: Normalization Form C, single blanks, no empty line, and no
//! control or format character but the joiners, which some scripts need.

use crate::identifier::{is_control_or_format, is_placeholder, lower_case, nfc};

/// Zero-width non-joiner and joiner: Persian and the scripts of India are not spelt without them.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The normal form of a text, its lines parted by `line_end`; none of a text that stands for nothing.
pub(super) fn normalise(text: &str, line_end: &str) -> Option<String> {
    // Before composition, or what stood between two characters would have kept them apart.
    let is_line_end = |one: char| matches!(one, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let is_seen = |one: char| one.is_whitespace() || JOINERS.contains(&one) || !is_control_or_format(one);
    if text.chars().any(|one| one.is_control() && !one.is_whitespace()) {
        return None;
    }
    let visible: String = text.chars().filter(|one| is_seen(*one)).collect();
    let composed = nfc(&visible);
    let lines = composed.split(is_line_end).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let normal = lines.join(line_end);
    (!stands_for_nothing(&normal)).then_some(normal)
}

/// What people and forms write where there is nothing to write: `n/a`, `-`, `0`, `xxx`.
pub(super) fn stands_for_nothing(text: &str) -> bool {
    let lower = lower_case(text);
    let is_crossed_out = lower.len() > 1 && lower.bytes().all(|byte| byte == b'x');
    is_crossed_out || is_placeholder(&lower)
}
