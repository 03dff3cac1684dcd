//! Owns how a stored identifier changes apart from an ingest (ID-5, GO-4): it is released, verified, or found to bounce.
//! Always: the same change again changes nothing, and changes in any order give the same record; what is held for a legal
//! claim stays as it is. None is a decision about consent, so none has a ledger entry.

use crate::{
    error::ProfileError,
    id::TimestampMs,
    identifier::Identifier,
    limits::FUTURE_MAX_MS,
    record::{CustomerRecord, StoredIdentifier, Verification},
};

/// The record without an identifier. An attribute with the same value stays: it says what a source observed.
///
/// # Errors
/// `IdentifierNotFound`; `HeldForClaim` under a legal hold.
pub fn release_identifier(
    record: &CustomerRecord,
    identifier: &Identifier,
    now: TimestampMs,
) -> Result<CustomerRecord, ProfileError> {
    stored(record, identifier)?;
    if record.subject.legal_hold.is_some() {
        return Err(ProfileError::HeldForClaim);
    }
    let mut after = record.clone();
    after.identifiers.remove(identifier);
    after.updated_at = after.updated_at.max(now);
    Ok(after)
}

/// The record with evidence that an identifier is the customer's, unless newer evidence is stored.
///
/// # Errors
/// `IdentifierNotFound`; `InFuture` more than five minutes ahead; `HeldForClaim` where it would replace evidence under a
/// legal hold.
pub fn verify_identifier(
    record: &CustomerRecord,
    identifier: &Identifier,
    verification: Verification,
    now: TimestampMs,
) -> Result<CustomerRecord, ProfileError> {
    check_moment("verification.at", verification.at, now)?;
    let before = stored(record, identifier)?;
    let verified = before.verified.clone().max(Some(verification));
    let replaces = before.verified.is_some();
    replace(record, identifier, StoredIdentifier { verified, ..before.clone() }, replaces, now)
}

/// The record with the moment at which a message to an identifier came back, unless a later one is stored.
///
/// # Errors
/// As [`verify_identifier`].
pub fn record_bounce(
    record: &CustomerRecord,
    identifier: &Identifier,
    bounced_at: TimestampMs,
    now: TimestampMs,
) -> Result<CustomerRecord, ProfileError> {
    check_moment("bounced_at", bounced_at, now)?;
    let before = stored(record, identifier)?;
    let replaces = before.bounced_at.is_some();
    let bounced_at = before.bounced_at.max(Some(bounced_at));
    replace(record, identifier, StoredIdentifier { bounced_at, ..before.clone() }, replaces, now)
}

fn stored<'a>(
    record: &'a CustomerRecord,
    identifier: &Identifier,
) -> Result<&'a StoredIdentifier, ProfileError> {
    record.identifiers.get(identifier).ok_or(ProfileError::IdentifierNotFound)
}

fn check_moment(field: &'static str, moment: TimestampMs, now: TimestampMs) -> Result<(), ProfileError> {
    if moment > now.plus_ms(FUTURE_MAX_MS) {
        return Err(ProfileError::InFuture { field, ahead_max_ms: FUTURE_MAX_MS });
    }
    Ok(())
}

fn replace(
    record: &CustomerRecord,
    identifier: &Identifier,
    changed: StoredIdentifier,
    replaces: bool,
    now: TimestampMs,
) -> Result<CustomerRecord, ProfileError> {
    let mut after = record.clone();
    if record.identifiers.get(identifier) == Some(&changed) {
        return Ok(after);
    }
    if replaces && record.subject.legal_hold.is_some() {
        return Err(ProfileError::HeldForClaim);
    }
    after.identifiers.insert(identifier.clone(), changed);
    after.updated_at = after.updated_at.max(now);
    Ok(after)
}
