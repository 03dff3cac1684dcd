//! Requests that are written as JSON files (the protobuf mapping). Always: a file that can be read in two ways is refused, and
//! values and times are held to the same form as on the command line.

use custodia_proto::v1;
use prost::Name;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};

use crate::text::json::{self, Json, Members};
use crate::text::output::descriptor;
use crate::text::values;

/// Parses a message of the API; an unknown field is an error, and every error names the field.
pub(crate) fn from_json<Message: Name + Default>(text: &str) -> Result<Message, String> {
    let descriptor = descriptor::<Message>().ok_or_else(|| format!("unknown message {}", Message::NAME))?;
    if let Json::Object(_, members) = json::parse(text)? {
        check(text, &descriptor, &members)?;
    }
    let mut input = serde_json::Deserializer::from_str(text);
    let dynamic = DynamicMessage::deserialize(descriptor, &mut input).map_err(|error| error.to_string())?;
    input.end().map_err(|error| error.to_string())?;
    dynamic.transcode_to().map_err(|error| error.to_string())
}

/// What the library takes and changes: both names of a field, forms of a time that are not RFC 3339, too many digits, whole
/// numbers that are not.
fn check(text: &str, descriptor: &MessageDescriptor, members: &Members) -> Result<(), String> {
    let mut known = std::collections::BTreeSet::new();
    for (name, value) in members {
        let field = descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
        let Some(field) = field else { continue };
        if !known.insert(field.number()) {
            return Err(format!("{}: has both of its names in one object", field.name()));
        }
        let named = |reason: String| format!("{}: {reason}", field.name());
        match value {
            Json::Array(_, items) => items.iter().try_for_each(|item| check_value(text, &field, item)),
            Json::Object(_, entries) if field.is_map() => {
                let values = field.kind().as_message().and_then(|entry| entry.get_field(2));
                let values = values.iter().flat_map(|of| entries.iter().map(move |(_, one)| (of, one)));
                values.into_iter().try_for_each(|(of, one)| check_value(text, of, one))
            }
            one @ (Json::Null | Json::Plain(_) | Json::Text(_) | Json::Object(..)) => {
                check_value(text, &field, one)
            }
        }
        .map_err(named)?;
    }
    Ok(())
}

fn check_value(text: &str, field: &FieldDescriptor, value: &Json) -> Result<(), String> {
    match (field.kind(), value) {
        (Kind::Double, Json::Plain(range)) => {
            values::decimal(text.get(range.clone()).unwrap_or_default()).map(drop)
        }
        (Kind::Double, Json::Text(number)) => values::decimal(number).map(drop),
        (kind, Json::Plain(range)) if is_whole(&kind) => {
            values::whole(text.get(range.clone()).unwrap_or_default()).map(drop).map_err(Into::into)
        }
        (Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32, Json::Text(number)) => {
            values::whole(number).map(drop).map_err(Into::into)
        }
        (Kind::String, Json::Text(value)) if field.parent_message().name() == v1::Value::NAME => {
            if field.name() == "text" { values::check_text(value) } else { Ok(()) }
        }
        (Kind::Message(of), Json::Text(time)) if of.full_name() == "google.protobuf.Timestamp" => {
            values::instant(time).map(drop).map_err(Into::into)
        }
        (Kind::Message(of), Json::Object(_, members)) => check(text, &of, members),
        _ => Ok(()),
    }
}

/// The kinds that a JSON number fills only if it is a whole one; the library would round others.
fn is_whole(kind: &Kind) -> bool {
    matches!(kind, Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 | Kind::Enum(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        from_json::<v1::IngestProfileRequest>(text).unwrap_err()
    }

    #[test]
    fn a_request_file_is_parsed_and_an_unknown_field_is_refused() {
        let text =
            r#"{"purpose": "service", "observations": [{"attribute": "age", "value": {"integer": "7"}}]}"#;
        let request: v1::IngestProfileRequest = from_json(text).unwrap();
        assert_eq!(request.purpose, "service");
        let kind = request.observations[0].value.as_ref().unwrap().kind.clone();
        assert_eq!(kind, Some(v1::value::Kind::Integer(7)));
        assert!(error(r#"{"porpoise": 1}"#).contains("porpoise"));
    }

    #[test]
    fn a_request_file_that_can_be_read_in_two_ways_is_refused() {
        for (text, named) in [
            (r#"{"purpose": "a", "purpose": "b"}"#, "\"purpose\" twice"),
            (r#"{"customer_id": "a", "customerId": "b"}"#, "customer_id"),
            (r#"{"observations": [{"value": {"text": "a", "text": "b"}}]}"#, "\"text\" twice"),
            (r#"{"observations": [{"observed_at": "2026-01-02T03:04:05"}]}"#, "observed_at"),
            (r#"{"observations": [{"observed_at": "2026-01-02T12:30:60Z"}]}"#, "time"),
            (r#"{"observations": [{"value": {"decimal": 12345678901234567890}}]}"#, "decimal"),
            (r#"{"events": [{"properties": {"a": {"timestamp": "2026-01-02 03:04+1"}}}]}"#, "timestamp"),
            (r#"{"observations": [{"observed_at": "2026-01-02t03:04:05Z"}]}"#, "observed_at"),
            (r#"{"observations": [{"observed_at": "2026-01-02T03:04:05+25:00"}]}"#, "observed_at"),
            (r#"{"observations": [{"value": {"integer": 9007199254740993.0}}]}"#, "integer"),
            (r#"{"observations": [{"value": {"integer": 1e-400}}]}"#, "integer"),
            (r#"{"observations": [{"value": {"integer": "7.0"}}]}"#, "integer"),
            (r#"{"observations": [{"value": {"text": ""}}]}"#, "no value"),
            (r#"{"party": 1.0}"#, "party"),
        ] {
            assert!(error(text).contains(named), "{text}: {}", error(text));
        }
        let whole = r#"{"observations": [{"observed_at": "2026-01-02T03:04:05.5+02:00", "value": {"decimal": 1.10}}]}"#;
        assert!(from_json::<v1::IngestProfileRequest>(whole).is_ok());
    }
}
