//! Types of matters and traits on the wire, both ways: definitions of what a customer's events add up to.

use custodia_profile::{
    Catalogue, EventName, MatterType, MatterTypeFields, MatterTypeId, PropertyName, Revision, TraitAggregate,
    TraitDefinition, TraitFields, TraitId,
    limits::{MATTER_EVENTS_MAX, MATTER_PURPOSES_MAX, TRAIT_EVENTS_MAX, TRAIT_PURPOSES_MAX},
};
use custodia_proto::v1;

use super::{
    convert::purpose_names,
    parse::{of_definition, purpose_number, required},
};
use crate::wire::{
    ServiceError,
    convert::text,
    etag,
    parse::{each, named, within_limit},
};

fn event_names(field: &str, wire: &[String], limit: usize) -> Result<Vec<EventName>, ServiceError> {
    within_limit(field, wire.len(), limit)?;
    each(field, wire, |name| EventName::new("", name).map_err(named("")))
}

/// Parses a type of matters, with the revision that the catalogue assigns.
pub(super) fn matter_type(
    wire: &v1::MatterType,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<MatterType, ServiceError> {
    within_limit("purposes", wire.purposes.len(), MATTER_PURPOSES_MAX)?;
    let fields = MatterTypeFields {
        id: MatterTypeId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        opening_events: event_names("opening_events", &wire.opening_events, MATTER_EVENTS_MAX)?,
        closing_events: event_names("closing_events", &wire.closing_events, MATTER_EVENTS_MAX)?,
        key_property: PropertyName::new("key_property", &wire.key_property)?,
        purposes: each("purposes", &wire.purposes, |text| purpose_number(text, catalogue))?,
        stale_after_days: wire.stale_after_days,
        owner: wire.owner.clone(),
        revision,
    };
    MatterType::new(fields).map_err(of_definition("matter_type."))
}

/// A type of matters on the wire.
pub(super) fn matter_type_wire(of: &MatterType, catalogue: &Catalogue) -> v1::MatterType {
    v1::MatterType {
        id: of.id.as_str().to_owned(),
        display_name: of.display_name.clone(),
        description: of.description.clone(),
        opening_events: event_texts(&of.opening_events),
        closing_events: event_texts(&of.closing_events),
        key_property: of.key_property.as_str().to_owned(),
        purposes: purpose_names(&of.purposes, catalogue),
        stale_after_days: of.stale_after_days,
        owner: of.owner.clone(),
        etag: etag(of.revision),
    }
}

/// Parses a trait, with the revision that the catalogue assigns.
pub(super) fn trait_definition(
    wire: &v1::TraitDefinition,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<TraitDefinition, ServiceError> {
    within_limit("purposes", wire.purposes.len(), TRAIT_PURPOSES_MAX)?;
    let fields = TraitFields {
        id: TraitId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        aggregate: required("aggregate", wire.aggregate, TraitAggregate::from_number)?,
        events: event_names("events", &wire.events, TRAIT_EVENTS_MAX)?,
        property: PropertyName::optional("property", &wire.property)?,
        window_days: wire.window_days,
        purposes: each("purposes", &wire.purposes, |text| purpose_number(text, catalogue))?,
        unit: wire.unit.clone(),
        owner: wire.owner.clone(),
        revision,
    };
    TraitDefinition::new(fields).map_err(of_definition("trait."))
}

/// A trait's definition on the wire.
pub(super) fn trait_wire(of: &TraitDefinition, catalogue: &Catalogue) -> v1::TraitDefinition {
    v1::TraitDefinition {
        id: of.id.as_str().to_owned(),
        display_name: of.display_name.clone(),
        description: of.description.clone(),
        aggregate: of.aggregate.number().into(),
        events: event_texts(&of.events),
        property: text(of.property.as_ref().map(PropertyName::as_str)),
        window_days: of.window_days,
        purposes: purpose_names(&of.purposes, catalogue),
        unit: of.unit.clone(),
        owner: of.owner.clone(),
        etag: etag(of.revision),
    }
}

fn event_texts(names: &[EventName]) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}
