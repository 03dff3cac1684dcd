//! Types of `custodia-profile` become wire messages, for callers.

use custodia_profile::{
    AttributeDefinition, AttributeValue, Catalogue, CustomerId, CustomerRecord, LawfulBasis, Outcome,
    Permission, Provenance, PurposeNumber, RefusalReason, Revision, StoredEvent, Value, Verdict,
};
use custodia_proto::v1;

use super::{opaque::etag, time::timestamp};

/// A stored value.
pub(super) fn value(value: &Value) -> v1::Value {
    use v1::value::Kind;
    let kind = match value {
        Value::Text(text) => Kind::Text(text.as_str().to_owned()),
        Value::Integer(number) => Kind::Integer(*number),
        Value::Decimal(number) => Kind::Decimal(number.as_f64()),
        Value::Boolean(yes) => Kind::Boolean(*yes),
        Value::Date(date) => Kind::Date(date.to_string()),
        Value::Timestamp(moment) => Kind::Timestamp(timestamp(*moment)),
    };
    v1::Value { kind: Some(kind) }
}

/// Where a stored value comes from.
pub(super) fn provenance(provenance: &Provenance, catalogue: &Catalogue) -> v1::Provenance {
    v1::Provenance {
        source: provenance.source.as_str().to_owned(),
        observed_at: Some(timestamp(provenance.observed_at)),
        recorded_at: Some(timestamp(provenance.recorded_at)),
        purpose: purpose_name(provenance.purpose, catalogue),
        lawful_basis: provenance.basis.number().into(),
        party: provenance.party.number().into(),
    }
}

/// The name of a purpose that a stored value names by number.
pub(super) fn purpose_name(number: PurposeNumber, catalogue: &Catalogue) -> String {
    catalogue.purpose(number).map(|purpose| purpose.id.as_str().to_owned()).unwrap_or_default()
}

/// Where one customer's record is, for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) customer: CustomerId,
    pub(super) revision: Revision,
}

/// What is said of the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Given values, and why others are withheld.
    Full,
    /// Given values.
    None,
    /// Whether each would be given, and no value.
    Only,
}

/// The profile as it may be seen: `attributes` are the stored ones that the caller asked for, with their definitions;
/// `given` is told of each whose value is in the answer.
pub(super) fn profile<'a>(
    at: At,
    record: &'a CustomerRecord,
    attributes: impl Iterator<Item = (&'a AttributeDefinition, &'a AttributeValue)>,
    permission: &Permission<'_>,
    detail: Detail,
    catalogue: &Catalogue,
    given: impl Fn(&AttributeDefinition),
) -> v1::Profile {
    let mut shown = Vec::with_capacity(record.attributes.len());
    let mut withheld = Vec::new();
    for (definition, stored) in attributes {
        match permission.for_attribute(definition, Some(stored.provenance.observed_at)) {
            Verdict::Permit { ground, until, .. } => {
                let has_value = detail != Detail::Only;
                if has_value {
                    given(definition);
                }
                shown.push(v1::Attribute {
                    name: definition.name.as_str().to_owned(),
                    value: has_value.then(|| value(&stored.value)),
                    provenance: has_value.then(|| provenance(&stored.provenance, catalogue)),
                    ground: ground.number().into(),
                    until: until.map(timestamp),
                });
            }
            Verdict::Refuse(reason) if detail != Detail::None => withheld.push(v1::WithheldAttribute {
                name: definition.name.as_str().to_owned(),
                reason: reason.number().into(),
                explanation: reason.explanation().to_owned(),
            }),
            Verdict::Refuse(_) => {}
        }
    }
    shown.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    withheld.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    v1::Profile {
        customer_id: at.customer.to_string(),
        etag: etag(at.revision),
        attributes: shown,
        withheld,
        created_at: Some(timestamp(record.created_at)),
        updated_at: Some(timestamp(record.updated_at)),
    }
}

/// What became of an observation.
pub(super) fn attribute_outcome(attribute: &str, outcome: Outcome) -> v1::AttributeOutcome {
    let (merged, refusal, explanation) = outcome_parts(outcome);
    v1::AttributeOutcome { attribute: attribute.to_owned(), merged, refusal, explanation }
}

/// What became of an event.
pub(super) fn event_outcome(event_id: &str, outcome: Outcome) -> v1::EventOutcome {
    let (appended, refusal, explanation) = outcome_parts(outcome);
    v1::EventOutcome { event_id: event_id.to_owned(), appended, refusal, explanation }
}

fn outcome_parts(outcome: Outcome) -> (bool, i32, String) {
    match outcome {
        Outcome::Merged => (true, 0, String::new()),
        Outcome::Refused(reason) => (false, reason.number().into(), reason.explanation().to_owned()),
    }
}

/// A stored event that is given.
pub(super) fn stored_event(
    stored: &StoredEvent,
    ground: LawfulBasis,
    catalogue: &Catalogue,
) -> v1::StoredEvent {
    let event = &stored.event;
    let properties = event.properties.as_map().iter();
    v1::StoredEvent {
        event: Some(v1::Event {
            event_id: event.id.as_str().to_owned(),
            name: event.name.as_str().to_owned(),
            occurred_at: Some(timestamp(event.occurred_at)),
            channel: event.channel.as_ref().map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
            properties: properties.map(|(name, stored)| (name.as_str().to_owned(), value(stored))).collect(),
        }),
        provenance: Some(provenance(&stored.provenance, catalogue)),
        ground: ground.number().into(),
    }
}

/// Events of a page that are withheld, by reason.
pub(super) fn withheld_events(
    counts: impl IntoIterator<Item = (RefusalReason, i32)>,
) -> Vec<v1::WithheldEvents> {
    let entry =
        |(reason, count): (RefusalReason, i32)| v1::WithheldEvents { reason: reason.number().into(), count };
    counts.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_enum_has_the_numbers_of_the_api() {
        for reason in RefusalReason::ALL {
            let wire = v1::RefusalReason::try_from(i32::from(reason.number())).expect("a reason of the API");
            assert_eq!(wire.as_str_name(), format!("REFUSAL_REASON_{}", reason.name()));
        }
        for basis in LawfulBasis::ALL {
            v1::LawfulBasis::try_from(i32::from(basis.number())).expect("a basis of the API");
        }
        for class in custodia_profile::Classification::ALL {
            v1::Classification::try_from(i32::from(class.number())).expect("a classification of the API");
        }
        for kind in custodia_profile::ValueType::ALL {
            v1::ValueType::try_from(i32::from(kind.number())).expect("a type of the API");
        }
    }

    #[test]
    fn a_value_comes_back_as_it_was_parsed() {
        use v1::value::Kind;
        let kinds = [
            Kind::Text("Ana".to_owned()),
            Kind::Integer(i64::MIN),
            Kind::Decimal(0.5),
            Kind::Boolean(true),
            Kind::Date("2024-02-29".to_owned()),
            Kind::Timestamp(prost_types::Timestamp { seconds: -5, nanos: 7_000_000 }),
        ];
        for kind in kinds {
            let wire = v1::Value { kind: Some(kind) };
            assert_eq!(value(&super::super::parse::value(&wire).expect("valid")), wire);
        }
    }
}
