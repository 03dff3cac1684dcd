//! What events add up to: open matters, traits, and their definitions (PR-4, PR-5).

mod definitions;
mod matters;
mod traits;

use std::collections::BTreeMap;

use custodia_profile::{
    Event, LawfulBasis, MatterType, MatterTypeFields, Party, Properties, Provenance, Revision, StoredEvent,
    TimestampMs, TraitAggregate, TraitFields, Value,
};

use crate::world::{SERVICE, label, purpose};

/// An event of the purpose `service` with these properties.
pub(crate) fn event(id: &str, name: &str, at: TimestampMs, properties: &[(&str, Value)]) -> StoredEvent {
    let properties: BTreeMap<_, _> =
        properties.iter().map(|(name, value)| (label(name), value.clone())).collect();
    StoredEvent {
        event: Event {
            id: label(id),
            name: label(name),
            occurred_at: at,
            channel: Some(label("phone")),
            properties: Properties::new(properties).unwrap(),
        },
        provenance: Provenance {
            source: "crm".parse().unwrap(),
            observed_at: at,
            recorded_at: at,
            purpose: purpose(SERVICE),
            basis: LawfulBasis::Contract,
            party: Party::First,
        },
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::text(text).unwrap()
}

pub(crate) fn case_fields() -> MatterTypeFields {
    MatterTypeFields {
        id: "case".parse().unwrap(),
        display_name: "Support case".to_owned(),
        description: "What is to be put right".to_owned(),
        opening_events: vec![label("Case Opened"), label("Case Reopened")],
        closing_events: vec![label("Case Closed")],
        key_property: label("case_id"),
        purposes: vec![purpose(SERVICE)],
        stale_after_days: 30,
        owner: "desk".to_owned(),
        revision: Revision::from_u64(1),
    }
}

pub(crate) fn case_type() -> MatterType {
    MatterType::new(case_fields()).unwrap()
}

pub(crate) fn trait_fields(aggregate: TraitAggregate, property: Option<&str>) -> TraitFields {
    TraitFields {
        id: "revenue".parse().unwrap(),
        display_name: "Revenue".to_owned(),
        description: "What the orders come to".to_owned(),
        aggregate,
        events: vec![label("Order Completed"), label("Order Refunded")],
        property: property.map(label),
        window_days: 0,
        purposes: vec![purpose(SERVICE)],
        unit: "EUR".to_owned(),
        owner: "shop".to_owned(),
        revision: Revision::from_u64(1),
    }
}
