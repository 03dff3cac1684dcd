//! Converts preferences between the wire and `custodia-profile`.
//!
//! Invariant: what is returned is valid by its types, an error names the field below `preferences`, and an answer has
//! addresses only if the handler asks for them.

use std::collections::BTreeSet;

use custodia_profile::{
    Address, Catalogue, ChannelPreference, ContactChannel, DayOfWeek, FrequencyCap, Language, LocalTime,
    PreferenceFields, Preferences, QuietHours, TimeZoneName, TopicId, TopicPreference,
};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    wire::{
        ServiceError,
        convert::{RecordVersion, purpose_name, text},
        etag,
        parse::{self, chosen, each, named},
    },
};

/// Parses preferences, with purpose names resolved in the catalogue.
pub(super) fn preferences(wire: &v1::Preferences, view: &CatalogueView) -> Result<Preferences, ServiceError> {
    let time_zone = &wire.time_zone;
    Ok(Preferences::new(PreferenceFields {
        language: Language::optional("language", &wire.language)?,
        time_zone: (!time_zone.is_empty()).then(|| TimeZoneName::new(time_zone)).transpose()?,
        channels: each("channels", &wire.channels, channel)?,
        frequency_caps: each("frequency_caps", &wire.frequency_caps, |cap| frequency_cap(cap, view))?,
        quiet_hours: each("quiet_hours", &wire.quiet_hours, quiet_hours)?,
        topics: each("topics", &wire.topics, topic)?,
    })?)
}

fn channel(wire: &v1::ChannelPreference) -> Result<ChannelPreference, ServiceError> {
    Ok(ChannelPreference {
        channel: ContactChannel::new("channel", &wire.channel)?,
        wanted: wire.wanted,
        address: Address::optional("address", &wire.address)?,
    })
}

fn frequency_cap(wire: &v1::FrequencyCap, view: &CatalogueView) -> Result<FrequencyCap, ServiceError> {
    let purpose = match wire.purpose.as_str() {
        "" => None,
        name => Some(view.purpose_number(&parse::purpose(name, "purpose")?, "purpose")?),
    };
    Ok(FrequencyCap {
        channel: ContactChannel::optional("channel", &wire.channel)?,
        purpose,
        // A number too large for the type is also over the API's limit, which the error of `Preferences::new` names.
        contacts_max: u8::try_from(wire.contacts_max).unwrap_or(u8::MAX),
        window_hours: u16::try_from(wire.window_hours).unwrap_or(u16::MAX),
    })
}

fn quiet_hours(wire: &v1::QuietHours) -> Result<QuietHours, ServiceError> {
    let day = |number: &i32| {
        let day = chosen(*number, DayOfWeek::from_number).map_err(named("days"))?;
        day.ok_or_else(|| ServiceError::invalid("days", "expected days of the week"))
    };
    let time = |text: &str, field| text.parse::<LocalTime>().map_err(named(field));
    Ok(QuietHours {
        days: wire.days.iter().map(day).collect::<Result<BTreeSet<_>, _>>()?,
        begins: time(&wire.begins, "begins")?,
        ends: time(&wire.ends, "ends")?,
        channel: ContactChannel::optional("channel", &wire.channel)?,
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
    let hours = preferences.quiet_hours.iter().map(|hours| v1::QuietHours {
        days: hours.days.iter().map(|day| day.number().into()).collect(),
        begins: hours.begins.to_string(),
        ends: hours.ends.to_string(),
        channel: text(hours.channel.as_ref().map(ContactChannel::as_str)),
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
        quiet_hours: hours.collect(),
        topics: topics.collect(),
        etag: etag(at.revision),
    }
}
