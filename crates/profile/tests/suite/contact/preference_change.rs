//! How preferences replace each other (PR-6): a wish not to be contacted is lifted only by who has read it, and a late
//! retry brings back nothing.

use custodia_profile::{
    Address, ChannelPreference, ContactChannel, CustomerRecord, FrequencyCap, Language, LocalTime,
    Precondition, PreferenceFields, Preferences, ProfileError, QuietHours, TimeZoneName, TopicPreference,
    update_preferences,
};

use crate::world::{MARKETING, NOW, SERVICE, at, context, made, made_on_the_version, purpose};

fn channel(name: &str, wanted: bool) -> ChannelPreference {
    let channel = ContactChannel::new("channel", name).unwrap();
    ChannelPreference { channel, wanted, unwanted_purposes: Vec::new(), address: None }
}

/// SMS for everything but a purpose.
fn not_for(number: u32) -> ChannelPreference {
    ChannelPreference { unwanted_purposes: vec![purpose(number)], ..channel("sms", true) }
}

fn preferences(fields: PreferenceFields) -> Preferences {
    Preferences::new(fields).unwrap()
}

fn language(tag: &str) -> PreferenceFields {
    PreferenceFields { language: Language::optional("language", tag).unwrap(), ..PreferenceFields::default() }
}

fn update(
    record: &CustomerRecord,
    fields: PreferenceFields,
    precondition: Precondition,
) -> Result<CustomerRecord, ProfileError> {
    let after = update_preferences(record, &preferences(fields), precondition, context(at(50)))?;
    Ok(after.unwrap_or_else(|| record.clone()))
}

fn with(fields: PreferenceFields) -> CustomerRecord {
    update(&CustomerRecord::new(NOW), fields, made(at(1))).unwrap()
}

fn wishes() -> PreferenceFields {
    let cap = FrequencyCap { channel: None, purpose: None, contacts_max: 2, window_hours: 24 };
    let minutes = |minutes| LocalTime::from_minutes(minutes).unwrap();
    let night = QuietHours { days: [].into(), begins: minutes(1_200), ends: minutes(480), channel: None };
    PreferenceFields {
        time_zone: Some(TimeZoneName::new("Europe/Berlin").unwrap()),
        channels: vec![channel("email", true), channel("phone", false), not_for(SERVICE)],
        frequency_caps: vec![cap],
        quiet_hours: vec![night],
        topics: vec![TopicPreference { topic: "offers".parse().unwrap(), wanted: false }],
        ..language("de")
    }
}

#[test]
fn a_request_that_was_made_earlier_does_not_replace_a_later_one() {
    let first = update(&CustomerRecord::new(NOW), language("de"), made(at(1))).unwrap();
    let second = update(&first, language("fr"), made(at(2))).unwrap();
    let retry = update(&second, language("de"), made(at(1))).unwrap_err();
    assert_eq!(retry, ProfileError::RequestSuperseded);
    assert_eq!(update(&second, language("fr"), made(at(1))).unwrap(), second, "it says what stands");
    assert!(update(&second, language("de"), made_on_the_version(at(1))).is_ok());
}

#[test]
fn every_wish_not_to_be_contacted_is_lifted_only_on_the_version_that_was_read() {
    let record = with(wishes());
    type Change = fn(&mut PreferenceFields);
    let lifting: [(&str, Change); 11] = [
        ("the unwanted channel", |of| of.channels[1].wanted = true),
        ("the unwanted channel, but for one purpose", |of| {
            of.channels[1] =
                ChannelPreference { channel: of.channels[1].channel.clone(), ..not_for(SERVICE) };
        }),
        ("another purpose", |of| of.channels[2] = not_for(MARKETING)),
        ("the purpose", |of| of.channels.truncate(2)),
        ("any channel", |of| of.channels.clear()),
        ("the topic", |of| of.topics.clear()),
        ("the topic is wanted", |of| of.topics[0].wanted = true),
        ("one more contact", |of| of.frequency_caps[0].contacts_max = 3),
        ("a shorter window", |of| of.frequency_caps[0].window_hours = 23),
        ("at night", |of| of.quiet_hours.clear()),
        ("another time zone", |of| of.time_zone = Some(TimeZoneName::new("America/Lima").unwrap())),
    ];
    for (name, change) in lifting {
        let mut fields = wishes();
        change(&mut fields);
        let error = update(&record, fields.clone(), made(at(9))).unwrap_err();
        assert_eq!(error, ProfileError::LiftsUnseen { limit: "a wish not to be contacted" }, "{name}");
        assert!(update(&record, fields, made_on_the_version(at(9))).is_ok(), "{name}");
    }
}

/// A clock that is an hour slow does not keep anybody from saying no.
#[test]
fn what_only_adds_such_a_wish_is_taken_whatever_its_date() {
    let record = with(wishes());
    type Change = fn(&mut PreferenceFields);
    let restricting: [Change; 7] = [
        |of| of.channels[0].wanted = false,
        |of| of.frequency_caps[0].contacts_max = 0,
        |of| of.topics.push(TopicPreference { topic: "news".parse().unwrap(), wanted: false }),
        |of| {
            of.quiet_hours
                .push(QuietHours { ends: LocalTime::from_minutes(600).unwrap(), ..of.quiet_hours[0].clone() })
        },
        |of| of.channels.push(channel("post", false)),
        |of| of.channels[2] = channel("sms", false),
        |of| of.channels[2].unwanted_purposes.push(purpose(MARKETING)),
    ];
    for change in restricting {
        let mut fields = wishes();
        change(&mut fields);
        assert_eq!(
            update(&record, fields.clone(), made(at(-9))).unwrap().preferences,
            preferences(fields.clone())
        );
        let mixed = PreferenceFields { language: language("fr").language, ..fields.clone() };
        assert_eq!(update(&record, mixed, made(at(-9))).unwrap_err(), ProfileError::RequestSuperseded);
        fields.channels[0].address = Address::optional("address", "late@example.org").unwrap();
        assert_eq!(update(&record, fields, made(at(-9))).unwrap_err(), ProfileError::RequestSuperseded);
    }
}
