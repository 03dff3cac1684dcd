//! The catalogue: what cannot be defined, and what cannot change (GO-1, GO-3).

use custodia_profile::{
    AttributeDefinition, AttributeFields, LawfulBasis, ProfileError, Purpose, PurposeFields, ValueType,
};

use crate::world::{
    MARKETING, RESEARCH, SERVICE, attribute, attribute_fields, catalogue, notice, purpose, purpose_fields,
};

#[test]
fn a_purpose_error_names_the_field_and_the_limit() {
    let good = || purpose_fields(9, "news", &[LawfulBasis::Consent]);
    let mut many_notices = good();
    let template = many_notices.notices.remove(0);
    many_notices.notices = (0..65)
        .map(|at| custodia_profile::Notice { version: notice(&at.to_string()), ..template.clone() })
        .collect();
    let twice = PurposeFields { notices: vec![template.clone(), template.clone()], ..good() };
    let language = custodia_profile::Notice { language: "x".repeat(36), ..template };
    let cases = [
        (
            PurposeFields { display_name: "x".repeat(129), ..good() },
            "purpose.display_name is longer than 128 bytes",
        ),
        (
            PurposeFields { description: "x".repeat(1_025), ..good() },
            "purpose.description is longer than 1024 bytes",
        ),
        (PurposeFields { dpv: "x".repeat(129), ..good() }, "purpose.dpv is longer than 128 bytes"),
        (PurposeFields { lawful_bases: vec![], ..good() }, "purpose.lawful_bases is required"),
        (
            PurposeFields { lawful_bases: vec![LawfulBasis::Consent; 2], ..good() },
            "purpose.lawful_bases has an entry twice",
        ),
        (
            PurposeFields { standing_bases: vec![LawfulBasis::Consent], ..good() },
            "purpose.standing_bases is malformed, expected some of lawful_bases, without consent",
        ),
        (
            PurposeFields { standing_bases: vec![LawfulBasis::Contract], ..good() },
            "purpose.standing_bases is malformed, expected some of lawful_bases, without consent",
        ),
        (many_notices, "purpose.notices has more than 64 entries"),
        (twice, "purpose.notices has an entry twice"),
        (
            PurposeFields { notices: vec![language], ..good() },
            "purpose.notices.language is longer than 35 bytes",
        ),
    ];
    assert!(Purpose::new(good()).is_ok());
    for (fields, text) in cases {
        assert_eq!(Purpose::new(fields).unwrap_err().to_string(), text);
    }
}

#[test]
fn an_attribute_error_names_the_field_and_the_limit() {
    let good = || attribute_fields(9, "city", ValueType::Text, &[SERVICE]);
    let many = (1..=65).map(purpose).collect();
    let cases = [
        (
            AttributeFields { description: "x".repeat(1_025), ..good() },
            "attribute.description is longer than 1024 bytes",
        ),
        (AttributeFields { owner: "x".repeat(129), ..good() }, "attribute.owner is longer than 128 bytes"),
        (AttributeFields { purposes: vec![], ..good() }, "attribute.purposes is required"),
        (AttributeFields { purposes: many, ..good() }, "attribute.purposes has more than 64 entries"),
        (
            AttributeFields { purposes: vec![purpose(1); 2], ..good() },
            "attribute.purposes has an entry twice",
        ),
        (AttributeFields { bytes_max: 4_097, ..good() }, "attribute.bytes_max is longer than 4096 bytes"),
    ];
    for (fields, text) in cases {
        assert_eq!(AttributeDefinition::new(fields).unwrap_err().to_string(), text);
    }
    let unlimited = AttributeDefinition::new(AttributeFields { bytes_max: 0, ..good() }).unwrap();
    assert_eq!(unlimited.bytes_max, 4_096);
}

#[test]
fn names_and_numbers_find_the_same_entry_and_lists_are_by_name() {
    let catalogue = catalogue();
    assert_eq!(catalogue.purpose_by_id("research"), catalogue.purpose(purpose(RESEARCH)));
    assert_eq!(catalogue.attribute_by_name("visits"), catalogue.attribute(attribute(2)));
    assert!(catalogue.purpose_by_id("nothing").is_none() && catalogue.attribute(attribute(99)).is_none());
    let names: Vec<_> = catalogue.purposes().map(|purpose| purpose.id.as_str()).collect();
    assert_eq!(names, ["marketing", "old", "research", "service", "tax"]);
    let names: Vec<_> = catalogue.attributes().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["email", "segment", "vat_number", "visits"]);
    assert_eq!(catalogue.next_purpose_number(), Ok(purpose(6)));
    assert_eq!(catalogue.next_attribute_number(), Ok(attribute(5)));
}

#[test]
fn what_stored_data_relies_on_cannot_change() {
    let mut catalogue = catalogue();
    let mut put = |fields| catalogue.put_purpose(Purpose::new(fields).unwrap());
    let stored = purpose_fields(RESEARCH, "research", &[LawfulBasis::Consent]);
    let mut edited = stored.clone();
    edited.notices.get_mut(0).unwrap().asks_again = true;
    assert_eq!(put(edited), Err(ProfileError::Immutable { field: "purpose.notices" }));
    let mut fewer = stored.clone();
    fewer.notices.pop();
    assert_eq!(put(fewer), Err(ProfileError::Immutable { field: "purpose.notices" }));
    let renamed = PurposeFields { id: "study".parse().unwrap(), ..stored.clone() };
    assert_eq!(put(renamed), Err(ProfileError::Immutable { field: "purpose.id" }));
    let taken = PurposeFields { number: purpose(77), ..stored.clone() };
    assert_eq!(put(taken), Err(ProfileError::Duplicate { field: "purpose.id" }));
    let mut grown = stored;
    grown
        .notices
        .push(custodia_profile::Notice { version: notice("4"), ..grown.notices.last().unwrap().clone() });
    assert_eq!(put(grown), Ok(()));
    let mut put = |fields| catalogue.put_attribute(AttributeDefinition::new(fields).unwrap());
    let stored = attribute_fields(3, "segment", ValueType::Text, &[MARKETING]);
    let retyped = AttributeFields { value_type: ValueType::Integer, ..stored.clone() };
    assert_eq!(put(retyped), Err(ProfileError::Immutable { field: "attribute.type" }));
    let renamed = AttributeFields { name: "tier".parse().unwrap(), ..stored.clone() };
    assert_eq!(put(renamed), Err(ProfileError::Immutable { field: "attribute.name" }));
    let taken = AttributeFields { number: attribute(77), ..stored.clone() };
    assert_eq!(put(taken), Err(ProfileError::Duplicate { field: "attribute.name" }));
    let unknown = AttributeFields { purposes: vec![purpose(99)], ..stored };
    assert_eq!(put(unknown), Err(ProfileError::Unknown { field: "attribute.purposes" }));
}
