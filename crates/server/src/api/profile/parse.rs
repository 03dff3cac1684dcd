//! Parses IngestProfile and AppendEvents: types of `custodia-profile`, or an error that names the field.
//!
//! Invariant: what is returned is valid by its types. Only the numbers of purposes come from the catalogue; whether
//! one is in use is checked later, on the leader.

use custodia_profile::{
    AttributeName, Channel, Collector, Decision, Event, EventId, EventName, GroundStatus,
    IdentifierObservation, LawfulBasis, NamespaceId, NoticeId, Observation, Observations, Party, Properties,
    PropertyName, PurposeId, PurposeNumber, Recording, Reference, Revision, SourceId, TimestampMs, Value,
    check_observations,
    limits::{EVENTS_MAX, GRANTS_MAX, IDENTIFIERS_MAX, OBSERVATIONS_MAX, PROPERTIES_MAX},
};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    identity::{Role, RoleSet},
    shard::WriteAccess,
    wire::{
        ServiceError, now, observed_at,
        parse::{
            chosen, consent_method, each, lawful_basis, named, proof, purpose, recording, value, within_limit,
        },
        parse_etag, parse_optional, parse_timestamp,
    },
};

/// Finds the number of a purpose of the request.
pub(super) type Numbers<'a> = &'a dyn Fn(&PurposeId) -> Result<PurposeNumber, ServiceError>;

/// Parses an IngestProfile by a caller with these roles, without customer and request id, and its etag.
pub(super) fn ingest(
    request: &v1::IngestProfileRequest,
    roles: RoleSet,
    numbers: Numbers<'_>,
) -> Result<(Observations, Option<Revision>), ServiceError> {
    within_limit("observations", request.observations.len(), OBSERVATIONS_MAX)?;
    within_limit("consents", request.consents.len(), GRANTS_MAX)?;
    within_limit("identifiers", request.identifiers.len(), IDENTIFIERS_MAX)?;
    let etag = parse_etag(&request.etag)?;
    let purpose = purpose(&request.purpose, "purpose")?;
    let observations = Observations {
        source: SourceId::new(&request.source).map_err(named("source"))?,
        party: party(request.party)?,
        basis: lawful_basis(request.lawful_basis)?,
        observations: each("observations", &request.observations, observation)?,
        grants: each("consents", &request.consents, |wire| grant(wire, roles, numbers))?,
        identifiers: each("identifiers", &request.identifiers, identifier)?,
        events: events(&request.events)?,
        purpose: numbers(&purpose)?,
    };
    Ok((observations, etag))
}

/// Parses an AppendEvents.
pub(super) fn append_events(
    request: &v1::AppendEventsRequest,
    numbers: Numbers<'_>,
) -> Result<Observations, ServiceError> {
    if request.events.is_empty() {
        return Err(ServiceError::missing("events"));
    }
    let purpose = purpose(&request.purpose, "purpose")?;
    Ok(Observations {
        source: SourceId::new(&request.source).map_err(named("source"))?,
        party: party(request.party)?,
        basis: lawful_basis(request.lawful_basis)?,
        observations: Vec::new(),
        grants: Vec::new(),
        identifiers: Vec::new(),
        events: events(&request.events)?,
        purpose: numbers(&purpose)?,
    })
}

/// Dates undated items; with `None` they get the time at which they are stored. A consent has the date of its request, however
/// late that comes: otherwise it would beat a later one.
pub(super) fn date(collected: &mut Observations, made_at: Option<TimestampMs>) {
    let observed_at = made_at.map(|made_at| observed_at(made_at, now()));
    for observation in &mut collected.observations {
        observation.observed_at = observation.observed_at.or(observed_at);
    }
    for identifier in &mut collected.identifiers {
        identifier.observed_at = identifier.observed_at.or(observed_at);
    }
    for grant in &mut collected.grants {
        grant.decided_at = grant.decided_at.or(made_at);
    }
}

/// Whoever collects the data must be registered for its purpose, and for those of the consents that come with it.
pub(super) fn access(collected: &Observations) -> WriteAccess {
    let grants = collected.grants.iter().map(|grant| grant.purpose);
    WriteAccess::Collect(std::iter::once(collected.purpose).chain(grants).collect())
}

/// Checks what does not depend on the customer; names a consent at fault as the request calls it.
pub(super) fn check(collected: &Observations, view: &CatalogueView) -> Result<(), ServiceError> {
    check_observations(collected, &view.catalogue, now()).map_err(|(grant, error)| match grant {
        Some(at) => {
            let named = |field: &str| (field == "decided_at").then(|| "given_at".to_owned());
            ServiceError::from(error).renamed(named).within(&format!("consents[{at}]"))
        }
        None => error.into(),
    })
}

fn party(number: i32) -> Result<Party, ServiceError> {
    chosen(number, Party::from_number).map(Option::unwrap_or_default).map_err(named("party"))
}

fn identifier(wire: &v1::IdentifierObservation) -> Result<IdentifierObservation, ServiceError> {
    Ok(IdentifierObservation {
        namespace: NamespaceId::new(&wire.namespace).map_err(named("namespace"))?,
        value: wire.value.clone(),
        observed_at: parse_optional(wire.observed_at.as_ref(), "observed_at")?,
    })
}

fn observation(wire: &v1::Observation) -> Result<Observation, ServiceError> {
    let stated = wire.value.as_ref().ok_or_else(|| ServiceError::missing("value"))?;
    Ok(Observation {
        attribute: AttributeName::new(&wire.attribute).map_err(named("attribute"))?,
        value: value(stated)?,
        observed_at: parse_optional(wire.observed_at.as_ref(), "observed_at")?,
    })
}

/// A consent, or another ground, that came with the data. Whoever loads files of data imports the grounds in them.
fn grant(wire: &v1::ConsentGrant, roles: RoleSet, numbers: Numbers<'_>) -> Result<Decision, ServiceError> {
    let purpose = purpose(&wire.purpose, "purpose")?;
    let proof = proof(wire.evidence.as_ref()).map_err(|error| error.within("evidence"))?;
    let basis = lawful_basis(wire.lawful_basis)?.unwrap_or(LawfulBasis::Consent);
    let method = consent_method(wire.method)?;
    if basis == LawfulBasis::Consent && wire.notice_version.is_empty() {
        return Err(ServiceError::missing("notice_version"));
    }
    if basis == LawfulBasis::Consent && method.is_none() {
        return Err(ServiceError::missing("method"));
    }
    let recording = recording(wire.recording, roles, Role::Ingest)?;
    if recording == Recording::Imported && wire.given_at.is_none() {
        return Err(ServiceError::missing("given_at"));
    }
    Ok(Decision {
        basis,
        status: GroundStatus::Given,
        recording,
        notice: NoticeId::optional("notice_version", &wire.notice_version)?,
        method,
        evidence: proof.evidence,
        bundled: proof.bundled,
        collector: Collector::optional("collector", &wire.collector)?,
        reference: Reference::optional("reference", &wire.reference)?,
        channel: Channel::optional("channel", &wire.channel)?,
        decided_at: parse_optional(wire.given_at.as_ref(), "given_at")?,
        valid_from: parse_optional(wire.valid_from.as_ref(), "valid_from")?,
        expires_at: parse_optional(wire.expires_at.as_ref(), "expires_at")?,
        purpose: numbers(&purpose)?,
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
