//! Attribute values and times: parsed from text by the catalogue's type, printed for people.

use custodia_proto::v1::{self, value::Kind};

/// Parses a value of the type; dates and timestamps in ISO 8601. An error says what was expected and never repeats the
/// value, which may be personal data.
pub(crate) fn parse(kind: v1::ValueType, text: &str) -> Result<v1::Value, &'static str> {
    let kind = match kind {
        v1::ValueType::Text | v1::ValueType::Unspecified => Kind::Text(text.to_owned()),
        v1::ValueType::Integer => Kind::Integer(text.parse().map_err(|_error| "not an integer")?),
        v1::ValueType::Decimal => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Kind::Decimal(number),
            Ok(_) | Err(_) => return Err("not a decimal number"),
        },
        v1::ValueType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Kind::Boolean(true),
            "false" | "no" | "0" => Kind::Boolean(false),
            _ => return Err("neither true nor false"),
        },
        v1::ValueType::Date => {
            let date: jiff::civil::Date = text.parse().map_err(|_error| "not a date such as 2026-11-22")?;
            Kind::Date(date.to_string())
        }
        v1::ValueType::Timestamp => Kind::Timestamp(parse_time(text)?),
    };
    Ok(v1::Value { kind: Some(kind) })
}

/// Parses an instant in ISO 8601 with an offset; a date alone means midnight UTC.
pub(crate) fn parse_time(text: &str) -> Result<custodia_proto::Timestamp, &'static str> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(time_of(instant));
    }
    match text.parse::<jiff::civil::Date>().map(|date| date.to_zoned(jiff::tz::TimeZone::UTC)) {
        Ok(Ok(midnight)) if text.len() <= "2026-11-22".len() => Ok(time_of(midnight.timestamp())),
        Ok(_) | Err(_) => Err("not a time such as 2026-11-22T18:30:00Z"),
    }
}

/// An instant as an API message has it.
pub(crate) fn time_of(instant: jiff::Timestamp) -> custodia_proto::Timestamp {
    custodia_proto::Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() }
}

/// A value for people.
pub(crate) fn text_of(value: Option<&v1::Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Text(text) | Kind::Date(text)) => text.clone(),
        Some(Kind::Integer(number)) => number.to_string(),
        Some(Kind::Decimal(number)) => number.to_string(),
        Some(Kind::Boolean(truth)) => truth.to_string(),
        Some(Kind::Timestamp(time)) => time.to_string(),
        None => "-".into(),
    }
}

/// A time for people; `-` if there is none.
pub(crate) fn time_text(time: Option<&custodia_proto::Timestamp>) -> String {
    time.map_or_else(|| "-".into(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_by_type_and_print_back() {
        for (kind, text, printed) in [
            (v1::ValueType::Text, "Ada", "Ada"),
            (v1::ValueType::Integer, "-7", "-7"),
            (v1::ValueType::Decimal, "11.770", "11.77"),
            (v1::ValueType::Boolean, "Yes", "true"),
            (v1::ValueType::Date, "1964-02-29", "1964-02-29"),
            (v1::ValueType::Timestamp, "2026-11-22T18:30:00+02:00", "2026-11-22T16:30:00Z"),
        ] {
            assert_eq!(text_of(Some(&parse(kind, text).unwrap())), printed);
        }
        for (kind, wrong) in [
            (v1::ValueType::Integer, "7.5"),
            (v1::ValueType::Decimal, "inf"),
            (v1::ValueType::Boolean, "maybe"),
            (v1::ValueType::Date, "1963-02-29"),
            (v1::ValueType::Timestamp, "yesterday"),
        ] {
            assert!(!parse(kind, wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_date_alone_is_midnight_in_utc() {
        assert_eq!(parse_time("1970-01-02").map(|time| time.seconds), Ok(86_400));
    }
}
