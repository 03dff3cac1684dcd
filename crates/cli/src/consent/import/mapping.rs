//! The mapping of `custodia consent import`: how the columns of a row become a decision.
//!
//! Each field is a column's name or a table, as in the mapping of `custodia import`. An unknown key is an error, and every
//! error names the key.

use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::CatalogueFile;
use crate::import;
use crate::import::{Condition, Field, Input, MappingFile, Row, with_names};
use crate::text::enum_text::EnumText;

/// The status of a consent that was withdrawn in the source. The API's withdrawal is always dated now, so a past one is
/// imported as a refusal of its date, which has the same legal effect.
const WITHDRAWN: &str = "withdrawn";

/// The fields that are times.
const TIMES: [&str; 3] = ["decided_at", "valid_from", "expires_at"];

/// The mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionMapping {
    /// How the file is read.
    #[serde(default)]
    pub(crate) input: Input,
    /// The customer of a row.
    pub(crate) customer: Customer,
    /// The decision of a row.
    pub(crate) decision: DecisionFields,
    /// The catalogue entries that `--define` creates if they do not exist.
    #[serde(default)]
    pub(crate) catalogue: CatalogueFile,
}

/// `[customer]`: `key` and `namespace`, or `id`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected `key` and `namespace`, or `id`, and nothing else")]
pub(crate) enum Customer {
    /// The columns of the key and its namespace, as in `custodia import`.
    Key(import::Customer),
    /// `id`: the column with the customer id, `cust_…`.
    Id(CustomerColumn),
}

/// The column with the customer id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerColumn {
    pub(crate) id: String,
}

/// `[decision]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionFields {
    /// The purpose.
    purpose: Field,
    /// `given`, `refused`, `requested`, `revoked`, `invalidated` or `withdrawn`.
    status: Field,
    /// When it was decided. Required: without a date, repeating the import would make a new decision.
    decided_at: Field,
    /// The lawful basis. Default: `consent`.
    basis: Option<Field>,
    /// The version of the notice that was shown.
    notice_version: Option<Field>,
    /// `unambiguous`, `explicit` or `opt-out`.
    method: Option<Field>,
    /// What the customer did: `ticked-box`, `clicked`, `spoken`, `signed`, `double-opt-in`, …
    act: Option<Field>,
    /// SHA-256 (hex) of the statement, form or recording that proves the decision.
    statement_sha256: Option<Field>,
    /// Language of the notice that was shown (BCP 47).
    language: Option<Field>,
    /// Whether the same act also decided other purposes, without a separate choice: `true` or `false`.
    bundled: Option<Field>,
    /// `data-subject` (the default), `guardian`, `controller` or `authority`.
    decided_by: Option<Field>,
    /// What shows that the customer cannot decide; required of a guardian for somebody not below the age.
    incapacity: Option<Field>,
    /// Who collected it.
    collector: Option<Field>,
    /// Contract, law, incident or balancing test.
    reference: Option<Field>,
    /// Channel of the decision.
    channel: Option<Field>,
    /// Start of validity. Default: the time of the decision.
    valid_from: Option<Field>,
    /// When it expires. Default: never.
    expires_at: Option<Field>,
    /// Only rows in which this column has this value. Default: all rows.
    only_where: Option<Condition>,
}

/// The invalid field and what is wrong with it.
type FieldError = (&'static str, String);

impl DecisionFields {
    /// The decision of a row, without the customer; `None` if the row does not meet the condition. Fails at the first field
    /// that cannot be parsed.
    pub(crate) fn request(&self, row: &Row) -> Result<Option<v1::RecordConsentRequest>, FieldError> {
        if self.only_where.as_ref().is_some_and(|condition| !condition.holds(row)) {
            return Ok(None);
        }
        let evidence = v1::ConsentEvidence {
            act: enum_number::<v1::AffirmativeAct>("act", &self.act, row)?,
            statement_sha256: text("statement_sha256", &self.statement_sha256, row)?,
            language: text("language", &self.language, row)?,
            bundled: is_true("bundled", &self.bundled, row)?,
            decided_by: enum_number::<v1::DecidedBy>("decided_by", &self.decided_by, row)?,
            incapacity: text("incapacity", &self.incapacity, row)?,
        };
        let basis = enum_number::<v1::LawfulBasis>("basis", &self.basis, row)?;
        let decided_at = required("decided_at", self.decided_at.time(row))?;
        Ok(Some(v1::RecordConsentRequest {
            purpose: required("purpose", self.purpose.text(row))?,
            status: self.status(row)?.into(),
            lawful_basis: if basis == 0 { v1::LawfulBasis::Consent.into() } else { basis },
            notice_version: text("notice_version", &self.notice_version, row)?,
            method: enum_number::<v1::ConsentMethod>("method", &self.method, row)?,
            collector: text("collector", &self.collector, row)?,
            reference: text("reference", &self.reference, row)?,
            decided_at: Some(decided_at),
            recording: v1::Recording::Imported.into(),
            expires_at: optional("expires_at", &self.expires_at, |field| field.time(row))?,
            evidence: (evidence != v1::ConsentEvidence::default()).then_some(evidence),
            channel: text("channel", &self.channel, row)?,
            valid_from: optional("valid_from", &self.valid_from, |field| field.time(row))?,
            ..v1::RecordConsentRequest::default()
        }))
    }

    fn status(&self, row: &Row) -> Result<v1::ConsentStatus, FieldError> {
        let status = required("status", self.status.text(row))?;
        if status == WITHDRAWN {
            return Ok(v1::ConsentStatus::Refused);
        }
        v1::ConsentStatus::parse(&status).map_err(|reason| ("status", format!("{reason}, {WITHDRAWN}")))
    }

    /// The fields with their names.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        let required = with_names!(self, purpose, status, decided_at);
        let optional = with_names!(self, basis, notice_version, method, act, statement_sha256, language);
        let optional =
            optional.into_iter().chain(with_names!(self, bundled, decided_by, incapacity, collector));
        let optional = optional.chain(with_names!(self, reference, channel, valid_from, expires_at));
        let optional = optional.filter_map(|(name, field)| Some((name, field.as_ref()?)));
        required.into_iter().chain(optional)
    }
}

/// Parses an optional field; the error names it.
fn optional<Value>(
    name: &'static str,
    field: &Option<Field>,
    parse: impl FnOnce(&Field) -> Result<Option<Value>, String>,
) -> Result<Option<Value>, FieldError> {
    field.as_ref().map_or(Ok(None), parse).map_err(|reason| (name, reason))
}

fn text(name: &'static str, field: &Option<Field>, row: &Row) -> Result<String, FieldError> {
    Ok(optional(name, field, |field| field.text(row))?.unwrap_or_default())
}

fn enum_number<Value: EnumText + Into<i32>>(
    name: &'static str,
    field: &Option<Field>,
    row: &Row,
) -> Result<i32, FieldError> {
    Ok(optional(name, field, |field| field.enum_value::<Value>(row))?.map_or(0, Into::into))
}

fn is_true(name: &'static str, field: &Option<Field>, row: &Row) -> Result<bool, FieldError> {
    let value = optional(name, field, |field| field.value(row, v1::ValueType::Boolean))?;
    Ok(value.is_some_and(|value| value.kind == Some(v1::value::Kind::Boolean(true))))
}

fn required<Value>(name: &'static str, value: Result<Option<Value>, String>) -> Result<Value, FieldError> {
    value.and_then(|value| value.ok_or_else(|| "is empty".into())).map_err(|reason| (name, reason))
}

impl MappingFile for DecisionMapping {
    fn input(&self) -> &Input {
        &self.input
    }

    fn catalogue(&self) -> &CatalogueFile {
        &self.catalogue
    }

    fn check(&self) -> Result<(), String> {
        if let Customer::Key(customer) = &self.customer {
            customer.check()?;
        }
        for (name, field) in self.decision.fields().filter(|(name, _)| !TIMES.contains(name)) {
            let of_key = |reason| format!("decision.{name}: {reason}");
            field.check_format(Some(v1::ValueType::Text)).map_err(of_key)?;
        }
        Ok(())
    }

    fn columns(&self) -> Vec<(String, &str)> {
        let customer = match &self.customer {
            Customer::Key(customer) => {
                customer.key.iter().map(|column| ("customer.key", column.as_str())).collect()
            }
            Customer::Id(column) => vec![("customer.id", column.id.as_str())],
        };
        let customer = customer.into_iter().map(|(key, column)| (key.to_owned(), column));
        let fields = self.decision.fields();
        let fields = fields.filter_map(|(name, field)| Some((format!("decision.{name}"), field.column()?)));
        let condition = self.decision.only_where.iter();
        let condition = condition.map(|one| ("decision.only_where.column".to_owned(), one.column.as_str()));
        customer.chain(fields).chain(condition).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SMALL: &str =
        "[customer]\nid = \"who\"\n[decision]\npurpose = \"for\"\nstatus = \"said\"\ndecided_at = \"on\"\n";

    #[test]
    fn a_small_mapping_names_its_columns() {
        let mapping = DecisionMapping::parse(SMALL).unwrap();
        let columns: Vec<_> = mapping.columns().into_iter().map(|(_, column)| column.to_owned()).collect();
        assert_eq!(columns, ["who", "for", "said", "on"]);
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, key) in [
            (SMALL.replace("id = \"who\"", "key = []\nnamespace = \"crm\""), "customer.key"),
            (SMALL.replace("id = \"who\"", "name = \"who\""), "name"),
            (SMALL.replace("id = \"who\"", "id = \"who\"\nkey = [\"who\"]"), "customer"),
            (SMALL.replace("decided_at = \"on\"\n", ""), "decided_at"),
            (format!("{SMALL}proof = \"p\"\n"), "proof"),
            (format!("{SMALL}[[catalogue.purposes]]\nid = \"offers\"\n"), "catalogue.purposes[0].bases"),
        ] {
            let error = DecisionMapping::parse(&text).unwrap_err();
            assert!(error.contains(key), "{key} is not in: {error}");
        }
    }

    #[test]
    fn the_example_mapping_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster/examples");
        DecisionMapping::load(&folder.join("decisions.toml")).unwrap();
    }
}
