//! The door of the data services: wire messages become types of `custodia-profile`, or an error that names the field.
//!
//! Must always hold: what comes out of here is valid by its types. What needs the catalogue (does the purpose exist,
//! is it in use) is asked later, on the leader.

use std::collections::BTreeMap;

use custodia_profile::{
    AffirmativeAct, AttributeName, Channel, Collector, ConsentMethod, CustomerId, DecidedBy, Event, EventId,
    EventName, Evidence, Language, LawfulBasis, NoticeId, Observation, Party, ProfileError, Properties,
    PropertyName, PurposeId, RequestId, Revision, SourceId, TimestampMs, Value,
    limits::{EVENTS_MAX, GRANTS_MAX, OBSERVATIONS_MAX, PROPERTIES_MAX},
};
use custodia_proto::v1;

use super::{
    error::{FieldFault, ServiceError},
    opaque::{parse_etag, unhex},
    time::{parse_optional, parse_timestamp},
};

/// What every ingest says about its data.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) purpose: PurposeId,
    pub(crate) source: SourceId,
    pub(crate) party: Party,
    pub(crate) basis: Option<LawfulBasis>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) events: Vec<Event>,
}

impl Collected {
    /// Dates what the caller left undated; nothing: it is dated when it is stored.
    pub(crate) fn date(&mut self, made_at: Option<TimestampMs>) {
        for observation in &mut self.observations {
            observation.observed_at = observation.observed_at.or(made_at);
        }
        for grant in &mut self.grants {
            grant.given_at = grant.given_at.or(made_at);
        }
    }
}

/// A consent that came with data.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) purpose: PurposeId,
    pub(crate) notice: NoticeId,
    pub(crate) method: ConsentMethod,
    pub(crate) collector: Option<Collector>,
    pub(crate) channel: Option<Channel>,
    pub(crate) proof: Proof,
    pub(crate) given_at: Option<TimestampMs>,
    pub(crate) expires_at: Option<TimestampMs>,
}

/// An IngestProfile or AppendEvents, but for the customer and the request id.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) collected: Collected,
    pub(crate) etag: Option<Revision>,
}

/// The parts of an IngestProfile.
pub(crate) fn ingest(request: v1::IngestProfileRequest) -> Result<Ingest, ServiceError> {
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
            events: events(request.events)?,
        },
    })
}

/// The parts of an AppendEvents.
pub(crate) fn append_events(request: v1::AppendEventsRequest) -> Result<Ingest, ServiceError> {
    if request.events.is_empty() {
        return Err(ServiceError::missing("events"));
    }
    Ok(Ingest {
        etag: None,
        collected: Collected {
            purpose: purpose(&request.purpose, "purpose")?,
            source: SourceId::new(&request.source).map_err(named("source"))?,
            party: party(request.party)?,
            basis: lawful_basis(request.lawful_basis)?,
            observations: Vec::new(),
            grants: Vec::new(),
            events: events(request.events)?,
        },
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

fn events(wire: Vec<v1::Event>) -> Result<Vec<Event>, ServiceError> {
    within_limit("events", wire.len(), EVENTS_MAX)?;
    each("events", &wire, event)
}

fn event(wire: &v1::Event) -> Result<Event, ServiceError> {
    within_limit("properties", wire.properties.len(), PROPERTIES_MAX)?;
    let occurred_at = wire.occurred_at.as_ref().ok_or_else(|| ServiceError::missing("occurred_at"))?;
    // By name, so that of several faults always the same one is reported.
    let by_name: BTreeMap<&String, &v1::Value> = wire.properties.iter().collect();
    let properties = by_name.into_iter().map(property).collect::<Result<_, _>>()?;
    Ok(Event {
        id: EventId::new("event_id", &wire.event_id)?,
        name: EventName::new("name", &wire.name)?,
        occurred_at: parse_timestamp(occurred_at, "occurred_at")?,
        channel: Channel::optional("channel", &wire.channel)?,
        properties: Properties::new(properties)?,
    })
}

/// The name of a property is the caller's own text and may say anything, so no error repeats it.
fn property((name, stated): (&String, &v1::Value)) -> Result<(PropertyName, Value), ServiceError> {
    let name = PropertyName::new("properties", name)?;
    Ok((name, value(stated).map_err(|error| error.named("properties"))?))
}

