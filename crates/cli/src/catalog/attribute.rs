//! `custodia attribute`: which data is stored.

use std::str::FromStr;

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, DefinitionCommand, Required, days_text, requests, set_fields};
use crate::connection::Connection;
use crate::error::CliError;
use crate::text::enum_text::{self, EnumText, enum_text};
use crate::text::output::{Column, facts, or, or_dash, table};
use crate::text::set;

/// `custodia attribute …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AttributeCommand {
    #[command(flatten)]
    Definition(DefinitionCommand<AttributeFields>),
    /// List attributes that nobody reads: candidates to stop collecting
    Unused {
        /// Days without a read
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
        days: u32,
    },
}

/// The fields of an attribute.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AttributeFields {
    /// Name of the attribute: 1 to 64 of [a-z0-9_]
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// Type of its values: text, integer, decimal, boolean, date or timestamp
    #[arg(long = "type", value_parser = v1::ValueType::parser())]
    #[serde(rename = "type", deserialize_with = "enum_text::deserialize")]
    kind: Option<v1::ValueType>,
    /// Classification: anonymous, pseudonymous, personal or sensitive
    #[arg(long, value_parser = v1::Classification::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    classification: Option<v1::Classification>,
    /// Purpose for which it may be collected and read (repeatable, or comma-separated)
    #[arg(long = "purpose", value_delimiter = ',')]
    purposes: Option<Vec<String>>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// Who is responsible for it
    #[arg(long)]
    owner: Option<String>,
    /// Maximum size of a text value in bytes [default: 4096]
    #[arg(long)]
    bytes_max: Option<u32>,
    /// Category of the data, e.g. contact or health
    #[arg(long)]
    category: Option<String>,
    /// Unit of its values, e.g. EUR, kg or days
    #[arg(long)]
    unit: Option<String>,
    /// Days after which a value is no longer used [default: the purpose's retention]
    #[arg(long)]
    retention_days: Option<u32>,
    /// Its field in a source, and how the values differ, e.g. "crm=birthday:without the year" (repeatable)
    #[arg(long = "mapping", value_name = "SOURCE=FIELD[:DIFFERENCE]")]
    mappings: Option<Vec<SourceMapping>>,
    /// What its values are compared as where duplicates are sought
    #[arg(long, value_parser = v1::MatchField::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    match_as: Option<v1::MatchField>,
    /// What its values look like; they are stored in their normal form
    #[arg(long, value_parser = v1::ValueFormat::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    format: Option<v1::ValueFormat>,
    /// Of a postal code: the attribute that says the country
    #[arg(long, value_name = "ATTRIBUTE")]
    country_attribute: Option<String>,
}

/// An attribute's field in one source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceMapping {
    source: String,
    field: String,
    #[serde(default)]
    difference: String,
}

impl FromStr for SourceMapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, rest) = text.split_once('=').ok_or("must be SOURCE=FIELD[:DIFFERENCE]")?;
        let (field, difference) = rest.split_once(':').unwrap_or((rest, ""));
        Ok(Self { source: source.into(), field: field.into(), difference: difference.trim().into() })
    }
}

impl AttributeCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Definition(command) => command.run(connection).await,
            Self::Unused { days } => {
                let request = v1::ListUnusedAttributesRequest { days };
                connection.show(request, |answer| table(UNUSED_COLUMNS, &answer.attributes)).await
            }
        }
    }
}

const UNUSED_COLUMNS: &[Column<v1::UnusedAttribute>] = &[
    ("ATTRIBUTE", |unused| unused.name.clone()),
    ("LAST COLLECTED", |unused| or_dash(&unused.last_collected_on)),
    ("LAST READ", |unused| or(&unused.last_read_on, "never")),
];

impl Definition for AttributeFields {
    requests! {
        AttributeDefinition as attribute, named by name, changed as Attribute;
        CreateAttributeRequest, UpdateAttributeRequest, GetAttributeRequest, ListAttributesRequest
    }

    const REQUIRED: &'static [Required<v1::AttributeDefinition>] = &[
        ("name", |attribute| !attribute.name.is_empty()),
        ("type", |attribute| attribute.r#type != 0),
        ("classification", |attribute| attribute.classification != 0),
        ("purposes", |attribute| !attribute.purposes.is_empty()),
    ];

    const COLUMNS: &'static [Column<v1::AttributeDefinition>] = &[
        ("ATTRIBUTE", |attribute| attribute.name.clone()),
        ("TYPE", |attribute| enum_text::<v1::ValueType>(attribute.r#type)),
        ("CLASSIFICATION", |attribute| enum_text::<v1::Classification>(attribute.classification)),
        ("CATEGORY", |attribute| or_dash(&attribute.data_category)),
        ("PURPOSES", |attribute| attribute.purposes.join(", ")),
        ("OWNER", |attribute| or_dash(&attribute.owner)),
        ("DESCRIPTION", |attribute| attribute.description.clone()),
    ];

    fn apply(self, attribute: &mut v1::AttributeDefinition) {
        set_fields!(attribute, self, name, purposes, description, owner, bytes_max, unit, retention_days);
        set_fields!(attribute, self, country_attribute);
        set(&mut attribute.format, self.format.map(i32::from));
        set(&mut attribute.r#type, self.kind.map(i32::from));
        set(&mut attribute.classification, self.classification.map(i32::from));
        set(&mut attribute.data_category, self.category);
        set(&mut attribute.match_as, self.match_as.map(i32::from));
        let mapping =
            |SourceMapping { source, field, difference }| v1::SourceMapping { source, field, difference };
        set(&mut attribute.mappings, self.mappings.map(|all| all.into_iter().map(mapping).collect()));
    }

    fn facts(attribute: &v1::AttributeDefinition) -> String {
        let mapping = |one: &v1::SourceMapping| {
            let difference =
                if one.difference.is_empty() { String::new() } else { format!(" ({})", one.difference) };
            format!("{}: {}{difference}", one.source, one.field)
        };
        facts([
            ("unit", attribute.unit.clone()),
            ("retention", days_text(attribute.retention_days)),
            ("format", format_text(attribute)),
            ("country in", attribute.country_attribute.clone()),
            ("compared as", compared_as(attribute)),
            ("sources", attribute.mappings.iter().map(mapping).collect::<Vec<_>>().join("\n")),
            ("etag", attribute.etag.clone()),
        ])
    }
}

fn format_text(attribute: &v1::AttributeDefinition) -> String {
    if attribute.format == 0 { String::new() } else { enum_text::<v1::ValueFormat>(attribute.format) }
}

fn compared_as(attribute: &v1::AttributeDefinition) -> String {
    if attribute.match_as == 0 { String::new() } else { enum_text::<v1::MatchField>(attribute.match_as) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_s_field_is_written_in_one_option_or_a_table() {
        let one: SourceMapping = "crm=birthday: without the year".parse().unwrap();
        assert_eq!((one.field.as_str(), one.difference.as_str()), ("birthday", "without the year"));
        let text = "name = \"age\"\ntype = \"integer\"\n[[mappings]]\nsource = \"crm\"\nfield = \"a\"";
        let fields: AttributeFields = toml::from_str(text).unwrap();
        let mut attribute = v1::AttributeDefinition::default();
        fields.apply(&mut attribute);
        assert_eq!(AttributeFields::missing(&attribute), Some("classification"));
        assert_eq!((attribute.r#type(), attribute.mappings.len()), (v1::ValueType::Integer, 1));
    }

    #[test]
    fn an_attribute_that_was_never_read_says_so() {
        let unused = v1::UnusedAttribute { name: "fax".into(), ..Default::default() };
        assert!(table(UNUSED_COLUMNS, &[unused]).contains("fax        -               never"));
    }
}
