//! Owns a type of matters: which events open one, which close it, and by what it is known (PR-5). Always: shown for at least
//! one purpose; no event both opens and closes.

use std::ops::Deref;

use super::check_list;
use crate::{
    error::ProfileError,
    id::{MatterTypeId, PurposeNumber, Revision},
    label::{EventName, PropertyName, check_text},
    limits::{
        DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, MATTER_EVENTS_MAX, MATTER_PURPOSES_MAX,
        OWNER_BYTES_MAX, STALE_DAYS_MAX,
    },
};

/// The fields of a type of matters before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatterTypeFields {
    /// The name that callers use.
    pub id: MatterTypeId,
    /// The name for people.
    pub display_name: String,
    /// The definition for people.
    pub description: String,
    /// Names of the events that open a matter, or open it again.
    pub opening_events: Vec<EventName>,
    /// Names of the events that close a matter.
    pub closing_events: Vec<EventName>,
    /// The property that names the one matter.
    pub key_property: PropertyName,
    /// For which purposes its matters are shown.
    pub purposes: Vec<PurposeNumber>,
    /// Days without an event after which a matter is stale; 0: none is.
    pub stale_after_days: u32,
    /// Who answers for the definition; may be empty.
    pub owner: String,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

/// A type of matters. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatterType(MatterTypeFields);

impl MatterType {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: MatterTypeFields) -> Result<Self, ProfileError> {
        check_text("matter_type.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("matter_type.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        check_text("matter_type.owner", &fields.owner, OWNER_BYTES_MAX)?;
        check_some("matter_type.opening_events", &fields.opening_events, MATTER_EVENTS_MAX)?;
        check_some("matter_type.closing_events", &fields.closing_events, MATTER_EVENTS_MAX)?;
        if fields.closing_events.iter().any(|name| fields.opening_events.contains(name)) {
            return Err(ProfileError::Malformed {
                field: "matter_type.closing_events",
                expected: "events other than those that open a matter",
            });
        }
        check_some("matter_type.purposes", &fields.purposes, MATTER_PURPOSES_MAX)?;
        if fields.stale_after_days > STALE_DAYS_MAX {
            return Err(ProfileError::Malformed {
                field: "matter_type.stale_after_days",
                expected: "at most 3,650 days",
            });
        }
        Ok(Self(fields))
    }

    /// Whether its matters are shown for the purpose.
    #[must_use]
    pub fn allows(&self, purpose: PurposeNumber) -> bool {
        self.purposes.contains(&purpose)
    }
}

impl Deref for MatterType {
    type Target = MatterTypeFields;

    fn deref(&self) -> &MatterTypeFields {
        &self.0
    }
}

/// Whether a list has entries, is within its limit and has no duplicates.
pub(super) fn check_some<T: Ord>(
    field: &'static str,
    entries: &[T],
    count_max: usize,
) -> Result<(), ProfileError> {
    if entries.is_empty() {
        Err(ProfileError::Empty { field })
    } else {
        check_list(field, entries, count_max)
    }
}
