//! Telephone numbers: E.164.

use custodia_profile::{
    Namespace, NamespaceFields, NamespaceKind,
    RefusalReason::{IdentifierBlocked, IdentifierInvalid},
};

use super::{holds, namespace, namespace_fields, refuses};

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
