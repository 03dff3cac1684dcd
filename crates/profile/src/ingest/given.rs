//! Owns how an identifier that another customer had by mistake is given to the right one (ID-4). Always: by the law as it stands for the
//! right one, as if it were collected now; where it came from, and the evidence about it, stay.

use super::identifiers::has_room;
use crate::{
    catalogue::{Catalogue, Purpose},
    id::TimestampMs,
    identifier::Identifier,
    permission::{Permission, Reader, Verdict},
    provenance::Provenance,
    reason::RefusalReason,
    record::{CustomerRecord, StoredIdentifier},
};

/// The record with the identifier, unless it has it already under a legal hold.
///
/// # Errors
/// Why the customer may not have it: the law's reason for the purpose, `UnknownNamespace` or `IdentifierLimit`.
pub fn give_identifier(
    record: &CustomerRecord,
    identifier: &Identifier,
    stored: &StoredIdentifier,
    purpose: &Purpose,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<CustomerRecord, RefusalReason> {
    let namespace = catalogue.namespace(identifier.namespace.as_str());
    let namespace = namespace.ok_or(RefusalReason::UnknownNamespace)?;
    let permission = Permission::for_purpose(purpose, Reader::Controller, record, catalogue, now);
    let basis = match permission.for_identifier(namespace) {
        Verdict::Permit { ground, .. } => ground,
        Verdict::Refuse(reason) => return Err(reason),
    };
    let provenance = Provenance { purpose: purpose.number, basis, ..stored.provenance.clone() };
    let given = StoredIdentifier { provenance, ..stored.clone() };
    let mut after = record.clone();
    let given = match record.identifiers.get(identifier) {
        Some(_) if record.subject.legal_hold.is_some() => return Ok(after),
        Some(held) => held.clone().newest(given),
        None if !has_room(record, namespace) => return Err(RefusalReason::IdentifierLimit),
        None => given,
    };
    if record.identifiers.get(identifier) != Some(&given) {
        after.identifiers.insert(identifier.clone(), given);
        after.updated_at = after.updated_at.max(now);
    }
    Ok(after)
}
