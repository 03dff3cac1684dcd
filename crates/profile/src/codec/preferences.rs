//! Owns the bytes of a customer's preferences, contacts and consent strings: messages embedded in the core record, absent if
//! nothing is recorded.

use std::collections::BTreeMap;

use prost::Message;
use uuid::Uuid;

use super::{Field, Intact, field::message};
use crate::{
    contact_log::{ContactLog, MadeContact},
    error::ProfileError,
    iab::{StoredGppString, StoredTcString},
    id::{PurposeNumber, RequestId, TimestampMs},
    preferences::{
        ChannelPreference, ContactChannel, FrequencyCap, PreferenceFields, Preferences, QuietHours,
        TopicPreference,
    },
};

message! {
    ChannelPreference as WireChannel {
        1 [string] channel: String;
        2 [bool] wanted: bool;
        3 [string] address: String;
        4 [uint32, repeated] unwanted_purposes: Vec<u32>, "purpose";
    }
}

message! {
    FrequencyCap as WireCap {
        1 [string] channel: String;
        2 [uint32] purpose: u32;
        3 [uint32] contacts_max: u32, "frequency cap";
        4 [uint32] window_hours: u32, "frequency cap";
    }
}

message! {
    QuietHours as WireQuietHours {
        1 [uint32, repeated] days: Vec<u32>, "day of week";
        // Minutes after midnight.
        2 [uint32] begins: u32, "local time";
        3 [uint32] ends: u32, "local time";
        4 [string] channel: String;
    }
}

message! {
    TopicPreference as WireTopic {
        1 [string] topic: String;
        2 [bool] wanted: bool;
    }
}

message! {
    PreferenceFields as WirePreferences {
        1 [string] language: String;
        2 [string] time_zone: String, "time zone";
        3 [message, repeated] channels: Vec<WireChannel>;
        4 [message, repeated] frequency_caps: Vec<WireCap>;
        5 [message, repeated] quiet_hours: Vec<WireQuietHours>;
        6 [message, repeated] topics: Vec<WireTopic>;
    }
}

/// None if there are none.
impl Field for Preferences {
    type Wire = Option<WirePreferences>;

    fn to_wire(&self) -> Self::Wire {
        (!self.is_empty()).then(|| PreferenceFields::to_wire(self))
    }

    fn from_wire(wire: Self::Wire, kind: &'static str, field: &'static str) -> Result<Self, ProfileError> {
        let Some(wire) = wire else { return Ok(Self::default()) };
        Self::new(PreferenceFields::from_wire(wire, kind, field)?).intact(kind, field)
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireContacts {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(uint32, tag = "2")]
    purpose: u32,
    #[prost(sint64, repeated, tag = "3")]
    moments: Vec<i64>,
    /// Of each moment the request that recorded it, 16 bytes, zeros where it had no id; empty if none had one.
    #[prost(bytes = "vec", tag = "4")]
    requests: Vec<u8>,
}

const NO_REQUEST: [u8; 16] = [0; 16];

impl WireContacts {
    fn of(channel: &ContactChannel, purpose: PurposeNumber, made: &[MadeContact]) -> Self {
        let mut requests = Vec::new();
        if made.iter().any(|contact| contact.request.is_some()) {
            let ids = made.iter().map(|contact| contact.request.map_or(NO_REQUEST, |id| *id.as_bytes()));
            requests = ids.collect::<Vec<_>>().concat();
        }
        let moments = made.iter().map(|contact| contact.at.as_ms()).collect();
        Self { channel: channel.to_wire(), purpose: purpose.to_wire(), moments, requests }
    }

    /// Nothing if there is not one request for each moment.
    fn made(moments: &[i64], requests: &[u8]) -> Option<Vec<MadeContact>> {
        let (ids, rest) = requests.as_chunks::<16>();
        if !rest.is_empty() || !(ids.is_empty() || ids.len() == moments.len()) {
            return None;
        }
        let ids = ids.iter().copied().chain(std::iter::repeat(NO_REQUEST));
        // The nil UUID is no id.
        let request = |id: [u8; 16]| RequestId::new(Uuid::from_bytes(id)).ok();
        let made = moments.iter().zip(ids);
        Some(
            made.map(|(at, id)| MadeContact { at: TimestampMs::from_ms(*at), request: request(id) })
                .collect(),
        )
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireContactLog {
    #[prost(message, repeated, tag = "1")]
    contacts: Vec<WireContacts>,
    #[prost(sint64, optional, tag = "2")]
    forgotten_until: Option<i64>,
}

/// None if it is empty.
impl Field for ContactLog {
    type Wire = Option<WireContactLog>;

    fn to_wire(&self) -> Self::Wire {
        let contacts =
            self.contacts().map(|(channel, purpose, made)| WireContacts::of(channel, purpose, made));
        (!self.is_empty()).then(|| WireContactLog {
            contacts: contacts.collect(),
            forgotten_until: self.forgotten_until().to_wire(),
        })
    }

    fn from_wire(wire: Self::Wire, kind: &'static str, field: &'static str) -> Result<Self, ProfileError> {
        let Some(wire) = wire else { return Ok(Self::default()) };
        let mut contacts = BTreeMap::new();
        let corrupt = ProfileError::CorruptField { kind, field };
        for WireContacts { channel, purpose, moments, requests } in wire.contacts {
            let channel = ContactChannel::from_wire(channel, kind, "channel")?;
            let purpose = PurposeNumber::from_wire(purpose, kind, "purpose")?;
            let made = WireContacts::made(&moments, &requests).ok_or_else(|| corrupt.clone())?;
            if contacts.insert((channel, purpose), made).is_some() {
                return Err(corrupt);
            }
        }
        Self::stored(contacts, wire.forgotten_until.map(TimestampMs::from_ms)).intact(kind, field)
    }
}

message! {
    StoredTcString as WireTcString {
        1 [string] text: String, "TC string";
        2 [sint64] recorded_at: i64;
    }
}

message! {
    StoredGppString as WireGppString {
        1 [string] text: String, "GPP string";
        2 [sint64] recorded_at: i64;
    }
}
