//! Owns the bytes of a customer's preferences, contacts and TC string: messages embedded in the core record, absent if
//! nothing is recorded.

use std::collections::BTreeMap;

use prost::Message;

use super::{Intact, byte};
use crate::{
    contact_log::ContactLog,
    error::ProfileError,
    id::{PurposeNumber, TimestampMs, TopicId},
    label::Label,
    preferences::{
        ChannelPreference, ContactChannel, DayOfWeek, FrequencyCap, LocalTime, PreferenceFields, Preferences,
        QuietHours, TimeZoneName, TopicPreference,
    },
    tcf::StoredTcString,
};

#[derive(Clone, PartialEq, Message)]
struct WireChannel {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(bool, tag = "2")]
    wanted: bool,
    #[prost(string, tag = "3")]
    address: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireCap {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(uint32, tag = "2")]
    purpose: u32,
    #[prost(uint32, tag = "3")]
    contacts_max: u32,
    #[prost(uint32, tag = "4")]
    window_hours: u32,
}

#[derive(Clone, PartialEq, Message)]
struct WireQuietHours {
    #[prost(uint32, repeated, tag = "1")]
    days: Vec<u32>,
    /// Minutes after midnight.
    #[prost(uint32, tag = "2")]
    begins: u32,
    #[prost(uint32, tag = "3")]
    ends: u32,
    #[prost(string, tag = "4")]
    channel: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireTopic {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(bool, tag = "2")]
    wanted: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WirePreferences {
    #[prost(string, tag = "1")]
    language: String,
    #[prost(string, tag = "2")]
    time_zone: String,
    #[prost(message, repeated, tag = "3")]
    channels: Vec<WireChannel>,
    #[prost(message, repeated, tag = "4")]
    frequency_caps: Vec<WireCap>,
    #[prost(message, repeated, tag = "5")]
    quiet_hours: Vec<WireQuietHours>,
    #[prost(message, repeated, tag = "6")]
    topics: Vec<WireTopic>,
}

impl WirePreferences {
    pub(super) fn from_preferences(preferences: &Preferences) -> Option<Self> {
        let PreferenceFields { language, time_zone, channels, frequency_caps, quiet_hours, topics } =
            &**preferences;
        (!preferences.is_empty()).then(|| Self {
            language: language.as_ref().map_or_else(String::new, |of| of.as_str().to_owned()),
            time_zone: time_zone.as_ref().map_or_else(String::new, |of| of.as_str().to_owned()),
            channels: channels.iter().map(WireChannel::from_preference).collect(),
            frequency_caps: frequency_caps.iter().map(WireCap::from_cap).collect(),
            quiet_hours: quiet_hours.iter().map(WireQuietHours::from_hours).collect(),
            topics: topics.iter().map(WireTopic::from_preference).collect(),
        })
    }

    pub(super) fn into_preferences(self, kind: &'static str) -> Result<Preferences, ProfileError> {
        let time_zone = match self.time_zone.as_str() {
            "" => None,
            name => Some(TimeZoneName::stored(name).intact(kind, "time zone")?),
        };
        let channels = self.channels.into_iter().map(|of| of.into_preference(kind));
        let frequency_caps = self.frequency_caps.into_iter().map(|of| of.into_cap(kind));
        let quiet_hours = self.quiet_hours.into_iter().map(|of| of.into_hours(kind));
        let topics = self.topics.into_iter().map(|of| of.into_preference(kind));
        let fields = PreferenceFields {
            language: Label::optional("language", &self.language).intact(kind, "language")?,
            time_zone,
            channels: channels.collect::<Result<_, _>>()?,
            frequency_caps: frequency_caps.collect::<Result<_, _>>()?,
            quiet_hours: quiet_hours.collect::<Result<_, _>>()?,
            topics: topics.collect::<Result<_, _>>()?,
        };
        Preferences::new(fields).intact(kind, "preferences")
    }
}

impl WireChannel {
    fn from_preference(preference: &ChannelPreference) -> Self {
        let ChannelPreference { channel, wanted, address } = preference;
        Self {
            channel: channel.as_str().to_owned(),
            wanted: *wanted,
            address: address.as_ref().map_or_else(String::new, |of| of.as_str().to_owned()),
        }
    }

    fn into_preference(self, kind: &'static str) -> Result<ChannelPreference, ProfileError> {
        Ok(ChannelPreference {
            channel: ContactChannel::new("channel", &self.channel).intact(kind, "channel")?,
            wanted: self.wanted,
            address: Label::optional("address", &self.address).intact(kind, "address")?,
        })
    }
}

impl WireCap {
    fn from_cap(cap: &FrequencyCap) -> Self {
        Self {
            channel: write_channel(cap.channel.as_ref()),
            purpose: cap.purpose.map_or(0, PurposeNumber::as_u32),
            contacts_max: cap.contacts_max.into(),
            window_hours: cap.window_hours.into(),
        }
    }

    fn into_cap(self, kind: &'static str) -> Result<FrequencyCap, ProfileError> {
        Ok(FrequencyCap {
            channel: ContactChannel::optional("channel", &self.channel).intact(kind, "channel")?,
            purpose: PurposeNumber::new(self.purpose).ok(),
            contacts_max: self.contacts_max.try_into().ok().intact(kind, "frequency cap")?,
            window_hours: self.window_hours.try_into().ok().intact(kind, "frequency cap")?,
        })
    }
}

impl WireQuietHours {
    fn from_hours(hours: &QuietHours) -> Self {
        Self {
            days: hours.days.iter().map(|day| day.number().into()).collect(),
            begins: hours.begins.as_minutes().into(),
            ends: hours.ends.as_minutes().into(),
            channel: write_channel(hours.channel.as_ref()),
        }
    }

    fn into_hours(self, kind: &'static str) -> Result<QuietHours, ProfileError> {
        let days = self.days.iter().map(|day| DayOfWeek::from_number(byte(*day)).intact(kind, "day of week"));
        let time = |minutes: u32| {
            let minutes = minutes.try_into().ok().intact(kind, "local time")?;
            LocalTime::from_minutes(minutes).intact(kind, "local time")
        };
        Ok(QuietHours {
            days: days.collect::<Result<_, _>>()?,
            begins: time(self.begins)?,
            ends: time(self.ends)?,
            channel: ContactChannel::optional("channel", &self.channel).intact(kind, "channel")?,
        })
    }
}

impl WireTopic {
    fn from_preference(preference: &TopicPreference) -> Self {
        Self { topic: preference.topic.as_str().to_owned(), wanted: preference.wanted }
    }

    fn into_preference(self, kind: &'static str) -> Result<TopicPreference, ProfileError> {
        Ok(TopicPreference { topic: TopicId::new(&self.topic).intact(kind, "topic")?, wanted: self.wanted })
    }
}

fn write_channel(channel: Option<&ContactChannel>) -> String {
    channel.map_or_else(String::new, |channel| channel.as_str().to_owned())
}

#[derive(Clone, PartialEq, Message)]
struct WireContacts {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(uint32, tag = "2")]
    purpose: u32,
    #[prost(sint64, repeated, tag = "3")]
    moments: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireContactLog {
    #[prost(message, repeated, tag = "1")]
    contacts: Vec<WireContacts>,
    #[prost(sint64, optional, tag = "2")]
    forgotten_until: Option<i64>,
}

impl WireContactLog {
    pub(super) fn from_log(log: &ContactLog) -> Option<Self> {
        let contacts = |(channel, purpose, moments): (&ContactChannel, PurposeNumber, &[TimestampMs])| {
            let moments = moments.iter().map(|moment| moment.as_ms()).collect();
            WireContacts { channel: channel.as_str().to_owned(), purpose: purpose.as_u32(), moments }
        };
        (!log.is_empty()).then(|| Self {
            contacts: log.contacts().map(contacts).collect(),
            forgotten_until: log.forgotten_until().map(TimestampMs::as_ms),
        })
    }

    pub(super) fn into_log(self, kind: &'static str) -> Result<ContactLog, ProfileError> {
        let mut contacts = BTreeMap::new();
        for WireContacts { channel, purpose, moments } in self.contacts {
            let channel = ContactChannel::new("channel", &channel).intact(kind, "channel")?;
            let purpose = PurposeNumber::new(purpose).intact(kind, "purpose")?;
            let moments = moments.into_iter().map(TimestampMs::from_ms).collect();
            if contacts.insert((channel, purpose), moments).is_some() {
                return Err(ProfileError::CorruptField { kind, field: "contacts" });
            }
        }
        ContactLog::stored(contacts, self.forgotten_until.map(TimestampMs::from_ms)).intact(kind, "contacts")
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireTcString {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(sint64, tag = "2")]
    recorded_at: i64,
}

impl WireTcString {
    pub(super) fn from_string(stored: &StoredTcString) -> Self {
        Self { text: stored.text.as_str().to_owned(), recorded_at: stored.recorded_at.as_ms() }
    }

    pub(super) fn into_string(self, kind: &'static str) -> Result<StoredTcString, ProfileError> {
        Ok(StoredTcString {
            text: Label::new("tc_string", &self.text).intact(kind, "TC string")?,
            recorded_at: TimestampMs::from_ms(self.recorded_at),
        })
    }
}
