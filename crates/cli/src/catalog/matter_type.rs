//! `custodia matter`: what customers may have open, e.g. a support case or an order.

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, days_text, requests, set_fields};
use crate::text::output::{Column, facts, or_dash};
use crate::text::set;

/// The fields of a type of matters.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MatterTypeFields {
    /// Id of the type of matters: 1 to 64 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// Name of an event that opens a matter (repeatable, or comma-separated)
    #[arg(long = "opening-event", value_name = "EVENT", value_delimiter = ',')]
    opening_events: Option<Vec<String>>,
    /// Name of an event that closes a matter (repeatable, or comma-separated)
    #[arg(long = "closing-event", value_name = "EVENT", value_delimiter = ',')]
    closing_events: Option<Vec<String>>,
    /// Property of the events that names the one matter, e.g. `case_id`
    #[arg(long, value_name = "PROPERTY")]
    key_property: Option<String>,
    /// Purpose for which its matters are shown (repeatable, or comma-separated)
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// Days without an event after which a matter is stale [default: none is]
    #[arg(long, value_name = "DAYS")]
    stale_after_days: Option<u32>,
    /// Who answers for the definition
    #[arg(long)]
    owner: Option<String>,
}

impl Definition for MatterTypeFields {
    requests! {
        MatterType as matter_type, named by id, changed as MatterType;
        CreateMatterTypeRequest, UpdateMatterTypeRequest, GetMatterTypeRequest, ListMatterTypesRequest
    }

    const REQUIRED: &'static [Required<v1::MatterType>] = &[
        ("id", |matter| !matter.id.is_empty()),
        ("opening_events", |matter| !matter.opening_events.is_empty()),
        ("closing_events", |matter| !matter.closing_events.is_empty()),
        ("key_property", |matter| !matter.key_property.is_empty()),
        ("purposes", |matter| !matter.purposes.is_empty()),
    ];

    const COLUMNS: &'static [Column<v1::MatterType>] = &[
        ("MATTER", |matter| matter.id.clone()),
        ("NAME", |matter| or_dash(&matter.display_name)),
        ("OPENED BY", |matter| matter.opening_events.join(", ")),
        ("CLOSED BY", |matter| matter.closing_events.join(", ")),
        ("KEY", |matter| matter.key_property.clone()),
        ("PURPOSES", |matter| matter.purposes.join(", ")),
        ("STALE AFTER", |matter| or_dash(&days_text(matter.stale_after_days))),
    ];

    fn apply(self, matter: &mut v1::MatterType) {
        set_fields!(
            matter,
            self,
            id,
            description,
            opening_events,
            closing_events,
            key_property,
            purposes,
            stale_after_days,
            owner
        );
        set(&mut matter.display_name, self.name);
    }

    fn facts(matter: &v1::MatterType) -> String {
        facts([
            ("description", matter.description.clone()),
            ("owner", matter.owner.clone()),
            ("etag", matter.etag.clone()),
        ])
    }
}
