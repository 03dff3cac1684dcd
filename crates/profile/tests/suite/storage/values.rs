//! Values: what cannot exist, dates, and that nothing personal shows.

use custodia_profile::{Date, Event, Label, Properties, Text, Value};
use proptest::prelude::*;

use crate::world::{NOW, event};

#[test]
fn a_value_that_may_not_be_is_refused() {
    assert!(Value::text(&"x".repeat(4_096)).is_ok());
    assert_eq!(Value::text(&"x".repeat(4_097)).unwrap_err().to_string(), "value is longer than 4096 bytes");
    for text in ["a\u{0}", "\u{85}", "\u{1b}[31m", "a\u{b}b", "\u{7f}"] {
        assert!(Value::text(text).is_err());
    }
    assert!(Value::text("1 Main St\r\nApt 2\n\tback door").is_ok(), "an address has lines");
    assert!(
        Value::text("ñandú, ÿ and £5").is_ok(),
        "what shares a first byte with control characters is none"
    );
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Value::decimal(number).is_err());
    }
    assert_eq!(Value::decimal(-0.0), Value::decimal(0.0));
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (text, days) in [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("2000-02-29", 11_016),
        ("0001-01-01", -719_162),
        ("9999-12-31", 2_932_896),
        ("2024-02-29", 19_782),
    ] {
        let date: Date = text.parse().unwrap();
        assert_eq!((date.as_days(), date.to_string().as_str()), (days, text));
    }
    for text in [
        "2023-02-29",
        "1900-02-29",
        "2023-13-01",
        "2023-04-31",
        "0000-01-01",
        "2023-4-01",
        "+023-04-01",
        "é023-04-0",
        "20230401",
        "2023-W13-6",
        "2023-04-01T00:00",
        "+002023-04-01",
        "-000001-01-01",
        " 2023-04-01",
    ] {
        assert!(text.parse::<Date>().is_err(), "{text}");
    }
    assert!(Date::from_days(2_932_897).is_err() && Date::from_days(-719_163).is_err());
}

#[test]
fn debug_output_shows_nothing_personal() {
    let value = Value::text("Ada Lovelace").unwrap();
    let text = Text::new("Ada Lovelace").unwrap();
    let label: Label<64> = Label::new("id", "Ada Lovelace").unwrap();
    let named = Event { id: label.clone(), ..event("Ada", NOW) };
    let shown = format!("{value:?} {text:?} {label:?} {named:?} {:?}", Value::Integer(1_815));
    assert!(!shown.contains("Ada") && !shown.contains("Lovelace") && !shown.contains("1815"), "{shown}");
}

#[test]
fn an_event_has_at_most_64_properties() {
    let properties = |count: u32| {
        Properties::new(
            (0..count).map(|at| (Label::new("n", &at.to_string()).unwrap(), Value::Boolean(true))).collect(),
        )
    };
    assert!(properties(64).is_ok());
    assert_eq!(properties(65).unwrap_err().to_string(), "properties has more than 64 entries");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_date_round_trips_and_follows_the_day_before(days in -719_161_i32..=2_932_896) {
        let date = Date::from_days(days).unwrap();
        let (year, month, day) = date.year_month_day();
        prop_assert_eq!(date.to_string(), format!("{year:04}-{month:02}-{day:02}"));
        prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
        prop_assert!(Date::from_days(days - 1).unwrap().to_string() < date.to_string());
    }
}
