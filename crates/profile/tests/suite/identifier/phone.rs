//! Telephone numbers: E.164.

use std::collections::BTreeSet;

use custodia_profile::{
    Namespace, NamespaceFields, NamespaceKind,
    RefusalReason::{IdentifierBlocked, IdentifierInvalid},
};

use phonenumber::metadata::DATABASE;

use super::{holds, namespace, namespace_fields, normal, refuses};

fn phone_of(region: &str) -> Namespace {
    namespace(NamespaceFields {
        default_region: Some(region.parse().unwrap()),
        ..namespace_fields("phone", NamespaceKind::Phone)
    })
}

#[test]
fn a_number_is_written_with_its_country_code_and_nothing_else() {
    holds(
        &phone_of("DE"),
        &[
            ("+49 30 901820", "+4930901820"),
            ("030 901820", "+4930901820"),
            ("030/90 18 20", "+4930901820"),
            ("(030) 901820", "+4930901820"),
            ("+49 (0)30 901820", "+4930901820"),
            ("+49 030 901820", "+4930901820"),
            ("0049 30 901820", "+4930901820"),
            ("tel:+49-30-901820", "+4930901820"),
            ("\u{202a}+49\u{a0}30\u{2011}901820\u{202c}", "+4930901820"),
            ("＋４９　３０　９０１８２０", "+4930901820"),
            ("٠٣٠ ٩٠١٨٢٠", "+4930901820"),
            ("+۴۹ ۳۰ ۹۰۱۸۲۰", "+4930901820"),
            ("०३० ९०१८२०", "+4930901820"),
            ("0151 23456789", "+4915123456789"),
            ("+44 20 7946 0958", "+442079460958"),
            ("+44 (0) 20 7946 0958", "+442079460958"),
            ("+1 (212) 555-2368", "+12125552368"),
            ("001 212 555 2368", "+12125552368"),
        ],
    );
    holds(
        &phone_of("US"),
        &[
            ("212-555-2368", "+12125552368"),
            ("1 212 555 2368", "+12125552368"),
            ("011 49 30 901820", "+4930901820"),
        ],
    );
}

/// The library reads a number with the numbering plan of the default region, whatever the country code says.
#[test]
fn the_leading_zero_of_another_country_is_kept() {
    for region in ["DE", "IT", "US"] {
        holds(&phone_of(region), &[("+39 06 6982", "+39066982"), ("+39 02 1234567", "+39021234567")]);
    }
    holds(&phone_of("DE"), &[("0039 06 6982", "+39066982")]);
    holds(&phone_of("IT"), &[("06 6982", "+39066982"), ("0049 30 901820", "+4930901820")]);
}

#[test]
fn a_number_without_a_country_code_needs_a_country() {
    let phone = namespace(namespace_fields("phone", NamespaceKind::Phone));
    holds(&phone, &[("+49 30 901820", "+4930901820")]);
    refuses(&phone, IdentifierInvalid, &["030 901820", "0049 30 901820", "4930901820"]);
}

#[test]
fn what_nobody_can_dial_or_names_a_desk_is_no_number() {
    let phone = phone_of("DE");
    refuses(
        &phone,
        IdentifierInvalid,
        &[
            "",
            "+49",
            "110",
            "12",
            "+49 30 901820 ext. 12",
            "+49 30 901820 x12",
            "+49 30 901820;ext=12",
            "+49 30 901820#12",
            "+49 30 901820,12",
            "+49 30 901820 +12",
            "49+30901820",
            "1-800-FLOWERS",
            "+999 123456",
            "+49 1",
            "+1 555 0100",
            "+49 30 90182\u{200d}0",
            "+49 30 901820 123456789",
            "mara@example.com",
            &"1".repeat(25),
            &format!("+{}", "9".repeat(300)),
        ],
    );
    refuses(&phone, IdentifierBlocked, &["0000", "000-000", "+0000000", "n/a", "٠٠٠", "unknown", "-", "+"]);
}

/// One number of each kind of each country, as the data has it.
fn examples() -> Vec<(&'static phonenumber::Metadata, String)> {
    let plans = (1_u16..1_000).filter_map(|code| DATABASE.by_code(&code)).flatten();
    let of_plan = |plan: &'static phonenumber::Metadata| {
        let all = plan.descriptors();
        let kinds = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.personal_number(),
            all.voip(),
            all.uan(),
        ];
        let example = |kind: Option<&phonenumber::metadata::Descriptor>| kind?.example().map(str::to_owned);
        kinds.into_iter().filter_map(example).map(move |national| (plan, national)).collect::<Vec<_>>()
    };
    plans.flat_map(of_plan).collect()
}

#[test]
fn every_plan_of_the_world_has_the_numbers_of_its_examples() {
    let nowhere = namespace(namespace_fields("phone", NamespaceKind::Phone));
    let examples = examples();
    assert!(examples.len() > 900, "{}", examples.len());
    let mut otherwise = BTreeSet::new();
    for (plan, national) in examples {
        let number = format!("+{}{national}", plan.country_code());
        assert_eq!(normal(&nowhere, &number).as_ref(), Ok(&number), "{}", plan.id());
        if plan.id() != "001" {
            let dialled = format!("{}{national}", plan.national_prefix().unwrap_or_default());
            if normal(&phone_of(plan.id()), &dialled).as_ref() != Ok(&number) {
                otherwise.insert(plan.id());
            }
        }
    }
    // There some kinds of numbers are dialled without the trunk prefix.
    assert_eq!(otherwise, BTreeSet::from(["CO"]));
}

#[test]
fn numbers_that_a_country_writes_otherwise_at_home_are_those_of_abroad() {
    holds(&phone_of("AR"), &[("0343 15 555 1212", "+5493435551212"), ("011 4321 1234", "+541143211234")]);
    holds(&phone_of("BR"), &[("0 31 85 2222 2222", "+558522222222"), ("(85) 2222-2222", "+558522222222")]);
    holds(&phone_of("RU"), &[("8 (495) 123-45-67", "+74951234567"), ("810 49 30 901820", "+4930901820")]);
    holds(&phone_of("JP"), &[("03-1234-5678", "+81312345678"), ("010 49 30 901820", "+4930901820")]);
    holds(&phone_of("HU"), &[("06 1 234 5678", "+3612345678")]);
    holds(&phone_of("GB"), &[("01534 456789", "+441534456789"), ("020 7946 0958", "+442079460958")]);
    holds(&phone_of("DE"), &[("49 30 901820", "+4930901820")]);
}
