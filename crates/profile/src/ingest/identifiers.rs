//! Owns how incoming identifiers are judged and stored (ID-2, ID-5). Always: an identifier that is refused leaves the rest
//! of the input alone; what the customer has is never another's.
//!
//! An identifier that the customer has already is observed again: the newest observation says where it comes from and how
//! it was written, as with an attribute, and the evidence about it stays. So a purpose for which it was given anew finds it
//! though the consent under which it came first was withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use super::{Collection, Observation, Observations, Outcome};
use crate::{
    catalogue::{Catalogue, Namespace},
    ground::LawfulBasis,
    id::{AttributeName, NamespaceId, TimestampMs},
    identifier::{Identifier, original},
    limits::RECORD_IDENTIFIERS_MAX,
    permission::Verdict,
    reason::RefusalReason,
    record::{CustomerRecord, StoredIdentifier},
    value::Value,
};

/// One identifier observed at a source.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentifierObservation {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The identifier as the source writes it.
    pub value: String,
    /// When it was observed; none: now.
    pub observed_at: Option<TimestampMs>,
}

impl std::fmt::Debug for IdentifierObservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentifierObservation({}, {} bytes)", self.namespace, self.value.len())
    }
}

/// The outcome of one identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierOutcome {
    /// The namespace.
    pub namespace: NamespaceId,
    /// In normal form; none of an unknown namespace, an invalid or a blocked one.
    pub identifier: Option<Identifier>,
    /// Whether the customer has it now.
    pub outcome: Outcome,
    /// The attribute whose merged value it is; none: it was named as an identifier.
    pub from_attribute: Option<AttributeName>,
}

/// An identifier that an input names.
struct Named<'a> {
    namespace: &'a NamespaceId,
    value: &'a str,
    observed_at: Option<TimestampMs>,
    from_attribute: Option<&'a AttributeName>,
}

impl<'a> Named<'a> {
    fn by_itself(observation: &'a IdentifierObservation) -> Self {
        let IdentifierObservation { namespace, value, observed_at } = observation;
        Self { namespace, value, observed_at: *observed_at, from_attribute: None }
    }

    /// In normal form, or why it has none.
    fn identifier(&self, catalogue: &Catalogue) -> Result<Identifier, RefusalReason> {
        let namespace = catalogue.namespace(self.namespace.as_str());
        let namespace = namespace.ok_or(RefusalReason::UnknownNamespace)?;
        let value = namespace.normalise(self.value)?;
        Ok(Identifier { namespace: namespace.id.clone(), value })
    }

    /// None if no namespace has the attribute.
    fn by_attribute(observation: &'a Observation, catalogue: &'a Catalogue) -> Option<Self> {
        let definition = catalogue.attribute_by_name(observation.attribute.as_str())?;
        let namespace = catalogue.namespace_of_attribute(definition.number)?;
        let Value::Text(value) = &observation.value else { return None };
        Some(Self {
            namespace: &namespace.id,
            value: value.as_str(),
            observed_at: observation.observed_at,
            from_attribute: Some(&observation.attribute),
        })
    }
}

/// The identifiers that an input names, by themselves or as values of attributes, whether the law lets them be stored or
/// not. Those of an unknown namespace, invalid and blocked ones are left out.
#[must_use]
pub fn named_identifiers(input: &Observations, catalogue: &Catalogue) -> BTreeSet<Identifier> {
    let by_attribute = |observation| Named::by_attribute(observation, catalogue);
    let by_itself = input.identifiers.iter().map(Named::by_itself);
    let all = by_itself.chain(input.observations.iter().filter_map(by_attribute));
    all.filter_map(|named| named.identifier(catalogue).ok()).collect()
}

impl Collection<'_> {
    /// Stores the identifiers that may be stored. The outcomes are those of the identifiers in their order, then those of
    /// merged attributes.
    pub(super) fn identifiers(
        &self,
        attribute_outcomes: &[Outcome],
        catalogue: &Catalogue,
        taken: &BTreeMap<Identifier, RefusalReason>,
        record: &mut CustomerRecord,
    ) -> Vec<IdentifierOutcome> {
        let observed = self.input.observations.iter().zip(attribute_outcomes);
        let by_attribute = observed
            .filter(|(_, outcome)| **outcome == Outcome::Merged)
            .filter_map(|(observation, _)| Named::by_attribute(observation, catalogue));
        let all = self.input.identifiers.iter().map(Named::by_itself).chain(by_attribute);
        all.map(|named| {
            let identifier = named.identifier(catalogue);
            let stored = self.store_identifier(&named, &identifier, catalogue, taken, record);
            IdentifierOutcome {
                namespace: named.namespace.clone(),
                identifier: identifier.ok(),
                outcome: stored.map_or_else(Outcome::Refused, |()| Outcome::Merged),
                from_attribute: named.from_attribute.cloned(),
            }
        })
        .collect()
    }

    fn store_identifier(
        &self,
        named: &Named<'_>,
        identifier: &Result<Identifier, RefusalReason>,
        catalogue: &Catalogue,
        taken: &BTreeMap<Identifier, RefusalReason>,
        record: &mut CustomerRecord,
    ) -> Result<(), RefusalReason> {
        let namespace = catalogue.namespace(named.namespace.as_str());
        let namespace = namespace.ok_or(RefusalReason::UnknownNamespace)?;
        let observed_at = named.observed_at.unwrap_or(self.now);
        let basis = self.permitted(namespace)?;
        let identifier = identifier.as_ref().map_err(|reason| *reason)?;
        if self.is_in_future(observed_at) {
            return Err(RefusalReason::ObservedInFuture);
        }
        let incoming = StoredIdentifier {
            original: original(named.value).map_err(|_too_long| RefusalReason::IdentifierInvalid)?,
            provenance: self.provenance(observed_at, basis),
            verified: None,
            bounced_at: None,
        };
        let kept = match record.identifiers.get(identifier) {
            // What is held stays as it is.
            Some(_) if record.subject.legal_hold.is_some() => return Ok(()),
            Some(stored) => stored.clone().newest(incoming),
            None => match taken.get(identifier) {
                Some(reason) => return Err(*reason),
                None if !has_room(record, namespace) => return Err(RefusalReason::IdentifierLimit),
                None => incoming,
            },
        };
        if record.identifiers.get(identifier) != Some(&kept) {
            record.identifiers.insert(identifier.clone(), kept);
            record.updated_at = record.updated_at.max(self.now);
        }
        Ok(())
    }

    /// The ground on which an identifier of a namespace may be stored. The law comes first: nothing else is said about
    /// data that may not be stored.
    fn permitted(&self, namespace: &Namespace) -> Result<LawfulBasis, RefusalReason> {
        match self.permission.for_identifier(namespace) {
            Verdict::Permit { ground, .. } => Ok(ground),
            Verdict::Refuse(reason) => Err(reason),
        }
    }
}

/// Whether the customer may have one more identifier of a namespace.
pub(super) fn has_room(record: &CustomerRecord, namespace: &Namespace) -> bool {
    let held = record.identifiers.keys().filter(|held| held.namespace == namespace.id).count();
    held < namespace.per_customer_max.into() && record.identifiers.len() < RECORD_IDENTIFIERS_MAX
}
