//! Owns the evidence of an ingest that two customers may be one person: it named identifiers of both. Always: the namespace, never the
//! value.

use crate::id::{CustomerId, NamespaceId, TimestampMs};

/// An ingest reached one customer of a pair, and named an identifier that the other one holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentifierConflict {
    /// The namespace of the identifier.
    pub namespace: NamespaceId,
    /// Who held it: one of the two.
    pub holder: CustomerId,
    /// When an ingest named it for the first time.
    pub found_at: TimestampMs,
}

impl IdentifierConflict {
    /// Whether both are the same evidence: an identifier of the same namespace, held by the same customer.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.namespace, &self.holder) == (&other.namespace, &other.holder)
    }
}
