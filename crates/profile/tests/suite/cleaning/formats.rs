//! The normal forms of attributes with a format (GO-4).

use custodia_profile::ValueFormat;
use proptest::{prelude::*, sample::select};

fn holds(format: ValueFormat, country: Option<&str>, examples: &[(&str, Option<&str>)]) {
    for (written, normal) in examples {
        assert_eq!(
            format.normalise(written, country).as_deref(),
            *normal,
            "{format:?} {country:?} {written:?}"
        );
    }
}

#[test]
fn a_country_is_its_alpha_2_code() {
    holds(
        ValueFormat::CountryCode,
        None,
        &[
            ("DE", Some("DE")),
            (" deu ", Some("DE")),
            ("gb", Some("GB")),
            ("UK", Some("GB")),
            ("EL", Some("GR")),
            // Namibia, and no placeholder.
            ("NA", Some("NA")),
            ("Deutschland", None),
            ("XX", None),
            ("EU", None),
            ("D", None),
            ("", None),
        ],
    );
}

#[test]
fn a_postal_code_is_written_as_its_country_writes_it() {
    let of =
        |country, examples: &[(&str, Option<&str>)]| holds(ValueFormat::PostalCode, Some(country), examples);
    of(
        "DE",
        &[("10115", Some("10115")), ("D-10115", Some("10115")), ("de 10115", Some("10115")), ("1067", None)],
    );
    of(
        "GB",
        &[
            ("sw1a1aa", Some("SW1A 1AA")),
            ("M1  1ae", Some("M1 1AE")),
            ("GIR0AA", Some("GIR 0AA")),
            ("bfpo61", Some("BFPO 61")),
            ("10115", None),
        ],
    );
    of("NL", &[("1234ab", Some("1234 AB")), ("NL-1234 AB", Some("1234 AB")), ("1234", None)]);
    of("US", &[("02134", Some("02134")), ("021341234", Some("02134-1234")), ("2134", None)]);
    of("CA", &[("h3z2y7", Some("H3Z 2Y7")), ("H3Z-2Y7", Some("H3Z 2Y7"))]);
    of("JP", &[("１００－０００１", Some("100-0001")), ("1000001", Some("100-0001"))]);
    of("LV", &[("1010", Some("LV-1010")), ("lv1010", Some("LV-1010"))]);
    of("IE", &[("d02af30", Some("D02 AF30")), ("D6W XY00", Some("D6W XY00"))]);
    of("PL", &[("00950", Some("00-950"))]);
    of("AD", &[("AD500", Some("AD500"))]);
    // Alpha-3 works too, and a country whose layout is not known checks nothing but the characters.
    of("DEU", &[("10115", Some("10115")), ("1067", None)]);
    of("KY", &[("ky1-1100", Some("KY1-1100"))]);
    holds(
        ValueFormat::PostalCode,
        None,
        &[
            (" sw1a   1aa ", Some("SW1A 1AA")),
            ("1067", Some("1067")),
            ("00000", None),
            ("n/a", None),
            ("-", None),
            ("xxx", None),
            ("10115 Berlin-Mitte", None),
            ("10115;", None),
            ("-10115", None),
        ],
    );
}

#[test]
fn lines_of_an_address_are_cleaned_and_keep_their_breaks() {
    holds(
        ValueFormat::AddressLine,
        None,
        &[
            ("  Linden\u{ad}straße\t 12 \r\n\r\n Hinterhaus ", Some("Lindenstraße 12\nHinterhaus")),
            ("Cafe\u{301} 1", Some("Café 1")),
            ("\u{feff}Ring 7\u{202c}", Some("Ring 7")),
            ("می\u{200c}دان 1", Some("می\u{200c}دان 1")),
            ("a\u{7}b", None),
            ("n/a", None),
            ("Unknown", None),
            ("-", None),
            ("XXX", None),
            ("  \n ", None),
            ("0", None),
        ],
    );
    holds(
        ValueFormat::City,
        None,
        &[(" Frankfurt\n am  Main", Some("Frankfurt am Main")), ("n.a.", None), ("Å", Some("Å"))],
    );
}

#[test]
fn a_mail_address_and_a_telephone_number_are_as_their_namespaces_have_them() {
    let mail = [
        ("Mara@BÜCHER.example", Some("mara@xn--bcher-kva.example")),
        ("noreply@example.org", None),
        ("mara", None),
    ];
    holds(ValueFormat::Email, None, &mail);
    holds(
        ValueFormat::Phone,
        None,
        &[("+49 (0)30 901820", Some("+4930901820")), ("030 901820", None), ("n/a", None)],
    );
}

fn texts() -> impl Strategy<Value = String> {
    let signs = "xX0-a9 \t\n\r\u{a0}\u{ad}\u{85}\u{2028}\u{200c}\u{200d}\u{301}\u{308}\u{feff}\u{202e}éßＡ１";
    let signs = select(signs.chars().collect::<Vec<_>>());
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(signs, 0..24).prop_map(|signs| signs.into_iter().collect()),
        "[A-Za-z]{0,3}[ -]?[0-9]{1,5}[ -]?[0-9A-Za-z]{0,5}",
        "(UK|EL|[A-Za-z]{2,3})",
        "\\PC{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_normal_form_is_its_own_normal_form(
        text in texts(),
        format in select(ValueFormat::ALL.to_vec()),
        country in select(vec![None, Some("DE"), Some("GB"), Some("NL"), Some("LV"), Some("AR"), Some("IE"), Some("US"), Some("MT")]),
    ) {
        if let Some(normal) = format.normalise(&text, country) {
            prop_assert_eq!(format.normalise(&normal, country), Some(normal.clone()));
            prop_assert!(!normal.is_empty() && normal.trim() == normal);
        }
    }
}
