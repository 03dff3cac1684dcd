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
    /// Dates what the caller left undated; nothing: it is dated when it is stored.
    pub(super) fn date(&mut self, made_at: Option<TimestampMs>) {
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

/// What was done to decide.
#[derive(Debug, Default)]
pub(super) struct Proof {
    pub(super) evidence: Option<Evidence>,
    /// The same act answered for other purposes as well.
    pub(super) bundled: bool,
}

/// An IngestProfile or AppendEvents, but for the customer and the request id.
#[derive(Debug)]
pub(super) struct Ingest {
    pub(super) collected: Collected,
    pub(super) etag: Option<Revision>,
}

/// The profile crate's refusal of the field `name`.
pub(super) fn named<'a>(name: &'a str) -> impl Fn(ProfileError) -> ServiceError + 'a {
    move |error| ServiceError::from(error).named(name)
}

/// The customer that the field `customer_id` names.
pub(super) fn customer_id(text: &str) -> Result<CustomerId, ServiceError> {
    if text.is_empty() {
        return Err(ServiceError::missing("customer_id"));
    }
    text.parse().map_err(named("customer_id"))
}

/// The purpose that the field `name` names.
pub(super) fn purpose(text: &str, name: &str) -> Result<PurposeId, ServiceError> {
    PurposeId::new(text).map_err(named(name))
}

/// The request id, where the field `request_id` is set.
pub(super) fn request_id(text: &str) -> Result<Option<RequestId>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(named("request_id"))
}

/// The lawful basis, where the field `lawful_basis` is set.
pub(super) fn lawful_basis(number: i32) -> Result<Option<LawfulBasis>, ServiceError> {
    chosen(number, LawfulBasis::from_number).map_err(named("lawful_basis"))
}

/// The method of consent, where the field `method` is set.
pub(super) fn consent_method(number: i32) -> Result<Option<ConsentMethod>, ServiceError> {
    chosen(number, ConsentMethod::from_number).map_err(named("method"))
}

/// The member of an enum, where it is not the unspecified one.
pub(super) fn chosen<T>(
    number: i32,
    member: impl Fn(u8) -> Result<T, ProfileError>,
) -> Result<Option<T>, ProfileError> {
    // No enum of ours has 255 members, so that a number out of range is refused as an unknown one.
    if number == 0 { Ok(None) } else { member(u8::try_from(number).unwrap_or(u8::MAX)).map(Some) }
}

/// The attributes of a read mask; nothing where all are meant.
pub(super) fn read_mask(
    mask: Option<&prost_types::FieldMask>,
) -> Result<Option<Vec<AttributeName>>, ServiceError> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(None) };
    within_limit("read_mask", mask.paths.len(), custodia_profile::limits::ATTRIBUTES_MAX)?;
    let name = |path: &String| AttributeName::new(path).map_err(named("read_mask"));
    mask.paths.iter().map(name).collect::<Result<_, _>>().map(Some)
}

/// The parts of an IngestProfile.
pub(super) fn ingest(request: v1::IngestProfileRequest) -> Result<Ingest, ServiceError> {
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
pub(super) fn append_events(request: v1::AppendEventsRequest) -> Result<Ingest, ServiceError> {
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

/// A list's length against its limit.
pub(super) fn within_limit(field: &str, count: usize, limit: usize) -> Result<(), ServiceError> {
    if count > limit { Err(ServiceError::field(field, FieldFault::TooMany(limit))) } else { Ok(()) }
}

/// Each entry of a list, with its place in the path of an error.
pub(super) fn each<W, T>(
    field: &str,
    list: &[W],
    parse: impl Fn(&W) -> Result<T, ServiceError>,
) -> Result<Vec<T>, ServiceError> {
    let entry = |(at, wire)| parse(wire).map_err(|error| error.within(&format!("{field}[{at}]")));
    list.iter().enumerate().map(entry).collect()
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

/// The evidence of a decision; its errors name fields of the evidence.
pub(super) fn proof(wire: Option<&v1::ConsentEvidence>) -> Result<Proof, ServiceError> {
    let Some(wire) = wire else { return Ok(Proof::default()) };
    let decided_by = chosen(wire.decided_by, DecidedBy::from_number).map_err(named("decided_by"))?;
    let evidence = Evidence {
        act: chosen(wire.act, AffirmativeAct::from_number).map_err(named("act"))?,
        statement_sha256: sha256("statement_sha256", &wire.statement_sha256)?,
        language: Language::optional("language", &wire.language)?,
        decided_by: decided_by.unwrap_or_default(),
    };
    Ok(Proof { evidence: evidence.or_nothing(), bundled: wire.bundled })
}

/// A SHA-256 in hex, where the field is set.
pub(super) fn sha256(field: &str, text: &str) -> Result<Option<[u8; 32]>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let hash = unhex(text).and_then(|bytes| bytes.try_into().ok());
    hash.map(Some).ok_or_else(|| ServiceError::invalid(field, "expected 64 hex digits"))
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

/// A value that a caller states.
pub(super) fn value(wire: &v1::Value) -> Result<Value, ServiceError> {
    use v1::value::Kind;
    let kind = wire.kind.as_ref().ok_or_else(|| ServiceError::missing("value"))?;
    Ok(match kind {
        Kind::Text(text) => Value::text(text)?,
        Kind::Integer(number) => Value::Integer(*number),
        Kind::Decimal(number) => Value::decimal(*number)?,
        Kind::Boolean(yes) => Value::Boolean(*yes),
        Kind::Date(text) => Value::Date(text.parse().map_err(named("value"))?),
        Kind::Timestamp(timestamp) => Value::Timestamp(parse_timestamp(timestamp, "value")?),
    })
}
