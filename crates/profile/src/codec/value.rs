//! Owns the bytes of values and events.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

use super::{Field, Intact, Stored, frame, unframe};
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

impl Field for Value {
    type Wire = WireValue;

    fn to_wire(&self) -> WireValue {
        match self {
            Self::Text(text) => WireValue::Text(text.as_str().to_owned()),
            Self::Integer(number) => WireValue::Integer(*number),
            Self::Decimal(number) => WireValue::Decimal(number.as_f64()),
            Self::Boolean(truth) => WireValue::Boolean(*truth),
            Self::Date(date) => WireValue::Days(date.as_days()),
            Self::Timestamp(moment) => WireValue::TimestampMs(moment.as_ms()),
        }
    }

    fn from_wire(wire: WireValue, kind: &'static str, field: &'static str) -> Result<Self, ProfileError> {
        let value = match wire {
            WireValue::Text(text) => Text::from_string(text).map(Self::Text),
            WireValue::Integer(number) => Ok(Self::Integer(number)),
            WireValue::Decimal(number) => Self::decimal(number),
            WireValue::Boolean(truth) => Ok(Self::Boolean(truth)),
            WireValue::Days(days) => Date::from_days(days).map(Self::Date),
            WireValue::TimestampMs(ms) => Ok(Self::Timestamp(TimestampMs::from_ms(ms))),
        };
        value.intact(kind, field)
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
            name: name.to_wire(),
            value: Some(value.to_wire()),
        };
        frame(&WireEvent {
            id: id.to_wire(),
            name: name.to_wire(),
            occurred_at: occurred_at.to_wire(),
            channel: channel.to_wire(),
            properties: properties.as_map().iter().map(property).collect(),
            source: source.to_wire(),
            observed_at: observed_at.to_wire(),
            recorded_at: recorded_at.to_wire(),
            purpose: purpose.to_wire(),
            basis: basis.to_wire(),
            party: party.to_wire(),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireEvent = unframe(KIND, bytes)?;
        let mut properties = BTreeMap::new();
        for WireProperty { name, value } in wire.properties {
            let name = Label::from_wire(name, KIND, "property name")?;
            let value = Value::from_wire(value.intact(KIND, "property value")?, KIND, "value")?;
            properties.insert(name, value);
        }
        Ok(Self {
            event: Event {
                id: Label::from_wire(wire.id, KIND, "id")?,
                name: Label::from_wire(wire.name, KIND, "name")?,
                occurred_at: TimestampMs::from_ms(wire.occurred_at),
                channel: Option::from_wire(wire.channel, KIND, "channel")?,
                properties: Properties::new(properties).intact(KIND, "properties")?,
            },
            provenance: Provenance {
                source: SourceId::from_wire(wire.source, KIND, "source")?,
                observed_at: TimestampMs::from_ms(wire.observed_at),
                recorded_at: TimestampMs::from_ms(wire.recorded_at),
                purpose: PurposeNumber::from_wire(wire.purpose, KIND, "purpose")?,
                basis: LawfulBasis::from_wire(wire.basis, KIND, "basis")?,
                party: Party::from_wire(wire.party, KIND, "party")?,
            },
        })
    }
}
