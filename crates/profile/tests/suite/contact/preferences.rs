//! Preferences: their limits and forms, the log of contacts, and their bytes on disk.

use custodia_profile::{
    Address, ChannelPreference, ContactChannel, ContactLog, CustomerRecord, DayOfWeek, FrequencyCap,
    Language, LocalTime, MadeContact, PreferenceFields, Preferences, ProfileError, QuietHours, RequestId,
    Stored, TimeZoneName, TimestampMs, TopicId, TopicPreference,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    generated::Draw,
    storage::codec::holds,
    world::{NOW, at, purpose},
};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const YEAR_MS: i64 = 8_784 * HOUR_MS;

pub(crate) fn channel(name: &str) -> ContactChannel {
    ContactChannel::new("channel", name).unwrap()
}

pub(crate) fn quiet(days: &[DayOfWeek], begins: &str, ends: &str) -> QuietHours {
    QuietHours {
        days: days.iter().copied().collect(),
        begins: begins.parse().unwrap(),
        ends: ends.parse().unwrap(),
        channel: None,
    }
}

pub(crate) fn cap(contacts_max: u8, window_hours: u16) -> FrequencyCap {
    FrequencyCap { channel: None, purpose: None, contacts_max, window_hours }
}

pub(crate) fn wish(name: &str, wanted: bool) -> ChannelPreference {
    ChannelPreference { channel: channel(name), wanted, unwanted_purposes: Vec::new(), address: None }
}

pub(crate) fn about(topic: &str, wanted: bool) -> TopicPreference {
    TopicPreference { topic: topic.parse().unwrap(), wanted }
}

pub(crate) fn berlin() -> PreferenceFields {
    PreferenceFields { time_zone: TimeZoneName::new("Europe/Berlin").ok(), ..PreferenceFields::default() }
}

fn drawn_channel(draw: &mut Draw) -> ContactChannel {
    channel(draw.pick(&["email", "email", "sms", "post"]))
}

fn drawn_time(draw: &mut Draw) -> LocalTime {
    // Often a round one, so that hours meet and cover whole days.
    let any_minute = u16::try_from(draw.below(1_440)).unwrap();
    LocalTime::from_minutes(draw.pick(&[1_320, 420, 0, 120, 150, 180, 720, any_minute])).unwrap()
}

fn drawn_hours(draw: &mut Draw) -> QuietHours {
    let days = if draw.once_in(2) { Vec::new() } else { DayOfWeek::ALL.to_vec() };
    QuietHours {
        begins: drawn_time(draw),
        ends: drawn_time(draw),
        days: days.into_iter().filter(|_| draw.once_in(2)).collect(),
        channel: draw.once_in(4).then(|| drawn_channel(draw)),
    }
}

fn drawn_cap(draw: &mut Draw) -> FrequencyCap {
    let any = [u16::try_from(1 + draw.below(8_784)).unwrap(), u16::try_from(draw.below(33)).unwrap()];
    FrequencyCap {
        channel: draw.once_in(2).then(|| drawn_channel(draw)),
        purpose: draw.once_in(2).then(|| purpose(draw.pick(&[1, 2, 3]))),
        contacts_max: u8::try_from(draw.pick(&[1, 2, 3, any[1]])).unwrap(),
        window_hours: draw.pick(&[24, 1, 168, any[0]]),
    }
}

const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
];

pub(crate) fn drawn_preferences(numbers: &[u64; 8]) -> Preferences {
    let mut draw = Draw::new(numbers[0]);
    let mut channels = Vec::new();
    if draw.once_in(2) {
        for name in ["email", "sms", "post"].into_iter().filter(|_| !draw.once_in(4)).collect::<Vec<_>>() {
            let address = draw.pick(&["", "a@x"]);
            let address = Address::optional("address", address).unwrap();
            let wanted = !draw.once_in(5);
            let unwanted_purposes = if wanted && draw.once_in(3) { vec![purpose(1)] } else { Vec::new() };
            channels.push(ChannelPreference { address, unwanted_purposes, ..wish(name, wanted) });
        }
    }
    let language = draw.pick(&["", "de", "pt-BR", "zh-Hant-TW"]);
    let topics = ["a", "b"].into_iter().filter(|_| draw.once_in(2)).collect::<Vec<_>>();
    let (caps, hours) = (draw.below(3), draw.below(4));
    let fields = PreferenceFields {
        language: Language::optional("language", language).unwrap(),
        time_zone: TimeZoneName::new(draw.pick(&ZONES)).ok(),
        channels,
        frequency_caps: numbers[1..]
            .iter()
            .take(usize::try_from(caps).unwrap())
            .map(|of| drawn_cap(&mut Draw::new(*of)))
            .collect(),
        quiet_hours: numbers[3..]
            .iter()
            .take(usize::try_from(hours).unwrap())
            .map(|of| drawn_hours(&mut Draw::new(*of)))
            .collect(),
        topics: topics.into_iter().map(|topic| about(topic, draw.once_in(2))).collect(),
    };
    Preferences::new(fields).unwrap()
}

/// Up to five bursts of up to eight contacts.
pub(crate) fn drawn_contacts(numbers: &[u64; 8]) -> ContactLog {
    let mut log = ContactLog::default();
    let bursts = usize::try_from(numbers[7] % 6).unwrap();
    for number in &numbers[..bursts] {
        let mut draw = Draw::new(*number);
        let (name, of) = (drawn_channel(&mut draw), purpose(draw.pick(&[1, 2, 3])));
        let any_age = i64::try_from(draw.below(8_784)).unwrap();
        let age_ms = draw.pick(&[0, 1, 23, 24, 167, any_age]) * HOUR_MS;
        for _ in 0..=draw.below(8) {
            let at = at(draw.pick(&[0, -1, 1, -1_000]) - age_ms);
            let contact =
                if draw.once_in(2) { made(at) } else { requested(1 + u128::from(draw.below(9)), at) };
            log.record(&name, of, contact, NOW).unwrap();
        }
    }
    log
}

#[track_caller]
fn refuses(fields: PreferenceFields, expected: ProfileError) {
    assert_eq!(Preferences::new(fields), Err(expected));
}

#[test]
fn preferences_keep_their_limits() {
    let many = |count: usize| (0..count).map(|at| format!("c{at}"));
    let channels = |count| PreferenceFields {
        channels: many(count).map(|name| wish(&name, true)).collect(),
        ..berlin()
    };
    assert!(Preferences::new(channels(16)).is_ok());
    refuses(channels(17), ProfileError::TooMany { field: "channels", count_max: 16 });
    let caps = |count| PreferenceFields { frequency_caps: vec![cap(1, 1); count], ..berlin() };
    assert!(Preferences::new(caps(16)).is_ok());
    refuses(caps(17), ProfileError::TooMany { field: "frequency_caps", count_max: 16 });
    let hours =
        |count| PreferenceFields { quiet_hours: vec![quiet(&[], "22:00", "07:00"); count], ..berlin() };
    assert!(Preferences::new(hours(16)).is_ok());
    refuses(hours(17), ProfileError::TooMany { field: "quiet_hours", count_max: 16 });
    let topics =
        |count| PreferenceFields { topics: many(count).map(|name| about(&name, true)).collect(), ..berlin() };
    assert!(Preferences::new(topics(64)).is_ok());
    refuses(topics(65), ProfileError::TooMany { field: "topics", count_max: 64 });
}

#[test]
fn a_cap_allows_0_to_32_contacts_in_an_hour_to_a_year() {
    let with = |contacts_max, window_hours| PreferenceFields {
        frequency_caps: vec![cap(contacts_max, window_hours)],
        ..PreferenceFields::default()
    };
    assert!(Preferences::new(with(0, 1)).is_ok());
    assert!(Preferences::new(with(32, 8_784)).is_ok());
    let contacts = "frequency_caps.contacts_max";
    refuses(with(33, 1), ProfileError::Malformed { field: contacts, expected: "0 to 32 contacts" });
    let window =
        ProfileError::Malformed { field: "frequency_caps.window_hours", expected: "1 to 8784 hours" };
    refuses(with(1, 0), window.clone());
    refuses(with(1, 8_785), window);
}

#[test]
fn a_channel_and_a_topic_stand_once() {
    let channels = vec![wish("email", true), wish("Email", false)];
    refuses(PreferenceFields { channels, ..berlin() }, ProfileError::Duplicate { field: "channels" });
    let topics = vec![about("news", true), about("news", true)];
    refuses(PreferenceFields { topics, ..berlin() }, ProfileError::Duplicate { field: "topics" });
}

#[test]
fn quiet_hours_need_a_time_zone() {
    let fields =
        PreferenceFields { quiet_hours: vec![quiet(&[], "22:00", "07:00")], ..PreferenceFields::default() };
    refuses(fields, ProfileError::Empty { field: "time_zone" });
}

#[test]
fn a_time_zone_is_one_of_the_iana_database() {
    assert_eq!(TimeZoneName::new("europe/berlin").unwrap().as_str(), "Europe/Berlin");
    assert_eq!(TimeZoneName::new("UTC").unwrap().as_str(), "UTC");
    for unknown in
        ["", "Europe/Atlantis", "Etc/Unknown", "local", "+01:00", "CET-1CEST", "/etc/localtime", "../UTC"]
    {
        let error = TimeZoneName::new(unknown).unwrap_err();
        assert_eq!(error.field(), Some("time_zone"), "{unknown}");
    }
}

#[test]
fn a_local_time_is_two_digits_twice() {
    for (text, minutes) in [("00:00", 0), ("07:05", 425), ("23:59", 1_439)] {
        let time: LocalTime = text.parse().unwrap();
        assert_eq!((time.as_minutes(), time.to_string()), (minutes, text.to_owned()));
    }
    for text in
        ["24:00", "23:60", "7:05", "07:5", "0705", "", ":", "+7:05", "07:05:00", "-1:00", "०७:०५", " 7:05"]
    {
        assert!(text.parse::<LocalTime>().is_err(), "{text}");
    }
    assert!(LocalTime::from_minutes(1_440).is_err());
}

#[test]
fn a_language_has_the_outline_of_a_tag() {
    let with =
        |tag: &str| PreferenceFields { language: Language::optional("language", tag).unwrap(), ..berlin() };
    for tag in ["de", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994", "x-whatever"] {
        assert!(Preferences::new(with(tag)).is_ok(), "{tag}");
    }
    for tag in ["-", "de-", "de--CH", "de_CH", "419", "deutschland", "de CH", "dé"] {
        let error = Preferences::new(with(tag)).unwrap_err();
        assert_eq!(error.field(), Some("language"), "{tag}");
    }
    assert_eq!(Language::new("language", &"a".repeat(36)).unwrap_err().field(), Some("language"));
}

#[test]
fn names_of_channels_topics_and_days_have_their_forms() {
    assert_eq!(channel("E-Mail"), channel("e-mail"));
    assert_eq!(ContactChannel::optional("channel", ""), Ok(None));
    assert!(ContactChannel::new("channel", "").is_err());
    assert!(ContactChannel::new("channel", &"a".repeat(33)).is_err());
    assert!(Address::new("address", &"a".repeat(257)).is_err());
    for topic in ["a", "7-days", &"a".repeat(64)] {
        assert_eq!(topic.parse::<TopicId>().unwrap().as_str(), topic);
    }
    for topic in ["", "A", "a b", "-a", "a_b", &"a".repeat(65)] {
        assert!(topic.parse::<TopicId>().is_err(), "{topic}");
    }
    for (number, day) in (1..).zip(DayOfWeek::ALL) {
        assert_eq!((day.number(), DayOfWeek::from_number(number)), (number, Ok(day)));
    }
    assert!(DayOfWeek::from_number(0).is_err() && DayOfWeek::from_number(8).is_err());
}

#[test]
fn an_address_does_not_show_in_debug_output() {
    let address = Address::optional("address", "ada@example.org").unwrap();
    let channels = vec![ChannelPreference { address, ..wish("email", true) }];
    let preferences = Preferences::new(PreferenceFields { channels, ..berlin() }).unwrap();
    assert!(!format!("{preferences:?}").contains("ada"));
}

/// All moments of the log, by channel and purpose.
fn moments(log: &ContactLog) -> Vec<(String, u32, Vec<TimestampMs>)> {
    let contacts = log.contacts().map(|(channel, purpose, made)| {
        let moments = made.iter().map(|contact| contact.at).collect();
        (channel.as_str().to_owned(), purpose.as_u32(), moments)
    });
    contacts.collect()
}

/// A contact of a request without an id.
pub(crate) const fn made(at: TimestampMs) -> MadeContact {
    MadeContact { at, request: None }
}

/// A contact of the request with this id.
fn requested(id: u128, at: TimestampMs) -> MadeContact {
    MadeContact { at, request: Some(RequestId::new(Uuid::from_u128(id)).unwrap()) }
}

/// PR-6: however late the request is repeated, with the same date, and whatever came in between.
#[test]
fn a_contact_counts_once_however_late_its_request_is_repeated() {
    let (email, first) = (channel("email"), requested(1, at(-40)));
    let mut log = ContactLog::default();
    let mut record = |contact| log.record(&email, purpose(1), contact, NOW).map(|()| log.clone()).unwrap();
    let once = record(first);
    assert_eq!(record(first), once);
    assert_eq!(record(requested(1, NOW)), once, "by the clock of another node");
    for other in 2..=31 {
        record(requested(other, at(-30)));
    }
    let known = record(made(at(-41)));
    assert_eq!(record(first), known, "it is the last but one of 32");
    let full = record(requested(33, at(-30)));
    let pushed_out = record(requested(34, at(-30)));
    assert!(moments(&pushed_out).iter().all(|(.., of)| !of.contains(&at(-40))));
    assert_eq!(record(first), pushed_out, "newer ones have pushed it out: it comes after them");
    assert_ne!(full, pushed_out);
    log.record(&channel("sms"), purpose(1), first, NOW).unwrap();
    assert_eq!(log.contacts().count(), 2, "another channel is another contact");
}

#[test]
fn the_newest_32_contacts_of_a_channel_and_purpose_are_kept_in_any_order_of_recording() {
    let mut forwards = ContactLog::default();
    let mut backwards = ContactLog::default();
    for ms in 0..40 {
        forwards.record(&channel("email"), purpose(1), made(at(-ms)), NOW).unwrap();
        backwards.record(&channel("email"), purpose(1), made(at(ms - 39)), NOW).unwrap();
    }
    let newest: Vec<_> = (0..32).map(|ms| at(-ms)).collect();
    assert_eq!(moments(&forwards), [("email".to_owned(), 1, newest)]);
    assert_eq!(forwards, backwards);
    // Another purpose does not push them out.
    forwards.record(&channel("email"), purpose(2), made(NOW), NOW).unwrap();
    assert_eq!(moments(&forwards)[0], moments(&backwards)[0]);
}

#[test]
fn a_contact_is_forgotten_after_the_longest_window() {
    let mut log = ContactLog::default();
    log.record(&channel("email"), purpose(1), made(at(-YEAR_MS)), NOW).unwrap();
    assert!(log.is_empty());
    log.record(&channel("email"), purpose(1), made(at(1 - YEAR_MS)), NOW).unwrap();
    assert!(!log.is_empty());
    log.record(&channel("sms"), purpose(1), made(at(1)), at(1)).unwrap();
    assert_eq!(moments(&log), [("sms".to_owned(), 1, vec![at(1)])]);
}

#[test]
fn a_contact_in_the_future_is_refused_beyond_the_clock_bound() {
    let mut log = ContactLog::default();
    let bound = 5 * 60 * 1_000;
    let error = log.record(&channel("email"), purpose(1), made(at(bound + 1)), NOW).unwrap_err();
    assert_eq!(error, ProfileError::InFuture { field: "contacted_at", ahead_max_ms: bound });
    assert!(log.is_empty());
    log.record(&channel("email"), purpose(1), made(at(bound)), NOW).unwrap();
    assert!(!log.is_empty());
}

#[test]
fn the_pair_without_contact_for_the_longest_time_goes_first_and_leaves_its_moment() {
    let mut log = ContactLog::default();
    for pair in 0..64 {
        log.record(&channel(&format!("c{pair}")), purpose(1), made(at(-pair)), NOW).unwrap();
    }
    assert_eq!((log.contacts().count(), log.forgotten_until()), (64, None));
    log.record(&channel("new"), purpose(1), made(NOW), NOW).unwrap();
    assert_eq!((log.contacts().count(), log.forgotten_until()), (64, Some(at(-63))));
    let record = record_of(Preferences::default(), log.clone());
    assert_eq!(CustomerRecord::decode(&record.encode()), Ok(record));
    assert!(log.contacts().all(|(channel, ..)| channel.as_str() != "c63"));
    log.record(&channel("older"), purpose(1), made(at(-500)), NOW).unwrap();
    assert_eq!(log.forgotten_until(), Some(at(-63)), "the newest that had to go");
    let later = at(YEAR_MS);
    log.record(&channel("later"), purpose(1), made(later), later).unwrap();
    assert_eq!((log.contacts().count(), log.forgotten_until()), (1, None));
}

fn record_of(preferences: Preferences, contacts: ContactLog) -> CustomerRecord {
    CustomerRecord { preferences, contacts, ..CustomerRecord::new(NOW) }
}

fn example() -> CustomerRecord {
    let address = Address::optional("address", "ada@example.org").unwrap();
    let weekend = [DayOfWeek::Saturday, DayOfWeek::Sunday];
    let of_sms = |hours: QuietHours| QuietHours { channel: Some(channel("sms")), ..hours };
    let fields = PreferenceFields {
        language: Language::optional("language", "de-CH").unwrap(),
        channels: vec![ChannelPreference { address, ..wish("email", true) }, wish("phone", false)],
        frequency_caps: vec![
            cap(0, 8_784),
            FrequencyCap { channel: Some(channel("email")), purpose: Some(purpose(2)), ..cap(32, 24) },
        ],
        quiet_hours: vec![quiet(&[], "22:00", "07:00"), of_sms(quiet(&weekend, "00:00", "00:00"))],
        topics: vec![about("news", true), about("offers", false)],
        ..berlin()
    };
    let mut contacts = ContactLog::default();
    contacts.record(&channel("email"), purpose(2), made(NOW), NOW).unwrap();
    contacts.record(&channel("email"), purpose(2), made(at(-HOUR_MS)), NOW).unwrap();
    contacts.record(&channel("sms"), purpose(1), made(at(-2 * HOUR_MS)), NOW).unwrap();
    record_of(Preferences::new(fields).unwrap(), contacts)
}

// Written when preferences were new. A change here means that stored data can no longer be read.
const BYTES: &str = "\
    020880a0abfef9621080a0abfef9624a760a0564652d4348120d4575726f70652f4265726c696e1a1a0a05656d61696c\
    10011a0f616461406578616d706c652e6f72671a070a0570686f6e65220320d044220d0a05656d61696c100218202018\
    2a0610a80a18a4032a090a0206072203736d7332080a046e657773100132080a066f6666657273522a0a170a05656d61\
    696c10021a0c80a0abfef96280e6f3faf9620a0f0a03736d7310011a0680acbcf7f962";

const BYTES_WITH_REQUESTS: &str = "\
    020880a0abfef9621080a0abfef96252390a370a03736d7310011a0c80a0abfef96280a0abfef96222200000000000000000000000000000\
    000700000000000000000000000000000000";

#[test]
fn version_2_of_preferences_and_contacts_is_read() {
    holds(&example(), BYTES);
}

/// Of each contact the request that recorded it, if one of them has it.
#[test]
fn version_2_of_contacts_with_their_requests_is_read() {
    let mut contacts = ContactLog::default();
    contacts.record(&channel("sms"), purpose(1), requested(7, NOW), NOW).unwrap();
    contacts.record(&channel("sms"), purpose(1), made(NOW), NOW).unwrap();
    holds(&record_of(Preferences::default(), contacts), BYTES_WITH_REQUESTS);
}

#[test]
fn contacts_without_a_request_for_each_are_corrupt() {
    let record = CustomerRecord::new(NOW).encode();
    for ids in [15, 16, 48] {
        // field 10: a log; in it field 1: a channel with two moments and bytes of requests
        let of_channel =
            [&[10, 3][..], b"sms", &[16, 1, 26, 2, 2, 2, 34, ids], &vec![1; ids.into()][..]].concat();
        let length = u8::try_from(of_channel.len()).unwrap();
        let log = [&[82, length + 2, 10, length][..], &of_channel].concat();
        let error = CustomerRecord::decode(&[&record[..], &log].concat()).unwrap_err();
        assert!(error.is_stored_data(), "{ids} bytes");
    }
}

#[test]
fn nothing_recorded_takes_no_bytes() {
    let empty = record_of(Preferences::default(), ContactLog::default());
    assert!(Preferences::default().is_empty() && ContactLog::default().is_empty());
    assert_eq!(empty.encode(), CustomerRecord::new(NOW).encode());
}

/// The bytes of a record in which one text stands for another of the same length.
fn with_text(record: &CustomerRecord, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let bytes = record.encode();
    let found = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&bytes[..found], to.as_bytes(), &bytes[found + to.len()..]].concat()
}

#[test]
fn a_zone_that_a_newer_database_has_can_be_read_and_written() {
    let bytes = with_text(&example(), "Europe/Berlin", "Europe/Utopia");
    let record = CustomerRecord::decode(&bytes).unwrap();
    assert_eq!(record.preferences.time_zone.as_ref().unwrap().as_str(), "Europe/Utopia");
    assert_eq!(record.encode(), bytes);
}

#[test]
fn impossible_stored_preferences_are_corrupt() {
    for (from, to) in [("phone", "email"), ("offers", "OFFERS"), ("news", "ne\nw"), ("de-CH", "de_CH")] {
        let error = CustomerRecord::decode(&with_text(&example(), from, to)).unwrap_err();
        assert!(error.is_stored_data(), "{from}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn all_preferences_and_contacts_round_trip(wishes: [u64; 8], contacts: [u64; 8]) {
        let record = record_of(drawn_preferences(&wishes), drawn_contacts(&contacts));
        prop_assert_eq!(CustomerRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn a_local_time_round_trips(minutes in 0_u16..1_440) {
        let time = LocalTime::from_minutes(minutes).unwrap();
        prop_assert_eq!(time.to_string(), format!("{:02}:{:02}", minutes / 60, minutes % 60));
        prop_assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn only_the_minutes_of_a_day_are_local_times(text in prop_oneof!["\\PC{0,6}", "[0-9+:]{5}", "[0-9]{2}:[0-9]{2}"]) {
        let is_minute = (0..1_440).any(|minutes| text == format!("{:02}:{:02}", minutes / 60, minutes % 60));
        prop_assert_eq!(text.parse::<LocalTime>().is_ok(), is_minute);
    }
}
