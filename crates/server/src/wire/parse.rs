//! Parses the fields that many calls share: a type of `custodia-profile`, or an error that names the field.
//!
//! Invariant: what is returned is valid by its type. Whatever needs the catalogue is checked later, on the leader.

use custodia_consensus::ReadMode;
use custodia_profile::{
    AffirmativeAct, AttributeName, ConsentMethod, CustomerId, DecidedBy, Evidence, Language, LawfulBasis,
    ProfileError, PurposeId, Recording, Reference, RequestId, Value,
};
use custodia_proto::{READ_MODE_METADATA, v1};
use data_encoding::HEXLOWER_PERMISSIVE;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::{FieldFault, ServiceError, parse_timestamp};
use crate::identity::{Role, RoleSet};

/// The parsed evidence of a decision.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub(crate) evidence: Option<Evidence>,
    /// The same act also covered other purposes.
    pub(crate) bundled: bool,
}

/// Maps an error of the profile crate to the field `name`; empty if the caller adds the path.
pub(crate) fn named<'a>(name: &'a str) -> impl Fn(ProfileError) -> ServiceError + 'a {
    move |error| ServiceError::from(error).named(name)
}

/// The customer in the field `customer_id`.
pub(crate) fn customer_id(text: &str) -> Result<CustomerId, ServiceError> {
    if text.is_empty() {
        return Err(ServiceError::missing("customer_id"));
    }
    text.parse().map_err(named("customer_id"))
}

/// The purpose in the field `name`.
pub(crate) fn purpose(text: &str, name: &str) -> Result<PurposeId, ServiceError> {
    PurposeId::new(text).map_err(named(name))
}

/// What the caller says that its reads may rely on, in the metadata `custodia-read-mode`.
pub(crate) fn read_mode(metadata: &MetadataMap) -> Result<ReadMode, ServiceError> {
    match metadata.get(READ_MODE_METADATA).map(MetadataValue::as_bytes) {
        None | Some(b"lease") => Ok(ReadMode::Lease),
        Some(b"quorum") => Ok(ReadMode::Quorum),
        Some(_) => Err(ServiceError::invalid(READ_MODE_METADATA, "is `lease` or `quorum`")),
    }
}

/// The request id, if the field `request_id` is set.
pub(crate) fn request_id(text: &str) -> Result<Option<RequestId>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(named("request_id"))
}

/// The lawful basis, if the field `lawful_basis` is set.
pub(crate) fn lawful_basis(number: i32) -> Result<Option<LawfulBasis>, ServiceError> {
    chosen(number, LawfulBasis::from_number).map_err(named("lawful_basis"))
}

/// How a decision reaches the store: only the privacy office imports, and callers with the role `importer`.
pub(crate) fn recording(number: i32, roles: RoleSet, importer: Role) -> Result<Recording, ServiceError> {
    match v1::Recording::try_from(number) {
        Ok(v1::Recording::Unspecified | v1::Recording::Live) => Ok(Recording::Live { answers: None }),
        Ok(v1::Recording::Imported) if roles.contains(importer) || roles.contains(Role::Privacy) => {
            Ok(Recording::Imported)
        }
        Ok(v1::Recording::Imported) => {
            Err(ServiceError::field("recording", FieldFault::RoleNeeded(importer)))
        }
        Err(_unknown) => Err(ServiceError::invalid("recording", "expected LIVE or IMPORTED")),
    }
}

/// The method of consent, if the field `method` is set.
pub(crate) fn consent_method(number: i32) -> Result<Option<ConsentMethod>, ServiceError> {
    chosen(number, ConsentMethod::from_number).map_err(named("method"))
}

/// The enum's member with this number; `None` if unspecified.
pub(crate) fn chosen<T>(
    number: i32,
    member: impl Fn(u8) -> Result<T, ProfileError>,
) -> Result<Option<T>, ProfileError> {
    // No enum of ours has 255 members, so a number out of range is refused as unknown.
    if number == 0 { Ok(None) } else { member(u8::try_from(number).unwrap_or(u8::MAX)).map(Some) }
}

/// The attributes of a read mask; `None` means all.
pub(crate) fn read_mask(
    mask: Option<&prost_types::FieldMask>,
) -> Result<Option<Vec<AttributeName>>, ServiceError> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(None) };
    within_limit("read_mask", mask.paths.len(), custodia_profile::limits::ATTRIBUTES_MAX)?;
    let name = |path: &String| AttributeName::new(path).map_err(named("read_mask"));
    mask.paths.iter().map(name).collect::<Result<_, _>>().map(Some)
}

/// Checks a list's length against its limit.
pub(crate) fn within_limit(field: &str, count: usize, limit: usize) -> Result<(), ServiceError> {
    if count > limit { Err(ServiceError::field(field, FieldFault::TooMany(limit))) } else { Ok(()) }
}

/// Parses each entry of a list; errors name the entry's index.
pub(crate) fn each<W, T>(
    field: &str,
    list: &[W],
    parse: impl Fn(&W) -> Result<T, ServiceError>,
) -> Result<Vec<T>, ServiceError> {
    let entry = |(at, wire)| parse(wire).map_err(|error| error.within(&format!("{field}[{at}]")));
    list.iter().enumerate().map(entry).collect()
}

/// The evidence of a decision; errors name fields of the evidence.
pub(crate) fn proof(wire: Option<&v1::ConsentEvidence>) -> Result<Proof, ServiceError> {
    let Some(wire) = wire else { return Ok(Proof::default()) };
    let decided_by = chosen(wire.decided_by, DecidedBy::from_number).map_err(named("decided_by"))?;
    let evidence = Evidence {
        act: chosen(wire.act, AffirmativeAct::from_number).map_err(named("act"))?,
        statement_sha256: sha256("statement_sha256", &wire.statement_sha256)?,
        language: Language::optional("language", &wire.language)?,
        decided_by: decided_by.unwrap_or_default(),
        incapacity: Reference::optional("incapacity", &wire.incapacity)?,
    };
    Ok(Proof { evidence: evidence.or_nothing(), bundled: wire.bundled })
}

/// A SHA-256 in hex, if the field is set.
pub(crate) fn sha256(field: &str, text: &str) -> Result<Option<[u8; 32]>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let hash = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.map(Some).ok_or_else(|| ServiceError::invalid(field, "expected 64 hex digits"))
}

/// A value on the wire, parsed.
pub(crate) fn value(wire: &v1::Value) -> Result<Value, ServiceError> {
    use v1::value::Kind;
    let kind = wire.kind.as_ref().ok_or_else(|| ServiceError::missing("value"))?;
    Ok(match kind {
        Kind::Text(text) if text.is_empty() => return Err(ServiceError::missing("value")),
        Kind::Text(text) => Value::text(text)?,
        Kind::Integer(number) => Value::Integer(*number),
        Kind::Decimal(number) => Value::decimal(*number)?,
        Kind::Boolean(yes) => Value::Boolean(*yes),
        Kind::Date(text) => Value::Date(text.parse().map_err(named("value"))?),
        Kind::Timestamp(timestamp) => Value::Timestamp(parse_timestamp(timestamp, "value")?),
    })
}
