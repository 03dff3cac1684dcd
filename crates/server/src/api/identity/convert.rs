//! Converts identifiers to wire messages.

use custodia_profile::{Catalogue, Identifier, NamespaceKind, StoredIdentifier, Verification};
use custodia_proto::v1;

use crate::wire::{convert::provenance, timestamp};

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
) -> v1::HeldIdentifier {
    let (namespace, value) = (identifier.namespace.as_str(), identifier.value.as_str());
    let kind = catalogue.namespace(namespace).map(|namespace| namespace.kind);
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
    }
}

fn verification(verified: &Verification) -> v1::Verification {
    v1::Verification {
        method: verified.method.number().into(),
        verified_at: Some(timestamp(verified.at)),
        reference: verified.reference.as_str().to_owned(),
    }
}

/// Enough for an agent to check what a caller says, and not enough to write it down: the domain of an e-mail address and the first
/// letter before it; of anything else the last digits or letters, a quarter and four at most.
fn masked(value: &str, kind: Option<NamespaceKind>) -> String {
    if let (Some(NamespaceKind::Email), Some((local, domain))) = (kind, value.split_once('@')) {
        let first: String = local.chars().take(1).collect();
        return format!("{first}…@{domain}");
    }
    let length = value.chars().count();
    let shown = (length / 4).min(4);
    let last: String = value.chars().skip(length - shown).collect();
    format!("…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_identifier_shows_a_quarter_at_most() {
        let (email, phone) = (Some(NamespaceKind::Email), Some(NamespaceKind::Phone));
        assert_eq!(masked("ana@example.org", email), "a…@example.org");
        assert_eq!(masked("+4930123456", phone), "…56");
        assert_eq!(masked("4006381333931", None), "…931");
        assert_eq!(masked("0123456789abcdef0123456789abcdef", None), "…cdef");
        assert_eq!(masked("äöü", None), "…");
    }
}
