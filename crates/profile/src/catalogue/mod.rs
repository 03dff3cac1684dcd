//! Owns the catalogue: which data may be kept, why, and for which purposes it may be used (GO-1, GO-3). Always: names
//! and numbers are unique, what an entry refers to exists, and nothing is ever removed, so a number never changes its
//! meaning.

mod attribute;
mod balancing;
mod built_in;
mod change;
mod channel;
mod dpv;
mod google;
mod jurisdiction;
mod jurisdictions;
mod match_field;
mod matter_type;
mod namespace;
mod notice;
mod purpose;
mod recipient;
mod special_category;
mod special_use;
mod trait_definition;

use std::{collections::BTreeMap, sync::Arc};

pub use attribute::{AttributeDefinition, AttributeFields, Classification, SourceMapping};
pub use balancing::BalancingTest;
pub use change::{CatalogueChange, CatalogueEntry};
pub use channel::{ChannelDefinition, ChannelFields, ChannelKind};
pub use dpv::{check_dpv_purpose, dpv_personal_data};
pub use google::GoogleConsentType;
pub use jurisdiction::{
    ConsentModel, Jurisdiction, JurisdictionFields, NoContactHours, RegionalAge, SensitiveConsent,
};
use jurisdictions::Jurisdictions;
pub use match_field::MatchField;
pub use matter_type::{MatterType, MatterTypeFields};
pub use namespace::{LinkPolicy, Namespace, NamespaceFields, NamespaceKind};
pub use notice::Notice;
pub use purpose::{JurisdictionBases, Purpose, PurposeFields};
pub use recipient::{Recipient, RecipientFields};
pub use special_category::SpecialCategoryGround;
pub use special_use::SpecialUse;
pub use trait_definition::{TraitAggregate, TraitDefinition, TraitFields};

pub(crate) use crate::label::{check_distinct, check_list};
use crate::{
    error::ProfileError,
    id::{
        AttributeName, AttributeNumber, ChannelId, MatterTypeId, NamespaceId, PurposeId, PurposeNumber,
        RecipientId, Region, TraitId,
    },
    limits::{
        ATTRIBUTES_MAX, CHANNELS_MAX, MATTER_TYPES_MAX, NAMESPACES_MAX, PURPOSES_MAX, RECIPIENTS_MAX,
        TRAITS_MAX,
    },
    value::ValueType,
};

/// All purposes, attributes, jurisdictions, recipients, channels, namespaces, types of matters and traits. Cloning shares the
/// entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    purposes: BTreeMap<PurposeNumber, Arc<Purpose>>,
    purpose_numbers: BTreeMap<PurposeId, PurposeNumber>,
    attributes: BTreeMap<AttributeNumber, Arc<AttributeDefinition>>,
    attribute_numbers: BTreeMap<AttributeName, AttributeNumber>,
    jurisdictions: Jurisdictions,
    recipients: BTreeMap<RecipientId, Arc<Recipient>>,
    channels: BTreeMap<ChannelId, Arc<ChannelDefinition>>,
    namespaces: BTreeMap<NamespaceId, Arc<Namespace>>,
    matter_types: BTreeMap<MatterTypeId, Arc<MatterType>>,
    traits: BTreeMap<TraitId, Arc<TraitDefinition>>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalogue {
    /// A catalogue with only the built-in jurisdictions and channels: it allows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            purposes: BTreeMap::new(),
            purpose_numbers: BTreeMap::new(),
            attributes: BTreeMap::new(),
            attribute_numbers: BTreeMap::new(),
            jurisdictions: Jurisdictions::of_this_release(),
            recipients: BTreeMap::new(),
            channels: channel::built_in(),
            namespaces: BTreeMap::new(),
            matter_types: BTreeMap::new(),
            traits: BTreeMap::new(),
        }
    }

    /// The catalogue of these entries, in any order: each as it is now, once.
    ///
    /// # Errors
    /// As [`Catalogue::put`].
    pub fn from_entries(entries: impl IntoIterator<Item = CatalogueEntry>) -> Result<Self, ProfileError> {
        let mut catalogue = Self::new();
        let mut jurisdictions = Vec::new();
        // Namespaces refer to attributes and purposes, all others to purposes, and purposes to jurisdictions.
        let (mut first, mut then, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                CatalogueEntry::Jurisdiction(jurisdiction) => jurisdictions.push(jurisdiction),
                CatalogueEntry::Purpose(_) => first.push(entry),
                CatalogueEntry::Attribute(_)
                | CatalogueEntry::Recipient(_)
                | CatalogueEntry::Channel(_)
                | CatalogueEntry::MatterType(_)
                | CatalogueEntry::Trait(_) => then.push(entry),
                CatalogueEntry::Namespace(_) => last.push(entry),
            }
        }
        catalogue.jurisdictions.put(jurisdictions)?;
        first.into_iter().chain(then).chain(last).try_for_each(|entry| catalogue.put(entry))?;
        Ok(catalogue)
    }

    /// The purpose with a number.
    #[must_use]
    pub fn purpose(&self, number: PurposeNumber) -> Option<&Arc<Purpose>> {
        self.purposes.get(&number)
    }

    /// The purpose with a name.
    #[must_use]
    pub fn purpose_by_id(&self, id: &str) -> Option<&Arc<Purpose>> {
        self.purposes.get(self.purpose_numbers.get(id)?)
    }

    /// The attribute with a number.
    #[must_use]
    pub fn attribute(&self, number: AttributeNumber) -> Option<&Arc<AttributeDefinition>> {
        self.attributes.get(&number)
    }

    /// The attribute with a name.
    #[must_use]
    pub fn attribute_by_name(&self, name: &str) -> Option<&Arc<AttributeDefinition>> {
        self.attributes.get(self.attribute_numbers.get(name)?)
    }

    /// Every purpose, by name.
    pub fn purposes(&self) -> impl Iterator<Item = &Arc<Purpose>> {
        self.purpose_numbers.values().filter_map(|number| self.purposes.get(number))
    }

    /// Every attribute, by name.
    pub fn attributes(&self) -> impl Iterator<Item = &Arc<AttributeDefinition>> {
        self.attribute_numbers.values().filter_map(|number| self.attributes.get(number))
    }

    /// Whether duplicates are sought: some attribute says what it is compared as.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.attributes().any(|attribute| attribute.match_as.is_some())
    }

    /// The jurisdiction with a name.
    #[must_use]
    pub fn jurisdiction(&self, id: &str) -> Option<&Arc<Jurisdiction>> {
        self.jurisdictions.get(id)
    }

    /// Every jurisdiction, by name.
    pub fn jurisdictions(&self) -> impl Iterator<Item = &Arc<Jurisdiction>> {
        self.jurisdictions.iter()
    }

    /// The jurisdiction of a region: the one that names it, else the one that names its country, else `default`.
    #[must_use]
    pub fn jurisdiction_of(&self, region: Option<&Region>) -> &Arc<Jurisdiction> {
        self.jurisdictions.of(region)
    }

    /// The recipient with a name.
    #[must_use]
    pub fn recipient(&self, id: &str) -> Option<&Arc<Recipient>> {
        self.recipients.get(id)
    }

    /// Every recipient, by name.
    pub fn recipients(&self) -> impl Iterator<Item = &Arc<Recipient>> {
        self.recipients.values()
    }

    /// The channel with a name.
    #[must_use]
    pub fn channel(&self, id: &str) -> Option<&Arc<ChannelDefinition>> {
        self.channels.get(id)
    }

    /// Every channel, by name.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<ChannelDefinition>> {
        self.channels.values()
    }

    /// The namespace with a name.
    #[must_use]
    pub fn namespace(&self, id: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(id)
    }

    /// Every namespace, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.values()
    }

    /// The namespace whose identifiers are the values of an attribute.
    #[must_use]
    pub fn namespace_of_attribute(&self, attribute: AttributeNumber) -> Option<&Arc<Namespace>> {
        self.namespaces().find(|namespace| namespace.attribute == Some(attribute))
    }

    /// The type of matters with a name.
    #[must_use]
    pub fn matter_type(&self, id: &str) -> Option<&Arc<MatterType>> {
        self.matter_types.get(id)
    }

    /// Every type of matters, by name.
    pub fn matter_types(&self) -> impl Iterator<Item = &Arc<MatterType>> {
        self.matter_types.values()
    }

    /// The trait with a name.
    #[must_use]
    pub fn trait_by_id(&self, id: &str) -> Option<&Arc<TraitDefinition>> {
        self.traits.get(id)
    }

    /// Every trait, by name.
    pub fn traits(&self) -> impl Iterator<Item = &Arc<TraitDefinition>> {
        self.traits.values()
    }

    /// The number for the next new purpose.
    ///
    /// # Errors
    /// `TooMany` if the catalogue is full.
    pub fn next_purpose_number(&self) -> Result<PurposeNumber, ProfileError> {
        check_room("purposes", &self.purposes, PURPOSES_MAX)?;
        let last = self.purposes.last_key_value().map_or(0, |(number, _)| number.as_u32());
        PurposeNumber::new(last.saturating_add(1))
    }

    /// The number for the next new attribute.
    ///
    /// # Errors
    /// `TooMany` if the catalogue is full.
    pub fn next_attribute_number(&self) -> Result<AttributeNumber, ProfileError> {
        check_room("attributes", &self.attributes, ATTRIBUTES_MAX)?;
        let last = self.attributes.last_key_value().map_or(0, |(number, _)| number.as_u32());
        AttributeNumber::new(last.saturating_add(1))
    }

    /// Adds an entry, or replaces the one with its number or name.
    ///
    /// # Errors
    /// As for the method of its kind.
    pub fn put(&mut self, entry: CatalogueEntry) -> Result<(), ProfileError> {
        match entry {
            CatalogueEntry::Purpose(purpose) => self.put_purpose(purpose),
            CatalogueEntry::Attribute(attribute) => self.put_attribute(attribute),
            CatalogueEntry::Jurisdiction(jurisdiction) => self.put_jurisdiction(jurisdiction),
            CatalogueEntry::Recipient(recipient) => self.put_recipient(recipient),
            CatalogueEntry::Channel(channel) => self.put_channel(channel),
            CatalogueEntry::Namespace(namespace) => self.put_namespace(namespace),
            CatalogueEntry::MatterType(matter_type) => self.put_matter_type(matter_type),
            CatalogueEntry::Trait(definition) => self.put_trait(definition),
        }
    }

    /// Adds a purpose, or replaces the one with its number.
    ///
    /// # Errors
    /// `TooMany`; `Duplicate` if another purpose has the name; `Unknown` if a jurisdiction does not exist;
    /// `Immutable` if the replacement changes the name or a published notice.
    pub fn put_purpose(&mut self, purpose: impl Into<Arc<Purpose>>) -> Result<(), ProfileError> {
        let purpose = purpose.into();
        match self.purposes.get(&purpose.number) {
            Some(stored) => stored.check_replacement(&purpose)?,
            None if self.purpose_numbers.contains_key(&purpose.id) => {
                return Err(ProfileError::Duplicate { field: "purpose.id" });
            }
            None => check_room("purposes", &self.purposes, PURPOSES_MAX)?,
        }
        let mut named = purpose.jurisdiction_bases.iter().map(|bases| bases.jurisdiction.as_str());
        if !named.all(|jurisdiction| self.jurisdiction(jurisdiction).is_some()) {
            return Err(ProfileError::Unknown { field: "purpose.jurisdiction_bases" });
        }
        self.purpose_numbers.insert(purpose.id.clone(), purpose.number);
        self.purposes.insert(purpose.number, purpose);
        Ok(())
    }

    /// Adds an attribute, or replaces the one with its number.
    ///
    /// # Errors
    /// `TooMany`; `Duplicate` if another attribute has the name; `Unknown` if a purpose does not exist;
    /// `Immutable` if the replacement changes the name or the type.
    pub fn put_attribute(
        &mut self,
        attribute: impl Into<Arc<AttributeDefinition>>,
    ) -> Result<(), ProfileError> {
        let attribute = attribute.into();
        match self.attributes.get(&attribute.number) {
            Some(stored) => stored.check_replacement(&attribute)?,
            None if self.attribute_numbers.contains_key(&attribute.name) => {
                return Err(ProfileError::Duplicate { field: "attribute.name" });
            }
            None => check_room("attributes", &self.attributes, ATTRIBUTES_MAX)?,
        }
        self.check_known("attribute.purposes", &attribute.purposes)?;
        self.attribute_numbers.insert(attribute.name.clone(), attribute.number);
        self.attributes.insert(attribute.number, attribute);
        Ok(())
    }

    /// Adds a jurisdiction, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`; `Duplicate` if another jurisdiction has one of its regions.
    pub fn put_jurisdiction(
        &mut self,
        jurisdiction: impl Into<Arc<Jurisdiction>>,
    ) -> Result<(), ProfileError> {
        self.jurisdictions.put(vec![jurisdiction.into()])
    }

    /// Adds a recipient, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`; `Unknown` if a purpose does not exist.
    pub fn put_recipient(&mut self, recipient: impl Into<Arc<Recipient>>) -> Result<(), ProfileError> {
        let recipient = recipient.into();
        if !self.recipients.contains_key(&recipient.id) {
            check_room("recipients", &self.recipients, RECIPIENTS_MAX)?;
        }
        self.check_known("recipient.purposes", &recipient.purposes)?;
        self.check_known("recipient.collection_purposes", &recipient.collection_purposes)?;
        self.recipients.insert(recipient.id.clone(), recipient);
        Ok(())
    }

    /// Adds a channel, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`.
    pub fn put_channel(&mut self, channel: impl Into<Arc<ChannelDefinition>>) -> Result<(), ProfileError> {
        let channel = channel.into();
        if !self.channels.contains_key(&channel.id) {
            check_room("channels", &self.channels, CHANNELS_MAX)?;
        }
        self.channels.insert(channel.id.clone(), channel);
        Ok(())
    }

    /// Adds a namespace, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`; `Unknown` if a purpose or the attribute does not exist; `Malformed` if the attribute is no text;
    /// `Duplicate` if another namespace has the attribute; `Immutable` if the replacement changes the kind, whether an
    /// identifier is one customer's, or the normal form.
    pub fn put_namespace(&mut self, namespace: impl Into<Arc<Namespace>>) -> Result<(), ProfileError> {
        let namespace = namespace.into();
        match self.namespaces.get(&namespace.id) {
            Some(stored) => stored.check_replacement(&namespace)?,
            None => check_room("namespaces", &self.namespaces, NAMESPACES_MAX)?,
        }
        self.check_known("namespace.purposes", &namespace.purposes)?;
        if let Some(number) = namespace.attribute {
            let field = "namespace.attribute";
            let attribute = self.attribute(number).ok_or(ProfileError::Unknown { field })?;
            if attribute.value_type != ValueType::Text {
                return Err(ProfileError::Malformed { field, expected: "an attribute of type TEXT" });
            }
            if self.namespace_of_attribute(number).is_some_and(|other| other.id != namespace.id) {
                return Err(ProfileError::Duplicate { field });
            }
        }
        self.namespaces.insert(namespace.id.clone(), namespace);
        Ok(())
    }

    /// Adds a type of matters, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`; `Unknown` if a purpose does not exist.
    pub fn put_matter_type(&mut self, matter_type: impl Into<Arc<MatterType>>) -> Result<(), ProfileError> {
        let matter_type = matter_type.into();
        if !self.matter_types.contains_key(&matter_type.id) {
            check_room("matter_types", &self.matter_types, MATTER_TYPES_MAX)?;
        }
        self.check_known("matter_type.purposes", &matter_type.purposes)?;
        self.matter_types.insert(matter_type.id.clone(), matter_type);
        Ok(())
    }

    /// Adds a trait, or replaces the one with its name.
    ///
    /// # Errors
    /// `TooMany`; `Unknown` if a purpose does not exist.
    pub fn put_trait(&mut self, definition: impl Into<Arc<TraitDefinition>>) -> Result<(), ProfileError> {
        let definition = definition.into();
        if !self.traits.contains_key(&definition.id) {
            check_room("traits", &self.traits, TRAITS_MAX)?;
        }
        self.check_known("trait.purposes", &definition.purposes)?;
        self.traits.insert(definition.id.clone(), definition);
        Ok(())
    }

    fn check_known(&self, field: &'static str, purposes: &[PurposeNumber]) -> Result<(), ProfileError> {
        let known = purposes.iter().all(|purpose| self.purposes.contains_key(purpose));
        if known { Ok(()) } else { Err(ProfileError::Unknown { field }) }
    }
}

/// Whether one more entry is within the limit.
fn check_room<K, V>(
    field: &'static str,
    entries: &BTreeMap<K, V>,
    count_max: usize,
) -> Result<(), ProfileError> {
    if entries.len() < count_max { Ok(()) } else { Err(ProfileError::TooMany { field, count_max }) }
}
