//! Timestamps on the wire, and the services' only clock.
//!
//! Invariant: a timestamp on the wire has nanoseconds and one in the profile milliseconds; the conversion rounds
//! towards the past.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use custodia_profile::{RequestId, TimestampMs};
use prost_types::Timestamp;
use uuid::Version;

use super::error::ServiceError;
use crate::limits::REQUEST_AGE_MAX;

/// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z: the range of `google.protobuf.Timestamp`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Added to this node's clock: see `routing/clock_offsets.rs`. One for the process, as the clock is.
static CORRECTION_MS: AtomicI64 = AtomicI64::new(0);

/// The time by which calls are judged and records dated: this node's clock, or the median of the cluster's clocks if it is far
/// from that.
pub(crate) fn now() -> TimestampMs {
    wall_clock().plus_ms(CORRECTION_MS.load(Ordering::Relaxed))
}

/// From now on [`now`] is so many milliseconds after this node's clock.
pub(crate) fn correct_clock(by_ms: i64) {
    CORRECTION_MS.store(by_ms, Ordering::Relaxed);
}

/// This node's clock, as it is.
#[expect(clippy::disallowed_methods, reason = "the one clock of a node")]
pub(crate) fn wall_clock() -> TimestampMs {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::from_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// When a request was made, if its id is a UUIDv7: the id's time, in milliseconds (RFC 9562, section 5.7), but no later
/// than `now`. A retry has the id of the first attempt, and so its time, however late it comes.
pub(crate) fn made_at(request: Option<RequestId>, now: TimestampMs) -> Option<TimestampMs> {
    let id = request.filter(|id| id.as_uuid().get_version() == Some(Version::SortRand))?;
    let stated = i64::try_from(id.as_uuid().as_u128() >> 80).map_or(now, TimestampMs::from_ms);
    Some(stated.min(now))
}

/// The date of what a request that was made then observed and did not date: no more than [`REQUEST_AGE_MAX`] before `now`,
/// since the caller's clock set it. It is no date to order requests by: a retry would grow younger with time.
pub(crate) fn observed_at(made_at: TimestampMs, now: TimestampMs) -> TimestampMs {
    let age_max_ms = i64::try_from(REQUEST_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    made_at.max(now.plus_ms(-age_max_ms)).min(now)
}

/// A timestamp from a caller.
pub(crate) fn parse_timestamp(timestamp: &Timestamp, field: &str) -> Result<TimestampMs, ServiceError> {
    if !SECONDS.contains(&timestamp.seconds) || !(0..1_000_000_000).contains(&timestamp.nanos) {
        return Err(ServiceError::invalid(field, "expected a timestamp in the years 1 to 9999"));
    }
    Ok(TimestampMs::from_ms(timestamp.seconds * 1_000 + i64::from(timestamp.nanos / 1_000_000)))
}

/// The same, for a field that may be absent.
pub(crate) fn parse_optional(
    timestamp: Option<&Timestamp>,
    field: &str,
) -> Result<Option<TimestampMs>, ServiceError> {
    timestamp.map(|timestamp| parse_timestamp(timestamp, field)).transpose()
}

/// A stored time on the wire.
#[expect(clippy::cast_possible_truncation, reason = "below 1,000,000,000")]
pub(crate) const fn timestamp(moment: TimestampMs) -> Timestamp {
    let ms = moment.as_ms();
    Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 }
}

#[cfg(test)]
mod tests {
    use uuid::{Builder, Uuid};

    use super::*;

    #[test]
    fn a_uuid_v7_dates_its_request_and_what_it_observed_within_the_day_before_its_arrival() {
        let now = TimestampMs::from_ms(1_700_000_000_000);
        let made = |ms: i64| {
            let id = Builder::from_unix_timestamp_millis(ms.cast_unsigned(), &[7; 10]).into_uuid();
            made_at(RequestId::new(id).ok(), now).expect("a date").as_ms() - now.as_ms()
        };
        for (at, made_ms, observed_ms) in [
            (now.as_ms(), 0, 0),
            (now.as_ms() - 1, -1, -1),
            (now.as_ms() - 86_400_000, -86_400_000, -86_400_000),
            (now.as_ms() - 86_400_001, -86_400_001, -86_400_000),
            (0, -now.as_ms(), -86_400_000),
            (now.as_ms() + 1, 0, 0),
            ((1 << 48) - 1, 0, 0),
        ] {
            assert_eq!(made(at), made_ms, "{at}");
            let observed = observed_at(now.plus_ms(made_ms), now);
            assert_eq!(observed.as_ms() - now.as_ms(), observed_ms, "{at}");
        }
        assert_eq!(made_at(RequestId::new(Uuid::new_v4()).ok(), now), None);
        assert_eq!(made_at(None, now), None);
    }

    #[test]
    fn a_timestamp_is_rounded_to_milliseconds_towards_the_past() {
        for (seconds, nanos, ms) in [(0, 1_999_999, 1), (-1, 999_999_999, -1), (-2, 0, -2_000), (1, 0, 1_000)]
        {
            let parsed = parse_timestamp(&Timestamp { seconds, nanos }, "t").expect("valid");
            assert_eq!(parsed, TimestampMs::from_ms(ms));
        }
        assert_eq!(timestamp(TimestampMs::from_ms(-1)), Timestamp { seconds: -1, nanos: 999_000_000 });
    }

    #[test]
    fn a_timestamp_out_of_range_is_refused() {
        for (seconds, nanos) in
            [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0)]
        {
            assert!(parse_timestamp(&Timestamp { seconds, nanos }, "t").is_err(), "{seconds} {nanos}");
        }
    }
}
