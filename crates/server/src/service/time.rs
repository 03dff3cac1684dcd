//! Moments on the wire, and the one clock of the services.
//!
//! A moment on the wire has nanoseconds, one in the profile has milliseconds: the rest is cut off, towards the past.

use std::time::{SystemTime, UNIX_EPOCH};

use custodia_profile::TimestampMs;
use prost_types::Timestamp;

use super::error::ServiceError;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what a `google.protobuf.Timestamp` may hold.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Now, by this node's clock.
pub(super) fn now() -> TimestampMs {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::from_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// A moment that a caller states.
pub(super) fn parse_timestamp(timestamp: &Timestamp, field: &str) -> Result<TimestampMs, ServiceError> {
    if !SECONDS.contains(&timestamp.seconds) || !(0..1_000_000_000).contains(&timestamp.nanos) {
        return Err(ServiceError::invalid(field, "is not a timestamp of the years 1 to 9999"));
    }
    Ok(TimestampMs::from_ms(timestamp.seconds * 1_000 + i64::from(timestamp.nanos / 1_000_000)))
}

/// The same where the field may be absent.
pub(super) fn parse_optional(
    timestamp: Option<&Timestamp>,
    field: &str,
) -> Result<Option<TimestampMs>, ServiceError> {
    timestamp.map(|timestamp| parse_timestamp(timestamp, field)).transpose()
}

/// A stored moment, for the caller.
#[expect(clippy::cast_possible_truncation, reason = "below 1,000,000,000")]
pub(super) const fn timestamp(moment: TimestampMs) -> Timestamp {
    let ms = moment.as_ms();
    Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_cut_to_milliseconds_towards_the_past() {
        for (seconds, nanos, ms) in [(0, 1_999_999, 1), (-1, 999_999_999, -1), (-2, 0, -2_000), (1, 0, 1_000)]
        {
            let parsed = parse_timestamp(&Timestamp { seconds, nanos }, "t").expect("valid");
            assert_eq!(parsed, TimestampMs::from_ms(ms));
        }
        assert_eq!(timestamp(TimestampMs::from_ms(-1)), Timestamp { seconds: -1, nanos: 999_000_000 });
    }

    #[test]
    fn a_timestamp_out_of_its_range_is_refused() {
        for (seconds, nanos) in
            [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0)]
        {
            assert!(parse_timestamp(&Timestamp { seconds, nanos }, "t").is_err(), "{seconds} {nanos}");
        }
    }
}
