//! One row of the input: its place in the file and its cells.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// From 1, without the header.
    pub(crate) number: u64,
    /// The first byte after it.
    pub(crate) end: u64,
    pub(crate) cells: Cells,
}

/// What stands in a row.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// One text for each of the columns.
    Columns(Arc<[String]>, Vec<String>),
    /// A JSON object.
    Object(Map<String, Value>),
    /// The row cannot be read: why, and its text as far as it is text.
    Unreadable(&'static str, String),
}

impl Row {
    /// The text of a column; `None` where it is empty, null or absent.
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

    /// A row for tests.
    #[cfg(test)]
    pub(crate) fn of_pairs(number: u64, pairs: &[(&str, &str)]) -> Self {
        let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
        let texts = pairs.iter().map(|(_, text)| (*text).to_owned()).collect();
        Self { number, end: number * 100, cells: Cells::Columns(names, texts) }
    }
}

/// `outer.inner` goes into objects; a name that itself has a dot is found first.
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

    #[test]
    fn a_json_row_is_reached_by_dotted_names() {
        let object = serde_json::json!({"a": {"b": 7, "c": null}, "d.e": "x", "f": ""});
        let row = Row { number: 1, end: 0, cells: Cells::Object(object.as_object().unwrap().clone()) };
        assert_eq!(row.cell("a.b").as_deref(), Some("7"));
        assert_eq!(row.cell("d.e").as_deref(), Some("x"));
        for absent in ["a.c", "a.z", "f", "z"] {
            assert_eq!(row.cell(absent), None, "{absent}");
        }
    }
}
