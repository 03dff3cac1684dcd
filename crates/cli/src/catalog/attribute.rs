//! `custodia attribute`: which data is stored.

use std::str::FromStr;

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::definition::{Definition, DefinitionCommand, calls, set};
use crate::connection::Connection;
use crate::error::CliError;
use crate::text::enum_text::{self, EnumText, enum_text};
use crate::text::output::{facts, or_dash, table};

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
    #[arg(long = "type", value_parser = v1::ValueType::parse)]
    #[serde(rename = "type", deserialize_with = "enum_text::deserialize")]
    kind: Option<v1::ValueType>,
    /// Classification: anonymous, pseudonymous, personal or sensitive
    #[arg(long, value_parser = v1::Classification::parse)]
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
                let answer = connection.client()?.list_unused_attributes(request).await?;
                connection
                    .print("ListUnusedAttributesResponse", &answer, |answer| unused_text(&answer.attributes))
            }
        }
    }
}

fn unused_text(attributes: &[v1::UnusedAttribute]) -> String {
    let mut lines = table(["ATTRIBUTE", "LAST COLLECTED", "LAST READ"]);
    for attribute in attributes {
        let read = if attribute.last_read_on.is_empty() { "never" } else { &attribute.last_read_on };
        lines.add_row([attribute.name.as_str(), or_dash(&attribute.last_collected_on), read]);
    }
    lines.to_string()
}

impl Definition for AttributeFields {
    calls! {
        AttributeDefinition as attribute, named by name, in attributes, changed as Attribute;
        create_attribute(CreateAttributeRequest), update_attribute(UpdateAttributeRequest),
        get_attribute(GetAttributeRequest), list_attributes(ListAttributesRequest) -> ListAttributesResponse
    }

    fn missing(attribute: &v1::AttributeDefinition) -> Option<&'static str> {
        match attribute {
            attribute if attribute.name.is_empty() => Some("name"),
            attribute if attribute.r#type == 0 => Some("type"),
            attribute if attribute.classification == 0 => Some("classification"),
            attribute if attribute.purposes.is_empty() => Some("purposes"),
            _ => None,
        }
    }

    fn apply(self, attribute: &mut v1::AttributeDefinition) {
        set(&mut attribute.name, self.name);
        set(&mut attribute.r#type, self.kind.map(i32::from));
        set(&mut attribute.classification, self.classification.map(i32::from));
        set(&mut attribute.purposes, self.purposes);
        set(&mut attribute.description, self.description);
        set(&mut attribute.owner, self.owner);
        set(&mut attribute.bytes_max, self.bytes_max);
        set(&mut attribute.data_category, self.category);
        set(&mut attribute.unit, self.unit);
        set(&mut attribute.retention_days, self.retention_days);
        let mapping =
            |SourceMapping { source, field, difference }| v1::SourceMapping { source, field, difference };
        set(&mut attribute.mappings, self.mappings.map(|all| all.into_iter().map(mapping).collect()));
    }

    fn rows(attributes: &[v1::AttributeDefinition]) -> String {
        let mut lines =
            table(["ATTRIBUTE", "TYPE", "CLASSIFICATION", "CATEGORY", "PURPOSES", "OWNER", "DESCRIPTION"]);
        for attribute in attributes {
            lines.add_row([
                attribute.name.as_str(),
                &enum_text::<v1::ValueType>(attribute.r#type),
                &enum_text::<v1::Classification>(attribute.classification),
                or_dash(&attribute.data_category),
                &attribute.purposes.join(", "),
                or_dash(&attribute.owner),
                &attribute.description,
            ]);
        }
        lines.to_string()
    }

    fn text(attribute: &v1::AttributeDefinition) -> String {
        let mapping = |one: &v1::SourceMapping| {
            let difference =
                if one.difference.is_empty() { String::new() } else { format!(" ({})", one.difference) };
            format!("{}: {}{difference}", one.source, one.field)
        };
        let days = attribute.retention_days;
        let facts = facts([
            ("unit", attribute.unit.clone()),
            ("retention", if days == 0 { String::new() } else { format!("{days} days") }),
            ("sources", attribute.mappings.iter().map(mapping).collect::<Vec<_>>().join("\n")),
            ("etag", attribute.etag.clone()),
        ]);
        format!("{}\n\n{facts}", Self::rows(std::slice::from_ref(attribute)))
    }
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
        assert!(unused_text(&[unused]).contains("fax        -               never"));
    }
}
