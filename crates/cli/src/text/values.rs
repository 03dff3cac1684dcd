//! Attribute values and times: parsed from text by the catalogue's type, printed for people. Always: what is parsed is
//! exactly what was written, or an error; and the same values pass here as in the API, whose types check them.

use custodia_profile::{Date, Text};
use custodia_proto::v1::{self, value::Kind};

use crate::text::printable;

/// The years 1 to 9999, in seconds since 1970: what a timestamp of the API can say.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Parses a value of the type; dates and timestamps in RFC 3339. An error says what was expected and never repeats the
/// value, which may be personal data.
pub(crate) fn parse(kind: v1::ValueType, text: &str) -> Result<v1::Value, String> {
    let kind = match kind {
        v1::ValueType::Text | v1::ValueType::Unspecified => {
            check_text(text)?;
            Kind::Text(text.to_owned())
        }
        v1::ValueType::Integer => Kind::Integer(whole(text)?.try_into().map_err(|_error| NOT_WHOLE)?),
        v1::ValueType::Decimal => Kind::Decimal(decimal(text)?),
        v1::ValueType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Kind::Boolean(true),
            "false" | "no" | "0" => Kind::Boolean(false),
            _ => return Err("neither true nor false".into()),
        },
        v1::ValueType::Date => Kind::Date(date(text)?),
        v1::ValueType::Timestamp => Kind::Timestamp(parse_time(text)?),
    };
    Ok(v1::Value { kind: Some(kind) })
}

/// Whether a text can be a value. An empty one is no value, at every door.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty: an empty text is no value".into());
    }
    Text::new(text).map(drop).map_err(|error| error.to_string())
}

const NOT_WHOLE: &str = "not a whole number of at most 64 bits";

/// Parses a whole number: digits, and nothing that must be rounded.
pub(crate) fn whole(text: &str) -> Result<i128, &'static str> {
    text.parse().map_err(|_error| NOT_WHOLE)
}

/// Parses a date, YYYY-MM-DD.
pub(crate) fn date(text: &str) -> Result<String, &'static str> {
    text.parse::<Date>().map(|date| date.to_string()).map_err(|_error| "not a date such as 2026-11-22")
}

/// Parses a decimal number if it can be kept exactly: printed again, it has the same digits.
pub(crate) fn decimal(text: &str) -> Result<f64, String> {
    let number: f64 = match text.parse() {
        Ok(number) if text.contains(|one: char| one.is_ascii_digit()) => number,
        Ok(_) | Err(_) if text.contains(',') => {
            return Err("not a decimal number: it has a comma, and numbers have a decimal point".into());
        }
        Ok(_) | Err(_) => return Err("not a decimal number such as 11.77".into()),
    };
    if number.is_finite() && digits_of(text) == digits_of(&format!("{number:e}")) {
        Ok(number)
    } else {
        Err("cannot be kept exactly: a decimal has 15 significant digits, up to 10^308".into())
    }
}

/// The significant digits of a number and the power of ten before them; zero has no digits.
fn digits_of(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let leading = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return (String::new(), 0);
    }
    let power = i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(leading).unwrap_or(i64::MAX);
    let power = power.saturating_add(exponent.parse().unwrap_or(i64::MAX));
    (format!("{}{significant}", if is_negative { "-" } else { "" }), power)
}

/// Parses an instant in RFC 3339; a date alone means midnight UTC.
pub(crate) fn parse_time(text: &str) -> Result<custodia_proto::Timestamp, &'static str> {
    match date(text) {
        Ok(date) => instant(&format!("{date}T00:00:00Z")),
        Err(_) => instant(text),
    }
}

/// Parses an instant in RFC 3339, section 5.6, with its `T` and `Z`. A second 60 is refused: no timestamp has it. So is a zone
/// in brackets (RFC 9557): it may contradict the offset. What is finer than a millisecond is not stored.
pub(crate) fn instant(text: &str) -> Result<custodia_proto::Timestamp, &'static str> {
    if text.get(17..19) == Some("60") {
        return Err("not a time that can be kept: a minute has the seconds 0 to 59");
    }
    let instant = text.parse::<jiff::Timestamp>().ok().filter(|_| is_rfc_3339(text)).map(time_of);
    let in_range = instant.filter(|time| SECONDS.contains(&time.seconds));
    in_range.ok_or("not a time such as 2026-11-22T18:30:00Z, of the years 1 to 9999")
}

/// Whether the text has the form of a `date-time`.
fn is_rfc_3339(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(form, byte): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let Some((begin, rest)) = text.as_bytes().split_at_checked(FORM.len()) else { return false };
    let fraction =
        rest.strip_prefix(b".").map(|rest| rest.iter().take_while(|one| one.is_ascii_digit()).count());
    let rest = rest.get(fraction.map_or(0, |digits| digits + 1)..).unwrap_or_default();
    // Up to 23:59, as the section has it.
    let is_hour = |a: &u8, b: &u8| matches!((a, b), (b'0' | b'1', b'0'..=b'9') | (b'2', b'0'..=b'3'));
    let is_minute = |c: &u8, d: &u8| matches!((c, d), (b'0'..=b'5', b'0'..=b'9'));
    let is_offset = matches!(rest, b"Z")
        || matches!(rest, [b'+' | b'-', a, b, b':', c, d] if is_hour(a, b) && is_minute(c, d));
    FORM.iter().zip(begin).all(fits) && fraction != Some(0) && is_offset
}

/// An instant as an API message has it.
pub(crate) fn time_of(instant: jiff::Timestamp) -> custodia_proto::Timestamp {
    // Before 1970 jiff counts both parts backwards, and the API only the seconds.
    let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
    if nanos < 0 {
        custodia_proto::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        custodia_proto::Timestamp { seconds, nanos }
    }
}

/// A value for people, on one line.
pub(crate) fn text_of(value: Option<&v1::Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Text(text) | Kind::Date(text)) => printable::in_line(text).into_owned(),
        Some(Kind::Integer(number)) => number.to_string(),
        Some(Kind::Decimal(number)) => decimal_text(*number),
        Some(Kind::Boolean(truth)) => truth.to_string(),
        Some(Kind::Timestamp(time)) => time.to_string(),
        None => "-".into(),
    }
}

/// The shortest text that is read as the same number.
fn decimal_text(number: f64) -> String {
    // Debug has the exponent where Display would print hundreds of zeros, and `.0` after a whole number.
    let text = format!("{number:?}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), ToOwned::to_owned)
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
            (v1::ValueType::Text, "1 Main St\nApt 2", r"1 Main St\nApt 2"),
            (v1::ValueType::Integer, "-7", "-7"),
            (v1::ValueType::Decimal, "11.770", "11.77"),
            (v1::ValueType::Decimal, "1e300", "1e300"),
            (v1::ValueType::Boolean, "Yes", "true"),
            (v1::ValueType::Date, "1964-02-29", "1964-02-29"),
            (v1::ValueType::Timestamp, "2026-11-22T18:30:00+02:00", "2026-11-22T16:30:00Z"),
            (v1::ValueType::Timestamp, "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(text_of(Some(&parse(kind, text).unwrap())), printed);
        }
        for (kind, wrong) in [
            (v1::ValueType::Text, "\u{1b}[31m"),
            (v1::ValueType::Integer, "7.5"),
            (v1::ValueType::Integer, "9007199254740993.0"),
            (v1::ValueType::Integer, "1e3"),
            (v1::ValueType::Integer, "9223372036854775808"),
            (v1::ValueType::Decimal, "inf"),
            (v1::ValueType::Decimal, "1,5"),
            (v1::ValueType::Boolean, "maybe"),
            (v1::ValueType::Date, "1963-02-29"),
            (v1::ValueType::Date, "19630228"),
            (v1::ValueType::Date, "-000001-02-28"),
            (v1::ValueType::Timestamp, "yesterday"),
        ] {
            assert!(!parse(kind, wrong).unwrap_err().contains(wrong), "{wrong}");
        }
        assert!(parse(v1::ValueType::Text, &"x".repeat(4_097)).is_err());
        assert!(parse(v1::ValueType::Text, "").unwrap_err().contains("no value"));
    }

    #[test]
    fn a_decimal_is_exact_or_refused() {
        for exact in [
            "0",
            "-0.00",
            "0.1",
            "1.10",
            "123456789012345",
            "1e22",
            "5e-324",
            "+3.",
            ".5",
            "9007199254740992",
        ] {
            assert!(decimal(exact).is_ok(), "{exact}");
        }
        for inexact in [
            "9007199254740993",
            "0.12345678901234567890",
            "1e400",
            "-1e400",
            "1e-400",
            "3e-324",
            "1e99999999999999999999",
            "1e-99999999999999999999",
        ] {
            assert!(decimal(inexact).unwrap_err().contains("exactly"), "{inexact}");
        }
        assert!(decimal("1,5").unwrap_err().contains("comma"));
        for wrong in ["", ".", "NaN", "infinity", "1_000", "0x10", "1 000"] {
            assert!(decimal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_date_alone_is_midnight_in_utc() {
        assert_eq!(parse_time("1970-01-02").map(|time| time.seconds), Ok(86_400));
    }

    #[test]
    fn a_time_is_rfc_3339_and_nothing_else() {
        for right in
            ["2026-11-22T18:30:00Z", "2026-11-22T18:30:00.123456789+05:30", "0001-01-01T00:00:00-23:59"]
        {
            assert!(instant(right).is_ok(), "{right}");
        }
        for wrong in [
            "2016-12-31T23:59:60Z",
            "2026-11-22T12:30:60Z",
            "2026-11-22T18:30:00+01:00[Europe/Berlin]",
            "2026-11-22T18:30:00Z[UTC]",
            "2026-11-22T18:30:00",
            "2026-11-22T18:30Z",
            "20261122T183000Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T18:30:00.Z",
            "2026-11-22T18:30:00+01",
            "0000-12-31T23:59:59Z",
            "2026-11-22 18:30:00Z",
            "2026-11-22t18:30:00Z",
            "2026-11-22T18:30:00z",
            "2026-11-22T18:30:00+24:00",
            "2026-11-22T18:30:00+25:00",
            "2026-11-22T18:30:00+01:60",
            "-000001-01-01T00:00:00Z",
        ] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
