//! A stored event as a caller may see it: opened, and judged for the stated purpose.

use custodia_profile::{LawfulBasis, RefusalReason, StoredEvent, Verdict};

use crate::{
    shard::{EventSource, Loaded, ProfileView},
    wire::ServiceError,
};

/// What a caller sees of a stored event.
pub(in crate::api) enum SeenEvent {
    /// It is given on this ground.
    Given(StoredEvent, LawfulBasis),
    /// It is withheld for this reason. What it says is not for the caller; none: it cannot be read.
    Withheld(RefusalReason, Option<StoredEvent>),
    /// It is gone by now.
    Gone,
}

/// What the caller sees of an event.
pub(in crate::api) fn seen_event(
    profile: &ProfileView<'_>,
    source: EventSource,
) -> Result<SeenEvent, ServiceError> {
    let unreadable = SeenEvent::Withheld(RefusalReason::Unreadable, None);
    let event = match source {
        EventSource::Stored { key, value } => match profile.context.open(profile.location, &key, value) {
            Ok(Some(Loaded { value, .. })) => value,
            Ok(None) => return Ok(SeenEvent::Gone),
            Err(ServiceError::Unreadable) => return Ok(unreadable),
            Err(error) => return Err(error),
        },
        EventSource::Sent { event: Some(event), .. } => *event,
        EventSource::Sent { event: None, .. } => return Ok(unreadable),
    };
    Ok(match profile.permission.for_event(&event) {
        Verdict::Permit { ground, .. } => SeenEvent::Given(event, ground),
        Verdict::Refuse(reason) => SeenEvent::Withheld(reason, Some(event)),
    })
}
