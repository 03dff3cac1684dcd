//! One mapped value: where it comes from in a row and how its text is parsed.

use std::collections::BTreeMap;

use custodia_proto::{Timestamp, v1};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer};

use crate::import::row::Row;
use crate::text::enum_text::{EnumText, enum_text};
use crate::text::values;

/// In a mapping: a column's name, or a table with the keys of [`FieldTable`].
#[derive(Debug, Clone)]
pub(crate) struct Field {
    origin: Origin,
    kind: Option<v1::ValueType>,
    format: Option<String>,
    lower: bool,
    values: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
enum Origin {
    Column(String),
    Constant(String),
}

/// The table form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    /// The column with the value (in jsonl also `outer.inner`). This or `constant`.
    column: Option<String>,
    /// The same value for every row.
    constant: Option<String>,
    /// text, integer, decimal, boolean, date or timestamp. Default: the catalogue's type for attributes, else text.
    r#type: Option<String>,
    /// The format of dates and timestamps (strptime), e.g. `%Y%m%d`. Default: ISO 8601. UTC if there is no offset.
    format: Option<String>,
    /// Convert to lower case. Default false.
    #[serde(default)]
    lower: bool,
    /// Translation of the source's values: `{ Y = "given", N = "refused" }`. Values that are not listed are refused.
    #[serde(default)]
    values: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> serde::de::Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a column name, or a table with `column` or `constant`")
    }

    fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Field, E> {
        check_column(column)?;
        let (origin, values) = (Origin::Column(column.to_owned()), BTreeMap::new());
        Ok(Field { origin, kind: None, format: None, lower: false, values })
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
        let table = FieldTable::deserialize(MapAccessDeserializer::new(map))?;
        let origin = match (table.column, table.constant) {
            (Some(column), None) => Origin::Column(column),
            (None, Some(constant)) => Origin::Constant(constant),
            (Some(_), Some(_)) | (None, None) => {
                return Err(serde::de::Error::custom("must have either `column` or `constant`"));
            }
        };
        if let Origin::Column(column) = &origin {
            check_column(column)?;
        }
        let kind = table.r#type.as_deref().map(v1::ValueType::parse).transpose();
        let kind = kind.map_err(|reason| serde::de::Error::custom(format!("type: {reason}")))?;
        Ok(Field { origin, kind, format: table.format, lower: table.lower, values: table.values })
    }
}

/// A column that has no name cannot be meant.
fn check_column<E: serde::de::Error>(column: &str) -> Result<(), E> {
    if column.is_empty() { Err(E::custom("`column` is empty")) } else { Ok(()) }
}

impl Field {
    /// Whether its format has a meaning. `catalogued` is the type of a value without one of its own; none: unknown.
    pub(crate) fn check_format(&self, catalogued: Option<v1::ValueType>) -> Result<(), String> {
        match self.kind.or(catalogued) {
            None | Some(v1::ValueType::Date | v1::ValueType::Timestamp) => Ok(()),
            Some(_) if self.format.is_none() => Ok(()),
            Some(kind) => {
                let kind = enum_text::<v1::ValueType>(kind.into());
                Err(format!("`format` is for dates and timestamps, and this is of the type {kind}"))
            }
        }
    }

    /// The column, unless the value is a constant.
    pub(crate) fn column(&self) -> Option<&str> {
        match &self.origin {
            Origin::Column(column) => Some(column),
            Origin::Constant(_) => None,
        }
    }

    /// The row's value, parsed by the field's own type or else by `catalogued`; `None` if the cell is empty. An error says
    /// what was expected and never contains the value.
    pub(crate) fn value(&self, row: &Row, catalogued: v1::ValueType) -> Result<Option<v1::Value>, String> {
        let Some(text) = self.text(row)? else { return Ok(None) };
        let kind = self.kind.unwrap_or(catalogued);
        let value = match (&self.format, kind) {
            (Some(format), v1::ValueType::Date) => {
                let date_of = |format: &str| jiff::civil::Date::strptime(format, &text).ok();
                let date = date_of(format).ok_or_else(|| format!("not a date in the format {format}"))?;
                check_year(format, &text, date.year(), |format| date_of(format).is_some())?;
                values::parse(v1::ValueType::Date, &date.to_string())?
            }
            (Some(format), v1::ValueType::Timestamp) => {
                v1::Value { kind: Some(v1::value::Kind::Timestamp(formatted_time(format, &text)?)) }
            }
            _ => values::parse(kind, &text)?,
        };
        Ok(Some(value))
    }

    /// The row's value, parsed as an instant.
    pub(crate) fn time(&self, row: &Row) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.text(row)? else { return Ok(None) };
        let time = match &self.format {
            Some(format) => formatted_time(format, &text)?,
            None => values::parse_time(&text)?,
        };
        Ok(Some(time))
    }

    /// The row's value, parsed as an enum value.
    pub(crate) fn enum_value<Value: EnumText>(&self, row: &Row) -> Result<Option<Value>, String> {
        self.text(row)?.as_deref().map(Value::parse).transpose()
    }

    /// The row's value as text; `None` if it is empty. Fails if `values` does not list it.
    pub(crate) fn text(&self, row: &Row) -> Result<Option<String>, String> {
        let text = match &self.origin {
            Origin::Column(column) => row.cell(column),
            Origin::Constant(constant) => Some(constant.clone()),
        };
        let Some(text) = text else { return Ok(None) };
        let text = if self.lower { text.to_lowercase() } else { text };
        if self.values.is_empty() {
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        let translated = self.values.get(&text).ok_or("not one of the values in the mapping")?;
        Ok(Some(translated.clone()).filter(|text| !text.is_empty()))
    }
}

/// Parses an instant in the given format; a time or date without an offset is UTC.
fn formatted_time(format: &str, text: &str) -> Result<Timestamp, String> {
    let utc =
        |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let parsed_by = |format: &str, text: &str| {
        jiff::Timestamp::strptime(format, text)
            .or_else(|_error| jiff::civil::DateTime::strptime(format, text).and_then(utc))
            .or_else(|_error| {
                jiff::civil::Date::strptime(format, text).and_then(|date| utc(date.at(0, 0, 0, 0)))
            })
            .ok()
    };
    let parsed = |text: &str| parsed_by(format, text);
    let instant = parsed(text).ok_or_else(|| format!("not a time in the format {format}"))?;
    // The library takes a second 60 for 59: if a 60 can be replaced by 59 without a difference, it was the seconds.
    let is_leap = |(at, _): (usize, &str)| {
        let (before, after) = (text.get(..at), text.get(at + 2..));
        before
            .zip(after)
            .is_some_and(|(before, after)| parsed(&format!("{before}59{after}")) == Some(instant))
    };
    if text.match_indices("60").any(is_leap) {
        return Err("not a time that can be kept: a minute has the seconds 0 to 59".into());
    }
    let year = instant.to_zoned(jiff::tz::TimeZone::UTC).year();
    check_year(format, text, year, |format| parsed_by(format, text).is_some())?;
    values::instant(&instant.to_string()).map_err(Into::into)
}

/// A year has four digits: the library takes `25` for the year 25. `parses` tells whether the text has another format.
fn check_year(format: &str, text: &str, year: i16, parses: impl Fn(&str) -> bool) -> Result<(), String> {
    let of_two_digits = format.replace("%F", "%Y-%m-%d").replace("%Y", "%y");
    // A day before the year 1000 in UTC may be one of that year where the offset is.
    if year > 1_000 || of_two_digits == format {
        return Ok(());
    }
    let has_four = text.contains(&format!("{year:04}")) || text.contains(&format!("{:04}", year + 1));
    if has_four && !parses(&of_two_digits) {
        return Ok(());
    }
    Err(format!("not a year of four digits, which {format} has; `%y` is for years of two"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Document {
        field: Field,
    }

    fn field(text: &str) -> Field {
        toml::from_str::<Document>(&format!("field = {text}")).unwrap().field
    }

    fn row() -> Row {
        Row::of_pairs(
            1,
            &[("born", "19560409"), ("bad", "19561309"), ("empty", ""), ("at", "19970112 17:30")],
        )
    }

    #[test]
    fn a_date_is_parsed_by_its_format() {
        let born = field(r#"{ column = "born", type = "date", format = "%Y%m%d" }"#);
        let value = born.value(&row(), v1::ValueType::Text).unwrap();
        assert_eq!(values::text_of(value.as_ref()), "1956-04-09");
        let bad = field(r#"{ column = "bad", type = "date", format = "%Y%m%d" }"#);
        assert_eq!(bad.value(&row(), v1::ValueType::Text), Err("not a date in the format %Y%m%d".into()));
    }

    #[test]
    fn a_time_is_a_date_with_or_without_the_hour() {
        let day = field(r#"{ column = "born", format = "%Y%m%d" }"#).time(&row()).unwrap().unwrap();
        assert_eq!(day.to_string(), "1956-04-09T00:00:00Z");
        let hour = field(r#"{ column = "at", format = "%Y%m%d %H:%M" }"#).time(&row()).unwrap().unwrap();
        assert_eq!(hour.to_string(), "1997-01-12T17:30:00Z");
    }

    #[test]
    fn a_leap_second_is_refused_in_every_format() {
        let time = |format: &str, text: &str| {
            let field = field(&format!(r#"{{ column = "at", format = "{format}" }}"#));
            field.time(&Row::of_pairs(1, &[("at", text)]))
        };
        for (format, leap, plain) in [
            ("%Y-%m-%dT%H:%M:%SZ", "2016-12-31T23:59:60Z", "2060-06-30T00:00:00Z"),
            ("%H:%M:%S %d.%m.%Y", "12:30:60 31.12.1960", "12:30:59 31.12.1960"),
            ("%s", "", "1606060606"),
        ] {
            assert!(leap.is_empty() || time(format, leap).unwrap_err().contains("0 to 59"), "{format}");
            assert!(time(format, plain).is_ok(), "{format}");
        }
    }

    /// Regression: `31.12.25` was a day of the year 25.
    #[test]
    fn a_year_has_the_digits_of_its_format() {
        let value = |format: &str, kind: v1::ValueType, text: &str| {
            let field = field(&format!(r#"{{ column = "at", format = "{format}" }}"#));
            let value = field.value(&Row::of_pairs(1, &[("at", text)]), kind)?;
            Ok::<_, String>(values::text_of(value.as_ref()))
        };
        use v1::ValueType::{Date, Timestamp};
        for (format, kind, text, printed) in [
            ("%d.%m.%Y", Date, "31.12.2025", "2025-12-31"),
            ("%d.%m.%Y", Date, "1.2.0025", "0025-02-01"),
            ("%d.%m.%y", Date, "31.12.25", "2025-12-31"),
            ("%Y%m%d", Date, "20121212", "2012-12-12"),
            ("%d.%m.%Y %H:%M", Timestamp, "31.12.2025 10:00", "2025-12-31T10:00:00Z"),
            ("%s", Timestamp, "-60000000000", "0068-09-03T13:20:00Z"),
        ] {
            assert_eq!(value(format, kind, text).as_deref(), Ok(printed), "{text}");
        }
        for (format, kind, text) in [
            ("%d.%m.%Y", Date, "31.12.25"),
            ("%d.%m.%Y", Date, "31.12.125"),
            ("%F", Date, "25-12-31"),
            ("%d.%m.%Y %H:%M", Timestamp, "31.12.25 10:00"),
            ("%d%m%Y %H%M", Timestamp, "311225 0025"),
        ] {
            assert!(value(format, kind, text).unwrap_err().contains("four digits"), "{text}");
        }
    }

    #[test]
    fn a_format_is_for_dates_and_times() {
        let with_format = field(r#"{ column = "at", format = "%Y" }"#);
        assert!(with_format.check_format(Some(v1::ValueType::Text)).unwrap_err().contains("type text"));
        assert_eq!(with_format.check_format(Some(v1::ValueType::Date)), Ok(()));
        assert_eq!(with_format.check_format(None), Ok(()));
        let own = field(r#"{ column = "at", type = "integer", format = "%Y" }"#);
        assert!(own.check_format(None).is_err());
    }

    #[test]
    fn an_empty_cell_is_no_value_and_a_constant_always_is() {
        assert_eq!(field("\"empty\"").value(&row(), v1::ValueType::Text), Ok(None));
        let country =
            field(r#"{ constant = "AU", lower = true }"#).value(&row(), v1::ValueType::Text).unwrap();
        assert_eq!(values::text_of(country.as_ref()), "au");
    }

    #[test]
    fn the_source_s_values_are_translated_and_unknown_ones_refused() {
        let status = field(r#"{ column = "said", lower = true, values = { y = "given", n = "refused" } }"#);
        let said = |text: &str| status.enum_value::<v1::ConsentStatus>(&Row::of_pairs(1, &[("said", text)]));
        assert_eq!(said("Y"), Ok(Some(v1::ConsentStatus::Given)));
        assert_eq!(said(""), Ok(None));
        assert!(!said("secret").unwrap_err().contains("secret"));
        let plain =
            field("\"said\"").enum_value::<v1::ConsentStatus>(&Row::of_pairs(1, &[("said", "maybe")]));
        assert!(plain.unwrap_err().contains("given, refused"));
    }
}
