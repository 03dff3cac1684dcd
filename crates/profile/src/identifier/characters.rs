//! Owns which characters an identifier may have. Always: two identifiers that look the same to the byte of their fonts'
//! glyphs do not differ by a character that nobody sees.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether nobody sees a character: controls, directions, joiners, fillers, and what Unicode has not assigned, since a
/// later version may give that another normal form.
pub(super) fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let is_hidden_category = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    is_hidden_category
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        // The blank of the Braille patterns is a symbol by its category.
        || character == '\u{2800}'
}

/// Whether a character is a control or a format character: directions, joiners, soft hyphens, byte-order marks.
pub(crate) fn is_control_or_format(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(category, GeneralCategory::Control | GeneralCategory::Format)
}

/// Whether every character is seen, and there is no blank.
pub(super) fn is_unbroken(text: &str) -> bool {
    text.chars().all(|character| !character.is_whitespace() && !is_hidden(character))
}

/// The text without blanks and hidden characters at its ends: what comes along when somebody copies and pastes.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || is_hidden(character))
}

/// Normalization Form C, Unicode Standard Annex #15: one sequence of characters for each text that is drawn the same.
pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

/// Lower case, in Normalization Form C. By character and not by word, so that a Greek capital sigma has one small letter.
pub(crate) fn lower_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower: String = nfc(text).chars().flat_map(char::to_lowercase).collect();
    nfc(&lower).into_owned()
}

/// The zeros of the scripts whose decimal digits people type, Unicode general category Nd: each is followed by its nine.
const ZEROS: [char; 21] = [
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
    '\u{c66}', '\u{ce6}', '\u{d66}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{17e0}', '\u{1810}',
    '\u{a9d0}', '\u{ff10}',
];

/// The ASCII digit of a decimal digit of any script.
pub(crate) fn digit(character: char) -> Option<char> {
    let offset = |zero: char| u32::from(character).checked_sub(zero.into()).filter(|offset| *offset < 10);
    let value = ZEROS.into_iter().find_map(offset)?;
    char::from_digit(value, 10)
}
