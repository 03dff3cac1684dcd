//! Owns calendar dates. Always: a day of the proleptic Gregorian calendar from 0001-01-01 to 9999-12-31, stored as
//! days since 1970-01-01.

use std::{fmt, str::FromStr};

use jiff::{Span, civil};

use crate::error::ProfileError;

/// Day 0 on disk.
const EPOCH: civil::Date = civil::date(1970, 1, 1);

/// A calendar date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(civil::Date);

impl Date {
    const MALFORMED: ProfileError =
        ProfileError::Malformed { field: "value", expected: "an ISO 8601 date, YYYY-MM-DD" };

    /// The date so many days after 1970-01-01.
    ///
    /// # Errors
    /// `Malformed` outside the years 1 to 9999.
    pub fn from_days(days: i32) -> Result<Self, ProfileError> {
        Self::new(Span::new().try_days(days).and_then(|span| EPOCH.checked_add(span)))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn as_days(self) -> i32 {
        (self.0 - EPOCH).get_days()
    }

    /// Year, month (1 to 12) and day (1 to 31).
    #[must_use]
    pub fn year_month_day(self) -> (i16, i8, i8) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    fn new(date: Result<civil::Date, jiff::Error>) -> Result<Self, ProfileError> {
        date.ok().filter(|date| date.year() >= 1).map(Self).ok_or(Self::MALFORMED)
    }
}

impl FromStr for Date {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let date = Self::new(text.parse())?;
        // jiff reads more forms than this one.
        if date.to_string() == text { Ok(date) } else { Err(Self::MALFORMED) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date")
    }
}
