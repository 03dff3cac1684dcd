//! Converts profiles, events and outcomes to wire messages.

use custodia_profile::{
    AttributeDefinition, AttributeValue, Catalogue, DecisionEffect, Event, IdentifierOutcome, LawfulBasis,
    Outcome, Reader, RefusalReason, StoredEvent, Text, Verdict,
};
use custodia_proto::v1;

use crate::{
    shard::{ProfileView, TakenIdentifiers},
    wire::{
        convert::{effect_number, provenance, text, value},
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

/// Which attributes a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All that are stored.
    All,
    /// Those that it names.
    Named,
}

/// The profile as the caller may see it. `attributes` are the stored ones that it asked for; `given` is called for each whose
/// value is in the answer.
pub(super) fn profile<'a>(
    profile: &ProfileView<'_>,
    attributes: impl Iterator<Item = (&'a AttributeDefinition, &'a AttributeValue)>,
    (asked, detail): (Asked, Detail),
    given: impl Fn(&AttributeDefinition),
) -> v1::Profile {
    let (record, catalogue) = (profile.record(), &profile.view.catalogue);
    let mut shown = Vec::with_capacity(record.attributes.len());
    let (mut withheld, mut others) = (Vec::new(), 0);
    for (definition, stored) in attributes {
        match profile.permission.for_value(definition, &stored.provenance) {
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
                    original: text(stored.original.as_ref().filter(|_| has_value).map(Text::as_str)),
                });
            }
            Verdict::Refuse(_) if detail == Detail::None => {}
            Verdict::Refuse(reason) if names(profile, definition) => withheld.push(v1::WithheldAttribute {
                name: definition.name.as_str().to_owned(),
                reason: reason.number().into(),
                explanation: reason.explanation().to_owned(),
            }),
            // Asked for by name, the count would tell what it hides.
            Verdict::Refuse(_) => others += i32::from(asked == Asked::All),
        }
    }
    shown.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    withheld.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let version = profile.version();
    let is_permitted = matches!(profile.permission.verdict(), Verdict::Permit { .. });
    let may_see_members = is_permitted || profile.reader == Reader::Controller;
    v1::Profile {
        customer_id: version.customer.to_string(),
        etag: etag(version.revision),
        attributes: shown,
        withheld,
        created_at: Some(timestamp(record.created_at)),
        updated_at: Some(timestamp(record.updated_at)),
        withheld_others: others,
        merged_customer_ids: if may_see_members {
            record.members().map(ToString::to_string).collect()
        } else {
            Vec::new()
        },
    }
}

/// Whether the reader may know that a withheld attribute is stored: only if its own purpose has a use for it.
fn names(profile: &ProfileView<'_>, definition: &AttributeDefinition) -> bool {
    profile.reader == Reader::Controller || definition.allows(profile.purpose.number)
}

/// The outcome of an observation.
pub(super) fn attribute_outcome(attribute: &str, outcome: Outcome) -> v1::AttributeOutcome {
    let (merged, refusal, explanation) = outcome_parts(outcome);
    v1::AttributeOutcome { attribute: attribute.to_owned(), merged, refusal, explanation }
}

/// The outcome of an event.
fn event_outcome(event_id: &str, outcome: Outcome) -> v1::EventOutcome {
    let (appended, refusal, explanation) = outcome_parts(outcome);
    v1::EventOutcome { event_id: event_id.to_owned(), appended, refusal, explanation }
}

/// The outcomes of events, which stand in the same order.
pub(super) fn event_outcomes(events: &[Event], outcomes: &[Outcome]) -> Vec<v1::EventOutcome> {
    events.iter().zip(outcomes).map(|(event, outcome)| event_outcome(event.id.as_str(), *outcome)).collect()
}

/// The outcome of an identifier, and who has it if another customer does.
pub(super) fn identifier_outcome(
    outcome: &IdentifierOutcome,
    taken: &TakenIdentifiers,
) -> v1::IdentifierOutcome {
    let (merged, refusal, explanation) = outcome_parts(outcome.outcome);
    let holder = outcome.identifier.as_ref().and_then(|identifier| taken.get(identifier));
    let is_taken = refusal == i32::from(v1::RefusalReason::IdentifierTaken);
    v1::IdentifierOutcome {
        namespace: outcome.namespace.as_str().to_owned(),
        merged,
        refusal,
        explanation,
        attribute: outcome.from_attribute.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        held_by: holder.filter(|_| is_taken).map(|taken| taken.holder.to_string()).unwrap_or_default(),
    }
}

/// The refusals that tell how an item compares with what is stored.
const STORED_PREVAILS: [v1::RefusalReason; 7] = [
    v1::RefusalReason::LegalHold,
    v1::RefusalReason::ObservedBeforeStored,
    v1::RefusalReason::EventIdReused,
    v1::RefusalReason::Unreadable,
    v1::RefusalReason::IdentifierTaken,
    v1::RefusalReason::IdentifierLimit,
    v1::RefusalReason::IdentifierSharedLimit,
];

/// Whether what is stored prevailed over some item.
pub(super) fn stored_prevails(attributes: &[v1::AttributeOutcome], events: &[v1::EventOutcome]) -> bool {
    attributes.iter().any(|outcome| STORED_PREVAILS.contains(&outcome.refusal()))
        || events.iter().any(|outcome| STORED_PREVAILS.contains(&outcome.refusal()))
}

/// The outcomes for a caller who may not read: one for all that the law permits.
pub(super) fn echoed_attributes(mut outcomes: Vec<v1::AttributeOutcome>) -> Vec<v1::AttributeOutcome> {
    for outcome in outcomes.iter_mut().filter(|outcome| STORED_PREVAILS.contains(&outcome.refusal())) {
        *outcome = attribute_outcome(&outcome.attribute, Outcome::Merged);
    }
    outcomes
}

/// The same for events.
pub(super) fn echoed_events(mut outcomes: Vec<v1::EventOutcome>) -> Vec<v1::EventOutcome> {
    for outcome in outcomes.iter_mut().filter(|outcome| STORED_PREVAILS.contains(&outcome.refusal())) {
        *outcome = event_outcome(&outcome.event_id, Outcome::Merged);
    }
    outcomes
}

/// Whether another customer, or a limit, prevailed over some identifier.
pub(super) fn others_prevail(identifiers: &[v1::IdentifierOutcome]) -> bool {
    identifiers.iter().any(|outcome| STORED_PREVAILS.contains(&outcome.refusal()))
}

/// The same for identifiers. Those that attributes brought along are left out: they are there only where the attribute was stored.
pub(super) fn echoed_identifiers(mut outcomes: Vec<v1::IdentifierOutcome>) -> Vec<v1::IdentifierOutcome> {
    outcomes.retain(|outcome| outcome.attribute.is_empty());
    for outcome in outcomes.iter_mut().filter(|outcome| STORED_PREVAILS.contains(&outcome.refusal())) {
        outcome.merged = true;
        outcome.refusal = 0;
        outcome.explanation.clear();
        outcome.held_by.clear();
    }
    outcomes
}

/// The outcome of a consent that came with the data.
pub(super) fn consent_outcome(
    purpose: String,
    outcome: Result<DecisionEffect, RefusalReason>,
) -> v1::ConsentOutcome {
    let effect = outcome.map_or(0, effect_number);
    let (recorded, refusal, explanation) =
        outcome_parts(outcome.map_or_else(Outcome::Refused, |_| Outcome::Merged));
    v1::ConsentOutcome { purpose, recorded, refusal, explanation, effect }
}

fn outcome_parts(outcome: Outcome) -> (bool, i32, String) {
    match outcome {
        Outcome::Merged => (true, 0, String::new()),
        Outcome::Refused(reason) => (false, reason.number().into(), reason.explanation().to_owned()),
    }
}

/// A stored event that the caller is given.
pub(in crate::api) fn stored_event(
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
pub(in crate::api) fn withheld_events(
    counts: impl IntoIterator<Item = (RefusalReason, i32)>,
) -> Vec<v1::WithheldEvents> {
    let entry =
        |(reason, count): (RefusalReason, i32)| v1::WithheldEvents { reason: reason.number().into(), count };
    counts.into_iter().map(entry).collect()
}
