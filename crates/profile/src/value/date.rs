//! Owns calendar dates. Always: a day of the proleptic Gregorian calendar from 0001-01-01 to 9999-12-31, held as
//! days since 1970-01-01.

use std::{fmt, str::FromStr};

use crate::ProfileError;

const FIRST: i32 = -719_162;
const LAST: i32 = 2_932_896;

/// A calendar date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i32);

impl Date {
    const MALFORMED: ProfileError =
        ProfileError::Malformed { field: "value", expected: "an ISO 8601 date, YYYY-MM-DD" };

    /// The date so many days after 1970-01-01.
    ///
    /// # Errors
    /// `Malformed` outside the years 1 to 9999.
    pub const fn from_days(days: i32) -> Result<Self, ProfileError> {
        if days < FIRST || days > LAST { Err(Self::MALFORMED) } else { Ok(Self(days)) }
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn as_days(self) -> i32 {
        self.0
    }

    /// Year, month (1 to 12) and day (1 to 31).
    #[must_use]
    pub const fn year_month_day(self) -> (i32, i32, i32) {
        // Days since 0000-03-01: a year that begins in March has its leap day at its end, so that months have
        // fixed starts, 153 days for five of them.
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    /// The date of a year, month and day.
    ///
    /// # Errors
    /// `Malformed` where the calendar has no such day.
    pub const fn from_year_month_day(year: i32, month: i32, day: i32) -> Result<Self, ProfileError> {
        if year < 1 || year > 9_999 || month < 1 || month > 12 || day < 1 || day > 31 {
            return Err(Self::MALFORMED);
        }
        let year_from_march = if month <= 2 { year - 1 } else { year };
        let era = year_from_march.div_euclid(400);
        let year_of_era = year_from_march.rem_euclid(400);
        let month_from_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let date = Self(era * 146_097 + day_of_era - 719_468);
        // 31 April is 1 May by this arithmetic: a day that comes back as another one does not exist.
        let (back_year, back_month, back_day) = date.year_month_day();
        if back_year == year && back_month == month && back_day == day {
            Ok(date)
        } else {
            Err(Self::MALFORMED)
        }
    }
}

impl FromStr for Date {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let digits = |from: usize, to: usize| {
            let part = text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).ok_or(Self::MALFORMED)
        };
        if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
            return Err(Self::MALFORMED);
        }
        Self::from_year_month_day(digits(0, 4)?, digits(5, 7)?, digits(8, 10)?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.year_month_day();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Date")
    }
}
