//! Small catalogue entries for the services' tests.

use custodia_profile::{
    AttributeDefinition, AttributeFields, AttributeNumber, BalancingTest, Classification, Date, LawfulBasis,
    Purpose, PurposeFields, PurposeNumber, Revision, ValueType,
};

/// A purpose with these bases and the fields that they require.
pub(crate) fn purpose(number: u32, id: &str, bases: &[LawfulBasis]) -> Purpose {
    purpose_at(number, id, bases, 1)
}

/// The same purpose at a given revision.
pub(crate) fn purpose_at(number: u32, id: &str, bases: &[LawfulBasis], revision: u64) -> Purpose {
    let answer = || "because".to_owned();
    Purpose::new(PurposeFields {
        number: PurposeNumber::new(number).expect("a number"),
        id: id.parse().expect("a name"),
        display_name: id.to_owned(),
        description: String::new(),
        dpv: String::new(),
        lawful_bases: bases.to_vec(),
        jurisdiction_bases: Vec::new(),
        notices: Vec::new(),
        standing_bases: Vec::new(),
        data_categories: Vec::new(),
        recipients: Vec::new(),
        retention_days: 0,
        owner: String::new(),
        law: "a law".to_owned(),
        balancing_test: Some(BalancingTest {
            interest: answer(),
            necessity: answer(),
            balance: answer(),
            reviewer: answer(),
            reviewed_on: Date::from_days(20_000).expect("a date"),
            objection_route: answer(),
        }),
        sale_or_sharing: false,
        google_consent_types: Vec::new(),
        google_types_without_consent: Vec::new(),
        direct_marketing: false,
        special_use: None,
        special_category_grounds: Vec::new(),
        deprecated: false,
        revision: Revision::from_u64(revision),
    })
    .expect("valid")
}

/// A text attribute of these purposes.
pub(crate) fn attribute(number: u32, name: &str, purposes: &[u32]) -> AttributeDefinition {
    AttributeDefinition::new(AttributeFields {
        number: AttributeNumber::new(number).expect("a number"),
        name: name.parse().expect("a name"),
        description: String::new(),
        value_type: ValueType::Text,
        classification: Classification::Personal,
        purposes: purposes.iter().map(|number| PurposeNumber::new(*number).expect("a number")).collect(),
        owner: String::new(),
        bytes_max: 0,
        data_category: None,
        unit: String::new(),
        retention_days: 0,
        mappings: Vec::new(),
        match_as: None,
        format: None,
        country_attribute: None,
        revision: Revision::from_u64(1),
    })
    .expect("valid")
}
