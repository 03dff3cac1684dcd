//! The mapping file: how rows become customers, attributes, events and consents.
//!
//! The reference, key by key, is the documentation of the fields below; `cluster/examples/*.toml` are whole ones.
//! Always: an unknown key refuses to load, and an error names the key at fault.

use std::collections::BTreeMap;
use std::path::Path;

use custodia_proto::v1;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalog::CatalogueFile;
use crate::error::CliError;
use crate::import::field::Field;
use crate::import::row::Row;
use crate::words::{self, Word as _};

/// The mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// How the file is read.
    #[serde(default)]
    pub(crate) input: Input,
    /// Which customer a row is about.
    pub(crate) customer: Customer,
    /// When the values were observed: a column, or a constant. Default: when the file was last changed.
    pub(crate) observed_at: Option<Field>,
    /// Attribute ← column: `given_name = "given_name"`, or a table (see [`Field`]).
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, Field>,
    /// Each row also is these events.
    #[serde(default)]
    pub(crate) events: Vec<EventMapping>,
    /// Consents that were given together with the row's data.
    #[serde(default)]
    pub(crate) consents: Vec<ConsentMapping>,
    /// What `--define` creates where the cluster's catalogue has not got it.
    #[serde(default)]
    pub(crate) catalogue: CatalogueFile,
}

/// `[input]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Input {
    /// `csv` (the default), `whitespace` (columns separated by blanks) or `jsonl` (one JSON object a line).
    pub(crate) format: InputFormat,
    /// Of csv: one ASCII character. Default `,`.
    pub(crate) delimiter: char,
    /// Whether the first line names the columns. Default true; not for jsonl.
    pub(crate) header: bool,
    /// The columns' names, where the file has no header or a bad one.
    pub(crate) columns: Vec<String>,
    /// Whether blanks around values are cut off. Default true.
    pub(crate) trim: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { format: InputFormat::Csv, delimiter: ',', header: true, columns: Vec::new(), trim: true }
    }
}

impl Input {
    /// Whether the keys fit each other.
    ///
    /// # Errors
    /// Names the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.delimiter.is_ascii() {
            return Err("input.delimiter: must be one ASCII character".into());
        }
        if !self.header && self.columns.is_empty() && self.format != InputFormat::Jsonl {
            return Err("input.columns: is missing; without a header the columns need names".into());
        }
        Ok(())
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

/// `[customer]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    /// The columns that together are the source's key of the customer. Rows with equal keys become one customer.
    pub(crate) key: Vec<String>,
}

/// `[[events]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventMapping {
    /// The event's name, e.g. `Order Completed`.
    pub(crate) name: String,
    /// The source's id of the event, with `{column}`, `{row}` (the row's number in the file) and `{occurrence}`
    /// (which of the customer's consecutive rows, from 1). Must differ from event to event.
    pub(crate) id: String,
    /// When it happened.
    pub(crate) occurred_at: Field,
    /// Through which channel. Default: none.
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
    /// For which purpose.
    pub(crate) purpose: String,
    /// The version of the notice that was shown.
    pub(crate) notice_version: String,
    /// `unambiguous`, `explicit` or `opt-out`.
    pub(crate) method: String,
    /// What the customer did: `ticked-box`, `clicked`, `spoken`, `signed`, `double-opt-in`. Required unless the method
    /// is `opt-out`.
    #[serde(default, deserialize_with = "words::one")]
    pub(crate) act: Option<v1::AffirmativeAct>,
    /// SHA-256, in hex, of the statement, form or recording that proves it.
    pub(crate) statement_sha256: Option<Field>,
    /// Language of the notice as it was shown (BCP 47).
    #[serde(default)]
    pub(crate) language: String,
    /// `data-subject` (the default) or `guardian`.
    #[serde(default, deserialize_with = "words::one")]
    pub(crate) decided_by: Option<v1::DecidedBy>,
    /// Who collected it.
    #[serde(default)]
    pub(crate) collector: String,
    /// Through which channel it came.
    #[serde(default)]
    pub(crate) channel: String,
    /// When it was given. Default: when the row arrives.
    pub(crate) given_at: Option<Field>,
    /// When it ends by itself. Default: when withdrawn.
    pub(crate) expires_at: Option<Field>,
    /// Only rows where this column has this value; without it, all rows.
    pub(crate) only_where: Option<Condition>,
}

/// `only_where`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) column: String,
    pub(crate) equals: String,
}

impl Condition {
    /// Whether the row is one of those that are meant.
    pub(crate) fn holds(&self, row: &Row) -> bool {
        row.cell(&self.column).as_deref() == Some(self.equals.as_str())
    }
}

/// A mapping file of any kind of import.
pub(crate) trait MappingFile: DeserializeOwned {
    /// How the file is read.
    fn input(&self) -> &Input;

    /// What `--define` creates.
    fn catalogue(&self) -> &CatalogueFile;

    /// Whether the keys fit each other.
    ///
    /// # Errors
    /// Names the key.
    fn check(&self) -> Result<(), String>;

    /// Every column that the mapping names, with the key under which it stands.
    fn columns(&self) -> Vec<(String, &str)>;

    /// Reads and checks a mapping; gives its text as well, which is part of what a request id is derived from.
    ///
    /// # Errors
    /// Names the file and the key.
    fn load(path: &Path) -> Result<(Self, String), CliError> {
        let text = std::fs::read_to_string(path).map_err(CliError::file(path))?;
        let mapping =
            Self::parse(&text).map_err(|reason| CliError::Content { path: path.to_owned(), reason })?;
        Ok((mapping, text))
    }

    /// Parses and checks a mapping.
    ///
    /// # Errors
    /// Names the key.
    fn parse(text: &str) -> Result<Self, String> {
        let mapping: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        mapping.check()?;
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
        self.input.check()?;
        if self.customer.key.is_empty() {
            return Err("customer.key: names no column".into());
        }
        if self.attributes.is_empty() && self.events.is_empty() && self.consents.is_empty() {
            return Err("attributes: nothing is mapped: no attribute, no event, no consent".into());
        }
        for (index, consent) in self.consents.iter().enumerate() {
            let method = v1::ConsentMethod::parse(&consent.method)
                .map_err(|reason| format!("consents[{index}].method: {reason}"))?;
            if consent.act.is_none() && method != v1::ConsentMethod::OptOut {
                return Err(format!(
                    "consents[{index}].act: is missing; what did the customer do to consent?"
                ));
            }
        }
        self.catalogue.entries().map(drop)
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
            let fields = [
                ("given_at", &consent.given_at),
                ("expires_at", &consent.expires_at),
                ("statement_sha256", &consent.statement_sha256),
            ];
            let key = move |name: &str| format!("consents[{index}].{name}");
            fields.into_iter().filter_map(move |(name, field)| Some((key(name), field.as_ref()?)))
        });
        observed.chain(attributes).chain(occurred).chain(properties).chain(consents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[customer]\nkey = [\"id\"]\n[attributes]\ncity = \"city\"\n";

    #[test]
    fn a_small_mapping_has_sensible_defaults() {
        let mapping = Mapping::parse(SMALL).unwrap();
        assert_eq!(mapping.input.format, InputFormat::Csv);
        assert!(mapping.input.header && mapping.input.trim);
        let columns = mapping.columns();
        assert_eq!(columns, [("customer.key".to_owned(), "id"), ("attributes.city".to_owned(), "city")]);
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, key) in [
            ("[customer]\nkye = [\"id\"]", "kye"),
            ("[customer]\nkey = []\n[attributes]\na = \"a\"", "customer.key"),
            ("[customer]\nkey = [\"id\"]", "attributes"),
            ("[customer]\nkey = [\"id\"]\n[attributes]\na = { colum = \"a\" }", "colum"),
            ("[customer]\nkey = [\"id\"]\n[attributes]\na = { type = \"date\" }", "column"),
            ("[customer]\nkey = [\"id\"]\n[attributes]\na = { column = \"a\", type = \"dat\" }", "dat"),
            ("[input]\nformat = \"xml\"\n[customer]\nkey = [\"id\"]", "xml"),
            ("[input]\nheader = false\n[customer]\nkey = [\"id\"]", "input.columns"),
            (
                "[customer]\nkey = [\"id\"]\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"\nmethod = \"x\"",
                "consents[0].method",
            ),
            (
                "[customer]\nkey = [\"id\"]\n[[consents]]\npurpose = \"p\"\nnotice_version = \"1\"\nmethod = \"explicit\"",
                "consents[0].act",
            ),
            (
                "[customer]\nkey = [\"id\"]\n[attributes]\na = \"a\"\n[[catalogue.purposes]]\nid = \"p\"",
                "catalogue.purposes[0].bases",
            ),
            (
                "[customer]\nkey = [\"id\"]\n[attributes]\na = \"a\"\n[[catalogue.purposes]]\nid = \"p\"\nbases = [\"x\"]",
                "legal-obligation",
            ),
        ] {
            let error = Mapping::parse(text).unwrap_err();
            assert!(error.contains(key), "{key} is not in: {error}");
        }
    }

    #[test]
    fn the_example_mappings_are_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster/examples");
        for name in ["febrl.toml", "cdnow.toml"] {
            Mapping::load(&folder.join(name)).unwrap();
        }
    }
}
