//! Whether a customer may be contacted: the law, the customer's wishes, caps to the millisecond, and all of them
//! together. Quiet hours have their own tests in `quiet_hours`.

use custodia_profile::{
    ChannelPreference, Contact, ContactChannel, ContactQuestion, CustomerRecord,
    DayOfWeek::{self, Monday},
    FrequencyCap, GroundState,
    GroundStatus::{Given, Withdrawn},
    LawfulBasis, Permission, PreferenceFields, Preferences, PurposeNumber, Reader,
    RefusalReason::{
        self, ChannelNotAllowed, ConsentExpired, ConsentWithdrawn, FrequencyCap as Cap, NoGround,
    },
    Region, TimestampMs, Verdict, check_contact,
};
use proptest::prelude::*;

use crate::contact::preferences::{
    about, berlin, cap, channel, drawn_contacts, drawn_preferences, made, quiet, wish,
};
use crate::contact::quiet_hours::{nightly, zoned};
use crate::generated::{ALL, CASES, Draw, Situation, situations};
use crate::world::{NOW, RESEARCH, SERVICE, TAX, at, catalogue, purpose, record_with, state};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;
pub(crate) const QUIET: RefusalReason = RefusalReason::QuietHours;

pub(crate) fn utc(text: &str) -> TimestampMs {
    let instant: jiff::Timestamp = text.parse().unwrap();
    TimestampMs::from_ms(instant.as_millisecond())
}

/// A record with consent to research, given in 1970, and these preferences.
pub(crate) fn consenting(fields: PreferenceFields) -> CustomerRecord {
    let given = state(Given, TimestampMs::from_ms(0));
    let mut record = record_with(&[(RESEARCH, LawfulBasis::Consent, given)]);
    // Where the law has no hours for texts.
    record.subject.regions.insert("DE".parse().unwrap());
    CustomerRecord { preferences: Preferences::new(fields).unwrap(), ..record }
}

pub(crate) fn ask(record: &CustomerRecord, name: &str, at: TimestampMs) -> Contact {
    ask_about(record, name, None, at)
}

fn ask_about(record: &CustomerRecord, name: &str, topic: Option<&str>, at: TimestampMs) -> Contact {
    let catalogue = catalogue();
    let topic = topic.map(|topic| topic.parse().unwrap());
    let question = ContactQuestion {
        channel: &channel(name),
        purpose: catalogue.purpose(purpose(RESEARCH)).unwrap(),
        topic: topic.as_ref(),
        reader: Reader::Controller,
    };
    check_contact(record, &question, &catalogue, at)
}

pub(crate) const ALLOWED: Contact = Contact::Allowed { ground: LawfulBasis::Consent };

pub(crate) fn later(at: TimestampMs, reason: RefusalReason) -> Contact {
    Contact::AllowedFrom { at, reason, ground: LawfulBasis::Consent }
}

#[test]
fn with_no_preferences_the_law_alone_decides() {
    assert_eq!(ask(&consenting(PreferenceFields::default()), "email", NOW), ALLOWED);
    assert_eq!(ask(&CustomerRecord::new(NOW), "email", NOW), Contact::NotAllowed(NoGround));
}

#[test]
fn the_law_comes_before_every_preference() {
    let mut record = consenting(PreferenceFields {
        channels: vec![wish("email", false)],
        frequency_caps: vec![cap(0, 1)],
        ..berlin()
    });
    let no = state(Withdrawn, at(-1));
    record.grounds.insert((purpose(RESEARCH), LawfulBasis::Consent), no);
    assert_eq!(ask(&record, "email", NOW), Contact::NotAllowed(ConsentWithdrawn));
}

/// PR-6: what is not wanted is blocked, and nothing else.
#[test]
fn a_channel_is_allowed_unless_it_is_not_wanted() {
    let said = |wishes: &[(&str, bool)]| {
        let channels = wishes.iter().map(|(name, wanted)| wish(name, *wanted)).collect();
        consenting(PreferenceFields { channels, ..PreferenceFields::default() })
    };
    let email = said(&[("email", true), ("sms", false)]);
    assert_eq!(ask(&email, "email", NOW), ALLOWED);
    assert_eq!(ask(&email, "EMAIL", NOW), ALLOWED);
    assert_eq!(ask(&email, "sms", NOW), Contact::NotAllowed(ChannelNotAllowed));
    assert_eq!(ask(&email, "post", NOW), ALLOWED);
    assert_eq!(ask(&said(&[("sms", false)]), "email", NOW), ALLOWED);
    assert_eq!(
        ask(&said(&[]), "carrierpigeon", NOW),
        Contact::NotAllowed(RefusalReason::UnknownChannel),
        "what the law sees in it is unknown"
    );
}

#[test]
fn a_channel_can_be_unwanted_for_one_purpose() {
    let said = |number| {
        let unwanted_purposes = vec![purpose(number)];
        let channels = vec![ChannelPreference { unwanted_purposes, ..wish("sms", true) }];
        consenting(PreferenceFields { channels, ..PreferenceFields::default() })
    };
    assert_eq!(ask(&said(RESEARCH), "sms", NOW), Contact::NotAllowed(ChannelNotAllowed));
    assert_eq!(ask(&said(SERVICE), "sms", NOW), ALLOWED);
    assert_eq!(ask(&said(RESEARCH), "email", NOW), ALLOWED);
}

/// GDPR Art. 34: who must be told is told.
#[test]
fn no_wish_blocks_an_obligatory_notice() {
    let catalogue = catalogue();
    let ask = |record: &CustomerRecord, number| {
        let question = ContactQuestion {
            channel: &channel("email"),
            purpose: catalogue.purpose(purpose(number)).unwrap(),
            topic: Some(&"offers".parse().unwrap()),
            reader: Reader::Controller,
        };
        check_contact(record, &question, &catalogue, utc("2026-01-10T23:00:00Z"))
    };
    let record = consenting(PreferenceFields {
        channels: vec![wish("email", false)],
        topics: vec![about("offers", false)],
        frequency_caps: vec![cap(0, 1)],
        quiet_hours: nightly(),
        ..berlin()
    });
    assert_eq!(ask(&record, RESEARCH), Contact::NotAllowed(ChannelNotAllowed));
    let ground = LawfulBasis::LegalObligation;
    let morning = utc("2026-01-11T06:00:00Z");
    assert_eq!(ask(&record, TAX), Contact::AllowedFrom { at: morning, reason: QUIET, ground });
}

#[test]
fn a_topic_is_allowed_unless_it_is_not_wanted() {
    let topics = vec![about("news", true), about("offers", false)];
    let record = consenting(PreferenceFields { topics, ..PreferenceFields::default() });
    for topic in [None, Some("news"), Some("other")] {
        assert_eq!(ask_about(&record, "email", topic, NOW), ALLOWED);
    }
    let refused = Contact::NotAllowed(RefusalReason::TopicNotWanted);
    assert_eq!(ask_about(&record, "email", Some("offers"), NOW), refused);
}

/// A record with caps and contacts for research by email, so many milliseconds before now.
fn contacted(caps: &[FrequencyCap], ages_ms: &[i64]) -> CustomerRecord {
    let fields = PreferenceFields { frequency_caps: caps.to_vec(), ..PreferenceFields::default() };
    let mut record = consenting(fields);
    for age_ms in ages_ms {
        record.contacts.record(&channel("email"), purpose(RESEARCH), made(at(-age_ms)), NOW).unwrap();
    }
    record
}

#[test]
fn a_cap_frees_at_the_very_millisecond_at_which_the_oldest_counted_leaves() {
    let record = contacted(&[cap(2, 24)], &[5 * HOUR_MS, 3 * HOUR_MS, 9 * HOUR_MS]);
    // Of three, the second newest must leave.
    let free = at(DAY_MS - 5 * HOUR_MS);
    assert_eq!(ask(&record, "email", NOW), later(free, Cap));
    assert_eq!(ask(&record, "email", free.plus_ms(-1)), later(free, Cap));
    assert_eq!(ask(&record, "email", free), ALLOWED);
    assert_eq!(ask(&contacted(&[cap(2, 24)], &[DAY_MS, DAY_MS]), "email", NOW), ALLOWED);
    assert_eq!(ask(&contacted(&[cap(2, 24)], &[DAY_MS - 1, DAY_MS]), "email", NOW), ALLOWED);
    let both = contacted(&[cap(2, 24)], &[DAY_MS - 1, DAY_MS - 1]);
    assert_eq!(ask(&both, "email", NOW), later(at(1), Cap));
}

#[test]
fn a_cap_counts_contacts_of_the_same_moment_one_by_one_and_those_just_ahead_of_the_clock() {
    assert_eq!(ask(&contacted(&[cap(2, 1)], &[0]), "email", NOW), ALLOWED);
    assert_eq!(ask(&contacted(&[cap(2, 1)], &[0, 0]), "email", NOW), later(at(HOUR_MS), Cap));
    let ahead = contacted(&[cap(1, 1)], &[-1_000]);
    assert_eq!(ask(&ahead, "email", NOW), later(at(HOUR_MS + 1_000), Cap));
}

#[test]
fn the_largest_cap_and_the_longest_window_count_exactly() {
    let year_ms = 8_784 * HOUR_MS;
    let ages: Vec<i64> = (0..40).map(|contact| year_ms - 1 - contact * 1_000).collect();
    // The newest 32 are 8,001 to 39,001 ms younger than a year.
    let record = contacted(&[cap(32, 8_784)], &ages);
    assert_eq!(ask(&record, "email", NOW), later(at(8_001), Cap));
    assert_eq!(ask(&contacted(&[cap(32, 8_784)], &ages[..31]), "email", NOW), ALLOWED);
}

#[test]
fn a_cap_of_zero_never_allows() {
    assert_eq!(ask(&contacted(&[cap(0, 1)], &[]), "email", NOW), Contact::NotAllowed(Cap));
    let of_sms = FrequencyCap { channel: Some(channel("sms")), ..cap(0, 1) };
    assert_eq!(ask(&contacted(&[of_sms], &[]), "email", NOW), ALLOWED);
}

#[test]
fn a_cap_counts_its_own_channel_and_purpose_or_all_together() {
    let of = |name: Option<&str>, number: Option<u32>| FrequencyCap {
        channel: name.map(channel),
        purpose: number.map(purpose),
        ..cap(1, 1)
    };
    let with = |cap: FrequencyCap, name: &str, number: u32| {
        let mut record = contacted(&[cap], &[]);
        record.contacts.record(&channel(name), purpose(number), made(NOW), NOW).unwrap();
        ask(&record, "email", NOW)
    };
    let refused = later(at(HOUR_MS), Cap);
    assert_eq!(with(of(None, None), "sms", 1), refused);
    assert_eq!(with(of(Some("email"), None), "email", 1), refused);
    assert_eq!(with(of(Some("email"), None), "sms", RESEARCH), ALLOWED);
    assert_eq!(with(of(None, Some(RESEARCH)), "sms", RESEARCH), refused);
    assert_eq!(with(of(None, Some(RESEARCH)), "email", 1), ALLOWED);
    // Caps of another channel or purpose do not concern this contact at all.
    assert_eq!(with(of(Some("sms"), None), "sms", RESEARCH), ALLOWED);
    assert_eq!(with(of(None, Some(1)), "email", 1), ALLOWED);
}

#[test]
fn many_contacts_for_another_purpose_do_not_make_a_cap_forget() {
    let of_research = FrequencyCap { purpose: Some(purpose(RESEARCH)), ..cap(1, 24) };
    let mut record = contacted(&[of_research], &[HOUR_MS]);
    for age in 0..100 {
        record.contacts.record(&channel("email"), purpose(1), made(at(-age)), NOW).unwrap();
    }
    assert_eq!(ask(&record, "email", NOW), later(at(23 * HOUR_MS), Cap));
}

#[test]
fn a_cap_is_taken_as_reached_while_its_window_holds_forgotten_contacts() {
    let mut record = contacted(&[cap(32, 1)], &[]);
    for pair in 0..65 {
        let name = if pair == 64 { "email".to_owned() } else { format!("c{pair}") };
        record.contacts.record(&channel(&name), purpose(1), made(at(-pair)), NOW).unwrap();
    }
    record.preferences = Preferences::new(PreferenceFields {
        frequency_caps: vec![FrequencyCap { channel: Some(channel("email")), ..cap(2, 1) }],
        ..PreferenceFields::default()
    })
    .unwrap();
    assert_eq!(ask(&record, "email", NOW), later(at(HOUR_MS - 64), Cap));
    assert_eq!(ask(&record, "email", at(HOUR_MS - 64)), ALLOWED);
}

#[test]
fn the_cap_that_frees_last_counts() {
    let record = contacted(&[cap(1, 1), cap(2, 24), cap(5, 48)], &[10, 20, 30]);
    assert_eq!(ask(&record, "email", NOW), later(at(DAY_MS - 20), Cap));
}

#[test]
fn caps_lead_into_quiet_hours_and_out_of_them() {
    let mut record = zoned("UTC", &nightly());
    let fields = PreferenceFields { frequency_caps: vec![cap(1, 24)], ..(*record.preferences).clone() };
    record.preferences = Preferences::new(fields).unwrap();
    let contacted_at = utc("2026-01-10T23:00:00Z");
    record.contacts.record(&channel("email"), purpose(RESEARCH), made(contacted_at), contacted_at).unwrap();
    // The cap frees at 23:00 on the 11th, in the night.
    let free = utc("2026-01-12T07:00:00Z");
    assert_eq!(ask(&record, "email", utc("2026-01-11T12:00:00Z")), later(free, Cap));
    assert_eq!(ask(&record, "email", utc("2026-01-11T23:00:00Z")), later(free, QUIET));
    assert_eq!(ask(&record, "email", free), ALLOWED);
}

#[test]
fn a_ground_that_ends_before_the_quiet_hours_do_does_not_allow() {
    let ending = |end: &str| {
        let mut record = zoned("UTC", &nightly());
        let given = state(Given, TimestampMs::from_ms(0));
        let given = GroundState { expires_at: Some(utc(end)), ..given };
        record.grounds.insert((purpose(RESEARCH), LawfulBasis::Consent), given);
        record
    };
    let late = "2026-01-10T23:00:00Z";
    assert_eq!(ask(&ending("2026-01-11T06:59:59Z"), "email", utc(late)), Contact::NotAllowed(ConsentExpired));
    assert_eq!(ask(&ending("2026-01-11T07:00:00Z"), "email", utc(late)), Contact::NotAllowed(ConsentExpired));
    let holds = ending("2026-01-11T07:00:00.001Z");
    assert_eq!(ask(&holds, "email", utc(late)), later(utc("2026-01-11T07:00:00Z"), QUIET));
}

/// Whether some quiet hours hold, by going through the minutes of a week: another way than the one under test.
pub(crate) fn is_quiet(preferences: &PreferenceFields, name: &ContactChannel, moment: TimestampMs) -> bool {
    let zone = preferences.time_zone.as_ref().unwrap().as_str();
    let instant = jiff::Timestamp::from_millisecond(moment.as_ms()).unwrap();
    let local = instant.in_tz(zone).unwrap();
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap();
    let minute =
        day * 1_440 + usize::try_from(local.hour()).unwrap() * 60 + usize::try_from(local.minute()).unwrap();
    let meant =
        preferences.quiet_hours.iter().filter(|hours| hours.channel.as_ref().is_none_or(|of| of == name));
    meant.into_iter().any(|hours| {
        let (begins, ends) = (usize::from(hours.begins.as_minutes()), usize::from(hours.ends.as_minutes()));
        let length = if ends > begins { ends - begins } else { ends + 1_440 - begins };
        DayOfWeek::ALL.into_iter().enumerate().any(|(day, of)| {
            let applies = hours.days.is_empty() || hours.days.contains(&of);
            applies && (minute + 10_080 - (day * 1_440 + begins)) % 10_080 < length
        })
    })
}

/// Whether one more contact would break a cap, by counting.
fn breaks_a_cap(
    record: &CustomerRecord,
    name: &ContactChannel,
    number: PurposeNumber,
    moment: TimestampMs,
) -> bool {
    record.preferences.frequency_caps.iter().any(|cap| {
        let of = |channel: &ContactChannel, purpose: PurposeNumber| {
            cap.channel.as_ref().is_none_or(|of| of == channel) && cap.purpose.is_none_or(|of| of == purpose)
        };
        let since = moment.plus_ms(-i64::from(cap.window_hours) * HOUR_MS);
        let counted = record.contacts.contacts().filter(|(channel, purpose, _)| of(channel, *purpose));
        let count = counted.flat_map(|(.., made)| made).filter(|contact| contact.at > since).count();
        of(name, number) && count >= usize::from(cap.contacts_max)
    })
}

/// Where the customer lives; none: anywhere.
fn places(record: &CustomerRecord) -> Vec<Option<Region>> {
    let anywhere = record.subject.regions.is_empty() || record.subject.region_unknown;
    record.subject.regions.iter().cloned().map(Some).chain(anywhere.then_some(None)).collect()
}

fn drawn_moment(draw: &mut Draw, now: TimestampMs) -> TimestampMs {
    let later = now.plus_ms(i64::try_from(draw.below(366 * 86_400_000)).unwrap());
    // The clock is changed in Berlin or on Lord Howe, and a leap day begins.
    let changes =
        ["2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z", "2024-04-06T15:00:00Z", "2024-02-29T00:00:00Z"];
    let around = utc(draw.pick(&changes)).plus_ms(i64::try_from(draw.below(7_200_000)).unwrap() - HOUR_MS);
    draw.pick(&[now, later, around])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn no_contact_is_allowed_now_or_later_where_the_law_refuses_or_a_wish_is_broken(
        situation in situations(),
        wishes: [u64; 8],
        contacts: [u64; 8],
        question: u64,
        between: u64,
    ) {
        let Situation { catalogue, mut record, desk, now, .. } = situation;
        record.preferences = drawn_preferences(&wishes);
        record.contacts = drawn_contacts(&contacts);
        let mut draw = Draw::new(question);
        let name = channel(draw.pick(&["email", "email", "sms", "phone"]));
        let number = purpose(draw.pick(&ALL));
        let topic = draw.pick(&["", "a", "b", "c"]).parse().ok();
        let reader = draw.pick(&[
            Reader::Controller,
            Reader::Controller,
            Reader::Controller,
            Reader::Registered(&desk),
            Reader::Registered(&desk),
            Reader::Unregistered,
        ]);
        let asked_at = drawn_moment(&mut draw, now);
        let of_purpose = catalogue.purpose(number).unwrap();
        let question = ContactQuestion {
            channel: &name,
            purpose: of_purpose,
            topic: topic.as_ref(),
            reader,
        };
        let ask = |moment| check_contact(&record, &question, &catalogue, moment);
        let law = |moment| {
            Permission::for_purpose(of_purpose, reader, &record, &catalogue, moment).verdict()
        };
        let mut all = (*record.preferences).clone();
        let kind = catalogue.channel(name.as_str()).unwrap().kind;
        for region in places(&record) {
            let law = catalogue.jurisdiction_of(region.as_ref());
            all.quiet_hours.extend(law.no_contact_hours_in(region.as_ref(), kind).into_iter().cloned());
        }
        let quiet_at = |moment| is_quiet(&all, &name, moment);
        let marketed = |moment| {
            let kind = catalogue.channel(name.as_str()).unwrap().kind;
            let needs = record.subject.jurisdictions(&catalogue).any(|of| of.consent_channels.contains(&kind));
            let by = |basis| Permission::for_basis(of_purpose, basis, reader, &record, &catalogue, moment);
            let given = |basis| record.ground(number, basis).is_some() && by(basis).verdict().ground().is_some();
            !needs || !of_purpose.direct_marketing || given(LawfulBasis::Consent)
        };
        let fits = |moment, ground| {
            let mut wishes = record.preferences.channels.iter().filter(|of| of.channel == name);
            let wanted = wishes.all(|of| of.wanted && !of.unwanted_purposes.contains(&number));
            let each = |bases: &[LawfulBasis]| {
                let by_law = |place: Option<Region>| {
                    let mut there = record.clone();
                    there.subject.region_unknown = false;
                    there.subject.regions = place.into_iter().collect();
                    Permission::for_purpose(of_purpose, reader, &there, &catalogue, moment).verdict().ground()
                };
                let is_advertising = of_purpose.direct_marketing || of_purpose.sale_or_sharing;
                !is_advertising && places(&record).into_iter().all(|place| by_law(place).is_some_and(|of| bases.contains(&of)))
            };
            let obligatory = each(&[LawfulBasis::LegalObligation, LawfulBasis::VitalInterests]);
            let topic_wanted =
                record.preferences.topics.iter().all(|of| Some(&of.topic) != topic.as_ref() || of.wanted);
            (law(moment).ground() == Some(ground) || of_purpose.direct_marketing)
                && marketed(moment)
                && (obligatory || wanted && topic_wanted && !breaks_a_cap(&record, &name, number, moment))
                && (each(&[LawfulBasis::VitalInterests]) || !quiet_at(moment))
        };
        match ask(asked_at) {
            Contact::Allowed { ground } => prop_assert!(fits(asked_at, ground)),
            Contact::AllowedFrom { at: free, reason, ground } => {
                prop_assert!(free > asked_at);
                let delays = [QUIET, RefusalReason::FrequencyCap, RefusalReason::CallingHours];
                prop_assert!(delays.contains(&reason));
                prop_assert!(law(asked_at).ground().is_some());
                prop_assert!(fits(free, ground));
                prop_assert_eq!(ask(free), Contact::Allowed { ground });
                // It is the first such moment: none before it is free.
                let gap_ms = i128::from(free.as_ms() - asked_at.as_ms() - 1);
                let earlier_ms = i64::try_from(gap_ms * i128::from(between) / i128::from(u64::MAX)).unwrap();
                let earlier = asked_at.plus_ms(earlier_ms);
                for moment in [earlier, free.plus_ms(-1)] {
                    let free = !quiet_at(moment);
                    prop_assert!(!free || breaks_a_cap(&record, &name, number, moment));
                }
            }
            Contact::NotAllowed(reason) => {
                if let Verdict::Refuse(refused) = law(asked_at) {
                    prop_assert_eq!(reason, refused);
                }
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_moment_panics_and_one_beyond_the_calendar_is_quiet(wishes: [u64; 8], ms: i64) {
        let mut record = consenting((*drawn_preferences(&wishes)).clone());
        record.grounds.insert((purpose(RESEARCH), LawfulBasis::Consent), state(Given, TimestampMs::from_ms(i64::MIN)));
        let mut fields = (*record.preferences).clone();
        fields.channels.clear();
        fields.frequency_caps.clear();
        fields.quiet_hours.push(quiet(&[Monday], "22:00", "07:00"));
        record.preferences = Preferences::new(fields).unwrap();
        for moment in [ms, i64::MIN, i64::MAX] {
            // Years -9999 to 9999.
            let in_calendar = jiff::Timestamp::from_millisecond(moment).is_ok();
            let verdict = ask(&record, "email", TimestampMs::from_ms(moment));
            prop_assert!(in_calendar || matches!(verdict, Contact::NotAllowed(_)));
        }
    }
}
