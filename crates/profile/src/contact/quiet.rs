//! Owns the quiet hours, the customer's and the law's: from when on the customer may be contacted. Always: the customer's local clock counts. If it
//! is set back, an hour occurs twice and is quiet twice; if it is set forward, the skipped time does not occur, and
//! quiet hours that end in the gap end with it.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    tz::TimeZone,
};

use crate::{
    id::{DAY_MS, TimestampMs},
    preferences::{DayOfWeek, QuietHours},
};

const MINUTE_MS: i64 = 60 * 1_000;

/// Three weeks. Quiet hours repeat each week, and no zone changes its clock so often that no whole week lies between.
/// So quiet hours that do not end within this time never end.
const SEARCH_MS: i64 = 21 * DAY_MS;

/// More than the ends of all quiet hours in those days, plus the clock changes.
const STEPS_MAX: usize = 1_024;

/// The first moment, at or after `from`, outside all of the hours in a time zone. None if they never end.
pub(super) fn free_from(hours: &[&QuietHours], zone: &TimeZone, from: TimestampMs) -> Option<TimestampMs> {
    if hours.is_empty() {
        return Some(from);
    }
    let last = from.plus_ms(SEARCH_MS);
    let mut moment = from;
    // Each step moves on to an end of quiet hours or to a clock change.
    for _ in 0..STEPS_MAX {
        if moment > last {
            return None;
        }
        let instant = Timestamp::from_millisecond(moment.as_ms()).ok()?;
        let local = zone.to_datetime(instant);
        let Some(rest_ms) = hours.iter().filter_map(|hours| quiet_for_ms(hours, local)).max() else {
            return Some(moment);
        };
        let end = moment.plus_ms(rest_ms);
        moment = next_change(zone, instant).map_or(end, |change| end.min(change));
    }
    None
}

/// How long quiet hours continue from a local moment, without a clock change. None if the moment is outside them.
fn quiet_for_ms(hours: &QuietHours, local: DateTime) -> Option<i64> {
    let begins_on = |day: jiff::civil::Weekday| {
        let number = day.to_monday_one_offset().unsigned_abs();
        hours.days.is_empty() || hours.days.iter().any(|of: &DayOfWeek| of.number() == number)
    };
    let midnight = local.date().to_datetime(Time::midnight());
    let now_ms = i64::try_from(local.duration_since(midnight).as_millis()).ok()?;
    let begin_ms = i64::from(hours.begins.as_minutes()) * MINUTE_MS;
    let end_ms = i64::from(hours.ends.as_minutes()) * MINUTE_MS;
    let ends_next_day = end_ms <= begin_ms;
    let today = local.date().weekday();
    // Those that began today, and those that began yesterday. Both apply if the hours last a whole day.
    let end_of_today = if ends_next_day { end_ms + DAY_MS } else { end_ms };
    let of_today = begins_on(today) && (begin_ms..end_of_today).contains(&now_ms);
    let of_yesterday = ends_next_day && begins_on(today.previous()) && now_ms < end_ms;
    let rests = [of_today.then_some(end_of_today - now_ms), of_yesterday.then_some(end_ms - now_ms)];
    rests.into_iter().flatten().max()
}

/// The next clock change of a zone.
fn next_change(zone: &TimeZone, after: Timestamp) -> Option<TimestampMs> {
    let change = zone.following(after).next()?;
    Some(TimestampMs::from_ms(change.timestamp().as_millisecond()))
}
