//! Owns what is wrong with a stored identifier, and what else came with it (GO-4, ID-5). Always: by the rules of its namespace as they
//! are now; more evidence never makes an identifier stale.

use std::collections::BTreeSet;

use crate::{
    catalogue::Namespace,
    id::{AttributeNumber, TimestampMs},
    identifier::Identifier,
    numbered::numbered,
    provenance::Provenance,
    record::{CustomerRecord, StoredIdentifier},
    value::Value,
};

numbered! {
    /// What is wrong with an identifier. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum IdentifierFault ("list", expected "a fault of identifiers") {
        /// Nobody has verified that it is the customer's.
        NeverVerified = 1,
        /// It was verified, but too long ago.
        VerificationOutdated = 2,
        /// It was neither verified nor observed for too long.
        Stale = 3,
        /// A message to it has come back since it was verified last.
        Bounced = 4,
        /// By today's rules of its namespace it would be refused, or have another normal form.
        Invalid = 5,
        /// Other customers hold it too. No record tells it: the index does.
        Shared = 6,
    }
}

/// What is wrong with an identifier, as far as its record tells. `stale_after_days`: after how many days without a sign of it an
/// identifier is stale; 0: never.
#[must_use]
pub fn identifier_faults(
    identifier: &Identifier,
    stored: &StoredIdentifier,
    namespace: &Namespace,
    stale_after_days: u32,
    now: TimestampMs,
) -> BTreeSet<IdentifierFault> {
    let is_valid = || namespace.normalise(identifier.value.as_str()).as_ref() == Ok(&identifier.value);
    let faults = [
        (IdentifierFault::NeverVerified, stored.verified.is_none()),
        (IdentifierFault::VerificationOutdated, stored.is_verification_outdated(stale_after_days, now)),
        (IdentifierFault::Stale, stored.is_stale(stale_after_days, now)),
        (IdentifierFault::Bounced, stored.has_bounced()),
        (IdentifierFault::Invalid, !is_valid()),
    ];
    faults.into_iter().filter(|(_, is_there)| *is_there).map(|(fault, _)| fault).collect()
}

/// Data of a customer that belongs together with an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Related {
    /// An attribute whose value is the identifier, as its namespace reads it.
    SameValue(AttributeNumber),
    /// An attribute that the same source observed last.
    AttributeOfSource(AttributeNumber),
    /// Another identifier that the same source observed last.
    IdentifierOfSource(Identifier),
}

/// What else belongs together with an identifier that the customer has, each once: first what has its value.
#[must_use]
pub fn related_data(record: &CustomerRecord, identifier: &Identifier, namespace: &Namespace) -> Vec<Related> {
    let Some(stored) = record.identifiers.get(identifier) else { return Vec::new() };
    let is_same = |value: &Value| {
        let Value::Text(text) = value else { return false };
        namespace.normalise(text.as_str()).as_ref() == Ok(&identifier.value)
    };
    let same_value = record.attributes.iter().filter(|(_, of)| is_same(&of.value));
    let is_of_source = |of: &Provenance| of.source == stored.provenance.source;
    let attributes =
        record.attributes.iter().filter(|(_, of)| is_of_source(&of.provenance) && !is_same(&of.value));
    let identifiers =
        record.identifiers.iter().filter(|(one, of)| *one != identifier && is_of_source(&of.provenance));
    same_value
        .map(|(number, _)| Related::SameValue(*number))
        .chain(attributes.map(|(number, _)| Related::AttributeOfSource(*number)))
        .chain(identifiers.map(|(one, _)| Related::IdentifierOfSource(one.clone())))
        .collect()
}
