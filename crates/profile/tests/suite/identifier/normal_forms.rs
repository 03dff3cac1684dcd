//! What holds of every normal form, whatever the kind and the text.

use custodia_profile::{Namespace, NamespaceFields, NamespaceKind, RefusalReason, limits};
use proptest::{prelude::*, sample::select};

use super::{namespace, namespace_fields};

fn namespaces() -> Vec<Namespace> {
    let fields = |kind| NamespaceFields {
        blocked_values: vec![
            "Walk In".to_owned(),
            "desk@".to_owned(),
            "@b.c".to_owned(),
            "+49 30 901820".to_owned(),
        ],
        ..namespace_fields("one", kind)
    };
    let email = fields(NamespaceKind::Email);
    let phone = fields(NamespaceKind::Phone);
    let of =
        |region: &str| NamespaceFields { default_region: Some(region.parse().unwrap()), ..phone.clone() };
    let text = fields(NamespaceKind::Text);
    let all = [
        email.clone(),
        NamespaceFields {
            ignore_plus_tag: true,
            ignore_dots_of: vec!["gmail.com".to_owned(), "b.de".to_owned()],
            ..email
        },
        phone.clone(),
        of("DE"),
        of("US"),
        of("IT"),
        of("BR"),
        of("RU"),
        of("AR"),
        of("MX"),
        text.clone(),
        NamespaceFields { case_sensitive: true, ..text.clone() },
        NamespaceFields { pattern: "[a-z]+".to_owned(), ..text },
    ];
    all.map(namespace).to_vec()
}

/// Any text, texts of the characters that matter, and texts that are nearly right.
fn texts() -> impl Strategy<Value = String> {
    let signs =
        "@.+-_ ()/0aAzZ9ÄßİΣς１٣\u{301}\u{308}\u{200d}\u{200b}\u{202e}\u{feff}\u{a0}\u{37e}\u{1fef}\u{212a}";
    let signs = select(signs.chars().collect::<Vec<_>>());
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(signs, 0..24).prop_map(|signs| signs.into_iter().collect()),
        "[ +]?[0-9]{2,15}",
        "(\\+|00|011)?(1|7|33|39|49|52|54|55|61|81|86)[ /-]?\\(?0?\\)?[0-9]{3,11}",
        "[a-zA-Z.+]{1,9}@([a-z]{1,5}|gmail|b|xn--[a-z0-9-]{1,8}|[à-ž]{1,4}|[א-ת٠-٩]{1,4})\\.(com|de|example|рф)",
        "\\PC{1,6}@\\PC{1,6}\\.\\PC{1,4}",
        "\\PC{0,300}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_normal_form_is_its_own_and_within_the_limit(raw in texts()) {
        for namespace in namespaces_once() {
            match namespace.normalise(&raw) {
                Ok(value) => {
                    prop_assert!((1..=limits::IDENTIFIER_BYTES_MAX).contains(&value.as_str().len()));
                    prop_assert_eq!(namespace.normalise(value.as_str()), Ok(value.clone()));
                    let shown = format!("{value:?}");
                    prop_assert_eq!(shown, format!("IdentifierValue({} bytes)", value.as_str().len()));
                }
                Err(reason) => prop_assert!(
                    matches!(reason, RefusalReason::IdentifierInvalid | RefusalReason::IdentifierBlocked)
                ),
            }
        }
    }

    /// What comes along with copy and paste makes no difference.
    #[test]
    fn blanks_around_an_identifier_do_not_count(raw in texts()) {
        let padded = format!("\u{feff} {raw}\u{200b}\t");
        for namespace in namespaces_once().iter().filter(|_| padded.len() <= 512) {
            prop_assert_eq!(namespace.normalise(&padded), namespace.normalise(&raw));
        }
    }
}

fn namespaces_once() -> &'static [Namespace] {
    static ALL: std::sync::LazyLock<Vec<Namespace>> = std::sync::LazyLock::new(namespaces);
    &ALL
}
