//! Reads the tables of docs/consent-exports.md, and checks documents against them.

use serde_json::Value as Json;

const PAGE: &str = include_str!("../../../../../../../docs/consent-exports.md");

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Time,
    Number,
    Boolean,
    Object,
    List,
}

/// One row of a field table.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) path: String,
    form: Form,
    required: bool,
}

/// The cells of the table with this header.
pub(crate) fn rows(header: &str) -> Vec<Vec<String>> {
    rows_after(PAGE, header)
}

fn rows_after(page: &str, header: &str) -> Vec<Vec<String>> {
    let lines = page.lines().skip_while(|line| *line != header).skip(2);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "no table {header}");
    rows
}

/// The field table in the section with this heading.
pub(crate) fn fields(heading: &str) -> Vec<Field> {
    let section = PAGE.split(heading).nth(1).expect("the section");
    let header = section.lines().find(|line| line.starts_with("| Field |")).expect("a table of fields");
    rows_after(section, header).iter().map(|row| field(row)).collect()
}

fn field(row: &[String]) -> Field {
    let [path, form, required, _meaning, _source] = row else { panic!("five cells: {row:?}") };
    Field {
        path: path.trim_matches('`').to_owned(),
        form: match form.as_str() {
            "text" => Form::Text,
            "time" => Form::Time,
            "number" => Form::Number,
            "boolean" => Form::Boolean,
            "object" => Form::Object,
            "list" => Form::List,
            other => panic!("no such form: {other}"),
        },
        required: match required.as_str() {
            "yes" => true,
            "no" => false,
            other => panic!("yes or no: {other}"),
        },
    }
}

impl Field {
    /// The path of its parent, and its own name.
    fn place(&self) -> (&str, &str) {
        self.path.rsplit_once('.').unwrap_or(("", &self.path))
    }

    pub(crate) fn occurs_in(&self, document: &Json) -> bool {
        let (parent, name) = self.place();
        objects(document, parent).iter().any(|object| object.get(name).is_some())
    }
}

/// The objects at a path. A text in a list of objects counts as one, as JSON-LD allows.
fn objects<'a>(document: &'a Json, path: &str) -> Vec<&'a Json> {
    let mut found = vec![document];
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let name = part.trim_end_matches("[]");
        let inner = found.into_iter().filter_map(|object| object.get(name));
        found = if part.ends_with("[]") {
            inner.flat_map(|list| list.as_array().into_iter().flatten()).collect()
        } else {
            inner.collect()
        };
    }
    found.into_iter().filter(|object| object.is_object()).collect()
}

fn fits(form: Form, value: &Json) -> bool {
    match form {
        Form::Text => value.as_str().is_some_and(|text| !text.is_empty()),
        Form::Time => value.as_str().is_some_and(is_utc),
        Form::Number => value.as_u64().is_some(),
        Form::Boolean => value.is_boolean(),
        Form::Object => value.is_object(),
        Form::List => value.is_array(),
    }
}

/// `YYYY-MM-DDThh:mm:ss`, an optional fraction, and `Z`.
fn is_utc(text: &str) -> bool {
    let form = "0000-00-00T00:00:00";
    let same = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    let Some((whole, rest)) = text.split_at_checked(form.len()) else { return false };
    let fraction = rest.strip_suffix('Z').map(|digits| digits.trim_start_matches('.'));
    whole.bytes().zip(form.bytes()).all(same)
        && fraction.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The document's violations of the table.
pub(crate) fn faults(document: &Json, fields: &[Field]) -> Vec<String> {
    let mut faults = Vec::new();
    for field in fields {
        let (parent, name) = field.place();
        for object in objects(document, parent) {
            match object.get(name) {
                None if field.required => faults.push(format!("{} is missing", field.path)),
                Some(value) if !fits(field.form, value) => {
                    faults.push(format!("{} has another form", field.path))
                }
                None | Some(_) => {}
            }
        }
    }
    unlisted(document, "", fields, &mut faults);
    faults
}

/// Reports the fields that are not in the table. Everything in the context belongs to JSON-LD.
fn unlisted(value: &Json, path: &str, fields: &[Field], faults: &mut Vec<String>) {
    match value {
        Json::Object(entries) if path != "@context" => {
            for (name, inner) in entries {
                let inner_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if fields.iter().all(|field| field.path != inner_path) {
                    faults.push(format!("{inner_path} is not on the page"));
                }
                unlisted(inner, &inner_path, fields, faults);
            }
        }
        Json::Array(entries) => {
            for entry in entries {
                unlisted(entry, &format!("{path}[]"), fields, faults);
            }
        }
        Json::Object(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
