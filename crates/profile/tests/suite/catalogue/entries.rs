//! The catalogue: what cannot be defined, and what cannot change (GO-1, GO-3).

use custodia_profile::{
    AttributeDefinition, AttributeFields, BalancingTest, Catalogue, Classification, GoogleConsentType,
    JurisdictionBases, LawfulBasis, MatchField, Notice, ProfileError, Purpose, PurposeFields, Recipient,
    RecipientFields, Revision, SourceMapping, SpecialUse, ValueType,
};

use crate::world::{
    MARKETING, RESEARCH, SERVICE, at, attribute, attribute_fields, balancing_test, catalogue, notice,
    purpose, purpose_fields,
};

#[test]
fn a_purpose_error_names_the_field_and_the_limit() {
    use LawfulBasis::{Contract, VitalInterests as Vital};
    let good = || purpose_fields(9, "news", &[LawfulBasis::Consent]);
    let stands = "purpose.standing_bases is malformed, expected some of the allowed bases: legal obligation, public \
                  task or legitimate interests";
    let mut many_notices = good();
    let template = many_notices.notices.remove(0);
    many_notices.notices =
        (0..65).map(|at| Notice { version: notice(&at.to_string()), ..template.clone() }).collect();
    let twice = PurposeFields { notices: vec![template.clone(), template.clone()], ..good() };
    let language = Notice { language: "x".repeat(36), ..template };
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
            "purpose.lawful_bases has a duplicate entry",
        ),
        (PurposeFields { standing_bases: vec![LawfulBasis::Consent], ..good() }, stands),
        (PurposeFields { standing_bases: vec![LawfulBasis::PublicTask], ..good() }, stands),
        (PurposeFields { standing_bases: vec![Contract], lawful_bases: vec![Contract], ..good() }, stands),
        (PurposeFields { standing_bases: vec![Vital], lawful_bases: vec![Vital], ..good() }, stands),
        (
            PurposeFields { google_types_without_consent: vec![GoogleConsentType::AdStorage], ..good() },
            "purpose.google_types_without_consent is malformed, expected some of google_consent_types",
        ),
        (
            PurposeFields { direct_marketing: true, special_use: Some(SpecialUse::LegalClaims), ..good() },
            "purpose.special_use is malformed, expected none with sale_or_sharing or direct_marketing",
        ),
        (many_notices, "purpose.notices has more than 64 entries"),
        (twice, "purpose.notices has a duplicate entry"),
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
            "attribute.purposes has a duplicate entry",
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
    grown.notices.push(Notice { version: notice("4"), ..grown.notices.last().unwrap().clone() });
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

fn bases_of(jurisdiction: &str, lawful_bases: &[LawfulBasis]) -> JurisdictionBases {
    JurisdictionBases { jurisdiction: jurisdiction.parse().unwrap(), lawful_bases: lawful_bases.to_vec() }
}

#[test]
fn an_error_in_what_a_purpose_may_do_names_the_field_and_the_limit() {
    let good = || purpose_fields(9, "news", &[LawfulBasis::Consent]);
    let many = |count: usize| (0..count).map(|at| format!("n{at}"));
    let bases = |count| many(count).map(|id| bases_of(&id, &[])).collect();
    let valid_from = |moments: [i64; 2]| {
        let mut fields = good();
        for (notice, from) in fields.notices.iter_mut().rev().zip(moments.into_iter().rev()) {
            notice.valid_from = Some(at(from));
        }
        fields
    };
    let cases = [
        (PurposeFields { owner: "x".repeat(129), ..good() }, "purpose.owner is longer than 128 bytes"),
        (PurposeFields { law: "x".repeat(513), ..good() }, "purpose.law is longer than 512 bytes"),
        (
            PurposeFields { jurisdiction_bases: bases(17), ..good() },
            "purpose.jurisdiction_bases has more than 16 entries",
        ),
        (
            PurposeFields { jurisdiction_bases: vec![bases_of("eu", &[]), bases_of("eu", &[])], ..good() },
            "purpose.jurisdiction_bases has a duplicate entry",
        ),
        (
            PurposeFields { jurisdiction_bases: vec![bases_of("eu", &[LawfulBasis::Consent; 2])], ..good() },
            "purpose.jurisdiction_bases.lawful_bases has a duplicate entry",
        ),
        (
            PurposeFields { data_categories: many(65).map(|id| id.parse().unwrap()).collect(), ..good() },
            "purpose.data_categories has more than 64 entries",
        ),
        (
            PurposeFields { data_categories: vec!["health".parse().unwrap(); 2], ..good() },
            "purpose.data_categories has a duplicate entry",
        ),
        (
            PurposeFields { recipients: many(65).map(|id| id.parse().unwrap()).collect(), ..good() },
            "purpose.recipients has more than 64 entries",
        ),
        (
            PurposeFields { recipients: vec!["Mailer".parse().unwrap(); 2], ..good() },
            "purpose.recipients has a duplicate entry",
        ),
        (
            PurposeFields { google_consent_types: vec![GoogleConsentType::AdStorage; 2], ..good() },
            "purpose.google_consent_types has a duplicate entry",
        ),
        (
            valid_from([1, 0]),
            "purpose.notices.valid_from is malformed, expected a moment not before that of an older notice",
        ),
    ];
    assert!(Purpose::new(valid_from([0, 0])).is_ok() && Purpose::new(valid_from([0, 1])).is_ok());
    assert!(Purpose::new(PurposeFields { jurisdiction_bases: bases(16), ..good() }).is_ok());
    for (fields, text) in cases {
        assert_eq!(Purpose::new(fields).unwrap_err().to_string(), text);
    }
}

/// CO-7: in the purpose's own bases or in those of any jurisdiction.
#[test]
fn a_basis_that_needs_a_reason_is_not_allowed_without_one() {
    use LawfulBasis::{Consent, Contract, LegalObligation, LegitimateInterests, PublicTask, VitalInterests};
    for basis in LawfulBasis::ALL {
        let own = PurposeFields {
            law: " ".to_owned(),
            balancing_test: None,
            ..purpose_fields(9, "news", &[basis])
        };
        let elsewhere = PurposeFields {
            lawful_bases: vec![Consent],
            jurisdiction_bases: vec![bases_of("br", &[basis])],
            ..own.clone()
        };
        for fields in [own, elsewhere] {
            let missing = match basis {
                LegalObligation | PublicTask => Some("purpose.law"),
                LegitimateInterests => Some("purpose.balancing_test"),
                Consent | Contract | VitalInterests => None,
            };
            let error = Purpose::new(fields.clone()).err();
            assert_eq!(error, missing.map(|field| ProfileError::Empty { field }), "{basis:?}");
            let law = "Fiscal Code §147".to_owned();
            let reasoned = PurposeFields { law, balancing_test: Some(balancing_test()), ..fields };
            assert!(Purpose::new(reasoned).is_ok());
        }
    }
}

#[test]
fn a_balancing_test_answers_every_question_within_its_limit() {
    type Answer = fn(&mut BalancingTest) -> &mut String;
    let answers: [(&str, usize, Answer); 5] = [
        ("purpose.balancing_test.interest", 1_024, |test| &mut test.interest),
        ("purpose.balancing_test.necessity", 1_024, |test| &mut test.necessity),
        ("purpose.balancing_test.balance", 1_024, |test| &mut test.balance),
        ("purpose.balancing_test.reviewer", 128, |test| &mut test.reviewer),
        ("purpose.balancing_test.objection_route", 256, |test| &mut test.objection_route),
    ];
    for (field, bytes_max, answer) in answers {
        let with = |text: String| {
            let mut test = balancing_test();
            *answer(&mut test) = text;
            let fields = purpose_fields(9, "news", &[LawfulBasis::LegitimateInterests]);
            Purpose::new(PurposeFields { balancing_test: Some(test), ..fields }).err()
        };
        assert_eq!(with("x".repeat(bytes_max)), None);
        assert_eq!(with("x".repeat(bytes_max + 1)), Some(ProfileError::TooLong { field, bytes_max }));
        assert_eq!(with(" ".to_owned()), Some(ProfileError::Empty { field }));
    }
}

#[test]
fn a_jurisdiction_can_have_other_bases_in_another_order_or_none() {
    use LawfulBasis::{Consent, Contract, LegalObligation, PublicTask};
    let fields = PurposeFields {
        jurisdiction_bases: vec![bases_of("br", &[PublicTask, Consent]), bases_of("ru", &[])],
        standing_bases: vec![PublicTask],
        ..purpose_fields(9, "news", &[Consent, Contract])
    };
    let purpose = Purpose::new(fields.clone()).unwrap();
    assert_eq!(purpose.bases_in(&"eu".parse().unwrap()), [Consent, Contract]);
    assert_eq!(purpose.bases_in(&"br".parse().unwrap()), [PublicTask, Consent]);
    assert_eq!(purpose.bases_in(&"ru".parse().unwrap()), []);
    let stands_nowhere = PurposeFields { standing_bases: vec![LegalObligation], ..fields.clone() };
    assert!(Purpose::new(stands_nowhere).is_err());
    assert_eq!(catalogue().put_purpose(purpose), Ok(()));
    let mut unknown = fields;
    unknown.jurisdiction_bases.push(bases_of("mars", &[]));
    let unknown = catalogue().put_purpose(Purpose::new(unknown).unwrap());
    assert_eq!(unknown, Err(ProfileError::Unknown { field: "purpose.jurisdiction_bases" }));
}

#[test]
fn a_notice_that_asks_again_counts_from_the_moment_on_from_which_it_is_valid() {
    let mut fields = purpose_fields(9, "news", &[LawfulBasis::Consent]);
    let next = |version: &str, asks_again, from| Notice {
        version: notice(version),
        asks_again,
        valid_from: Some(at(from)),
        ..fields.notices.last().unwrap().clone()
    };
    let later = [next("4", false, 5), next("5", true, 10), next("6", true, 20)];
    fields.notices.extend(later);
    let purpose = Purpose::new(fields).unwrap();
    let accepts = |version: &str, ms| purpose.accepts_notice(&notice(version), at(ms));
    assert!(!accepts("1", 0), "version 2 asks again at once");
    assert!(accepts("2", 0) && accepts("3", 0) && accepts("3", 9), "before it, older versions still do");
    assert!(!accepts("3", 10) && !accepts("4", 10) && accepts("5", 10), "the very moment counts");
    assert!(accepts("5", 19) && !accepts("5", 20) && accepts("6", 20));
    assert!(accepts("6", 0), "a newer version than is asked for is enough");
    assert!(!accepts("7", 0), "never published");
    let ends = |version: &str, ms| purpose.notice_ends_at(&notice(version), at(ms));
    assert_eq!(ends("3", 0), Some(at(10)));
    assert_eq!(ends("3", 9), Some(at(10)));
    assert_eq!(ends("5", 0), Some(at(20)));
    assert_eq!(ends("6", 0), None);
    assert_eq!(ends("7", 0), None);
    for version in ["2", "3", "4", "5"] {
        let end = ends(version, 0).unwrap();
        assert!(purpose.accepts_notice(&notice(version), end.plus_ms(-1)));
        assert!(!purpose.accepts_notice(&notice(version), end));
    }
}

#[test]
fn an_error_in_how_sources_call_an_attribute_names_the_field_and_the_limit() {
    let good = || attribute_fields(9, "city", ValueType::Text, &[SERVICE]);
    let mapping = |field: &str, difference: &str| SourceMapping {
        source: "crm".parse().unwrap(),
        field: field.to_owned(),
        difference: difference.to_owned(),
    };
    let mapped = |mappings| AttributeFields { mappings, ..good() };
    let many = |count| mapped((0..count).map(|at| mapping(&format!("f{at}"), "")).collect());
    let cases = [
        (AttributeFields { unit: "x".repeat(33), ..good() }, "attribute.unit is longer than 32 bytes"),
        (
            AttributeFields {
                match_as: Some(MatchField::City),
                classification: Classification::Sensitive,
                ..good()
            },
            "attribute.match_as is malformed, expected nothing, since the attribute is sensitive",
        ),
        (
            AttributeFields {
                match_as: Some(MatchField::City),
                ..attribute_fields(9, "balance", ValueType::Decimal, &[SERVICE])
            },
            "attribute.match_as is malformed, expected an attribute of type text, integer or date",
        ),
        (many(65), "attribute.mappings has more than 64 entries"),
        (mapped(vec![mapping("f", ""), mapping("f", "other")]), "attribute.mappings has a duplicate entry"),
        (mapped(vec![mapping("", "")]), "attribute.mappings.field is required"),
        (mapped(vec![mapping(&"x".repeat(129), "")]), "attribute.mappings.field is longer than 128 bytes"),
        (
            mapped(vec![mapping("f", &"x".repeat(513))]),
            "attribute.mappings.difference is longer than 512 bytes",
        ),
    ];
    assert!(AttributeDefinition::new(many(64)).is_ok());
    for (fields, text) in cases {
        assert_eq!(AttributeDefinition::new(fields).unwrap_err().to_string(), text);
    }
}

fn recipient_fields(id: &str) -> RecipientFields {
    RecipientFields {
        id: id.parse().unwrap(),
        display_name: "Mailer".to_owned(),
        description: "Sends the news.".to_owned(),
        owner: "Marketing".to_owned(),
        purposes: vec![purpose(MARKETING)],
        collection_purposes: vec![purpose(SERVICE)],
        third_party: false,
        suspended: false,
        revision: Revision::from_u64(1),
    }
}

#[test]
fn a_recipient_error_names_the_field_and_the_limit() {
    let good = || recipient_fields("Mailer-1.eu_west");
    let many: Vec<_> = (1..=65).map(purpose).collect();
    let cases = [
        (
            RecipientFields { display_name: "x".repeat(129), ..good() },
            "recipient.display_name is longer than 128 bytes",
        ),
        (
            RecipientFields { description: "x".repeat(1_025), ..good() },
            "recipient.description is longer than 1024 bytes",
        ),
        (RecipientFields { owner: "x".repeat(129), ..good() }, "recipient.owner is longer than 128 bytes"),
        (
            RecipientFields { collection_purposes: many.clone(), ..good() },
            "recipient.collection_purposes has more than 64 entries",
        ),
        (RecipientFields { purposes: many, ..good() }, "recipient.purposes has more than 64 entries"),
        (
            RecipientFields { purposes: vec![purpose(1); 2], ..good() },
            "recipient.purposes has a duplicate entry",
        ),
    ];
    for (fields, text) in cases {
        assert_eq!(Recipient::new(fields).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_recipient_reads_and_collects_for_its_purposes_unless_it_is_suspended() {
    let mut catalogue = catalogue();
    let mailer = Recipient::new(recipient_fields("mailer")).unwrap();
    assert!(mailer.allows(purpose(MARKETING)) && !mailer.allows(purpose(SERVICE)));
    assert!(mailer.collects(purpose(SERVICE)) && !mailer.collects(purpose(MARKETING)));
    let suspended = RecipientFields { suspended: true, ..recipient_fields("mailer") };
    let suspended = Recipient::new(suspended).unwrap();
    assert!(!suspended.allows(purpose(MARKETING)) && !suspended.collects(purpose(SERVICE)));
    catalogue.put_recipient(mailer.clone()).unwrap();
    catalogue.put_recipient(Recipient::new(recipient_fields("Billing")).unwrap()).unwrap();
    assert_eq!(catalogue.recipient("mailer").map(|recipient| &**recipient), Some(&mailer));
    catalogue.put_recipient(suspended.clone()).unwrap();
    assert_eq!(catalogue.recipient("mailer").map(|recipient| &**recipient), Some(&suspended));
    assert!(catalogue.recipient("Mailer").is_none());
    let names: Vec<_> = catalogue.recipients().map(|recipient| recipient.id.as_str()).collect();
    assert_eq!(names, ["Billing", "mailer"]);
    let unknown = RecipientFields { purposes: vec![purpose(99)], ..recipient_fields("mailer") };
    let unknown = catalogue.put_recipient(Recipient::new(unknown).unwrap());
    assert_eq!(unknown, Err(ProfileError::Unknown { field: "recipient.purposes" }));
}

#[test]
fn a_catalogue_is_loaded_from_its_entries_in_whatever_order() {
    let mut catalogue = catalogue();
    catalogue.put_recipient(Recipient::new(recipient_fields("mailer")).unwrap()).unwrap();
    let purposes = catalogue.purposes().map(|purpose| purpose.as_ref().clone().into());
    let attributes = catalogue.attributes().map(|attribute| attribute.as_ref().clone().into());
    let recipients = catalogue.recipients().map(|recipient| recipient.as_ref().clone().into());
    let mut entries: Vec<_> = recipients.chain(attributes).chain(purposes).collect();
    assert_eq!(Catalogue::from_entries(entries.clone()).as_ref(), Ok(&catalogue));
    entries.reverse();
    assert_eq!(Catalogue::from_entries(entries), Ok(catalogue));
}
