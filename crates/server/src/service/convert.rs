//! Types of `custodia-profile` become wire messages, for callers.

use custodia_profile::{
    AttributeDefinition, AttributeValue, Catalogue, CustomerId, CustomerRecord, GroundState, GroundStatus,
    LawfulBasis, Outcome, Permission, Provenance, Purpose, PurposeNumber, RefusalReason, Revision,
    StoredEvent, TimestampMs, Value, Verdict,
};
use custodia_proto::v1;

use super::{
    opaque::{etag, hex},
    time::timestamp,
};

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

fn purpose_name(number: PurposeNumber, catalogue: &Catalogue) -> String {
    catalogue.purpose(number).map(|purpose| purpose.id.as_str().to_owned()).unwrap_or_default()
}

/// Where one customer's record is, for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) customer: CustomerId,
    pub(super) revision: Revision,
}

/// Whether withheld attributes are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Full,
    None,
}

/// The profile as it may be seen: `attributes` are the stored ones that the caller asked for, with their definitions.
pub(super) fn profile<'a>(
    at: At,
    record: &'a CustomerRecord,
    attributes: impl Iterator<Item = (&'a AttributeDefinition, &'a AttributeValue)>,
    permission: &Permission,
    detail: Detail,
    catalogue: &Catalogue,
) -> v1::Profile {
    let mut given = Vec::with_capacity(record.attributes.len());
    let mut withheld = Vec::new();
    for (definition, stored) in attributes {
        match permission.for_attribute(definition) {
            Verdict::Permit { ground, .. } => given.push(v1::Attribute {
                name: definition.name.as_str().to_owned(),
                value: Some(value(&stored.value)),
                provenance: Some(provenance(&stored.provenance, catalogue)),
                ground: ground.number().into(),
            }),
            Verdict::Refuse(reason) if detail == Detail::Full => withheld.push(v1::WithheldAttribute {
                name: definition.name.as_str().to_owned(),
                reason: reason.number().into(),
                explanation: reason.explanation().to_owned(),
            }),
            Verdict::Refuse(_) => {}
        }
    }
    given.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    withheld.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    v1::Profile {
        customer_id: at.customer.to_string(),
        etag: etag(at.revision),
        attributes: given,
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

/// The state of one ground for one purpose.
pub(super) fn consent_state(
    at: At,
    consent_revision: u64,
    ground: (PurposeNumber, LawfulBasis),
    state: &GroundState,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> v1::ConsentState {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    v1::ConsentState {
        customer_id: at.customer.to_string(),
        purpose: purpose_name(ground.0, catalogue),
        lawful_basis: ground.1.number().into(),
        status: consent_status(state, now).into(),
        notice_version: text(state.notice.as_ref().map(|notice| notice.as_str())),
        method: state.method.map_or(0, |method| method.number().into()),
        collector: text(state.collector.as_ref().map(|collector| collector.as_str())),
        reference: text(state.reference.as_ref().map(|reference| reference.as_str())),
        decided_at: Some(timestamp(state.decided_at)),
        expires_at: state.expires_at.map(timestamp),
        recorded_at: Some(timestamp(state.recorded_at)),
        consent_revision,
        etag: etag(at.revision),
    }
}

fn consent_status(state: &GroundState, now: TimestampMs) -> v1::ConsentStatus {
    match state.status {
        GroundStatus::Given if state.expires_at.is_some_and(|end| end <= now) => v1::ConsentStatus::Expired,
        GroundStatus::Given => v1::ConsentStatus::Given,
        GroundStatus::Refused => v1::ConsentStatus::Refused,
        GroundStatus::Withdrawn => v1::ConsentStatus::Withdrawn,
    }
}

/// A purpose of the catalogue.
pub(super) fn purpose(purpose: &Purpose) -> v1::Purpose {
    let bases = |bases: &[LawfulBasis]| bases.iter().map(|basis| basis.number().into()).collect();
    v1::Purpose {
        id: purpose.id.as_str().to_owned(),
        display_name: purpose.display_name.clone(),
        description: purpose.description.clone(),
        dpv: purpose.dpv.clone(),
        lawful_bases: bases(&purpose.lawful_bases),
        notices: purpose.notices.iter().map(notice).collect(),
        standing_bases: bases(&purpose.standing_bases),
        deprecated: purpose.deprecated,
        etag: etag(purpose.revision),
    }
}

fn notice(notice: &custodia_profile::Notice) -> v1::NoticeVersion {
    v1::NoticeVersion {
        version: notice.version.as_str().to_owned(),
        text_sha256: notice.text_sha256.map(hex).unwrap_or_default(),
        language: notice.language.clone(),
        asks_again: notice.asks_again,
    }
}

/// An attribute of the catalogue.
pub(super) fn attribute(attribute: &AttributeDefinition, catalogue: &Catalogue) -> v1::AttributeDefinition {
    v1::AttributeDefinition {
        name: attribute.name.as_str().to_owned(),
        number: attribute.number.as_u32(),
        description: attribute.description.clone(),
        r#type: attribute.value_type.number().into(),
        classification: attribute.classification.number().into(),
        purposes: attribute.purposes.iter().map(|number| purpose_name(*number, catalogue)).collect(),
        owner: attribute.owner.clone(),
        bytes_max: u32::try_from(attribute.bytes_max).unwrap_or(u32::MAX),
        etag: etag(attribute.revision),
    }
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
