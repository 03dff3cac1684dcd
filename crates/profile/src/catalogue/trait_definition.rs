//! Owns a trait: what is computed of a customer's events, and what it may be used for (PR-4). Always: shown for at least one
//! purpose; a property where the aggregate needs one, and none where it has no use for it.

use std::ops::Deref;

use super::matter_type::check_some;
use crate::{
    error::ProfileError,
    id::{PurposeNumber, Revision, TraitId},
    label::{EventName, PropertyName, check_text},
    limits::{
        DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, OWNER_BYTES_MAX, TRAIT_EVENTS_MAX, TRAIT_PURPOSES_MAX,
        UNIT_BYTES_MAX, WINDOW_DAYS_MAX,
    },
    numbered::numbered,
};

numbered! {
    /// How a trait is computed. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum TraitAggregate ("aggregate", expected "an aggregate") {
        /// How many events there are.
        Count = 1,
        /// The sum of the property's values.
        Sum = 2,
        /// The smallest of the property's values.
        Min = 3,
        /// The largest of the property's values.
        Max = 4,
        /// The property's value in the oldest event that has it; without a property, when the oldest occurred.
        First = 5,
        /// The same of the newest event.
        Last = 6,
        /// Full days of 24 hours since the newest event.
        DaysSinceLast = 7,
    }
}

/// A trait's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraitFields {
    /// The name that callers use.
    pub id: TraitId,
    /// The name for people.
    pub display_name: String,
    /// The definition for people.
    pub description: String,
    /// How it is computed.
    pub aggregate: TraitAggregate,
    /// Names of the events that it is made of.
    pub events: Vec<EventName>,
    /// The property that is aggregated.
    pub property: Option<PropertyName>,
    /// Days for which an event counts; 0: for ever.
    pub window_days: u32,
    /// For which purposes it is shown.
    pub purposes: Vec<PurposeNumber>,
    /// What it is measured in; may be empty.
    pub unit: String,
    /// Who answers for the definition; may be empty.
    pub owner: String,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

/// A trait's definition. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraitDefinition(TraitFields);

impl TraitDefinition {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: TraitFields) -> Result<Self, ProfileError> {
        check_text("trait.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("trait.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        check_text("trait.unit", &fields.unit, UNIT_BYTES_MAX)?;
        check_text("trait.owner", &fields.owner, OWNER_BYTES_MAX)?;
        check_some("trait.events", &fields.events, TRAIT_EVENTS_MAX)?;
        check_property(fields.aggregate, fields.property.is_some())?;
        check_some("trait.purposes", &fields.purposes, TRAIT_PURPOSES_MAX)?;
        if fields.window_days > WINDOW_DAYS_MAX {
            return Err(ProfileError::Malformed {
                field: "trait.window_days",
                expected: "at most 3,650 days",
            });
        }
        Ok(Self(fields))
    }

    /// Whether it is shown for the purpose.
    #[must_use]
    pub fn allows(&self, purpose: PurposeNumber) -> bool {
        self.purposes.contains(&purpose)
    }
}

impl Deref for TraitDefinition {
    type Target = TraitFields;

    fn deref(&self) -> &TraitFields {
        &self.0
    }
}

fn check_property(aggregate: TraitAggregate, has_property: bool) -> Result<(), ProfileError> {
    let field = "trait.property";
    match aggregate {
        TraitAggregate::Sum | TraitAggregate::Min | TraitAggregate::Max if !has_property => {
            Err(ProfileError::Empty { field })
        }
        TraitAggregate::Count | TraitAggregate::DaysSinceLast if has_property => {
            Err(ProfileError::Malformed { field, expected: "none with COUNT and DAYS_SINCE_LAST" })
        }
        TraitAggregate::Count
        | TraitAggregate::Sum
        | TraitAggregate::Min
        | TraitAggregate::Max
        | TraitAggregate::First
        | TraitAggregate::Last
        | TraitAggregate::DaysSinceLast => Ok(()),
    }
}
