//! Owns the bytes of the identifiers in a core record. Always: an original that is the normal form is not stored twice.

use prost::Message;

use super::{
    Field, Intact,
    field::message,
    record::{Sources, WireProvenance},
};
use crate::{
    error::ProfileError,
    id::{NamespaceId, SourceId},
    identifier::{Identifier, IdentifierValue},
    label::OriginalText,
    record::{StoredIdentifier, Verification},
};

message! {
    Verification as WireVerification {
        1 [sint64] at: i64, "moment of verification";
        2 [uint32] method: u32, "method of verification";
        3 [string] reference: String;
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireIdentifier {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    value: String,
    /// Empty where it is the value.
    #[prost(string, tag = "3")]
    original: String,
    #[prost(message, optional, tag = "4")]
    provenance: Option<WireProvenance>,
    #[prost(message, optional, tag = "5")]
    verified: Option<WireVerification>,
    #[prost(sint64, optional, tag = "6")]
    bounced_at: Option<i64>,
}

impl WireIdentifier {
    pub(super) fn new(identifier: &Identifier, stored: &StoredIdentifier, sources: &Sources<'_>) -> Self {
        let (value, original) = (identifier.value.as_str(), stored.original.as_str());
        Self {
            namespace: identifier.namespace.to_wire(),
            value: value.to_owned(),
            original: if original == value { String::new() } else { original.to_owned() },
            provenance: Some(sources.write(&stored.provenance)),
            verified: stored.verified.to_wire(),
            bounced_at: stored.bounced_at.to_wire(),
        }
    }

    pub(super) fn read(
        self,
        kind: &'static str,
        sources: &[SourceId],
    ) -> Result<(Identifier, StoredIdentifier), ProfileError> {
        let original = if self.original.is_empty() { &self.value } else { &self.original };
        let stored = StoredIdentifier {
            original: OriginalText::new("original", original).intact(kind, "original identifier")?,
            provenance: self.provenance.intact(kind, "provenance")?.read(kind, sources)?,
            verified: Option::from_wire(self.verified, kind, "verification")?,
            bounced_at: Option::from_wire(self.bounced_at, kind, "moment of a bounce")?,
        };
        let identifier = Identifier {
            namespace: NamespaceId::from_wire(self.namespace, kind, "namespace")?,
            value: IdentifierValue::stored(&self.value).intact(kind, "identifier")?,
        };
        Ok((identifier, stored))
    }
}
