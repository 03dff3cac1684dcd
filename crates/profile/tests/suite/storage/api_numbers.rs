//! The numbers of the API: what a type here says of itself is what `proto/` says.

use std::{collections::BTreeMap, fs};

use custodia_profile::{
    ConsentModel, GoogleConsentType, IdentifierFault, MatchField, MatchVerdict, RefusalReason,
    ReviewDecision, TraitAggregate, ValueFormat,
};

/// The members of an enum of the API but for the one of number 0, without the enum's prefix, by number.
fn members(file: &str, name: &str, prefix: &str) -> BTreeMap<u8, String> {
    let path = format!("{}/../../proto/custodia/v1/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let (_, body) = text.split_once(&format!("enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let statements = body.lines().map(|line| line.split("//").next().unwrap().trim());
    let members = statements.filter(|statement| !statement.is_empty()).map(|statement| {
        let (member, number) = statement.strip_suffix(';').unwrap().split_once(" = ").unwrap();
        (number.parse().unwrap(), member.strip_prefix(prefix).unwrap().to_owned())
    });
    members.filter(|(number, _)| *number != 0).collect()
}

#[test]
fn refusal_reasons_have_the_names_and_numbers_of_the_api() {
    let here = RefusalReason::ALL.map(|reason| (reason.number(), reason.name().to_owned()));
    assert_eq!(BTreeMap::from(here), members("types.proto", "RefusalReason", "REFUSAL_REASON_"));
    assert!(RefusalReason::ALL.is_sorted());
    let explanations = RefusalReason::ALL.map(RefusalReason::explanation);
    assert!(explanations.iter().all(|text| text.ends_with('.') && !text.contains('\n')));
    assert_eq!(std::collections::BTreeSet::from(explanations).len(), RefusalReason::ALL.len());
}

#[test]
fn googles_consent_types_have_the_names_and_numbers_of_the_api() {
    let named = |kind: GoogleConsentType| (kind.number(), kind.name().to_uppercase());
    let here = BTreeMap::from(GoogleConsentType::ALL.map(named));
    assert_eq!(here, members("consent.proto", "GoogleConsentType", "GOOGLE_CONSENT_TYPE_"));
    for kind in GoogleConsentType::ALL {
        assert_eq!(GoogleConsentType::from_number(kind.number()), Ok(kind));
    }
    assert!(GoogleConsentType::from_number(0).is_err() && GoogleConsentType::from_number(8).is_err());
}

#[test]
fn consent_models_have_the_numbers_of_the_api() {
    let api = members("catalog.proto", "ConsentModel", "CONSENT_MODEL_");
    assert_eq!(api, BTreeMap::from([(1, "OPT_IN".to_owned()), (2, "OPT_OUT".to_owned())]));
    assert_eq!([ConsentModel::OptIn, ConsentModel::OptOut].map(ConsentModel::number), [1, 2]);
    for model in ConsentModel::ALL {
        assert_eq!(ConsentModel::from_number(model.number()), Ok(model));
    }
    assert!(ConsentModel::from_number(0).is_err() && ConsentModel::from_number(3).is_err());
}

#[test]
fn what_an_attribute_is_compared_as_has_the_names_and_numbers_of_the_api() {
    let here = BTreeMap::from(MatchField::ALL.map(|field| (field.number(), snake(&format!("{field:?}")))));
    assert_eq!(here, members("catalog.proto", "MatchField", "MATCH_FIELD_"));
}

/// A name in upper case with underscores.
fn snake(pascal: &str) -> String {
    let words = pascal.char_indices().flat_map(|(at, letter)| {
        let gap = (at > 0 && letter.is_uppercase()).then_some('_');
        gap.into_iter().chain([letter.to_ascii_uppercase()])
    });
    words.collect()
}

#[test]
fn aggregates_of_traits_have_the_names_and_numbers_of_the_api() {
    let here = BTreeMap::from(TraitAggregate::ALL.map(|one| (one.number(), snake(&format!("{one:?}")))));
    assert_eq!(here, members("catalog.proto", "TraitAggregate", "TRAIT_AGGREGATE_"));
}

#[test]
fn formats_and_faults_have_the_names_and_numbers_of_the_api() {
    let here = BTreeMap::from(ValueFormat::ALL.map(|one| (one.number(), snake(&format!("{one:?}")))));
    assert_eq!(here, members("catalog.proto", "ValueFormat", "VALUE_FORMAT_"));
    let here = BTreeMap::from(IdentifierFault::ALL.map(|one| (one.number(), snake(&format!("{one:?}")))));
    assert_eq!(here, members("identity.proto", "IdentifierFault", "IDENTIFIER_FAULT_"));
}

#[test]
fn verdicts_and_decisions_on_a_pair_have_the_numbers_of_the_api() {
    let upper = |text: String| text.to_uppercase();
    let here = BTreeMap::from(MatchVerdict::ALL.map(|one| (one.number(), upper(format!("{one:?}")))));
    assert_eq!(here, members("duplicate.proto", "MatchVerdict", "MATCH_VERDICT_"));
    let here = BTreeMap::from(ReviewDecision::ALL.map(|one| (one.number(), upper(format!("{one:?}")))));
    assert_eq!(here, members("duplicate.proto", "ReviewDecision", "REVIEW_DECISION_"));
}
