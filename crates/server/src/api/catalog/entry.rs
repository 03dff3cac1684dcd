//! What all kinds of catalogue entries have in common: each is an entry with a name, a
//! revision, a wire message and a key in the directory. `entries.rs` serves all kinds in the same way.

use std::sync::Arc;

use custodia_profile::{
    AttributeDefinition, AttributeName, Catalogue, CatalogueEntry, ChannelDefinition, ChannelId,
    Jurisdiction, JurisdictionId, MatterType, MatterTypeId, Namespace, NamespaceId, ProfileError, Purpose,
    PurposeId, Recipient, RecipientId, Revision, Stored, TraitDefinition, TraitId,
};
use custodia_proto::v1;
use custodia_store::Key;
use prost::Message;

use super::{activity, convert, parse};
use crate::wire::{Listing, ServiceError, parse::named};

/// The revision of a new entry.
const FIRST: Revision = Revision::from_u64(1);

/// A kind of catalogue entry.
pub(super) trait Entry: Stored + Clone + Into<CatalogueEntry> + Send + Sync + 'static {
    /// Its wire message.
    type Wire: Message + Default;
    /// Its name in errors, and the request's field that contains it.
    const KIND: &'static str;
    const LISTING: Listing;

    /// Whether the cluster needs the key that blinds identifiers and blocking keys before it has this entry.
    fn is_blinded(_wire: &Self::Wire) -> bool {
        false
    }

    /// The entry's name in its wire message.
    fn wire_name(wire: &Self::Wire) -> &str;
    /// The entry's etag in its wire message.
    fn wire_etag(wire: &Self::Wire) -> &str;
    /// Checks that a text is a valid name of this kind; the error names the field.
    fn check_name(text: &str) -> Result<(), ServiceError>;
    /// Parses an entry: the successor of `stored`, or a new one.
    fn parse(wire: &Self::Wire, stored: Option<&Self>, catalogue: &Catalogue) -> Result<Self, ServiceError>;
    /// Converts the entry to its wire message.
    fn wire(&self, catalogue: &Catalogue) -> Self::Wire;
    fn name(&self) -> &str;
    fn revision(&self) -> Revision;
    /// Its key in the directory.
    fn key(&self) -> Key;
    /// The entry with this name.
    fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a Arc<Self>>;
    /// All entries, sorted by name.
    fn all(catalogue: &Catalogue) -> impl Iterator<Item = &Arc<Self>>;
}

/// The revision of `stored`'s successor.
fn next<D: Entry>(stored: Option<&D>) -> Revision {
    stored.map_or(FIRST, |stored| stored.revision().next())
}

/// Maps the catalogue's error for an entry that is valid by itself. A full catalogue is not the request's fault.
pub(super) fn put_error<D: Entry>(error: ProfileError) -> ServiceError {
    if let ProfileError::TooMany { count_max, .. } = error {
        return ServiceError::CatalogueFull { kind: D::KIND, limit: count_max };
    }
    if let ProfileError::Duplicate { field: field @ "jurisdiction.regions" } = error {
        return ServiceError::invalid(field, "contains a region that belongs to another jurisdiction");
    }
    if let ProfileError::Duplicate { field: field @ "namespace.attribute" } = error {
        return ServiceError::invalid(field, "belongs to another namespace");
    }
    if let ProfileError::Immutable { field: "namespace.unique" } = error {
        return ServiceError::invalid("namespace.shared", "cannot change");
    }
    error.into()
}

/// [`Entry`] for one kind: the accessors that differ in a name alone, then its `parse` and `wire`.
macro_rules! entry {
    (
        $kind:ident: $const:literal, $listing:ident;
        name $name:ident: $id:ident; key $key:ident; find $find:ident; all $all:ident;
        $($functions:item)+
    ) => {
        impl Entry for $kind {
            type Wire = v1::$kind;
            const KIND: &'static str = $const;
            const LISTING: Listing = Listing::$listing;

            $($functions)+

            fn wire_name(wire: &v1::$kind) -> &str {
                &wire.$name
            }

            fn wire_etag(wire: &v1::$kind) -> &str {
                &wire.etag
            }

            fn check_name(text: &str) -> Result<(), ServiceError> {
                $id::new(text).map(drop).map_err(named(stringify!($name)))
            }

            fn name(&self) -> &str {
                self.$name.as_str()
            }

            fn revision(&self) -> Revision {
                self.revision
            }

            fn key(&self) -> Key {
                Key::$key(&self.$name)
            }

            fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a Arc<Self>> {
                catalogue.$find(name)
            }

            fn all(catalogue: &Catalogue) -> impl Iterator<Item = &Arc<Self>> {
                catalogue.$all()
            }
        }
    };
}

entry! {
    Purpose: "purpose", Purposes;
    name id: PurposeId; key purpose; find purpose_by_id; all purposes;

    fn parse(wire: &v1::Purpose, stored: Option<&Self>, catalogue: &Catalogue) -> Result<Self, ServiceError> {
        let number = match stored {
            Some(stored) => stored.number,
            None => catalogue.next_purpose_number().map_err(put_error::<Self>)?,
        };
        parse::purpose(wire, number, next(stored), catalogue)
    }

    fn wire(&self, _catalogue: &Catalogue) -> v1::Purpose {
        convert::purpose(self)
    }
}

entry! {
    AttributeDefinition: "attribute", Attributes;
    name name: AttributeName; key attribute; find attribute_by_name; all attributes;

    fn is_blinded(wire: &v1::AttributeDefinition) -> bool {
        wire.match_as != 0
    }

    fn parse(
        wire: &v1::AttributeDefinition,
        stored: Option<&Self>,
        catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        let number = match stored {
            Some(stored) if wire.number != 0 && wire.number != stored.number.as_u32() => {
                return Err(ServiceError::invalid("number", "cannot change"));
            }
            Some(stored) => stored.number,
            None => catalogue.next_attribute_number().map_err(put_error::<Self>)?,
        };
        parse::attribute(wire, number, next(stored), catalogue)
    }

    fn wire(&self, catalogue: &Catalogue) -> v1::AttributeDefinition {
        convert::attribute(self, catalogue)
    }
}

entry! {
    Jurisdiction: "jurisdiction", Jurisdictions;
    name id: JurisdictionId; key jurisdiction; find jurisdiction; all jurisdictions;

    fn parse(
        wire: &v1::Jurisdiction,
        stored: Option<&Self>,
        _catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        parse::jurisdiction(wire, next(stored))
    }

    fn wire(&self, _catalogue: &Catalogue) -> v1::Jurisdiction {
        convert::jurisdiction(self)
    }
}

entry! {
    Recipient: "recipient", Recipients;
    name id: RecipientId; key recipient; find recipient; all recipients;

    fn parse(
        wire: &v1::Recipient,
        stored: Option<&Self>,
        catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        parse::recipient(wire, next(stored), catalogue)
    }

    fn wire(&self, catalogue: &Catalogue) -> v1::Recipient {
        convert::recipient(self, catalogue)
    }
}

entry! {
    ChannelDefinition: "channel", Channels;
    name id: ChannelId; key channel; find channel; all channels;

    fn parse(
        wire: &v1::ChannelDefinition,
        stored: Option<&Self>,
        _catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        parse::channel(wire, next(stored))
    }

    fn wire(&self, _catalogue: &Catalogue) -> v1::ChannelDefinition {
        convert::channel(self)
    }
}

entry! {
    Namespace: "namespace", Namespaces;
    name id: NamespaceId; key namespace; find namespace; all namespaces;

    fn is_blinded(_wire: &v1::Namespace) -> bool {
        true
    }

    fn parse(
        wire: &v1::Namespace,
        stored: Option<&Self>,
        catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        parse::namespace(wire, next(stored), catalogue)
    }

    fn wire(&self, catalogue: &Catalogue) -> v1::Namespace {
        convert::namespace(self, catalogue)
    }
}

entry! {
    MatterType: "matter_type", MatterTypes;
    name id: MatterTypeId; key matter_type; find matter_type; all matter_types;

    fn parse(
        wire: &v1::MatterType,
        stored: Option<&Self>,
        catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        activity::matter_type(wire, next(stored), catalogue)
    }

    fn wire(&self, catalogue: &Catalogue) -> v1::MatterType {
        activity::matter_type_wire(self, catalogue)
    }
}

entry! {
    TraitDefinition: "trait", Traits;
    name id: TraitId; key trait_definition; find trait_by_id; all traits;

    fn parse(
        wire: &v1::TraitDefinition,
        stored: Option<&Self>,
        catalogue: &Catalogue,
    ) -> Result<Self, ServiceError> {
        activity::trait_definition(wire, next(stored), catalogue)
    }

    fn wire(&self, catalogue: &Catalogue) -> v1::TraitDefinition {
        activity::trait_wire(self, catalogue)
    }
}
