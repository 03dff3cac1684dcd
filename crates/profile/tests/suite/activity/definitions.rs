//! Types of matters and traits that cannot be (GO-1).

use custodia_profile::{
    Catalogue, MatterType, MatterTypeFields, ProfileError, TraitAggregate, TraitDefinition, TraitFields,
    limits::{MATTER_TYPES_MAX, TRAITS_MAX},
};

use super::{case_fields, case_type, trait_fields};
use crate::world::{SERVICE, catalogue, label, purpose};

#[test]
fn an_error_in_a_type_of_matters_names_the_field_and_the_limit() {
    let good = case_fields;
    let many = |count: u32| (0..count).map(|at| label(&at.to_string())).collect::<Vec<_>>();
    let cases = [
        (MatterTypeFields { opening_events: vec![], ..good() }, "matter_type.opening_events is required"),
        (
            MatterTypeFields { opening_events: many(33), ..good() },
            "matter_type.opening_events has more than 32 entries",
        ),
        (MatterTypeFields { closing_events: vec![], ..good() }, "matter_type.closing_events is required"),
        (
            MatterTypeFields { closing_events: many(33), ..good() },
            "matter_type.closing_events has more than 32 entries",
        ),
        (
            MatterTypeFields { closing_events: vec![label("Case Reopened")], ..good() },
            "matter_type.closing_events is malformed, expected events other than those that open a matter",
        ),
        (
            MatterTypeFields { closing_events: vec![label("Case Closed"); 2], ..good() },
            "matter_type.closing_events has a duplicate entry",
        ),
        (MatterTypeFields { purposes: vec![], ..good() }, "matter_type.purposes is required"),
        (
            MatterTypeFields { purposes: (1..=65).map(purpose).collect(), ..good() },
            "matter_type.purposes has more than 64 entries",
        ),
        (
            MatterTypeFields { stale_after_days: 3_651, ..good() },
            "matter_type.stale_after_days is malformed, expected at most 3,650 days",
        ),
        (
            MatterTypeFields { display_name: "x".repeat(129), ..good() },
            "matter_type.display_name is longer than 128 bytes",
        ),
        (MatterTypeFields { owner: "x".repeat(129), ..good() }, "matter_type.owner is longer than 128 bytes"),
    ];
    assert!(MatterType::new(MatterTypeFields { stale_after_days: 3_650, ..good() }).is_ok());
    for (fields, message) in cases {
        assert_eq!(MatterType::new(fields).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_error_in_a_trait_names_the_field_and_the_limit() {
    let good = || trait_fields(TraitAggregate::Sum, Some("total"));
    let cases = [
        (TraitFields { events: vec![], ..good() }, "trait.events is required"),
        (
            TraitFields { events: (0..33).map(|at| label(&at.to_string())).collect(), ..good() },
            "trait.events has more than 32 entries",
        ),
        (TraitFields { property: None, ..good() }, "trait.property is required"),
        (
            TraitFields { aggregate: TraitAggregate::Count, ..good() },
            "trait.property is malformed, expected none with COUNT and DAYS_SINCE_LAST",
        ),
        (
            TraitFields { aggregate: TraitAggregate::DaysSinceLast, ..good() },
            "trait.property is malformed, expected none with COUNT and DAYS_SINCE_LAST",
        ),
        (TraitFields { purposes: vec![], ..good() }, "trait.purposes is required"),
        (
            TraitFields { window_days: 3_651, ..good() },
            "trait.window_days is malformed, expected at most 3,650 days",
        ),
        (TraitFields { unit: "x".repeat(33), ..good() }, "trait.unit is longer than 32 bytes"),
    ];
    for aggregate in TraitAggregate::ALL {
        let has_none = matches!(aggregate, TraitAggregate::Count | TraitAggregate::DaysSinceLast);
        let property = (!has_none).then_some("total");
        assert!(TraitDefinition::new(trait_fields(aggregate, property)).is_ok(), "{aggregate:?}");
    }
    for aggregate in [TraitAggregate::First, TraitAggregate::Last] {
        assert!(TraitDefinition::new(trait_fields(aggregate, None)).is_ok(), "the moment of the event");
    }
    for (fields, message) in cases {
        assert_eq!(TraitDefinition::new(fields).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_catalogue_has_so_many_of_each_and_knows_their_purposes() {
    let mut catalogue = catalogue();
    let matter_type = |id: String| {
        let id = id.parse().unwrap();
        MatterType::new(MatterTypeFields { id, ..case_fields() }).unwrap()
    };
    let definition = |id: String| {
        let id = id.parse().unwrap();
        TraitDefinition::new(TraitFields { id, ..trait_fields(TraitAggregate::Count, None) }).unwrap()
    };
    for at in 0..MATTER_TYPES_MAX {
        catalogue.put(matter_type(format!("m-{at}")).into()).unwrap();
    }
    for at in 0..TRAITS_MAX {
        catalogue.put(definition(format!("t-{at}")).into()).unwrap();
    }
    assert!(catalogue.put(matter_type("m-7".to_owned()).into()).is_ok(), "it is replaced");
    let error = catalogue.put(matter_type("more".to_owned()).into()).unwrap_err();
    assert_eq!(error, ProfileError::TooMany { field: "matter_types", count_max: MATTER_TYPES_MAX });
    let error = catalogue.put(definition("more".to_owned()).into()).unwrap_err();
    assert_eq!(error, ProfileError::TooMany { field: "traits", count_max: TRAITS_MAX });
    let error = Catalogue::new().put(case_type().into()).unwrap_err();
    assert_eq!(error, ProfileError::Unknown { field: "matter_type.purposes" });
    assert!(catalogue.matter_type("m-7").unwrap().allows(purpose(SERVICE)));
    assert!(catalogue.trait_by_id("t-7").unwrap().allows(purpose(SERVICE)));
}
