//! One row of the input: its position in the file and its cells.

use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::Value;

use crate::text::json::{Json, Members, member};

/// The longest row, in bytes; a longer one is refused.
pub(crate) const ROW_BYTES_MAX: u64 = 1024 * 1024;

/// The most columns of a file.
pub(crate) const COLUMNS_MAX: usize = 4_096;

/// The most values of a JSON row, at all levels together; a row with more is refused.
pub(crate) const VALUES_MAX: usize = 16_384;

/// About how many bytes a value takes in memory besides its text.
const VALUE_BYTES: usize = 64;

/// What is kept of a row that is too long.
pub(crate) const KEPT_BYTES_MAX: usize = 4_096;

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// From 1, not counting the header.
    pub(crate) number: u64,
    /// The offset of the first byte after it.
    pub(crate) end: u64,
    pub(crate) cells: Cells,
}

/// The content of a row.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// The columns' names and one text for each.
    Columns(Arc<[String]>, Vec<String>),
    /// A JSON object and its text.
    Object(String, Members),
    /// The reason why the row cannot be read, and its bytes.
    Unreadable(String, Vec<u8>),
}

impl Row {
    /// The text of a column; `None` if it is empty, null or absent. A number is as the file writes it.
    pub(crate) fn cell(&self, column: &str) -> Option<String> {
        let text = match &self.cells {
            Cells::Columns(names, texts) => {
                let place = names.iter().position(|name| name == column)?;
                texts.get(place)?.clone()
            }
            Cells::Object(text, members) => match value_of(members, column)? {
                Json::Null => return None,
                Json::Text(value) => value.clone(),
                Json::Plain(range) | Json::Array(range, _) | Json::Object(range, _) => {
                    text.get(range.clone())?.to_owned()
                }
            },
            Cells::Unreadable(..) => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        match &self.cells {
            Cells::Columns(_, texts) => texts.iter().map(|text| text.len() + size_of::<String>()).sum(),
            Cells::Object(text, members) => text.len() + VALUE_BYTES * values_of(members),
            Cells::Unreadable(_, raw) => raw.len(),
        }
    }

    /// The row as JSON text, for the file of refused rows. What cannot be read is there as it was, in base64 if it is not
    /// UTF-8; a JSON object as it was written.
    pub(crate) fn to_json(&self) -> String {
        match &self.cells {
            Cells::Columns(names, texts) => {
                let cell = |(name, text): (&String, &String)| (name.clone(), Value::from(text.as_str()));
                Value::Object(names.iter().zip(texts).map(cell).collect()).to_string()
            }
            // One line of the file, so it is one line here.
            Cells::Object(text, _) => text.trim().to_owned(),
            Cells::Unreadable(_, raw) => match std::str::from_utf8(raw) {
                Ok(text) => Value::from(text).to_string(),
                Err(_) => serde_json::json!({ "base64": BASE64.encode(raw) }).to_string(),
            },
        }
    }
}

/// How many values an object has, at all levels.
fn values_of(members: &Members) -> usize {
    fn count(value: &Json) -> usize {
        1 + match value {
            Json::Null | Json::Plain(_) | Json::Text(_) => 0,
            Json::Array(_, items) => items.iter().map(count).sum(),
            Json::Object(_, members) => values_of(members),
        }
    }
    members.iter().map(|(_, value)| count(value)).sum()
}

/// `outer.inner` descends into objects, unless a name itself has the dot.
fn value_of<'m>(members: &'m [(String, Json)], column: &str) -> Option<&'m Json> {
    member(members, column).or_else(|| descend(members, column))
}

fn descend<'m>(members: &'m [(String, Json)], column: &str) -> Option<&'m Json> {
    let (outer, inner) = column.split_once('.')?;
    match member(members, outer)? {
        Json::Object(_, members) => value_of(members, inner),
        Json::Null | Json::Plain(_) | Json::Text(_) | Json::Array(..) => None,
    }
}

/// A name with a dot that also names a member of another object: a column of this name could be either.
pub(crate) fn ambiguous_name(members: &Members) -> Option<&str> {
    members.iter().find_map(|(name, value)| {
        if name.contains('.') && descend(members, name).is_some() {
            return Some(name.as_str());
        }
        match value {
            Json::Object(_, inner) => ambiguous_name(inner),
            Json::Null | Json::Plain(_) | Json::Text(_) | Json::Array(..) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::json;

    impl Row {
        /// A row for tests.
        pub(crate) fn of_pairs(number: u64, pairs: &[(&str, &str)]) -> Self {
            let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
            let texts = pairs.iter().map(|(_, text)| (*text).to_owned()).collect();
            Self { number, end: number * 100, cells: Cells::Columns(names, texts) }
        }
    }

    fn members(text: &str) -> Members {
        let Json::Object(_, members) = json::parse(text).unwrap() else { panic!("an object") };
        members
    }

    #[test]
    fn dotted_names_descend_into_json_objects_and_numbers_keep_their_digits() {
        let text = r#"{"a": {"b": 7.10, "c": null}, "d.e": "x", "f": "", "g": [1e3, {}]}"#.to_owned();
        let row = Row { number: 1, end: 0, cells: Cells::Object(text.clone(), members(&text)) };
        for (column, cell) in [("a.b", "7.10"), ("d.e", "x"), ("g", "[1e3, {}]")] {
            assert_eq!(row.cell(column).as_deref(), Some(cell));
        }
        for absent in ["a.c", "a.z", "f", "z"] {
            assert_eq!(row.cell(absent), None, "{absent}");
        }
        assert_eq!(row.to_json(), text);
    }

    #[test]
    fn a_dotted_name_with_two_meanings_is_found_at_every_level() {
        for text in [r#"{"a.b": 1, "a": {"b": 2}}"#, r#"{"x": {"a": {"b": null}, "a.b": 1}}"#] {
            assert_eq!(ambiguous_name(&members(text)), Some("a.b"), "{text}");
        }
        assert_eq!(ambiguous_name(&members(r#"{"a.b": 1, "a": {"c": 2}, "b": 3}"#)), None);
    }

    #[test]
    fn a_row_that_cannot_be_read_keeps_its_bytes() {
        let row = |raw: &[u8]| Row { number: 1, end: 0, cells: Cells::Unreadable("why".into(), raw.into()) };
        assert_eq!(row(b"a;b\n").to_json(), r#""a;b\n""#);
        assert_eq!(row(b"Zo\xeb").to_json(), r#"{"base64":"Wm/r"}"#);
    }
}
