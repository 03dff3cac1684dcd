//! The mapping file: how rows become customers, attributes, events and consents.
//!
//! The documentation of the fields below is the reference; `cluster/examples/*.toml` are complete mappings. An unknown key
//! is an error, and every error names the key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use custodia_profile::limits::{GRANTS_MAX, PROPERTIES_MAX};
use custodia_profile::{
    AttributeName, Channel, Collector, EventName, Language, NamespaceId, NoticeId, PropertyName, PurposeId,
};
use custodia_proto::v1;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalog::CatalogueFile;
use crate::error::CliError;
use crate::files;
use crate::import::field::Field;
use crate::import::identifier::{Customer, Fields};
use crate::import::row::{COLUMNS_MAX, Row};
use crate::text::enum_text;

/// The mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// How the file is read.
    #[serde(default)]
    pub(crate) input: Input,
    /// The customer of a row.
    pub(crate) customer: Customer,
    /// What else the customer is known by: namespace ← column, a table (see [`Field`]), or a list of these.
    #[serde(default)]
    pub(crate) identifiers: BTreeMap<String, Fields>,
    /// When the values were observed: a column or a constant. Default: when the file was last modified.
    pub(crate) observed_at: Option<Field>,
    /// Attribute ← column: `given_name = "given_name"`, or a table (see [`Field`]).
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, Field>,
    /// The events of each row.
    #[serde(default)]
    pub(crate) events: Vec<EventMapping>,
    /// Consents given together with the row's data.
    #[serde(default)]
    pub(crate) consents: Vec<ConsentMapping>,
    /// The catalogue entries that `--define` creates if they do not exist.
    #[serde(default)]
    pub(crate) catalogue: CatalogueFile,
}

/// `[input]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    /// `csv` (the default), `whitespace` (columns separated by blanks) or `jsonl` (one JSON object per line).
    pub(crate) format: InputFormat,
    /// For csv: one ASCII character. Default `,`.
    pub(crate) delimiter: char,
    /// Whether the first line names the columns. Default true; not for jsonl. With `columns` it must be said.
    pub(crate) header: Option<bool>,
    /// The columns' names, if the file has no header or an unusable one.
    pub(crate) columns: Vec<String>,
    /// Whether blanks around values are removed; line ends in quoted values stay. Default true.
    pub(crate) trim: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { format: InputFormat::Csv, delimiter: ',', header: None, columns: Vec::new(), trim: true }
    }
}

impl Input {
    /// Checks that the keys are consistent. An error names the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\r' | '\n') {
            return Err("input.delimiter must be one ASCII character, and no quote or line end".into());
        }
        if self.columns.len() > COLUMNS_MAX {
            return Err(format!("input.columns: more than {COLUMNS_MAX}"));
        }
        if !self.columns.is_empty() && self.header.is_none() && self.format != InputFormat::Jsonl {
            return Err("input.header is required with input.columns: true if the first line of the file is a header, \
                        which is then passed over, or false if it is data"
                .into());
        }
        let mut known = BTreeSet::new();
        if let Some(twice) = self.columns.iter().find(|name| !known.insert(*name)) {
            return Err(format!("input.columns has the name `{twice}` twice"));
        }
        if self.header == Some(false) && self.columns.is_empty() && self.format != InputFormat::Jsonl {
            return Err("input.columns is required without a header".into());
        }
        Ok(())
    }

    /// Whether the first line is not data.
    pub(crate) fn has_header(&self) -> bool {
        self.header.unwrap_or(true) && self.format != InputFormat::Jsonl
    }
}

/// `input.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputFormat {
    Csv,
    Whitespace,
    Jsonl,
}

/// `[[events]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventMapping {
    /// The event's name, e.g. `Order Completed`.
    pub(crate) name: String,
    /// A template of the event's id, with `{column}`, `{row}` (the row's number in the file) and `{occurrence}` (the number
    /// of the row among the customer's consecutive rows, from 1). Ids must be unique.
    pub(crate) id: String,
    /// When it happened.
    pub(crate) occurred_at: Field,
    /// Channel of the event. Default: none.
    #[serde(default)]
    pub(crate) channel: String,
    /// Property ← column, as in `[attributes]`.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Field>,
}

/// `[[consents]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentMapping {
    /// The purpose.
    pub(crate) purpose: String,
    /// The lawful basis. Default: `consent`.
    #[serde(default, deserialize_with = "enum_text::deserialize")]
    pub(crate) basis: Option<v1::LawfulBasis>,
    /// The contract, law, incident or balancing test. Required with another basis than consent.
    pub(crate) reference: Option<Field>,
    /// Start of validity. Default: when it was given.
    pub(crate) valid_from: Option<Field>,
    /// The version of the notice that was shown. Required with consent.
    #[serde(default)]
    pub(crate) notice_version: String,
    /// `unambiguous`, `explicit` or `opt-out`. Required with consent.
    #[serde(default, deserialize_with = "enum_text::deserialize")]
    pub(crate) method: Option<v1::ConsentMethod>,
    /// What the customer did: `ticked-box`, `clicked`, `spoken`, `signed`, `double-opt-in`. Required unless the method
    /// is `opt-out`.
    #[serde(default, deserialize_with = "enum_text::deserialize")]
    pub(crate) act: Option<v1::AffirmativeAct>,
    /// SHA-256 (hex) of the statement, form or recording that proves the consent.
    pub(crate) statement_sha256: Option<Field>,
    /// Language of the notice that was shown (BCP 47).
    #[serde(default)]
    pub(crate) language: String,
    /// `data-subject` (the default) or `guardian`.
    #[serde(default, deserialize_with = "enum_text::deserialize")]
    pub(crate) decided_by: Option<v1::DecidedBy>,
    /// What shows that the customer cannot decide; required of a guardian for somebody not below the age.
    pub(crate) incapacity: Option<Field>,
    /// Who collected it.
    #[serde(default)]
    pub(crate) collector: String,
    /// Channel of the consent.
    #[serde(default)]
    pub(crate) channel: String,
    /// When it was given. Default: `observed_at`, which must then be declared: a consent without a date would count from
    /// each import anew.
    pub(crate) given_at: Option<Field>,
    /// When it expires. Default: never.
    pub(crate) expires_at: Option<Field>,
    /// Only rows in which this column has this value. Default: all rows.
    pub(crate) only_where: Option<Condition>,
}

impl ConsentMapping {
    /// Whether what its basis requires is there. An error names the key.
    fn check(&self) -> Result<(), &'static str> {
        if self.basis.is_some_and(|basis| basis != v1::LawfulBasis::Consent) {
            return self
                .reference
                .as_ref()
                .map(|_| ())
                .ok_or("reference is required with another basis than consent");
        }
        if self.notice_version.is_empty() {
            return Err("notice_version is required with consent");
        }
        let method = self.method.ok_or("method is required with consent")?;
        if self.act.is_none() && method != v1::ConsentMethod::OptOut {
            return Err("act is required unless the method is opt-out");
        }
        Ok(())
    }
}

/// `only_where`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) column: String,
    pub(crate) equals: String,
}

impl Condition {
    /// Whether the row meets the condition.
    pub(crate) fn holds(&self, row: &Row) -> bool {
        row.cell(&self.column).as_deref() == Some(self.equals.as_str())
    }
}

/// Fields with their names.
macro_rules! with_names {
    ($mapping:expr, $($field:ident),*) => { [$((stringify!($field), &$mapping.$field)),*] };
}
pub(crate) use with_names;

/// The mapping file of any kind of import.
pub(crate) trait MappingFile: DeserializeOwned {
    /// How the file is read.
    fn input(&self) -> &Input;

    /// The catalogue entries that `--define` creates.
    fn catalogue(&self) -> &CatalogueFile;

    /// Checks that the keys are consistent. An error names the key.
    fn check(&self) -> Result<(), String>;

    /// Every column in the mapping, with its key.
    fn columns(&self) -> Vec<(String, &str)>;

    /// Reads and checks a mapping. Also returns its text, from which request ids are derived.
    fn load(path: &Path) -> Result<(Self, String), CliError> {
        let text = files::read(path)?;
        Ok((Self::parse(&text).map_err(CliError::content(path))?, text))
    }

    /// Parses and checks a mapping. An error names the key.
    fn parse(text: &str) -> Result<Self, String> {
        let mapping: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        mapping.input().check()?;
        if let Some((key, _)) = mapping.columns().into_iter().find(|(_, column)| column.is_empty()) {
            return Err(format!("{key}: a column without a name cannot be mapped"));
        }
        mapping.check()?;
        mapping.catalogue().entries()?;
        Ok(mapping)
    }
}

impl MappingFile for Mapping {
    fn input(&self) -> &Input {
        &self.input
    }

    fn catalogue(&self) -> &CatalogueFile {
        &self.catalogue
    }

    fn check(&self) -> Result<(), String> {
        self.customer.check()?;
        if self.attributes.is_empty()
            && self.identifiers.is_empty()
            && self.events.is_empty()
            && self.consents.is_empty()
        {
            let reason = "nothing is mapped; map at least one attribute, identifier, event or consent";
            return Err(format!("attributes: {reason}"));
        }
        if self.consents.len() > GRANTS_MAX {
            return Err(format!("consents: more than {GRANTS_MAX}"));
        }
        for (index, consent) in self.consents.iter().enumerate() {
            consent.check().map_err(|reason| format!("consents[{index}].{reason}"))?;
            if consent.given_at.is_none() && self.observed_at.is_none() {
                return Err(format!(
                    "consents[{index}].given_at is required: a column, or the date of the file, \
                     {{ constant = \"2026-01-31\" }}"
                ));
            }
        }
        self.check_names()
    }

    fn columns(&self) -> Vec<(String, &str)> {
        let keys = self.customer.key.iter().map(|column| ("customer.key".to_owned(), column.as_str()));
        let fields = self.fields().filter_map(|(key, field)| Some((key, field.column()?)));
        let conditions = self.consents.iter().enumerate().filter_map(|(index, consent)| {
            let condition = consent.only_where.as_ref()?;
            Some((format!("consents[{index}].only_where.column"), condition.column.as_str()))
        });
        keys.chain(fields).chain(conditions).collect()
    }
}

impl Mapping {
    /// Whether each format is that of a date or time, as the catalogue's types of the attributes have it.
    pub(crate) fn check_formats(&self, types: &BTreeMap<String, v1::ValueType>) -> Result<(), String> {
        for (name, field) in &self.attributes {
            let of_key = |reason| format!("attributes.{name}: {reason}");
            field.check_format(types.get(name).copied()).map_err(of_key)?;
        }
        for (index, event) in self.events.iter().enumerate() {
            for (name, field) in &event.properties {
                let of_key = |reason| format!("events[{index}].properties.{name}: {reason}");
                field.check_format(Some(v1::ValueType::Text)).map_err(of_key)?;
            }
        }
        Ok(())
    }

    /// Whether the cluster can take the names and constants: what is wrong with them is wrong in every row.
    fn check_names(&self) -> Result<(), String> {
        let named = |key: String| move |error: custodia_profile::ProfileError| format!("{key}: {error}");
        for name in self.identifiers.keys() {
            NamespaceId::new(name).map_err(named(format!("identifiers.{name}")))?;
        }
        for name in self.attributes.keys() {
            AttributeName::new(name).map_err(named(format!("attributes.{name}")))?;
        }
        for (index, event) in self.events.iter().enumerate() {
            let key = |field: &str| named(format!("events[{index}].{field}"));
            EventName::new("name", &event.name).map_err(key("name"))?;
            Channel::optional("channel", &event.channel).map_err(key("channel"))?;
            for name in event.properties.keys() {
                PropertyName::new("name", name).map_err(key(&format!("properties.{name}")))?;
            }
            if event.properties.len() > PROPERTIES_MAX {
                return Err(format!("events[{index}].properties: more than {PROPERTIES_MAX}"));
            }
        }
        for (index, consent) in self.consents.iter().enumerate() {
            let key = |field: &str| named(format!("consents[{index}].{field}"));
            PurposeId::new(&consent.purpose).map_err(key("purpose"))?;
            NoticeId::optional("version", &consent.notice_version).map_err(key("notice_version"))?;
            Language::optional("language", &consent.language).map_err(key("language"))?;
            Collector::optional("collector", &consent.collector).map_err(key("collector"))?;
            Channel::optional("channel", &consent.channel).map_err(key("channel"))?;
        }
        Ok(())
    }

    fn fields(&self) -> impl Iterator<Item = (String, &Field)> {
        let observed = self.observed_at.iter().map(|field| ("observed_at".to_owned(), field));
        let attributes = self.attributes.iter().map(|(name, field)| (format!("attributes.{name}"), field));
        let occurred = self
            .events
            .iter()
            .enumerate()
            .map(|(index, event)| (format!("events[{index}].occurred_at"), &event.occurred_at));
        let properties = self.events.iter().enumerate().flat_map(|(index, event)| {
            let key = move |name: &String| format!("events[{index}].properties.{name}");
            event.properties.iter().map(move |(name, field)| (key(name), field))
        });
        let consents = self.consents.iter().enumerate().flat_map(|(index, consent)| {
            let fields = with_names!(
                consent,
                given_at,
                expires_at,
                valid_from,
                statement_sha256,
                reference,
                incapacity
            );
            let key = move |name: &str| format!("consents[{index}].{name}");
            fields.into_iter().filter_map(move |(name, field)| Some((key(name), field.as_ref()?)))
        });
        let identifiers = self.identifiers.iter().flat_map(|(namespace, fields)| {
            fields.iter().map(move |field| (format!("identifiers.{namespace}"), field))
        });
        observed.chain(identifiers).chain(attributes).chain(occurred).chain(properties).chain(consents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[customer]\nkey = [\"id\"]\nnamespace = \"crm\"\n[attributes]\ncity = \"city\"\n";

    #[test]
    fn a_small_mapping_has_sensible_defaults() {
        let mapping = Mapping::parse(SMALL).unwrap();
        assert_eq!(mapping.input.format, InputFormat::Csv);
        assert!(mapping.input.has_header() && mapping.input.trim);
        let columns = mapping.columns();
        assert_eq!(columns, [("customer.key".to_owned(), "id"), ("attributes.city".to_owned(), "city")]);
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, key) in [
            ("[customer]\nkye = [\"id\"]", "kye"),
            ("[customer]\nkey = []\nnamespace = \"c\"\n[attributes]\na = \"a\"", "customer.key"),
            ("[customer]\nkey = [\"id\"]\nnamespace = \"c\"", "attributes"),
            ("[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = { colum = \"a\" }", "colum"),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = { type = \"date\" }",
                "column",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = { column = \"a\", type = \"dat\" }",
                "dat",
            ),
            ("[input]\nformat = \"xml\"\n[customer]\nkey = [\"id\"]\nnamespace = \"c\"", "xml"),
            (
                "[input]\nheader = true\ncolumns = [\"a\", \"b\", \"a\"]\n[customer]\nkey = [\"a\"]\nnamespace = \"c\"",
                "input.columns",
            ),
            ("[input]\ncolumns = [\"a\"]\n[customer]\nkey = [\"a\"]\nnamespace = \"c\"", "input.header"),
            ("[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = \"\"", "`column` is empty"),
            ("[customer]\nkey = [\"\"]\nnamespace = \"c\"\n[attributes]\na = \"a\"", "customer.key"),
            (
                "[input]\ndelimiter = \"\\\"\"\n[customer]\nkey = [\"a\"]\nnamespace = \"c\"",
                "input.delimiter",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\nE-Mail = \"a\"",
                "attributes.E-Mail",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = { column = \"\" }",
                "`column` is empty",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"\nmethod = \"explicit\"\nact = \"signed\"",
                "consents[0].given_at",
            ),
            ("[input]\nheader = false\n[customer]\nkey = [\"id\"]\nnamespace = \"c\"", "input.columns"),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"\nmethod = \"x\"",
                "opt-out",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"",
                "consents[0].method",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[[consents]]\npurpose = \"p\"\nbasis = \"contract\"",
                "consents[0].reference",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"\nmethod = \"explicit\"",
                "consents[0].act",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = \"a\"\n[[catalogue.purposes]]\nid = \"p\"",
                "catalogue.purposes[0].bases",
            ),
            (
                "[customer]\nkey = [\"id\"]\nnamespace = \"c\"\n[attributes]\na = \"a\"\n[[catalogue.purposes]]\nid = \"p\"\nbases = [\"x\"]",
                "legal-obligation",
            ),
        ] {
            let error = Mapping::parse(text).unwrap_err();
            assert!(error.contains(key), "{key} is not in: {error}");
        }
    }

    #[test]
    fn a_namespace_has_a_name_of_the_catalogue() {
        for (text, key) in [
            (SMALL.replace("namespace = \"crm\"\n", ""), "missing field `namespace`"),
            (SMALL.replace("\"crm\"", "\"C R M\""), "customer.namespace"),
            (format!("{SMALL}[identifiers]\nE-Mail = \"a\""), "identifiers.E-Mail"),
        ] {
            let error = Mapping::parse(&text).unwrap_err();
            assert!(error.contains(key), "{key} is not in: {error}");
        }
    }

    #[test]
    fn the_example_mappings_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster/examples");
        for name in ["febrl.toml", "cdnow.toml"] {
            Mapping::load(&folder.join(name)).unwrap();
        }
    }
}
