//! Quiet hours: the clock on the customer's wall, through its changes, over midnight and in several zones.

use custodia_profile::{
    Contact, CustomerRecord,
    DayOfWeek::{self, Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday},
    PreferenceFields, QuietHours, Stored, TimeZoneName,
};

use crate::contact::check::{ALLOWED, QUIET, ask, consenting, later, utc};
use crate::contact::preferences::{channel, quiet};
use crate::world::NOW;

pub(crate) fn zoned(zone: &str, hours: &[QuietHours]) -> CustomerRecord {
    let time_zone = Some(TimeZoneName::new(zone).unwrap());
    consenting(PreferenceFields { time_zone, quiet_hours: hours.to_vec(), ..PreferenceFields::default() })
}

/// Quiet at the moment, until the other; and allowed at the other.
#[track_caller]
fn quiet_until(record: &CustomerRecord, from: &str, until: &str) {
    assert_eq!(ask(record, "email", utc(from)), later(utc(until), QUIET));
    assert_eq!(ask(record, "email", utc(until).plus_ms(-1)), later(utc(until), QUIET));
    assert_eq!(ask(record, "email", utc(until)), ALLOWED);
}

#[track_caller]
fn free(record: &CustomerRecord, at: &str) {
    assert_eq!(ask(record, "email", utc(at)), ALLOWED);
}

pub(crate) fn nightly() -> Vec<QuietHours> {
    vec![quiet(&[], "22:00", "07:00")]
}

#[test]
fn quiet_hours_begin_and_end_at_the_very_millisecond() {
    let record = zoned("Europe/Berlin", &nightly());
    free(&record, "2026-01-10T20:59:59.999Z");
    quiet_until(&record, "2026-01-10T21:00:00Z", "2026-01-11T06:00:00Z");
    quiet_until(&record, "2026-01-10T23:00:00Z", "2026-01-11T06:00:00Z");
    quiet_until(&record, "2026-01-11T05:59:59.999Z", "2026-01-11T06:00:00Z");
}

#[test]
fn quiet_hours_within_a_day_end_on_that_day() {
    let record = zoned("Europe/Berlin", &[quiet(&[], "12:00", "14:30")]);
    free(&record, "2026-01-10T10:59:59.999Z");
    quiet_until(&record, "2026-01-10T11:00:00Z", "2026-01-10T13:30:00Z");
}

#[test]
fn the_night_is_an_hour_shorter_in_spring_and_longer_in_autumn() {
    let record = zoned("Europe/Berlin", &nightly());
    quiet_until(&record, "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z");
    free(&record, "2026-03-29T19:59:59.999Z");
    quiet_until(&record, "2026-10-24T20:00:00Z", "2026-10-25T06:00:00Z");
    free(&record, "2026-10-25T20:59:59.999Z");
}

#[test]
fn the_hour_that_spring_skips_does_not_come() {
    // In Berlin 02:00 is 03:00 on 29 March 2026, at 01:00 UTC.
    quiet_until(
        &zoned("Europe/Berlin", &[quiet(&[], "22:00", "02:30")]),
        "2026-03-28T21:00:00Z",
        "2026-03-29T01:00:00Z",
    );
    let begins_in_it = zoned("Europe/Berlin", &[quiet(&[], "02:30", "04:00")]);
    free(&begins_in_it, "2026-03-29T00:59:59.999Z");
    quiet_until(&begins_in_it, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
    let within_it = zoned("Europe/Berlin", &[quiet(&[], "02:15", "02:45")]);
    free(&within_it, "2026-03-29T00:59:59.999Z");
    free(&within_it, "2026-03-29T01:00:00Z");
    quiet_until(&within_it, "2026-03-30T00:15:00Z", "2026-03-30T00:45:00Z");
}

#[test]
fn the_hour_that_autumn_repeats_is_quiet_twice() {
    // In Berlin 03:00 is 02:00 on 25 October 2026, at 01:00 UTC.
    let record = zoned("Europe/Berlin", &[quiet(&[], "02:00", "02:30")]);
    quiet_until(&record, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z");
    free(&record, "2026-10-25T00:59:59.999Z");
    quiet_until(&record, "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z");
    // What begins in the hour is interrupted when the clock goes back to before it.
    let begins_in_it = zoned("Europe/Berlin", &[quiet(&[], "02:30", "03:30")]);
    quiet_until(&begins_in_it, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z");
    free(&begins_in_it, "2026-10-25T01:29:59.999Z");
    quiet_until(&begins_in_it, "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z");
    // What began before it goes on through both.
    let around_it = zoned("Europe/Berlin", &[quiet(&[], "01:00", "04:00")]);
    quiet_until(&around_it, "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z");
}

#[test]
fn quiet_hours_of_some_days_begin_on_those_days_alone() {
    let record = zoned("Europe/Berlin", &[quiet(&[Friday, Saturday], "22:00", "09:00")]);
    // 9 January 2026 is a Friday.
    free(&record, "2026-01-08T22:00:00Z");
    free(&record, "2026-01-09T07:00:00Z");
    quiet_until(&record, "2026-01-09T21:00:00Z", "2026-01-10T08:00:00Z");
    quiet_until(&record, "2026-01-11T07:00:00Z", "2026-01-11T08:00:00Z");
    free(&record, "2026-01-11T22:00:00Z");
    // From Sunday to Monday, over the end of the week.
    let record = zoned("Europe/Berlin", &[quiet(&[Sunday], "22:00", "06:00")]);
    quiet_until(&record, "2026-01-12T04:00:00Z", "2026-01-12T05:00:00Z");
    free(&record, "2026-01-13T04:00:00Z");
}

#[test]
fn the_leap_day_is_a_day_like_others() {
    let record = zoned("Europe/Berlin", &nightly());
    quiet_until(&record, "2028-02-28T21:00:00Z", "2028-02-29T06:00:00Z");
    quiet_until(&record, "2028-02-29T21:00:00Z", "2028-03-01T06:00:00Z");
    // 29 February 2028 is a Tuesday.
    let record = zoned("Europe/Berlin", &[quiet(&[Tuesday], "20:00", "08:00")]);
    free(&record, "2028-02-28T20:00:00Z");
    quiet_until(&record, "2028-02-29T20:00:00Z", "2028-03-01T07:00:00Z");
    free(&record, "2028-03-01T20:00:00Z");
}

#[test]
fn sao_paulo_changed_its_clock_at_midnight_until_2019() {
    let record = zoned("America/Sao_Paulo", &nightly());
    quiet_until(&record, "2026-07-01T01:00:00Z", "2026-07-01T10:00:00Z");
    // 00:00 was 01:00 on 4 November 2018, at 03:00 UTC.
    let into_the_gap = zoned("America/Sao_Paulo", &[quiet(&[], "20:00", "00:30")]);
    quiet_until(&into_the_gap, "2018-11-03T23:00:00Z", "2018-11-04T03:00:00Z");
    // 00:00 was 23:00 of Saturday, 16 February 2019, once more, at 02:00 UTC of the 17th.
    let late = zoned("America/Sao_Paulo", &[quiet(&[Saturday], "22:00", "23:30")]);
    quiet_until(&late, "2019-02-17T00:30:00Z", "2019-02-17T01:30:00Z");
    free(&late, "2019-02-17T01:59:59.999Z");
    quiet_until(&late, "2019-02-17T02:10:00Z", "2019-02-17T02:30:00Z");
    let over_midnight = zoned("America/Sao_Paulo", &[quiet(&[Saturday], "22:00", "06:00")]);
    quiet_until(&over_midnight, "2019-02-17T00:30:00Z", "2019-02-17T09:00:00Z");
}

#[test]
fn kathmandu_is_three_quarters_of_an_hour_off() {
    let record = zoned("Asia/Kathmandu", &nightly());
    free(&record, "2026-05-01T16:14:59.999Z");
    quiet_until(&record, "2026-05-01T16:15:00Z", "2026-05-02T01:15:00Z");
}

#[test]
fn lord_howe_changes_its_clock_by_half_an_hour() {
    // 02:00 is 02:30 on 4 October 2026, at 15:30 UTC of the 3rd.
    let record = zoned("Australia/Lord_Howe", &nightly());
    quiet_until(&record, "2026-10-03T11:30:00Z", "2026-10-03T20:00:00Z");
    let into_the_gap = zoned("Australia/Lord_Howe", &[quiet(&[], "22:00", "02:15")]);
    quiet_until(&into_the_gap, "2026-10-03T11:30:00Z", "2026-10-03T15:30:00Z");
    // 02:00 is 01:30 on 5 April 2026, at 15:00 UTC of the 4th.
    let repeated = zoned("Australia/Lord_Howe", &[quiet(&[], "01:45", "02:15")]);
    quiet_until(&repeated, "2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z");
    free(&repeated, "2026-04-04T15:14:59.999Z");
    quiet_until(&repeated, "2026-04-04T15:15:00Z", "2026-04-04T15:45:00Z");
}

#[test]
fn quiet_hours_that_never_end_do_not_allow() {
    let never = Contact::NotAllowed(QUIET);
    for hours in [
        vec![quiet(&[], "00:00", "00:00")],
        vec![quiet(&[], "09:00", "09:00")],
        vec![quiet(&[], "00:00", "12:00"), quiet(&[], "12:00", "00:00")],
        vec![quiet(&DayOfWeek::ALL, "22:00", "21:59"), quiet(&[], "21:00", "22:00")],
    ] {
        for zone in ["Europe/Berlin", "Australia/Lord_Howe", "UTC"] {
            let record = zoned(zone, &hours);
            for start in ["2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z", "2028-02-29T12:00:00Z"] {
                assert_eq!(ask(&record, "email", utc(start)), never);
            }
        }
    }
}

#[test]
fn a_week_without_a_free_minute_but_one_is_searched_for_it() {
    let week = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday];
    let hours = [
        quiet(&week, "00:00", "00:00"),
        quiet(&[Sunday], "00:00", "02:10"),
        quiet(&[Sunday], "02:11", "00:00"),
    ];
    let record = zoned("Europe/Berlin", &hours);
    quiet_until(&record, "2026-01-12T00:00:00Z", "2026-01-18T01:10:00Z");
    // On 29 March 2026 the clock skips that minute.
    quiet_until(&record, "2026-03-23T00:00:00Z", "2026-04-05T00:10:00Z");
}

#[test]
fn quiet_hours_of_another_channel_do_not_count() {
    let of_sms = |hours: QuietHours| QuietHours { channel: Some(channel("sms")), ..hours };
    let record = zoned("UTC", &[of_sms(quiet(&[], "00:00", "00:00")), quiet(&[], "22:00", "07:00")]);
    free(&record, "2026-01-10T12:00:00Z");
    assert_eq!(ask(&record, "sms", utc("2026-01-10T12:00:00Z")), Contact::NotAllowed(QUIET));
}

#[test]
fn a_clock_that_is_not_known_is_never_outside_quiet_hours() {
    let record = zoned("Europe/Berlin", &nightly());
    let mut bytes = record.encode();
    let from = bytes.windows(13).position(|window| window == b"Europe/Berlin").unwrap();
    bytes[from..from + 13].copy_from_slice(b"Europe/Utopia");
    let record = CustomerRecord::decode(&bytes).unwrap();
    assert_eq!(ask(&record, "email", NOW), Contact::NotAllowed(QUIET));
}
