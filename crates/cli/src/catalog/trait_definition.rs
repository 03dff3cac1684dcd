//! `custodia trait`: what is computed of a customer's events, e.g. the orders of a year.

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, days_text, requests, set_fields};
use crate::text::enum_text::{self, EnumText, enum_text};
use crate::text::output::{Column, facts, or, or_dash};
use crate::text::set;

/// The fields of a trait.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TraitFields {
    /// Id of the trait: 1 to 64 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// How it is computed
    #[arg(long, value_parser = v1::TraitAggregate::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    aggregate: Option<v1::TraitAggregate>,
    /// Name of an event that it is made of (repeatable, or comma-separated)
    #[arg(long = "event", value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// Property that is aggregated; for first and last the moment of the event unless given
    #[arg(long)]
    property: Option<String>,
    /// Days for which an event counts [default: for ever]
    #[arg(long, value_name = "DAYS")]
    window_days: Option<u32>,
    /// Purpose for which it is shown (repeatable, or comma-separated)
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// What it is measured in, e.g. EUR
    #[arg(long)]
    unit: Option<String>,
    /// Who answers for the definition
    #[arg(long)]
    owner: Option<String>,
}

impl Definition for TraitFields {
    requests! {
        TraitDefinition as r#trait, named by id, changed as Trait;
        CreateTraitRequest, UpdateTraitRequest, GetTraitRequest, ListTraitsRequest
    }

    const REQUIRED: &'static [Required<v1::TraitDefinition>] = &[
        ("id", |of| !of.id.is_empty()),
        ("aggregate", |of| of.aggregate != 0),
        ("events", |of| !of.events.is_empty()),
        ("purposes", |of| !of.purposes.is_empty()),
    ];

    const COLUMNS: &'static [Column<v1::TraitDefinition>] = &[
        ("TRAIT", |of| of.id.clone()),
        ("NAME", |of| or_dash(&of.display_name)),
        ("AGGREGATE", |of| enum_text::<v1::TraitAggregate>(of.aggregate)),
        ("OF", |of| or_dash(&of.property)),
        ("EVENTS", |of| of.events.join(", ")),
        ("WINDOW", |of| or(&days_text(of.window_days), "for ever")),
        ("PURPOSES", |of| of.purposes.join(", ")),
        ("UNIT", |of| or_dash(&of.unit)),
    ];

    fn apply(self, of: &mut v1::TraitDefinition) {
        set_fields!(of, self, id, description, events, property, window_days, purposes, unit, owner);
        set(&mut of.display_name, self.name);
        set(&mut of.aggregate, self.aggregate.map(i32::from));
    }

    fn facts(of: &v1::TraitDefinition) -> String {
        facts([
            ("description", of.description.clone()),
            ("owner", of.owner.clone()),
            ("etag", of.etag.clone()),
        ])
    }
}
