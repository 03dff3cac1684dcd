//! Owns the definition of an attribute. Always: used for at least one purpose; number, name and type never change.

use std::ops::Deref;

use super::{check_list, match_field::MatchField};
use crate::{
    error::ProfileError,
    format::ValueFormat,
    id::{AttributeName, AttributeNumber, CategoryId, PurposeNumber, Revision, SourceId},
    label::check_text,
    limits::{
        ATTRIBUTE_PURPOSES_MAX, DESCRIPTION_BYTES_MAX, MAPPING_DIFFERENCE_BYTES_MAX, MAPPING_FIELD_BYTES_MAX,
        MAPPINGS_MAX, OWNER_BYTES_MAX, TEXT_BYTES_MAX, UNIT_BYTES_MAX,
    },
    numbered::numbered,
    value::ValueType,
};

numbered! {
    /// How sensitive an attribute is. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum Classification ("classification", expected "a classification") {
        /// Not about a person.
        Anonymous = 1,
        /// About a person who is not named.
        Pseudonymous = 2,
        /// About a person.
        Personal = 3,
        /// Special categories, GDPR Art. 9.
        Sensitive = 4,
    }
}

/// How one source names an attribute, and how its values differ from the definition (GO-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMapping {
    /// The source.
    pub source: SourceId,
    /// The attribute's name there; at most 128 bytes.
    pub field: String,
    /// How its values differ, if they do; at most 512 bytes.
    pub difference: String,
}

/// An attribute's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFields {
    /// The number on disk.
    pub number: AttributeNumber,
    /// The name for people.
    pub name: AttributeName,
    /// The definition for people.
    pub description: String,
    /// The type of its values.
    pub value_type: ValueType,
    /// How sensitive it is.
    pub classification: Classification,
    /// For which purposes it may be collected and read.
    pub purposes: Vec<PurposeNumber>,
    /// Who is responsible for it; may be empty.
    pub owner: String,
    /// The most bytes of a text value; 0: 4,096.
    pub bytes_max: usize,
    /// What it is about.
    pub data_category: Option<CategoryId>,
    /// The unit of its values, e.g. `EUR`; may be empty.
    pub unit: String,
    /// How long a value may be used, in days after the observation; 0: the purpose's retention.
    pub retention_days: u32,
    /// Its names in the sources; each field of a source once.
    pub mappings: Vec<SourceMapping>,
    /// What its values are compared as where records of one person are sought; none: they are not compared.
    pub match_as: Option<MatchField>,
    /// What its values look like; none: any value of its type.
    pub format: Option<ValueFormat>,
    /// Of a postal code: the attribute that says the country; none: it is not known.
    pub country_attribute: Option<AttributeNumber>,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

/// An attribute's definition. Dereferences to its fields; `bytes_max` is never 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeDefinition(AttributeFields);

impl AttributeDefinition {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(mut fields: AttributeFields) -> Result<Self, ProfileError> {
        check_text("attribute.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        check_text("attribute.owner", &fields.owner, OWNER_BYTES_MAX)?;
        check_text("attribute.unit", &fields.unit, UNIT_BYTES_MAX)?;
        if fields.purposes.is_empty() {
            return Err(ProfileError::Empty { field: "attribute.purposes" });
        }
        check_list("attribute.purposes", &fields.purposes, ATTRIBUTE_PURPOSES_MAX)?;
        check_mappings(&fields.mappings)?;
        if fields.bytes_max > TEXT_BYTES_MAX {
            return Err(ProfileError::TooLong { field: "attribute.bytes_max", bytes_max: TEXT_BYTES_MAX });
        }
        check_match(&fields)?;
        check_format(&fields)?;
        if fields.bytes_max == 0 {
            fields.bytes_max = TEXT_BYTES_MAX;
        }
        Ok(Self(fields))
    }

    /// Whether the attribute may be used for the purpose.
    #[must_use]
    pub fn allows(&self, purpose: PurposeNumber) -> bool {
        self.0.purposes.contains(&purpose)
    }

    /// Values stored under the number must keep their meaning.
    pub(super) fn check_replacement(&self, new: &Self) -> Result<(), ProfileError> {
        if self.name != new.name {
            return Err(ProfileError::Immutable { field: "attribute.name" });
        }
        if self.value_type != new.value_type {
            return Err(ProfileError::Immutable { field: "attribute.type" });
        }
        Ok(())
    }
}

impl Deref for AttributeDefinition {
    type Target = AttributeFields;

    fn deref(&self) -> &AttributeFields {
        &self.0
    }
}

/// Only what reads as text is compared, and no special categories of data: who is ill may not tell who somebody is.
fn check_match(fields: &AttributeFields) -> Result<(), ProfileError> {
    let malformed = |expected| Err(ProfileError::Malformed { field: "attribute.match_as", expected });
    match (fields.match_as, fields.value_type, fields.classification) {
        (None, ..) => Ok(()),
        (Some(_), _, Classification::Sensitive) => malformed("nothing, since the attribute is sensitive"),
        (Some(_), ValueType::Text | ValueType::Integer | ValueType::Date, _) => Ok(()),
        (Some(_), ValueType::Decimal | ValueType::Boolean | ValueType::Timestamp, _) => {
            malformed("an attribute of type text, integer or date")
        }
    }
}

/// Only texts have a format, and only a postal code has a country.
fn check_format(fields: &AttributeFields) -> Result<(), ProfileError> {
    if fields.format.is_some() && fields.value_type != ValueType::Text {
        return Err(ProfileError::Malformed {
            field: "attribute.format",
            expected: "an attribute of type text",
        });
    }
    if fields.country_attribute.is_some() && fields.format != Some(ValueFormat::PostalCode) {
        return Err(ProfileError::Malformed {
            field: "attribute.country_attribute",
            expected: "none unless the format is POSTAL_CODE",
        });
    }
    Ok(())
}

fn check_mappings(mappings: &[SourceMapping]) -> Result<(), ProfileError> {
    let fields: Vec<_> = mappings.iter().map(|mapping| (&mapping.source, &mapping.field)).collect();
    check_list("attribute.mappings", &fields, MAPPINGS_MAX)?;
    for mapping in mappings {
        check_text("attribute.mappings.field", &mapping.field, MAPPING_FIELD_BYTES_MAX)?;
        check_text("attribute.mappings.difference", &mapping.difference, MAPPING_DIFFERENCE_BYTES_MAX)?;
        if mapping.field.is_empty() {
            return Err(ProfileError::Empty { field: "attribute.mappings.field" });
        }
    }
    Ok(())
}
