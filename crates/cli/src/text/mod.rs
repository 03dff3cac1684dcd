//! Conversion between the API's messages and text: what people and files write, and what commands print.

pub(crate) mod encoding;
pub(crate) mod enum_text;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod parts;
pub(crate) mod printable;
pub(crate) mod request;
pub(crate) mod values;

/// Sets a field of a message, if a value was given.
pub(crate) fn set<Value>(field: &mut Value, given: Option<Value>) {
    if let Some(value) = given {
        *field = value;
    }
}
