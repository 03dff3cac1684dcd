//! Converts preferences between the wire and `custodia-profile`.
//!
//! Invariant: what is returned is valid by its types, an error names the field below `preferences`, and an answer has
//! addresses only if the handler asks for them.

use std::collections::BTreeSet;

use custodia_profile::{
    Address, Catalogue, ChannelPreference, ContactChannel, DayOfWeek, FrequencyCap, Language, LocalTime,
    PreferenceFields, Preferences, QuietHours, TimeZoneName, TopicId, TopicPreference,
    limits::UNWANTED_PURPOSES_MAX,
};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    wire::{
        ServiceError,
        convert::{RecordVersion, purpose_name, text},
        etag,
        parse::{self, chosen, each, named, within_limit},
    },
};

/// The fields that an update replaces, with their new values. The others stay as they are.
#[derive(Debug)]
pub(super) struct PreferenceChanges {
    fields: BTreeSet<Field>,
    values: PreferenceFields,
}

/// A field of the preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Language,
    TimeZone,
    Channels,
    FrequencyCaps,
    QuietHours,
    Topics,
}

impl Field {
    const NAMES: [(&str, Self); 6] = [
        ("language", Self::Language),
        ("time_zone", Self::TimeZone),
        ("channels", Self::Channels),
        ("frequency_caps", Self::FrequencyCaps),
        ("quiet_hours", Self::QuietHours),
        ("topics", Self::Topics),
    ];

    fn parse(path: &str) -> Result<Self, ServiceError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == path).map(|(_, field)| *field);
        found.ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            ServiceError::invalid("update_mask", format!("expected some of {names}"))
        })
    }
}

impl PreferenceChanges {
    /// Parses what is sent, with purpose names resolved in the catalogue. Without a mask it names the fields that are set
    /// (AIP-134).
    pub(super) fn parse(
        wire: &v1::Preferences,
        mask: Option<&prost_types::FieldMask>,
        view: &CatalogueView,
    ) -> Result<Self, ServiceError> {
        let time_zone = &wire.time_zone;
        let values = PreferenceFields {
            language: Language::optional("language", &wire.language).map_err(below)?,
            time_zone: (!time_zone.is_empty())
                .then(|| TimeZoneName::new(time_zone))
                .transpose()
                .map_err(below)?,
            channels: each("channels", &wire.channels, |one| channel(one, view)).map_err(below)?,
            frequency_caps: each("frequency_caps", &wire.frequency_caps, |cap| frequency_cap(cap, view))
                .map_err(below)?,
            quiet_hours: each("quiet_hours", &wire.quiet_hours, |one| quiet_hours(one, view))
                .map_err(below)?,
            topics: each("topics", &wire.topics, topic).map_err(below)?,
        };
        check_lists(&values)?;
        let fields = match mask {
            Some(mask) => mask.paths.iter().map(|path| Field::parse(path)).collect::<Result<_, _>>()?,
            None => set_fields(&values),
        };
        Ok(Self { fields, values })
    }

    /// The stored preferences with these changes.
    pub(super) fn apply(&self, stored: &Preferences) -> Result<Preferences, ServiceError> {
        let PreferenceFields { language, time_zone, channels, frequency_caps, quiet_hours, topics } =
            self.values.clone();
        let new = |field| self.fields.contains(&field);
        let mut after = PreferenceFields::clone(stored);
        if new(Field::Language) {
            after.language = language;
        }
        if new(Field::TimeZone) {
            after.time_zone = time_zone;
        }
        if new(Field::Channels) {
            after.channels = channels;
        }
        if new(Field::FrequencyCaps) {
            after.frequency_caps = frequency_caps;
        }
        if new(Field::QuietHours) {
            after.quiet_hours = quiet_hours;
        }
        if new(Field::Topics) {
            after.topics = topics;
        }
        Preferences::new(after).map_err(below)
    }

    /// The channels, if they are replaced.
    pub(super) fn channels(&self) -> Option<&[ChannelPreference]> {
        self.fields.contains(&Field::Channels).then_some(self.values.channels.as_slice())
    }
}

/// Checks what does not depend on what is stored, so that it is refused whoever sends it. Quiet hours may count by the stored
/// time zone.
fn check_lists(values: &PreferenceFields) -> Result<(), ServiceError> {
    let zone = TimeZoneName::new("UTC").map_err(below)?;
    let time_zone = Some(values.time_zone.clone().unwrap_or(zone));
    Preferences::new(PreferenceFields { time_zone, ..values.clone() }).map(drop).map_err(below)
}

fn set_fields(values: &PreferenceFields) -> BTreeSet<Field> {
    let PreferenceFields { language, time_zone, channels, frequency_caps, quiet_hours, topics } = values;
    let set = [
        (Field::Language, language.is_some()),
        (Field::TimeZone, time_zone.is_some()),
        (Field::Channels, !channels.is_empty()),
        (Field::FrequencyCaps, !frequency_caps.is_empty()),
        (Field::QuietHours, !quiet_hours.is_empty()),
        (Field::Topics, !topics.is_empty()),
    ];
    set.into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect()
}

/// An error of a field of the preferences.
fn below(error: impl Into<ServiceError>) -> ServiceError {
    error.into().within("preferences")
}

/// A channel of the catalogue.
pub(super) fn contact_channel(text: &str, view: &CatalogueView) -> Result<ContactChannel, ServiceError> {
    let channel = ContactChannel::new("channel", text)?;
    view.check_channel(&channel, "channel")?;
    Ok(channel)
}

/// None if the text is empty.
fn optional_channel(text: &str, view: &CatalogueView) -> Result<Option<ContactChannel>, ServiceError> {
    (!text.is_empty()).then(|| contact_channel(text, view)).transpose()
}

fn channel(wire: &v1::ChannelPreference, view: &CatalogueView) -> Result<ChannelPreference, ServiceError> {
    let purposes = &wire.unwanted_purposes;
    within_limit("unwanted_purposes", purposes.len(), UNWANTED_PURPOSES_MAX)?;
    Ok(ChannelPreference {
        channel: contact_channel(&wire.channel, view)?,
        wanted: wire.wanted,
        unwanted_purposes: each("unwanted_purposes", purposes, |name| {
            view.purpose_number(&parse::purpose(name, "")?, "")
        })?,
        address: Address::optional("address", &wire.address)?,
    })
}

fn frequency_cap(wire: &v1::FrequencyCap, view: &CatalogueView) -> Result<FrequencyCap, ServiceError> {
    let purpose = match wire.purpose.as_str() {
        "" => None,
        name => Some(view.purpose_number(&parse::purpose(name, "purpose")?, "purpose")?),
    };
    Ok(FrequencyCap {
        channel: optional_channel(&wire.channel, view)?,
        purpose,
        // A number too large for the type is also over the API's limit, which the error of `Preferences::new` names.
        contacts_max: u8::try_from(wire.contacts_max).unwrap_or(u8::MAX),
        window_hours: u16::try_from(wire.window_hours).unwrap_or(u16::MAX),
    })
}

fn quiet_hours(wire: &v1::QuietHours, view: &CatalogueView) -> Result<QuietHours, ServiceError> {
    let channel = optional_channel(&wire.channel, view)?;
    Ok(QuietHours { channel, ..hours(wire)? })
}

/// The hours alone, whatever their channel.
pub(crate) fn hours(wire: &v1::QuietHours) -> Result<QuietHours, ServiceError> {
    let day = |number: &i32| {
        let day = chosen(*number, DayOfWeek::from_number).map_err(named("days"))?;
        day.ok_or_else(|| ServiceError::invalid("days", "expected days of the week"))
    };
    let time = |text: &str, field| text.parse::<LocalTime>().map_err(named(field));
    Ok(QuietHours {
        days: wire.days.iter().map(day).collect::<Result<BTreeSet<_>, _>>()?,
        begins: time(&wire.begins, "begins")?,
        ends: time(&wire.ends, "ends")?,
        channel: None,
    })
}

fn topic(wire: &v1::TopicPreference) -> Result<TopicPreference, ServiceError> {
    Ok(TopicPreference { topic: TopicId::new(&wire.topic)?, wanted: wire.wanted })
}

/// Whether an answer includes the customer's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    Given,
    LeftOut,
}

/// Stored preferences on the wire.
pub(super) fn wire(
    at: RecordVersion,
    preferences: &Preferences,
    addresses: Addresses,
    catalogue: &Catalogue,
) -> v1::Preferences {
    let channels = preferences.channels.iter().map(|preference| v1::ChannelPreference {
        channel: preference.channel.as_str().to_owned(),
        wanted: preference.wanted,
        unwanted_purposes: preference
            .unwanted_purposes
            .iter()
            .map(|purpose| purpose_name(*purpose, catalogue))
            .collect(),
        address: match addresses {
            Addresses::Given => text(preference.address.as_ref().map(|address| address.as_str())),
            Addresses::LeftOut => String::new(),
        },
    });
    let caps = preferences.frequency_caps.iter().map(|cap| v1::FrequencyCap {
        channel: text(cap.channel.as_ref().map(ContactChannel::as_str)),
        purpose: cap.purpose.map(|purpose| purpose_name(purpose, catalogue)).unwrap_or_default(),
        contacts_max: cap.contacts_max.into(),
        window_hours: cap.window_hours.into(),
    });
    let topics = preferences.topics.iter().map(|preference| v1::TopicPreference {
        topic: preference.topic.as_str().to_owned(),
        wanted: preference.wanted,
    });
    v1::Preferences {
        customer_id: at.customer.to_string(),
        language: text(preferences.language.as_ref().map(|language| language.as_str())),
        time_zone: text(preferences.time_zone.as_ref().map(TimeZoneName::as_str)),
        channels: channels.collect(),
        frequency_caps: caps.collect(),
        quiet_hours: preferences.quiet_hours.iter().map(hours_wire).collect(),
        topics: topics.collect(),
        etag: etag(at.revision),
    }
}

/// Stored quiet hours on the wire.
pub(crate) fn hours_wire(hours: &QuietHours) -> v1::QuietHours {
    v1::QuietHours {
        days: hours.days.iter().map(|day| day.number().into()).collect(),
        begins: hours.begins.to_string(),
        ends: hours.ends.to_string(),
        channel: text(hours.channel.as_ref().map(ContactChannel::as_str)),
    }
}
