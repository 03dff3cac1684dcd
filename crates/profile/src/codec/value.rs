//! Owns the bytes of values and events.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

use super::{Intact, Stored, byte, frame, unframe};
use crate::{
    error::ProfileError,
    event::{Event, Properties, StoredEvent},
    ground::LawfulBasis,
    id::{PurposeNumber, SourceId, TimestampMs},
    label::Label,
    provenance::{Party, Provenance},
    value::{Date, Text, Value},
};

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum WireValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(sint64, tag = "2")]
    Integer(i64),
    #[prost(double, tag = "3")]
    Decimal(f64),
    #[prost(bool, tag = "4")]
    Boolean(bool),
    #[prost(sint32, tag = "5")]
    Days(i32),
    #[prost(sint64, tag = "6")]
    TimestampMs(i64),
}

impl WireValue {
    pub(super) fn from_value(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.as_str().to_owned()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Decimal(number) => Self::Decimal(number.as_f64()),
            Value::Boolean(truth) => Self::Boolean(*truth),
            Value::Date(date) => Self::Days(date.as_days()),
            Value::Timestamp(moment) => Self::TimestampMs(moment.as_ms()),
        }
    }

    pub(super) fn into_value(self, kind: &'static str) -> Result<Value, ProfileError> {
        let value = match self {
            Self::Text(text) => Text::from_string(text).map(Value::Text),
            Self::Integer(number) => Ok(Value::Integer(number)),
            Self::Decimal(number) => Value::decimal(number),
            Self::Boolean(truth) => Ok(Value::Boolean(truth)),
            Self::Days(days) => Date::from_days(days).map(Value::Date),
            Self::TimestampMs(ms) => Ok(Value::Timestamp(TimestampMs::from_ms(ms))),
        };
        value.intact(kind, "value")
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireProperty {
    #[prost(string, tag = "7")]
    name: String,
    #[prost(oneof = "WireValue", tags = "1, 2, 3, 4, 5, 6")]
    value: Option<WireValue>,
}

#[derive(Clone, PartialEq, Message)]
struct WireEvent {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(sint64, tag = "3")]
    occurred_at: i64,
    #[prost(string, tag = "4")]
    channel: String,
    #[prost(message, repeated, tag = "5")]
    properties: Vec<WireProperty>,
    #[prost(string, tag = "6")]
    source: String,
    #[prost(sint64, tag = "7")]
    observed_at: i64,
    #[prost(sint64, tag = "8")]
    recorded_at: i64,
    #[prost(uint32, tag = "9")]
    purpose: u32,
    #[prost(uint32, tag = "10")]
    basis: u32,
    #[prost(uint32, tag = "11")]
    party: u32,
}

const KIND: &str = "event";

impl Stored for StoredEvent {
    fn encode(&self) -> Vec<u8> {
        let Event { id, name, occurred_at, channel, properties } = &self.event;
        let Provenance { source, observed_at, recorded_at, purpose, basis, party } = &self.provenance;
        let property = |(name, value): (&Label<64>, &Value)| WireProperty {
            name: name.as_str().to_owned(),
            value: Some(WireValue::from_value(value)),
        };
        frame(&WireEvent {
            id: id.as_str().to_owned(),
            name: name.as_str().to_owned(),
            occurred_at: occurred_at.as_ms(),
            channel: channel.as_ref().map_or_else(String::new, |channel| channel.as_str().to_owned()),
            properties: properties.as_map().iter().map(property).collect(),
            source: source.as_str().to_owned(),
            observed_at: observed_at.as_ms(),
            recorded_at: recorded_at.as_ms(),
            purpose: purpose.as_u32(),
            basis: basis.number().into(),
            party: party.number().into(),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireEvent = unframe(KIND, bytes)?;
        let mut properties = BTreeMap::new();
        for WireProperty { name, value } in wire.properties {
            let name = Label::new("name", &name).intact(KIND, "property name")?;
            let value = value.intact(KIND, "property value")?.into_value(KIND)?;
            properties.insert(name, value);
        }
        Ok(Self {
            event: Event {
                id: Label::new("id", &wire.id).intact(KIND, "id")?,
                name: Label::new("name", &wire.name).intact(KIND, "name")?,
                occurred_at: TimestampMs::from_ms(wire.occurred_at),
                channel: Label::optional("channel", &wire.channel).intact(KIND, "channel")?,
                properties: Properties::new(properties).intact(KIND, "properties")?,
            },
            provenance: Provenance {
                source: SourceId::new(&wire.source).intact(KIND, "source")?,
                observed_at: TimestampMs::from_ms(wire.observed_at),
                recorded_at: TimestampMs::from_ms(wire.recorded_at),
                purpose: PurposeNumber::new(wire.purpose).intact(KIND, "purpose")?,
                basis: LawfulBasis::from_number(byte(wire.basis)).intact(KIND, "basis")?,
                party: Party::from_number(byte(wire.party)).intact(KIND, "party")?,
            },
        })
    }
}
