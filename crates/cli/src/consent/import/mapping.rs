//! The mapping of `custodia consent import`: what each column of a row says of a decision.
//!
//! Each field is a column's name or a table, as in the mapping of `custodia import`. Always: an unknown key refuses to
//! load, and an error names the key at fault.

use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::CatalogueFile;
use crate::import::{Condition, Field, Input, MappingFile, Row};
use crate::words::Word as _;

/// What a source says where the customer took a consent back. Only a withdrawal that arrives now has a call of its own;
/// one of the past is recorded as a refusal of its date, which to the law is the same no.
const WITHDRAWN: &str = "withdrawn";

/// The mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionMapping {
    /// How the file is read.
    #[serde(default)]
    pub(crate) input: Input,
    /// Which customer a row is about.
    pub(crate) customer: Customer,
    /// What was decided.
    pub(crate) decision: DecisionFields,
    /// What `--define` creates where the cluster's catalogue has not got it.
    #[serde(default)]
    pub(crate) catalogue: CatalogueFile,
}

/// `[customer]`: one of the two.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Customer {
    /// `key`: the columns that together are the source's key of the customer, as in `custodia import`.
    Key(Vec<String>),
    /// `id`: the column that holds the customer's id, `cust_…`.
    Id(String),
}

/// `[decision]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionFields {
    /// For which purpose.
    purpose: Field,
    /// `given`, `refused`, `requested`, `revoked`, `invalidated` or `withdrawn`.
    status: Field,
    /// When it was decided. Never left out: an undated decision would be another one each time it is loaded.
    decided_at: Field,
    /// The ground. Default: `consent`.
    basis: Option<Field>,
    /// The version of the notice that was shown.
    notice_version: Option<Field>,
    /// `unambiguous`, `explicit` or `opt-out`.
    method: Option<Field>,
    /// What the customer did: `ticked-box`, `clicked`, `spoken`, `signed`, `double-opt-in`, …
    act: Option<Field>,
    /// SHA-256, in hex, of the statement, form or recording that proves it.
    statement_sha256: Option<Field>,
    /// Language of the notice as it was shown (BCP 47).
    language: Option<Field>,
    /// Whether the same act answered for other purposes as well, without a separate choice: `true` or `false`.
    bundled: Option<Field>,
    /// `data-subject` (the default), `guardian`, `controller` or `authority`.
    decided_by: Option<Field>,
    /// Who collected it.
    collector: Option<Field>,
    /// Contract, law, incident or balancing test.
    reference: Option<Field>,
    /// Through which channel it came.
    channel: Option<Field>,
    /// From when it holds. Default: from the decision on.
    valid_from: Option<Field>,
    /// When it ends by itself. Default: when withdrawn.
    expires_at: Option<Field>,
    /// Only rows where this column has this value; without it, all rows.
    only_where: Option<Condition>,
}

/// The field at fault, and what is wrong with it.
type FieldFault = (&'static str, String);

impl DecisionFields {
    /// The decision of a row, but for whose it is; `None` where the row is none.
    ///
    /// # Errors
    /// The first field that cannot be read; never its value.
    pub(crate) fn request(&self, row: &Row) -> Result<Option<v1::RecordConsentRequest>, FieldFault> {
        if self.only_where.as_ref().is_some_and(|condition| !condition.holds(row)) {
            return Ok(None);
        }
        let evidence = v1::ConsentEvidence {
            act: word::<v1::AffirmativeAct>("act", self.act.as_ref(), row)?,
            statement_sha256: text("statement_sha256", self.statement_sha256.as_ref(), row)?,
            language: text("language", self.language.as_ref(), row)?,
            bundled: truth("bundled", self.bundled.as_ref(), row)?,
            decided_by: word::<v1::DecidedBy>("decided_by", self.decided_by.as_ref(), row)?,
        };
        let basis = word::<v1::LawfulBasis>("basis", self.basis.as_ref(), row)?;
        let decided_at = time("decided_at", Some(&self.decided_at), row)?;
        Ok(Some(v1::RecordConsentRequest {
            purpose: required("purpose", text("purpose", Some(&self.purpose), row)?)?,
            status: self.status(row)?.into(),
            lawful_basis: if basis == 0 { v1::LawfulBasis::Consent.into() } else { basis },
            notice_version: text("notice_version", self.notice_version.as_ref(), row)?,
            method: word::<v1::ConsentMethod>("method", self.method.as_ref(), row)?,
            collector: text("collector", self.collector.as_ref(), row)?,
            reference: text("reference", self.reference.as_ref(), row)?,
            decided_at: Some(decided_at.ok_or_else(|| is_empty("decided_at"))?),
            expires_at: time("expires_at", self.expires_at.as_ref(), row)?,
            evidence: (evidence != v1::ConsentEvidence::default()).then_some(evidence),
            channel: text("channel", self.channel.as_ref(), row)?,
            valid_from: time("valid_from", self.valid_from.as_ref(), row)?,
            ..v1::RecordConsentRequest::default()
        }))
    }

    fn status(&self, row: &Row) -> Result<v1::ConsentStatus, FieldFault> {
        let status = required("status", text("status", Some(&self.status), row)?)?;
        if status == WITHDRAWN {
            return Ok(v1::ConsentStatus::Refused);
        }
        v1::ConsentStatus::parse(&status).map_err(|reason| ("status", format!("{reason}, {WITHDRAWN}")))
    }

    /// The fields with their names.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        let optional = [
            ("basis", &self.basis),
            ("notice_version", &self.notice_version),
            ("method", &self.method),
            ("act", &self.act),
            ("statement_sha256", &self.statement_sha256),
            ("language", &self.language),
            ("bundled", &self.bundled),
            ("decided_by", &self.decided_by),
            ("collector", &self.collector),
            ("reference", &self.reference),
            ("channel", &self.channel),
            ("valid_from", &self.valid_from),
            ("expires_at", &self.expires_at),
        ];
        let required =
            [("purpose", &self.purpose), ("status", &self.status), ("decided_at", &self.decided_at)];
        let optional = optional.into_iter().filter_map(|(name, field)| Some((name, field.as_ref()?)));
        required.into_iter().chain(optional)
    }
}

fn text(name: &'static str, field: Option<&Field>, row: &Row) -> Result<String, FieldFault> {
    let text = field.map_or(Ok(None), |field| field.text(row));
    text.map(Option::unwrap_or_default).map_err(|reason| (name, reason))
}

fn word<Value: crate::words::Word + Into<i32>>(
    name: &'static str,
    field: Option<&Field>,
    row: &Row,
) -> Result<i32, FieldFault> {
    let word = field.map_or(Ok(None), |field| field.word::<Value>(row));
    word.map(|value| value.map_or(0, Into::into)).map_err(|reason| (name, reason))
}

fn time(
    name: &'static str,
    field: Option<&Field>,
    row: &Row,
) -> Result<Option<custodia_proto::Timestamp>, FieldFault> {
    field.map_or(Ok(None), |field| field.time(row)).map_err(|reason| (name, reason))
}

fn truth(name: &'static str, field: Option<&Field>, row: &Row) -> Result<bool, FieldFault> {
    let value = field.map_or(Ok(None), |field| field.value(row, v1::ValueType::Boolean));
    let value = value.map_err(|reason| (name, reason))?;
    Ok(value.is_some_and(|value| value.kind == Some(v1::value::Kind::Boolean(true))))
}

fn required(name: &'static str, text: String) -> Result<String, FieldFault> {
    if text.is_empty() { Err(is_empty(name)) } else { Ok(text) }
}

fn is_empty(name: &'static str) -> FieldFault {
    (name, "is empty".into())
}

impl MappingFile for DecisionMapping {
    fn input(&self) -> &Input {
        &self.input
    }

    fn catalogue(&self) -> &CatalogueFile {
        &self.catalogue
    }

    fn check(&self) -> Result<(), String> {
        self.input.check()?;
        if matches!(&self.customer, Customer::Key(columns) if columns.is_empty()) {
            return Err("customer.key: names no column".into());
        }
        self.catalogue.entries().map(drop)
    }

    fn columns(&self) -> Vec<(String, &str)> {
        let customer = match &self.customer {
            Customer::Key(columns) => {
                columns.iter().map(|column| ("customer.key", column.as_str())).collect()
            }
            Customer::Id(column) => vec![("customer.id", column.as_str())],
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
            (SMALL.replace("id = \"who\"", "key = []"), "customer.key"),
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
    fn the_example_mapping_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster/examples");
        DecisionMapping::load(&folder.join("decisions.toml")).unwrap();
    }
}
