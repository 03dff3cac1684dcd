//! Converts identifiers to wire messages.

use custodia_profile::{Catalogue, Identifier, StoredIdentifier, TimestampMs, Verification};
use custodia_proto::v1;

use crate::wire::{convert::provenance, masked, timestamp};

/// How much of an identifier is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    Masked,
}

/// An identifier that a customer holds.
pub(super) fn held(
    identifier: &Identifier,
    stored: &StoredIdentifier,
    shown: Shown,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> v1::HeldIdentifier {
    let (namespace, value) = (identifier.namespace.as_str(), identifier.value.as_str());
    let definition = catalogue.namespace(namespace);
    let kind = definition.map(|namespace| namespace.kind);
    let (value, original) = match shown {
        Shown::Whole => (value.to_owned(), stored.original.as_str().to_owned()),
        Shown::Masked => (masked(value, kind), String::new()),
    };
    v1::HeldIdentifier {
        namespace: namespace.to_owned(),
        value,
        original,
        provenance: Some(provenance(&stored.provenance, catalogue)),
        verification: stored.verified.as_ref().map(verification),
        bounced_at: stored.bounced_at.map(timestamp),
        stale: definition.is_some_and(|namespace| stored.is_stale(namespace.stale_after_days, now)),
    }
}

fn verification(verified: &Verification) -> v1::Verification {
    v1::Verification {
        method: verified.method.number().into(),
        verified_at: Some(timestamp(verified.at)),
        reference: verified.reference.as_str().to_owned(),
    }
}
