//! Owns the bytes of a change of the catalogue.

use prost::{Message, Oneof};

use super::{
    super::{Field, Intact, Stored, frame, unframe},
    attribute::WireDefinition,
    channel::WireChannelDefinition,
    jurisdiction::WireJurisdiction,
    matter_type::WireMatterType,
    namespace::WireNamespace,
    purpose::WirePurpose,
    recipient::WireRecipient,
    trait_definition::WireTrait,
};
use crate::{
    catalogue::{
        AttributeDefinition, CatalogueChange, CatalogueEntry, ChannelDefinition, Jurisdiction, MatterType,
        Namespace, Purpose, Recipient, TraitDefinition,
    },
    error::ProfileError,
    id::TimestampMs,
};

const KIND: &str = "catalogue change";

#[derive(Clone, PartialEq, Oneof)]
enum WireEntry {
    #[prost(message, tag = "4")]
    Purpose(Box<WirePurpose>),
    #[prost(message, tag = "5")]
    Attribute(WireDefinition),
    #[prost(message, tag = "6")]
    Jurisdiction(WireJurisdiction),
    #[prost(message, tag = "7")]
    Recipient(WireRecipient),
    #[prost(message, tag = "8")]
    Channel(WireChannelDefinition),
    #[prost(message, tag = "9")]
    Namespace(Box<WireNamespace>),
    #[prost(message, tag = "10")]
    MatterType(WireMatterType),
    #[prost(message, tag = "11")]
    Trait(WireTrait),
}

#[derive(Clone, PartialEq, Message)]
struct WireChange {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(sint64, tag = "2")]
    changed_at: i64,
    #[prost(string, tag = "3")]
    changed_by: String,
    #[prost(oneof = "WireEntry", tags = "4, 5, 6, 7, 8, 9, 10, 11")]
    entry: Option<WireEntry>,
}

impl Stored for CatalogueChange {
    fn encode(&self) -> Vec<u8> {
        let entry = match self.entry() {
            CatalogueEntry::Purpose(purpose) => WireEntry::Purpose(Box::new(purpose.to_wire())),
            CatalogueEntry::Attribute(attribute) => WireEntry::Attribute(attribute.to_wire()),
            CatalogueEntry::Jurisdiction(jurisdiction) => WireEntry::Jurisdiction(jurisdiction.to_wire()),
            CatalogueEntry::Recipient(recipient) => WireEntry::Recipient(recipient.to_wire()),
            CatalogueEntry::Channel(channel) => WireEntry::Channel(channel.to_wire()),
            CatalogueEntry::Namespace(namespace) => WireEntry::Namespace(Box::new(namespace.to_wire())),
            CatalogueEntry::MatterType(matter_type) => WireEntry::MatterType(matter_type.to_wire()),
            CatalogueEntry::Trait(definition) => WireEntry::Trait(definition.to_wire()),
        };
        frame(&WireChange {
            version: self.version(),
            changed_at: self.changed_at().as_ms(),
            changed_by: self.changed_by().to_owned(),
            entry: Some(entry),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireChange = unframe(KIND, bytes)?;
        let entry = match wire.entry.intact(KIND, "entry")? {
            WireEntry::Purpose(purpose) => Purpose::from_wire(*purpose, KIND, "entry")?.into(),
            WireEntry::Attribute(attribute) => {
                AttributeDefinition::from_wire(attribute, KIND, "entry")?.into()
            }
            WireEntry::Jurisdiction(jurisdiction) => {
                Jurisdiction::from_wire(jurisdiction, KIND, "entry")?.into()
            }
            WireEntry::Recipient(recipient) => Recipient::from_wire(recipient, KIND, "entry")?.into(),
            WireEntry::Channel(channel) => ChannelDefinition::from_wire(channel, KIND, "entry")?.into(),
            WireEntry::Namespace(namespace) => Namespace::from_wire(*namespace, KIND, "entry")?.into(),
            WireEntry::MatterType(matter_type) => MatterType::from_wire(matter_type, KIND, "entry")?.into(),
            WireEntry::Trait(definition) => TraitDefinition::from_wire(definition, KIND, "entry")?.into(),
        };
        let changed_at = TimestampMs::from_ms(wire.changed_at);
        Self::new(wire.version, changed_at, wire.changed_by, entry).intact(KIND, "name of who made it")
    }
}
