//! One row of the input: its position in the file and its cells.

use std::sync::Arc;

use serde_json::{Map, Value};

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
    /// A JSON object.
    Object(Map<String, Value>),
    /// The reason why the row cannot be read, and its text as far as it is UTF-8.
    Unreadable(&'static str, String),
}

impl Row {
    /// The text of a column; `None` if it is empty, null or absent.
    pub(crate) fn cell(&self, column: &str) -> Option<String> {
        let text = match &self.cells {
            Cells::Columns(names, texts) => {
                let place = names.iter().position(|name| name == column)?;
                texts.get(place)?.clone()
            }
            Cells::Object(object) => json_text(object, column)?,
            Cells::Unreadable(..) => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The row as JSON, for the file of refused rows.
    pub(crate) fn to_json(&self) -> Value {
        match &self.cells {
            Cells::Columns(names, texts) => {
                let cell = |(name, text): (&String, &String)| (name.clone(), Value::from(text.as_str()));
                Value::Object(names.iter().zip(texts).map(cell).collect())
            }
            Cells::Object(object) => Value::Object(object.clone()),
            Cells::Unreadable(_, text) => Value::from(text.as_str()),
        }
    }
}

/// `outer.inner` descends into objects; a name that itself contains a dot takes precedence.
fn json_text(object: &Map<String, Value>, column: &str) -> Option<String> {
    match object.get(column) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) => None,
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            Some(value.to_string())
        }
        None => {
            let (outer, inner) = column.split_once('.')?;
            json_text(object.get(outer)?.as_object()?, inner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row {
        /// A row for tests.
        pub(crate) fn of_pairs(number: u64, pairs: &[(&str, &str)]) -> Self {
            let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
            let texts = pairs.iter().map(|(_, text)| (*text).to_owned()).collect();
            Self { number, end: number * 100, cells: Cells::Columns(names, texts) }
        }
    }

    #[test]
    fn dotted_names_descend_into_json_objects() {
        let object = serde_json::json!({"a": {"b": 7, "c": null}, "d.e": "x", "f": ""});
        let row = Row { number: 1, end: 0, cells: Cells::Object(object.as_object().unwrap().clone()) };
        assert_eq!(row.cell("a.b").as_deref(), Some("7"));
        assert_eq!(row.cell("d.e").as_deref(), Some("x"));
        for absent in ["a.c", "a.z", "f", "z"] {
            assert_eq!(row.cell(absent), None, "{absent}");
        }
    }
}
