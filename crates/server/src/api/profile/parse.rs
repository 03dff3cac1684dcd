//! Parses IngestProfile and AppendEvents: types of `custodia-profile`, or an error that names the field.
//!
//! Invariant: what is returned is valid by its types. Whatever needs the catalogue (does the purpose exist, is it in
//! use) is checked later, on the leader.

use custodia_profile::{
    AttributeName, Channel, Collector, ConsentMethod, Event, EventId, EventName, LawfulBasis, NoticeId,
    Observation, Party, Properties, PropertyName, PurposeId, Revision, SourceId, TimestampMs, Value,
    limits::{EVENTS_MAX, GRANTS_MAX, OBSERVATIONS_MAX, PROPERTIES_MAX},
};
use custodia_proto::v1;

use crate::wire::{
    ServiceError,
    parse::{Proof, chosen, consent_method, each, lawful_basis, named, proof, purpose, value, within_limit},
    parse_etag, parse_optional, parse_timestamp,
};

/// The fields that every ingest has.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) purpose: PurposeId,
    pub(super) source: SourceId,
    pub(super) party: Party,
    pub(super) basis: Option<LawfulBasis>,
    pub(super) observations: Vec<Observation>,
    pub(super) grants: Vec<Grant>,
    pub(super) events: Vec<Event>,
}

impl Collected {
    /// Dates undated items; with `None` they get the time at which they are stored.
    pub(super) fn date(&mut self, made_at: Option<TimestampMs>) {
        for observation in &mut self.observations {
            observation.observed_at = observation.observed_at.or(made_at);
        }
        for grant in &mut self.grants {
            grant.given_at = grant.given_at.or(made_at);
        }
    }
}

/// A consent that came with the data.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) purpose: PurposeId,
    pub(super) notice: NoticeId,
    pub(super) method: ConsentMethod,
    pub(super) collector: Option<Collector>,
    pub(super) channel: Option<Channel>,
    pub(super) proof: Proof,
    pub(super) given_at: Option<TimestampMs>,
    pub(super) expires_at: Option<TimestampMs>,
}

/// An IngestProfile, without customer and request id.
#[derive(Debug)]
pub(super) struct Ingest {
    pub(super) collected: Collected,
    pub(super) etag: Option<Revision>,
}

/// Parses an IngestProfile.
pub(super) fn ingest(request: &v1::IngestProfileRequest) -> Result<Ingest, ServiceError> {
    within_limit("observations", request.observations.len(), OBSERVATIONS_MAX)?;
    within_limit("consents", request.consents.len(), GRANTS_MAX)?;
    Ok(Ingest {
        etag: parse_etag(&request.etag)?,
        collected: Collected {
            purpose: purpose(&request.purpose, "purpose")?,
            source: SourceId::new(&request.source).map_err(named("source"))?,
            party: party(request.party)?,
            basis: lawful_basis(request.lawful_basis)?,
            observations: each("observations", &request.observations, observation)?,
            grants: each("consents", &request.consents, grant)?,
            events: events(&request.events)?,
        },
    })
}

/// Parses an AppendEvents.
pub(super) fn append_events(request: &v1::AppendEventsRequest) -> Result<Collected, ServiceError> {
    if request.events.is_empty() {
        return Err(ServiceError::missing("events"));
    }
    Ok(Collected {
        purpose: purpose(&request.purpose, "purpose")?,
        source: SourceId::new(&request.source).map_err(named("source"))?,
        party: party(request.party)?,
        basis: lawful_basis(request.lawful_basis)?,
        observations: Vec::new(),
        grants: Vec::new(),
        events: events(&request.events)?,
    })
}

fn party(number: i32) -> Result<Party, ServiceError> {
    chosen(number, Party::from_number).map(Option::unwrap_or_default).map_err(named("party"))
}

fn observation(wire: &v1::Observation) -> Result<Observation, ServiceError> {
    let stated = wire.value.as_ref().ok_or_else(|| ServiceError::missing("value"))?;
    Ok(Observation {
        attribute: AttributeName::new(&wire.attribute).map_err(named("attribute"))?,
        value: value(stated)?,
        observed_at: parse_optional(wire.observed_at.as_ref(), "observed_at")?,
    })
}

fn grant(wire: &v1::ConsentGrant) -> Result<Grant, ServiceError> {
    Ok(Grant {
        purpose: purpose(&wire.purpose, "purpose")?,
        notice: NoticeId::new("notice_version", &wire.notice_version)?,
        method: consent_method(wire.method)?.ok_or_else(|| ServiceError::missing("method"))?,
        collector: Collector::optional("collector", &wire.collector)?,
        channel: Channel::optional("channel", &wire.channel)?,
        proof: proof(wire.evidence.as_ref()).map_err(|error| error.within("evidence"))?,
        given_at: parse_optional(wire.given_at.as_ref(), "given_at")?,
        expires_at: parse_optional(wire.expires_at.as_ref(), "expires_at")?,
    })
}

fn events(wire: &[v1::Event]) -> Result<Vec<Event>, ServiceError> {
    within_limit("events", wire.len(), EVENTS_MAX)?;
    each("events", wire, event)
}

fn event(wire: &v1::Event) -> Result<Event, ServiceError> {
    within_limit("properties", wire.properties.len(), PROPERTIES_MAX)?;
    let occurred_at = wire.occurred_at.as_ref().ok_or_else(|| ServiceError::missing("occurred_at"))?;
    let properties = wire.properties.iter().map(property).collect::<Result<_, _>>()?;
    Ok(Event {
        id: EventId::new("event_id", &wire.event_id)?,
        name: EventName::new("name", &wire.name)?,
        occurred_at: parse_timestamp(occurred_at, "occurred_at")?,
        channel: Channel::optional("channel", &wire.channel)?,
        properties: Properties::new(properties)?,
    })
}

/// Errors do not repeat a property's name: it is the caller's free text and may contain personal data.
fn property((name, stated): (&String, &v1::Value)) -> Result<(PropertyName, Value), ServiceError> {
    let name = PropertyName::new("properties", name)?;
    Ok((name, value(stated).map_err(|error| error.named("properties"))?))
}
