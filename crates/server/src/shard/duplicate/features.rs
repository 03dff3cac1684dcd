//! Which values of a record are compared, and as what: those of the attributes that say so, and the mail addresses and
//! telephone numbers among the identifiers.
//!
//! Identifiers of other namespaces tell nothing: two customers do not hold the same one, and that a person has two cards is
//! no evidence for two people.

use custodia_linkage::{Category, Features, FieldKind, RecordId};
use custodia_profile::{Catalogue, CustomerId, CustomerRecord, MatchField, NamespaceKind, Value};

/// A value, and what it is compared as.
pub(super) type MatchValue = (MatchField, String);

/// Whether a customer may be found: not while its data is restricted, nor once it is merged into another.
pub(super) const fn is_compared(record: &CustomerRecord) -> bool {
    record.subject.restriction.is_none() && record.merged_into.is_none()
}

/// The values of a record that are compared.
pub(super) fn values(record: &CustomerRecord, catalogue: &Catalogue) -> Vec<MatchValue> {
    let attributes = record.attributes.iter().filter_map(|(number, stored)| {
        let field = catalogue.attribute(*number)?.match_as?;
        Some((field, text(&stored.value)?))
    });
    let identifiers = record.identifiers.keys().filter_map(|identifier| {
        let field = match catalogue.namespace(identifier.namespace.as_str())?.kind {
            NamespaceKind::Email => MatchField::Email,
            NamespaceKind::Phone => MatchField::Phone,
            NamespaceKind::Text => return None,
        };
        Some((field, identifier.value.as_str().to_owned()))
    });
    attributes.chain(identifiers).collect()
}

/// A record as the model sees it.
pub(super) fn features(customer: CustomerId, values: &[MatchValue]) -> Features {
    let values = values.iter().map(|(field, text)| (kind(*field), text.as_str()));
    Features::new(RecordId::new(*customer.as_bytes()), values)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.as_str().to_owned()),
        Value::Date(date) => Some(date.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Decimal(_) | Value::Boolean(_) | Value::Timestamp(_) => None,
    }
}

const fn kind(field: MatchField) -> FieldKind {
    match field {
        MatchField::GivenName => FieldKind::GivenName,
        MatchField::Surname => FieldKind::Surname,
        MatchField::FullName => FieldKind::FullName,
        MatchField::DateOfBirth => FieldKind::BirthDate,
        MatchField::Gender => FieldKind::Gender,
        MatchField::Email => FieldKind::Email,
        MatchField::Phone => FieldKind::Phone,
        MatchField::Identifier => FieldKind::Identifier,
        MatchField::Street => FieldKind::Street,
        MatchField::HouseNumber => FieldKind::HouseNumber,
        MatchField::AddressLine => FieldKind::AddressLine,
        MatchField::PostalCode => FieldKind::PostalCode,
        MatchField::City => FieldKind::City,
        MatchField::Region => FieldKind::Region,
        MatchField::FirstProperty => FieldKind::Category(Category::First),
        MatchField::SecondProperty => FieldKind::Category(Category::Second),
        MatchField::ThirdProperty => FieldKind::Category(Category::Third),
        MatchField::FourthProperty => FieldKind::Category(Category::Fourth),
        MatchField::FreeText => FieldKind::FreeText,
        MatchField::MiddleName => FieldKind::MiddleName,
    }
}
