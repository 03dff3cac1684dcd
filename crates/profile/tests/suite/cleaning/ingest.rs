//! What comes in for an attribute with a format: stored in its normal form with the original beside it, or refused alone (GO-4, CO-3).

use std::collections::BTreeMap;

use custodia_profile::{
    AttributeDefinition, AttributeFields, Catalogue, CustomerRecord, Observation, Observations, Outcome,
    Party, RefusalReason, Value, ValueFormat, ValueType, ingest,
};
use proptest::{prelude::*, sample::select};

use crate::{
    identifier::contract,
    world::{FREE, NOW, SERVICE, attribute, attribute_fields, catalogue as plain, context, purpose},
};

const COUNTRY: u32 = 101;
const POSTCODE: u32 = 102;
const STREET: u32 = 103;

fn catalogue() -> Catalogue {
    let mut catalogue = plain();
    let fields = |number, name, format| AttributeFields {
        format: Some(format),
        bytes_max: 32,
        ..attribute_fields(number, name, ValueType::Text, &[SERVICE])
    };
    let postcode = AttributeFields {
        country_attribute: Some(attribute(COUNTRY)),
        ..fields(POSTCODE, "postcode", ValueFormat::PostalCode)
    };
    let country = fields(COUNTRY, "country", ValueFormat::CountryCode);
    for fields in [country, postcode, fields(STREET, "street", ValueFormat::AddressLine)] {
        catalogue.put_attribute(AttributeDefinition::new(fields).unwrap()).unwrap();
    }
    catalogue
}

fn done(record: &CustomerRecord, values: &[(&str, &str)]) -> (CustomerRecord, Vec<Outcome>) {
    let observation = |(name, text): &(&str, &str)| Observation {
        attribute: name.parse().unwrap(),
        value: Value::text(text).unwrap(),
        observed_at: None,
    };
    let input = Observations {
        purpose: purpose(SERVICE),
        source: "crm".parse().unwrap(),
        party: Party::First,
        basis: None,
        grants: Vec::new(),
        observations: values.iter().map(observation).collect(),
        identifiers: Vec::new(),
        events: Vec::new(),
    };
    let done = ingest(record, &input, &catalogue(), &FREE, context(NOW)).unwrap();
    (done.record, done.attribute_outcomes)
}

fn stored(record: &CustomerRecord, number: u32) -> Option<(String, Option<String>)> {
    let of = record.attributes.get(&attribute(number))?;
    let Value::Text(value) = &of.value else { return None };
    Some((value.as_str().to_owned(), of.original.as_ref().map(|text| text.as_str().to_owned())))
}

#[test]
fn a_value_is_stored_in_its_normal_form_with_the_original_where_it_differs() {
    let address = [("postcode", "sw1a1aa"), ("country", "uk"), ("street", "Downing  St 10")];
    let (record, outcomes) = done(&contract(), &address);
    assert_eq!(outcomes, [Outcome::Merged; 3]);
    assert_eq!(stored(&record, POSTCODE), Some(("SW1A 1AA".into(), Some("sw1a1aa".into()))));
    assert_eq!(stored(&record, COUNTRY), Some(("GB".into(), Some("uk".into()))));
    let (record, _) = done(&contract(), &[("postcode", "SW1A 1AA"), ("country", "GB")]);
    assert_eq!(stored(&record, POSTCODE), Some(("SW1A 1AA".into(), None)));
}

#[test]
fn a_value_that_cannot_be_one_is_refused_and_the_rest_goes_on() {
    let address = [("country", "DE"), ("postcode", "1067"), ("street", "n/a"), ("email", "a@example.org")];
    let (record, outcomes) = done(&contract(), &address);
    let refused = Outcome::Refused(RefusalReason::InvalidFormat);
    assert_eq!(outcomes, [Outcome::Merged, refused, refused, Outcome::Merged]);
    assert_eq!((stored(&record, POSTCODE), stored(&record, STREET)), (None, None));
    // What is too long is told so, as written and as it would be stored.
    let (_, outcomes) = done(&contract(), &[("street", &"a ".repeat(20))]);
    assert_eq!(outcomes, [Outcome::Refused(RefusalReason::ValueTooLong)]);
}

/// Neither the order of requests nor what is stored shows in an outcome: a caller who may not read would learn where the customer lives.
#[test]
fn a_postal_code_is_judged_by_the_country_of_its_own_request_alone() {
    let (german, _) = done(&contract(), &[("country", "DE")]);
    for record in [&german, &contract()] {
        let (after, outcomes) = done(record, &[("postcode", "sw1a 1aa")]);
        assert_eq!(outcomes, [Outcome::Merged]);
        assert_eq!(stored(&after, POSTCODE).map(|(value, _)| value), Some("SW1A 1AA".into()));
    }
    let (_, outcomes) = done(&contract(), &[("country", "DE"), ("postcode", "sw1a 1aa"), ("country", "GB")]);
    assert_eq!(outcomes[1], Outcome::Merged, "two countries tell nothing");
    let (_, outcomes) = done(&contract(), &[("country", "Atlantis"), ("postcode", "sw1a 1aa")]);
    assert_eq!(outcomes, [Outcome::Refused(RefusalReason::InvalidFormat), Outcome::Merged]);
}

#[test]
fn only_texts_have_a_format_and_only_postal_codes_a_country() {
    let fields = attribute_fields(1, "age", ValueType::Integer, &[SERVICE]);
    let number = AttributeFields { format: Some(ValueFormat::City), ..fields };
    let error = AttributeDefinition::new(number).unwrap_err();
    assert_eq!(error.to_string(), "attribute.format is malformed, expected an attribute of type text");
    let city = AttributeFields {
        format: Some(ValueFormat::City),
        country_attribute: Some(attribute(COUNTRY)),
        ..attribute_fields(1, "city", ValueType::Text, &[SERVICE])
    };
    let error = AttributeDefinition::new(city).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attribute.country_attribute is malformed, expected none unless the format is POSTAL_CODE"
    );
}

proptest! {
    /// The original is kept, to the byte; what is stored is the normal form; the same values in any order give the same record.
    #[test]
    fn the_original_is_kept_and_the_order_does_not_count(
        postcode in "[ ]{0,2}[A-Za-z0-9 -]{1,9}",
        street in "[ ]{0,2}[A-Za-z0-9 é\u{301}-]{1,12}",
        country in select(vec!["DE", "gbr", "UK", "??"]),
    ) {
        let forward = [("country", country), ("postcode", postcode.as_str()), ("street", street.as_str())];
        let mut backward = forward;
        backward.reverse();
        let (record, outcomes) = done(&contract(), &forward);
        let (other, mut others) = done(&contract(), &backward);
        others.reverse();
        prop_assert_eq!(&record, &other);
        prop_assert_eq!(&outcomes, &others);
        let written = BTreeMap::from([(POSTCODE, &postcode), (STREET, &street)]);
        for (number, written) in written {
            if let Some((value, original)) = stored(&record, number) {
                prop_assert_eq!(original.as_ref().unwrap_or(&value), written);
                prop_assert_eq!(original.is_none(), &value == written);
            }
        }
    }
}
