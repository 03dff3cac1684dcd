//! Owns interactions: purchase, call, visit. Always: append-only; the same event again changes nothing; the same id
//! with different content is refused.

use std::collections::BTreeMap;

use crate::{
    error::ProfileError,
    id::TimestampMs,
    label::{Channel, EventId, EventName, PropertyName},
    limits::PROPERTIES_MAX,
    provenance::Provenance,
    value::Value,
};

/// The properties of an event: at most 64, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(BTreeMap<PropertyName, Value>);

impl Properties {
    /// Checks the properties.
    ///
    /// # Errors
    /// `TooMany` above the limit.
    pub fn new(properties: BTreeMap<PropertyName, Value>) -> Result<Self, ProfileError> {
        if properties.len() > PROPERTIES_MAX {
            return Err(ProfileError::TooMany { field: "properties", count_max: PROPERTIES_MAX });
        }
        Ok(Self(properties))
    }

    /// The properties by name.
    #[must_use]
    pub const fn as_map(&self) -> &BTreeMap<PropertyName, Value> {
        &self.0
    }
}

/// One interaction as the source reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The source's id.
    pub id: EventId,
    /// The name after the Segment spec, e.g. `Order Completed`.
    pub name: EventName,
    /// When it happened.
    pub occurred_at: TimestampMs,
    /// Through which channel.
    pub channel: Option<Channel>,
    /// What else is known.
    pub properties: Properties,
}

/// One interaction as it is stored. Its provenance's `observed_at` is the moment at which it occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The interaction.
    pub event: Event,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl StoredEvent {
    /// Whether both are the same event for the same purpose, whoever sent it and whenever. The purpose decides who may
    /// see an event, so the same event for another purpose is a different one.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.event == other.event && self.provenance.purpose == other.provenance.purpose
    }
}
