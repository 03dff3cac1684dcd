//! A stored event as a caller may see it: opened, and judged for the stated purpose.

use bytes::Bytes;
use custodia_profile::{LawfulBasis, RefusalReason, StoredEvent, Verdict};
use custodia_store::Key;

use crate::{
    shard::{Loaded, ProfileView},
    wire::ServiceError,
};

/// What a caller sees of a stored event.
pub(in crate::api) enum SeenEvent {
    /// It is given on this ground.
    Given(StoredEvent, LawfulBasis),
    /// It is withheld for this reason.
    Withheld(RefusalReason),
    /// It is gone by now.
    Gone,
}

/// The event that was read from `key`.
pub(in crate::api) fn seen_event(
    profile: &ProfileView<'_>,
    key: &Key,
    value: Bytes,
) -> Result<SeenEvent, ServiceError> {
    let event: Loaded<StoredEvent> = match profile.context.open(profile.location, key, value) {
        Ok(Some(event)) => event,
        Ok(None) => return Ok(SeenEvent::Gone),
        Err(ServiceError::Unreadable) => return Ok(SeenEvent::Withheld(RefusalReason::Unreadable)),
        Err(error) => return Err(error),
    };
    Ok(match profile.permission.for_event(&event.value) {
        Verdict::Permit { ground, .. } => SeenEvent::Given(event.value, ground),
        Verdict::Refuse(reason) => SeenEvent::Withheld(reason),
    })
}
