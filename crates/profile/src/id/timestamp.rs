//! Owns the moment: milliseconds since 1970-01-01T00:00:00Z. Always: passed in; nothing here reads a clock.

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 60 * 60 * 1_000;
/// Milliseconds of a day of 24 hours, whatever the calendar does.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampMs(i64);

impl TimestampMs {
    /// The moment this many milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This many milliseconds later, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl std::fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
