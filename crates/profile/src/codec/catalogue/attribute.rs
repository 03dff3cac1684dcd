//! Owns the bytes of an attribute's definition.

use prost::Message;

use super::{
    super::{Intact, byte},
    read_purposes, write_purposes,
};
use crate::{
    catalogue::{AttributeDefinition, AttributeFields, Classification, SourceMapping},
    error::ProfileError,
    id::{AttributeName, AttributeNumber, CategoryId, Revision, SourceId},
    value::ValueType,
};

const KIND: &str = "attribute";

#[derive(Clone, PartialEq, Message)]
struct WireMapping {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(string, tag = "2")]
    field: String,
    #[prost(string, tag = "3")]
    difference: String,
}

impl WireMapping {
    fn from_mapping(mapping: &SourceMapping) -> Self {
        Self {
            source: mapping.source.as_str().to_owned(),
            field: mapping.field.clone(),
            difference: mapping.difference.clone(),
        }
    }

    fn into_mapping(self) -> Result<SourceMapping, ProfileError> {
        let source = SourceId::new(&self.source).intact(KIND, "source")?;
        Ok(SourceMapping { source, field: self.field, difference: self.difference })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireDefinition {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(uint32, tag = "4")]
    value_type: u32,
    #[prost(uint32, tag = "5")]
    classification: u32,
    #[prost(uint32, repeated, tag = "6")]
    purposes: Vec<u32>,
    #[prost(string, tag = "7")]
    owner: String,
    #[prost(uint64, tag = "8")]
    bytes_max: u64,
    #[prost(uint64, tag = "9")]
    revision: u64,
    #[prost(string, tag = "10")]
    data_category: String,
    #[prost(string, tag = "11")]
    unit: String,
    #[prost(uint32, tag = "12")]
    retention_days: u32,
    #[prost(message, repeated, tag = "13")]
    mappings: Vec<WireMapping>,
}

impl WireDefinition {
    pub(super) fn from_definition(definition: &AttributeDefinition) -> Self {
        let category = definition.data_category.as_ref();
        Self {
            number: definition.number.as_u32(),
            name: definition.name.as_str().to_owned(),
            description: definition.description.clone(),
            value_type: definition.value_type.number().into(),
            classification: definition.classification.number().into(),
            purposes: write_purposes(&definition.purposes),
            owner: definition.owner.clone(),
            bytes_max: definition.bytes_max as u64,
            revision: definition.revision.as_u64(),
            data_category: category.map_or_else(String::new, |category| category.as_str().to_owned()),
            unit: definition.unit.clone(),
            retention_days: definition.retention_days,
            mappings: definition.mappings.iter().map(WireMapping::from_mapping).collect(),
        }
    }

    pub(super) fn into_definition(self) -> Result<AttributeDefinition, ProfileError> {
        let data_category = match self.data_category.as_str() {
            "" => None,
            id => Some(CategoryId::new(id).intact(KIND, "category")?),
        };
        let mappings = self.mappings.into_iter().map(WireMapping::into_mapping);
        let fields = AttributeFields {
            number: AttributeNumber::new(self.number).intact(KIND, "number")?,
            name: AttributeName::new(&self.name).intact(KIND, "name")?,
            description: self.description,
            value_type: ValueType::from_number(byte(self.value_type)).intact(KIND, "type")?,
            classification: Classification::from_number(byte(self.classification))
                .intact(KIND, "classification")?,
            purposes: read_purposes(&self.purposes, KIND)?,
            owner: self.owner,
            bytes_max: usize::try_from(self.bytes_max).ok().intact(KIND, "bytes_max")?,
            data_category,
            unit: self.unit,
            retention_days: self.retention_days,
            mappings: mappings.collect::<Result<_, _>>()?,
            revision: Revision::from_u64(self.revision),
        };
        AttributeDefinition::new(fields).intact(KIND, "combination of fields")
    }
}

stored!(AttributeDefinition as WireDefinition: from_definition, into_definition);
