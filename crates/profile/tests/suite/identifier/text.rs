//! Accounts, cards, devices, social handles.

use custodia_profile::{
    NamespaceFields, NamespaceKind,
    RefusalReason::{IdentifierBlocked, IdentifierInvalid},
};

use super::{holds, namespace, namespace_fields, refuses};

fn text() -> NamespaceFields {
    namespace_fields("account", NamespaceKind::Text)
}

#[test]
fn a_text_is_trimmed_composed_and_in_lower_case() {
    holds(
        &namespace(text()),
        &[
            (" AB-123 ", "ab-123"),
            ("Mu\u{308}ller", "müller"),
            ("\u{feff}@Mara_W\u{200b}", "@mara_w"),
            ("0042", "0042"),
            ("two words", "two words"),
            ("İzmir", "i\u{307}zmir"),
            ("\u{212a}elvin", "kelvin"),
        ],
    );
    holds(
        &namespace(NamespaceFields { case_sensitive: true, ..text() }),
        &[(" AB-123 ", "AB-123"), ("ab-123", "ab-123"), ("Mu\u{308}ller", "Müller")],
    );
}

#[test]
fn a_text_with_what_nobody_sees_is_no_identifier() {
    let long = "x".repeat(257);
    refuses(
        &namespace(text()),
        IdentifierInvalid,
        &[
            "",
            "\u{200b}",
            "a\u{200d}b",
            "a\u{ad}b",
            "a\nb",
            "a\tb",
            "a\u{a0}b",
            "a  b",
            "a\u{202e}b",
            "a\u{e000}b",
            "a\u{2800}b",
            "a\u{378}b",
            &long,
        ],
    );
    holds(&namespace(text()), &[(&long[1..], &long[1..])]);
}

#[test]
fn the_whole_text_must_match_the_pattern() {
    let card = namespace(NamespaceFields { pattern: "[a-z]{2}[0-9]{4}|[0-9]{6}".to_owned(), ..text() });
    holds(&card, &[("AB1234", "ab1234"), ("123456", "123456")]);
    refuses(&card, IdentifierInvalid, &["ab12345", "xab1234", "1234567", "ab1234\n1"]);
}

#[test]
fn placeholders_and_blocked_values_are_nobodys() {
    let blocked_values = vec!["Walk-In".to_owned(), "mu\u{308}ller".to_owned(), "a b c".to_owned()];
    for case_sensitive in [false, true] {
        let account = namespace(NamespaceFields {
            case_sensitive,
            blocked_values: blocked_values.clone(),
            pattern: "[^ ]+".to_owned(),
            ..text()
        });
        refuses(
            &account,
            IdentifierBlocked,
            &[
                "null",
                "N/A",
                "unknown",
                "ANONYMOUS",
                "0000",
                "0",
                "00000000-0000-0000-0000-000000000000",
                "???",
                "walk-in",
                "WALK-IN",
                "MÜLLER",
                // No identifier by itself.
                "A B C",
            ],
        );
        holds(&account, &[("1000", "1000"), ("nullable", "nullable"), ("walk-in2", "walk-in2")]);
    }
}
