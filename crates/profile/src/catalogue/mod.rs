//! Owns the catalogue: what may be kept, why, and for which purpose it may be used (GO-1, GO-3). Always: names and
//! numbers are unique, an attribute's purposes exist, and nothing is ever removed, so a number means one thing for ever.

mod attribute;
mod purpose;

use std::{collections::BTreeMap, sync::Arc};

pub use attribute::{AttributeDefinition, AttributeFields, Classification};
pub use purpose::{Notice, Purpose, PurposeFields};

use crate::{
    AttributeName, AttributeNumber, ProfileError, PurposeId, PurposeNumber,
    limits::{ATTRIBUTES_MAX, PURPOSES_MAX},
};

/// All purposes and attributes. Cloning shares the entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    purposes: BTreeMap<PurposeNumber, Arc<Purpose>>,
    purpose_numbers: BTreeMap<PurposeId, PurposeNumber>,
    attributes: BTreeMap<AttributeNumber, Arc<AttributeDefinition>>,
    attribute_numbers: BTreeMap<AttributeName, AttributeNumber>,
}

impl Catalogue {
    /// A catalogue without entries: nothing is allowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The purpose of a number.
    #[must_use]
    pub fn purpose(&self, number: PurposeNumber) -> Option<&Arc<Purpose>> {
        self.purposes.get(&number)
    }

    /// The purpose of a name.
    #[must_use]
    pub fn purpose_by_id(&self, id: &str) -> Option<&Arc<Purpose>> {
        self.purposes.get(self.purpose_numbers.get(id)?)
    }

    /// The attribute of a number.
    #[must_use]
    pub fn attribute(&self, number: AttributeNumber) -> Option<&Arc<AttributeDefinition>> {
        self.attributes.get(&number)
    }

    /// The attribute of a name.
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

    /// The number for the next new purpose.
    ///
    /// # Errors
    /// `TooMany` where the catalogue is full.
    pub fn next_purpose_number(&self) -> Result<PurposeNumber, ProfileError> {
        if self.purposes.len() >= PURPOSES_MAX {
            return Err(ProfileError::TooMany { field: "purposes", count_max: PURPOSES_MAX });
        }
        let last = self.purposes.last_key_value().map_or(0, |(number, _)| number.as_u32());
        PurposeNumber::new(last.saturating_add(1))
    }

    /// The number for the next new attribute.
    ///
    /// # Errors
    /// `TooMany` where the catalogue is full.
    pub fn next_attribute_number(&self) -> Result<AttributeNumber, ProfileError> {
        if self.attributes.len() >= ATTRIBUTES_MAX {
            return Err(ProfileError::TooMany { field: "attributes", count_max: ATTRIBUTES_MAX });
        }
        let last = self.attributes.last_key_value().map_or(0, |(number, _)| number.as_u32());
        AttributeNumber::new(last.saturating_add(1))
    }

    /// Adds a purpose, or replaces the one of its number.
    ///
    /// # Errors
    /// `TooMany`; `Duplicate` where another purpose has the name; `Immutable` where the replacement changes what
    /// cannot change: the name, or a notice that was published.
    pub fn put_purpose(&mut self, purpose: Purpose) -> Result<(), ProfileError> {
        match self.purposes.get(&purpose.number) {
            Some(stored) => stored.check_replacement(&purpose)?,
            None if self.purpose_numbers.contains_key(&purpose.id) => {
                return Err(ProfileError::Duplicate { field: "purpose.id" });
            }
            None if self.purposes.len() >= PURPOSES_MAX => {
                return Err(ProfileError::TooMany { field: "purposes", count_max: PURPOSES_MAX });
            }
            None => {}
        }
        self.purpose_numbers.insert(purpose.id.clone(), purpose.number);
        self.purposes.insert(purpose.number, Arc::new(purpose));
        Ok(())
    }

    /// Adds an attribute, or replaces the one of its number.
    ///
    /// # Errors
    /// `TooMany`; `Duplicate` where another attribute has the name; `Unknown` where a purpose does not exist;
    /// `Immutable` where the replacement changes what cannot change: the name or the type.
    pub fn put_attribute(&mut self, attribute: AttributeDefinition) -> Result<(), ProfileError> {
        match self.attributes.get(&attribute.number) {
            Some(stored) => stored.check_replacement(&attribute)?,
            None if self.attribute_numbers.contains_key(&attribute.name) => {
                return Err(ProfileError::Duplicate { field: "attribute.name" });
            }
            None if self.attributes.len() >= ATTRIBUTES_MAX => {
                return Err(ProfileError::TooMany { field: "attributes", count_max: ATTRIBUTES_MAX });
            }
            None => {}
        }
        if !attribute.purposes.iter().all(|purpose| self.purposes.contains_key(purpose)) {
            return Err(ProfileError::Unknown { field: "attribute.purposes" });
        }
        self.attribute_numbers.insert(attribute.name.clone(), attribute.number);
        self.attributes.insert(attribute.number, Arc::new(attribute));
        Ok(())
    }
}
