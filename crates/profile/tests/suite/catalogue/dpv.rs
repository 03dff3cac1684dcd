//! Terms of the W3C Data Privacy Vocabulary.

use custodia_profile::{ProfileError, check_dpv_purpose, dpv_personal_data};

#[test]
fn a_purpose_is_a_term_of_the_vocabulary_or_nothing() {
    for known in
        ["", "dpv:Marketing", "dpv:ServiceUsageAnalytics", "dpv:ServiceProvision", "dpv:CustomerCare"]
    {
        assert_eq!(check_dpv_purpose("purpose.dpv", known), Ok(()), "{known}");
    }
    // Neither exists. The others are of another vocabulary, another kind, or no terms.
    for unknown in [
        "dpv:CustomerAnalytics",
        "dpv:Nonsense Term",
        "dpv:marketing",
        "Marketing",
        "pd:EmailAddress",
        "dpv:PersonalData",
        "dpv:ConsentGiven",
        "dpv:",
        "dpv:Marketing ",
        "https://w3id.org/dpv#Marketing",
    ] {
        let error = check_dpv_purpose("purpose.dpv", unknown).unwrap_err();
        assert!(matches!(error, ProfileError::Malformed { field: "purpose.dpv", .. }), "{unknown}: {error}");
    }
}

#[test]
fn data_that_is_named_as_a_category_of_the_vocabulary_has_that_category() {
    for (name, term) in [
        ("email-address", Some("pd:EmailAddress")),
        ("email_address", Some("pd:EmailAddress")),
        ("health", Some("pd:Health")),
        ("contact", Some("pd:Contact")),
        ("birth-date", Some("pd:BirthDate")),
        ("loyalty-tier", None),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(dpv_personal_data(name).as_deref(), term, "{name}");
    }
}
