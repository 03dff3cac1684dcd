//! Owns how, when and about what a customer wants to be contacted (PR-6). Always: every list is within its limit,
//! each channel and topic occurs once, and quiet hours require a time zone. Addresses are redacted in `Debug`.
//!
//! A preference never allows what the law refuses: see `contact`, which checks both.

use std::{collections::BTreeSet, fmt, ops::Deref, str::FromStr, sync::LazyLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::{
    error::ProfileError,
    id::{PurposeNumber, TopicId},
    label::{Address, Channel, Language, check_distinct, check_list, check_text},
    limits::{
        CAP_CONTACTS_MAX, CAP_WINDOW_HOURS_MAX, CHANNEL_PREFERENCES_MAX, FREQUENCY_CAPS_MAX, QUIET_HOURS_MAX,
        TIME_ZONE_BYTES_MAX, TOPICS_MAX, UNWANTED_PURPOSES_MAX,
    },
    numbered::numbered,
};

/// A channel on which customers are contacted: email, phone, sms, post, push, … ASCII letters are stored in lower case,
/// so that a no to `Email` is a no to `email`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactChannel(Channel);

impl ContactChannel {
    /// Checks the text of `field`: 1 to 32 bytes.
    ///
    /// # Errors
    /// As [`Channel::new`].
    pub fn new(field: &'static str, text: &str) -> Result<Self, ProfileError> {
        Channel::new(field, &text.to_ascii_lowercase()).map(Self)
    }

    /// The same for an optional field: none if the text is empty.
    ///
    /// # Errors
    /// As [`Channel::new`].
    pub fn optional(field: &'static str, text: &str) -> Result<Option<Self>, ProfileError> {
        if text.is_empty() { Ok(None) } else { Self::new(field, text).map(Some) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A customer's wish about one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPreference {
    /// The channel.
    pub channel: ContactChannel,
    /// Whether it is wanted.
    pub wanted: bool,
    /// For which purposes it is not wanted, though it is for others; at most 64, each once; none if it is not wanted.
    pub unwanted_purposes: Vec<PurposeNumber>,
    /// How the customer is reached on it.
    pub address: Option<Address>,
}

/// At most this many contacts in a sliding window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrequencyCap {
    /// The channel; none: all together.
    pub channel: Option<ContactChannel>,
    /// The purpose; none: all together.
    pub purpose: Option<PurposeNumber>,
    /// 0 to 32.
    pub contacts_max: u8,
    /// 1 to 8,784.
    pub window_hours: u16,
}

numbered! {
    /// A weekday. Numbers are those of the API and of ISO 8601.
    #[derive(PartialOrd, Ord)]
    pub enum DayOfWeek ("quiet_hours.days", expected "a day of the week") {
        /// Monday.
        Monday = 1,
        /// Tuesday.
        Tuesday = 2,
        /// Wednesday.
        Wednesday = 3,
        /// Thursday.
        Thursday = 4,
        /// Friday.
        Friday = 5,
        /// Saturday.
        Saturday = 6,
        /// Sunday.
        Sunday = 7,
    }
}

/// A minute of a local day. Reads and prints as `HH:MM`, from `00:00` to `23:59`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u16);

impl LocalTime {
    const MALFORMED: ProfileError =
        ProfileError::Malformed { field: "quiet_hours", expected: "a local time, HH:MM from 00:00 to 23:59" };

    /// The time this many minutes after midnight.
    ///
    /// # Errors
    /// `Malformed` from 1,440 on.
    pub const fn from_minutes(minutes: u16) -> Result<Self, ProfileError> {
        if minutes < 24 * 60 { Ok(Self(minutes)) } else { Err(Self::MALFORMED) }
    }

    /// A time of a built-in jurisdiction; a test checks it.
    pub(crate) const fn built_in(hour: u16, minute: u16) -> Self {
        Self(hour * 60 + minute)
    }

    /// Minutes after midnight.
    #[must_use]
    pub const fn as_minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for LocalTime {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let digits = |part: &str| {
            let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| plain).ok_or(Self::MALFORMED)
        };
        let (hours, minutes) = text.split_once(':').ok_or(Self::MALFORMED)?;
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        if minutes < 60 { Self::from_minutes(hours * 60 + minutes) } else { Err(Self::MALFORMED) }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Local time in which the customer does not want to be contacted, each week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// The days on which they begin; none: every day.
    pub days: BTreeSet<DayOfWeek>,
    /// When they begin.
    pub begins: LocalTime,
    /// When they end, exclusive; at or before `begins`: on the next day.
    pub ends: LocalTime,
    /// The channel; none: every channel.
    pub channel: Option<ContactChannel>,
}

impl QuietHours {
    /// Whether they hold on a channel.
    #[must_use]
    pub fn concerns(&self, channel: &ContactChannel) -> bool {
        self.channel.as_ref().is_none_or(|of| of == channel)
    }
}

/// The name of a time zone, as the IANA database has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeZoneName(Box<str>);

impl TimeZoneName {
    /// Takes a name of the compiled-in database, in upper or lower case; stores it as the database writes it.
    ///
    /// # Errors
    /// `Malformed` if the database has no such name.
    pub fn new(text: &str) -> Result<Self, ProfileError> {
        let zone = zone_of(text).ok_or(ProfileError::Malformed {
            field: "time_zone",
            expected: "an IANA time zone name, e.g. Europe/Berlin",
        })?;
        Self::stored(zone.iana_name().unwrap_or(text))
    }

    /// Takes a stored name. A newer release may have written it from a newer database.
    ///
    /// # Errors
    /// Names the field if the text is empty, too long or has control characters.
    pub(crate) fn stored(text: &str) -> Result<Self, ProfileError> {
        check_text("time_zone", text, TIME_ZONE_BYTES_MAX)?;
        if text.is_empty() { Err(ProfileError::Empty { field: "time_zone" }) } else { Ok(Self(text.into())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The zone, if this release's database has it.
    pub(crate) fn zone(&self) -> Option<TimeZone> {
        zone_of(&self.0)
    }
}

/// `Etc/Unknown` is not a name of the IANA database; jiff would treat it as UTC.
fn zone_of(name: &str) -> Option<TimeZone> {
    // The compiled-in database alone, so that every node answers the same whatever its operating system has.
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    ZONES.get(name).ok().filter(|zone| !zone.is_unknown())
}

/// A customer's wish about one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPreference {
    /// The topic.
    pub topic: TopicId,
    /// Whether it is wanted.
    pub wanted: bool,
}

/// A customer's preferences before they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferenceFields {
    /// The language (BCP 47).
    pub language: Option<Language>,
    /// The customer's time zone; required with quiet hours.
    pub time_zone: Option<TimeZoneName>,
    /// The channels, in the order of preference; at most 16, each once.
    pub channels: Vec<ChannelPreference>,
    /// At most 16; each applies on its own.
    pub frequency_caps: Vec<FrequencyCap>,
    /// At most 16; each applies on its own.
    pub quiet_hours: Vec<QuietHours>,
    /// At most 64, each once.
    pub topics: Vec<TopicPreference>,
}

/// A customer's preferences. Reads as its fields; empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences(PreferenceFields);

impl Preferences {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: PreferenceFields) -> Result<Self, ProfileError> {
        let PreferenceFields { language, time_zone, channels, frequency_caps, quiet_hours, topics } = &fields;
        if language.as_ref().is_some_and(|language| !is_language_tag(language.as_str())) {
            return Err(ProfileError::Malformed { field: "language", expected: "a BCP 47 tag, e.g. de-CH" });
        }
        check_count("channels", channels, CHANNEL_PREFERENCES_MAX)?;
        check_count("frequency_caps", frequency_caps, FREQUENCY_CAPS_MAX)?;
        check_count("quiet_hours", quiet_hours, QUIET_HOURS_MAX)?;
        check_count("topics", topics, TOPICS_MAX)?;
        let of_channels: Vec<_> = channels.iter().map(|preference| &preference.channel).collect();
        check_distinct("channels", &of_channels)?;
        channels.iter().try_for_each(check_unwanted_purposes)?;
        let of_topics: Vec<_> = topics.iter().map(|preference| &preference.topic).collect();
        check_distinct("topics", &of_topics)?;
        if frequency_caps.iter().any(|cap| cap.contacts_max > CAP_CONTACTS_MAX) {
            return Err(ProfileError::Malformed {
                field: "frequency_caps.contacts_max",
                expected: "0 to 32 contacts",
            });
        }
        if !frequency_caps.iter().all(|cap| (1..=CAP_WINDOW_HOURS_MAX).contains(&cap.window_hours)) {
            return Err(ProfileError::Malformed {
                field: "frequency_caps.window_hours",
                expected: "1 to 8784 hours",
            });
        }
        if time_zone.is_none() && !quiet_hours.is_empty() {
            return Err(ProfileError::Empty { field: "time_zone" });
        }
        Ok(Self(fields))
    }

    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is recorded about a channel.
    #[must_use]
    pub fn channel(&self, channel: &ContactChannel) -> Option<&ChannelPreference> {
        self.channels.iter().find(|preference| preference.channel == *channel)
    }

    /// Whether a channel may be used for a purpose: unless the customer said that it is not wanted.
    #[must_use]
    pub fn allows(&self, channel: &ContactChannel, purpose: PurposeNumber) -> bool {
        self.channel(channel).is_none_or(|known| known.wanted && !known.unwanted_purposes.contains(&purpose))
    }

    /// Whether the customer has said that a topic is not wanted.
    #[must_use]
    pub fn is_unwanted(&self, topic: &TopicId) -> bool {
        self.topics.iter().any(|known| known.topic == *topic && !known.wanted)
    }
}

impl Deref for Preferences {
    type Target = PreferenceFields;

    fn deref(&self) -> &PreferenceFields {
        &self.0
    }
}

fn check_unwanted_purposes(of: &ChannelPreference) -> Result<(), ProfileError> {
    let field = "channels.unwanted_purposes";
    check_list(field, &of.unwanted_purposes, UNWANTED_PURPOSES_MAX)?;
    if !of.wanted && !of.unwanted_purposes.is_empty() {
        return Err(ProfileError::Malformed { field, expected: "none: the channel is not wanted at all" });
    }
    Ok(())
}

fn check_count<T>(field: &'static str, entries: &[T], count_max: usize) -> Result<(), ProfileError> {
    if entries.len() > count_max { Err(ProfileError::TooMany { field, count_max }) } else { Ok(()) }
}

/// Whether a text has the outline of a BCP 47 tag (RFC 5646 §2.1): subtags of 1 to 8 letters or digits, the first of
/// letters.
pub(crate) fn is_language_tag(text: &str) -> bool {
    let is_subtag =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let starts_well =
        text.split('-').next().is_some_and(|part| part.bytes().all(|b| b.is_ascii_alphabetic()));
    starts_well && text.split('-').all(is_subtag)
}
