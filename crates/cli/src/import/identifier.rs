//! What the customers of a file are known by: the key of each row, and the other identifiers in its columns.
//!
//! Invariant: the first identifier of a request is the key of its rows. Where it cannot be stored, nothing of them is.

use std::collections::BTreeMap;

use custodia_client::{Client, ClientError};
use custodia_profile::NamespaceId;
use custodia_proto::{Timestamp, v1};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::{Deserialize, Deserializer};
use tonic::Code;

use crate::import::batch::{NOT_PARSED, Refusal};
use crate::import::field::Field;
use crate::import::request::Ingest;
use crate::import::row::Row;

/// `[customer]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    /// The columns that together form the customer's key in the source.
    pub(crate) key: Vec<String>,
    /// The namespace of the catalogue in which the customer has this key. Rows with equal keys are of one customer, in every file and
    /// from every source that names the same namespace.
    pub(crate) namespace: String,
}

impl Customer {
    /// Checks the columns and the name of the namespace. An error names the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.key.is_empty() {
            return Err("customer.key must name at least one column".into());
        }
        NamespaceId::new(&self.namespace).map(drop).map_err(|error| format!("customer.namespace: {error}"))
    }
}

/// In a mapping: one field, or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct Fields(Vec<Field>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> serde::de::Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a column name, a table with `column` or `constant`, or a list of these")
    }

    fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Fields, E> {
        Field::deserialize(StrDeserializer::new(column)).map(|field| Fields(vec![field]))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Fields, A::Error> {
        Field::deserialize(MapAccessDeserializer::new(map)).map(|field| Fields(vec![field]))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Fields, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Fields)
    }
}

impl Fields {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }
}

/// An identifier of a row, as it was observed at that moment.
pub(crate) fn observed(
    namespace: &str,
    value: String,
    observed_at: Option<Timestamp>,
) -> v1::IdentifierObservation {
    v1::IdentifierObservation { namespace: namespace.to_owned(), value, observed_at }
}

/// The identifiers in the columns of a row, and those that cannot be read.
pub(crate) fn identifiers_of(
    mapping: &BTreeMap<String, Fields>,
    row: &Row,
    observed_at: Option<Timestamp>,
) -> (Vec<v1::IdentifierObservation>, Vec<Refusal>) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for (namespace, fields) in mapping {
        for field in fields.iter() {
            match field.text(row) {
                Ok(value) => found.extend(value.map(|value| observed(namespace, value, observed_at))),
                Err(reason) => refused.push(Refusal::new(row.number, namespace, NOT_PARSED, &reason)),
            }
        }
    }
    (found, refused)
}

impl Ingest {
    /// How many identifiers the request would gain.
    pub(crate) fn new_identifiers(&self, of_row: &[v1::IdentifierObservation]) -> usize {
        of_row.iter().filter(|one| self.place_of(one).is_none()).count()
    }

    /// Adds an identifier of a row; one that is there already counts as observed at the later moment.
    pub(crate) fn identify(&mut self, identifier: v1::IdentifierObservation, row: u64) {
        let moment = |time: Option<Timestamp>| time.map(|time| (time.seconds, time.nanos));
        let known = self.place_of(&identifier).and_then(|place| self.request.identifiers.get_mut(place));
        match known {
            Some(known) if moment(known.observed_at) < moment(identifier.observed_at) => {
                known.observed_at = identifier.observed_at;
            }
            Some(_) => {}
            None => {
                self.request.identifiers.push(identifier);
                self.identifier_rows.push(row);
            }
        }
    }

    fn place_of(&self, identifier: &v1::IdentifierObservation) -> Option<usize> {
        self.request
            .identifiers
            .iter()
            .position(|one| (&one.namespace, &one.value) == (&identifier.namespace, &identifier.value))
    }
}

/// Whether one customer at most is known by a key of this namespace. An error says what to do.
pub(crate) async fn check_key_namespace(
    client: &Client,
    namespace: &str,
) -> Result<Result<v1::Namespace, String>, ClientError> {
    let known = namespace_of(client, "customer.namespace", namespace).await?;
    Ok(known.and_then(|known| {
        if known.shared {
            Err(format!(
                "customer.namespace: several customers may have the same `{namespace}`, so it is no key"
            ))
        } else {
            Ok(known)
        }
    }))
}

/// Whether the catalogue takes identifiers of this namespace for a purpose.
pub(crate) fn check_use(key: &str, namespace: &v1::Namespace, purpose: &str) -> Result<(), String> {
    if namespace.purposes.iter().any(|allowed| allowed == purpose) {
        return Ok(());
    }
    Err(format!("{key}: the namespace `{}` is not for the purpose `{purpose}`", namespace.id))
}

/// A namespace of the catalogue.
pub(crate) async fn namespace_of(
    client: &Client,
    key: &str,
    namespace: &str,
) -> Result<Result<v1::Namespace, String>, ClientError> {
    match client.get_namespace(v1::GetNamespaceRequest { id: namespace.to_owned() }).await {
        Ok(known) => Ok(Ok(known)),
        Err(error) if error.code() == Code::NotFound => Ok(Err(format!(
            "{key}: the catalogue has no namespace `{namespace}`: create it, or define it under \
             [[catalogue.namespaces]] and give --define"
        ))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<BTreeMap<String, Fields>, toml::de::Error> {
        toml::from_str(text)
    }

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn a_namespace_has_one_column_or_several() {
        let mapping = fields("phone = [\"home\", { column = \"work\" }]\nemail = \"mail\"").unwrap();
        let row = Row::of_pairs(3, &[("home", "1"), ("work", "2"), ("mail", "")]);
        let (found, refused) = identifiers_of(&mapping, &row, at(7));
        assert_eq!(found, [observed("phone", "1".into(), at(7)), observed("phone", "2".into(), at(7))]);
        assert!(refused.is_empty());
        let translated = fields("card = { column = \"c\", values = { x = \"y\" } }").unwrap();
        let (found, refused) = identifiers_of(&translated, &Row::of_pairs(4, &[("c", "z")]), None);
        assert_eq!((found.len(), refused[0].row, refused[0].item.as_str()), (0, 4, "card"));
        for wrong in ["phone = 7", "phone = [\"\"]", "phone = { colum = \"a\" }", "phone = \"\""] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identifier_is_sent_once_with_its_latest_moment() {
        let mut ingest = Ingest::default();
        for (value, seconds, row) in [("7", 5, 1), ("a@example.org", 5, 1), ("7", 9, 2), ("7", 2, 3)] {
            ingest.identify(observed("crm", value.into(), at(seconds)), row);
        }
        let expected = [observed("crm", "7".into(), at(9)), observed("crm", "a@example.org".into(), at(5))];
        assert_eq!(
            (ingest.request.identifiers.as_slice(), ingest.identifier_rows),
            (&expected[..], vec![1, 1])
        );
    }
}
