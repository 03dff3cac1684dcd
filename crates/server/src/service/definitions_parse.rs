//! The door of the catalogue: purposes and attributes as callers define them.

use custodia_profile::{
    AttributeDefinition, AttributeFields, AttributeName, AttributeNumber, Catalogue, Classification,
    LawfulBasis, Notice, NoticeId, ProfileError, Purpose, PurposeFields, PurposeId, PurposeNumber, Revision,
    ValueType,
};
use custodia_proto::v1;

use super::{
    error::{FieldFault, ServiceError},
    opaque::unhex,
    parse::{chosen, each, within_limit},
};

/// The purpose's name.
pub(super) fn purpose_id(text: &str) -> Result<PurposeId, ServiceError> {
    PurposeId::new(text).map_err(|error| ServiceError::from(error).named("id"))
}

/// The attribute's name.
pub(super) fn attribute_name(text: &str) -> Result<AttributeName, ServiceError> {
    AttributeName::new(text).map_err(|error| ServiceError::from(error).named("name"))
}

/// A purpose under the number and revision that the catalogue gives it.
pub(super) fn purpose(
    wire: &v1::Purpose,
    number: PurposeNumber,
    revision: Revision,
) -> Result<Purpose, ServiceError> {
    within_limit("notices", wire.notices.len(), custodia_profile::limits::NOTICES_MAX)?;
    let fields = PurposeFields {
        number,
        id: purpose_id(&wire.id)?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        dpv: wire.dpv.clone(),
        lawful_bases: each("lawful_bases", &wire.lawful_bases, |basis| {
            required(*basis, LawfulBasis::from_number)
        })?,
        notices: each("notices", &wire.notices, notice)?,
        standing_bases: each("standing_bases", &wire.standing_bases, |basis| {
            required(*basis, LawfulBasis::from_number)
        })?,
        deprecated: wire.deprecated,
        revision,
    };
    Purpose::new(fields).map_err(|error| of_definition(error, "purpose."))
}

/// The profile crate names the fields of a definition with its message in front; here the message is put in front
/// by the caller, as for all others.
fn of_definition(error: ProfileError, message: &str) -> ServiceError {
    ServiceError::from(error).renamed(|field| field.strip_prefix(message).map(str::to_owned))
}

/// A member of an enum inside of a list or of a definition, which cannot be unspecified.
fn required<T>(number: i32, member: impl Fn(u8) -> Result<T, ProfileError>) -> Result<T, ServiceError> {
    let found = chosen(number, member).map_err(|error| ServiceError::from(error).named(""))?;
    found.ok_or_else(|| ServiceError::missing(""))
}

fn notice(wire: &v1::NoticeVersion) -> Result<Notice, ServiceError> {
    let malformed = || ServiceError::invalid("text_sha256", "expected 64 hex digits");
    let text_sha256 = if wire.text_sha256.is_empty() {
        None
    } else {
        let bytes = unhex(&wire.text_sha256).ok_or_else(malformed)?;
        Some(<[u8; 32]>::try_from(bytes).map_err(|_length| malformed())?)
    };
    Ok(Notice {
        version: NoticeId::new("version", &wire.version)?,
        text_sha256,
        language: wire.language.clone(),
        asks_again: wire.asks_again,
    })
}

/// An attribute under the number and revision that the catalogue gives it.
pub(super) fn attribute(
    wire: &v1::AttributeDefinition,
    number: AttributeNumber,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<AttributeDefinition, ServiceError> {
    within_limit("purposes", wire.purposes.len(), custodia_profile::limits::ATTRIBUTE_PURPOSES_MAX)?;
    let named = |text: &String| {
        let id = PurposeId::new(text).map_err(|error| ServiceError::from(error).named(""))?;
        let known = catalogue.purpose_by_id(id.as_str()).map(|purpose| purpose.number);
        known.ok_or_else(|| ServiceError::field("", FieldFault::PurposeUnknown))
    };
    let fields = AttributeFields {
        number,
        name: attribute_name(&wire.name)?,
        description: wire.description.clone(),
        value_type: required(wire.r#type, ValueType::from_number).map_err(|error| error.named("type"))?,
        classification: required(wire.classification, Classification::from_number)
            .map_err(|error| error.named("classification"))?,
        purposes: each("purposes", &wire.purposes, named)?,
        owner: wire.owner.clone(),
        bytes_max: usize::try_from(wire.bytes_max).unwrap_or(usize::MAX),
        revision,
    };
    AttributeDefinition::new(fields).map_err(|error| of_definition(error, "attribute."))
}
