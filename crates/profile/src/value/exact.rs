//! Owns exact arithmetic with values. Always: a sum is the same in any order, and of each number the first eighteen digits after
//! the point count. A decimal is the shortest number that is read as it, as its source wrote it: 0.1 + 0.2 is 0.3.

use super::{Decimal, Value};

/// Digits after the point.
const SCALE: usize = 18;
/// One, in units of the last digit.
const ONE: i128 = 1_000_000_000_000_000_000;
/// A number with this many digits before the point is too large: a thousand of them and more fit.
const WHOLE_MAX: i128 = 10_i128.pow(33);

/// A number with up to 33 digits before the point and 18 after it. Ordered as numbers are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Exact {
    whole: i128,
    /// In units of the last digit; less than one, and of the sign of `whole` unless that is 0.
    fraction: i128,
}

impl Exact {
    /// The number that a value is; none if it is no number, or too large.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(Self { whole: (*number).into(), fraction: 0 }),
            Value::Decimal(number) => Self::of_decimal(*number),
            Value::Text(_) | Value::Boolean(_) | Value::Date(_) | Value::Timestamp(_) => None,
        }
    }

    fn of_decimal(number: Decimal) -> Option<Self> {
        // Never with an exponent.
        let digits = number.as_f64().abs().to_string();
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let whole = whole.parse::<i128>().ok().filter(|whole| *whole < WHOLE_MAX)?;
        let fraction = fraction.get(..SCALE).unwrap_or(fraction);
        let fraction = format!("{fraction:0<SCALE$}").parse::<i128>().ok()?;
        let sign = if number.as_f64() < 0.0 { -1 } else { 1 };
        Some(Self { whole: sign * whole, fraction: sign * fraction })
    }

    /// The sum of both.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        let fraction = self.fraction + other.fraction;
        let whole = self.whole.saturating_add(other.whole).saturating_add(fraction / ONE);
        let fraction = fraction % ONE;
        // Both parts get one sign.
        if whole > 0 && fraction < 0 {
            Self { whole: whole - 1, fraction: fraction + ONE }
        } else if whole < 0 && fraction > 0 {
            Self { whole: whole + 1, fraction: fraction - ONE }
        } else {
            Self { whole, fraction }
        }
    }

    /// The number as a value: an integer if it is one and fits.
    pub(crate) fn integer(self) -> Option<Value> {
        (self.fraction == 0).then(|| i64::try_from(self.whole).ok().map(Value::Integer)).flatten()
    }

    /// The decimal that is closest to the number.
    pub(crate) fn decimal(self) -> Option<Value> {
        let sign = if self.whole < 0 || self.fraction < 0 { "-" } else { "" };
        let (whole, fraction) = (self.whole.unsigned_abs(), self.fraction.unsigned_abs());
        format!("{sign}{whole}.{fraction:0>SCALE$}")
            .parse()
            .ok()
            .and_then(|number| Value::decimal(number).ok())
    }
}

impl std::fmt::Debug for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exact")
    }
}
