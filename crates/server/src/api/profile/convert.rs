//! Converts profiles, events and outcomes to wire messages.

use custodia_profile::{
    AttributeDefinition, AttributeValue, Catalogue, LawfulBasis, Outcome, RefusalReason, StoredEvent, Verdict,
};
use custodia_proto::v1;

use crate::{
    shard::ProfileView,
    wire::{
        convert::{provenance, value},
        etag, timestamp,
    },
};

/// How much the answer says about attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The given values, and the withheld attributes with reasons.
    Full,
    /// The given values only.
    None,
    /// For each attribute whether it would be given, without values.
    Only,
}

/// The profile as the caller may see it. `attributes` are the stored ones that it asked for; `given` is called for each whose
/// value is in the answer.
pub(super) fn profile<'a>(
    profile: &ProfileView<'_>,
    attributes: impl Iterator<Item = (&'a AttributeDefinition, &'a AttributeValue)>,
    detail: Detail,
    given: impl Fn(&AttributeDefinition),
) -> v1::Profile {
    let (record, catalogue) = (profile.record(), &profile.view.catalogue);
    let mut shown = Vec::with_capacity(record.attributes.len());
    let mut withheld = Vec::new();
    for (definition, stored) in attributes {
        match profile.permission.for_attribute(definition, Some(stored.provenance.observed_at)) {
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
    let version = profile.version();
    v1::Profile {
        customer_id: version.customer.to_string(),
        etag: etag(version.revision),
        attributes: shown,
        withheld,
        created_at: Some(timestamp(record.created_at)),
        updated_at: Some(timestamp(record.updated_at)),
    }
}

/// The outcome of an observation.
pub(super) fn attribute_outcome(attribute: &str, outcome: Outcome) -> v1::AttributeOutcome {
    let (merged, refusal, explanation) = outcome_parts(outcome);
    v1::AttributeOutcome { attribute: attribute.to_owned(), merged, refusal, explanation }
}

/// The outcome of an event.
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

/// A stored event that the caller is given.
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

/// The number of withheld events of a page, by reason.
pub(super) fn withheld_events(
    counts: impl IntoIterator<Item = (RefusalReason, i32)>,
) -> Vec<v1::WithheldEvents> {
    let entry =
        |(reason, count): (RefusalReason, i32)| v1::WithheldEvents { reason: reason.number().into(), count };
    counts.into_iter().map(entry).collect()
}
