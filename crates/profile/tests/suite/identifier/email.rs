//! Mail addresses: RFC 5321, RFC 6531, UTS 46.

use custodia_profile::{
    NamespaceFields, NamespaceKind,
    RefusalReason::{IdentifierBlocked, IdentifierInvalid},
};

use super::{holds, namespace, namespace_fields, normal, refuses};

fn email() -> NamespaceFields {
    namespace_fields("email", NamespaceKind::Email)
}

#[test]
fn an_address_is_in_lower_case_with_its_domain_in_ascii() {
    holds(
        &namespace(email()),
        &[
            ("mara.weber@example.com", "mara.weber@example.com"),
            ("Mara.Weber@Example.COM", "mara.weber@example.com"),
            ("  mara@example.com\r\n", "mara@example.com"),
            ("mara@bücher.example", "mara@xn--bcher-kva.example"),
            ("mara@BÜCHER.example", "mara@xn--bcher-kva.example"),
            ("mara@XN--BCHER-KVA.example", "mara@xn--bcher-kva.example"),
            ("mara@b\u{75}\u{308}cher.example", "mara@xn--bcher-kva.example"),
            ("mara@straße.example", "mara@xn--strae-oqa.example"),
            ("mara@例え.テスト", "mara@xn--r8jz45g.xn--zckzah"),
            ("mara@例え。テスト", "mara@xn--r8jz45g.xn--zckzah"),
            ("mara@ｅｘａｍｐｌｅ．ｃｏｍ", "mara@example.com"),
            ("MÜLLER@example.com", "müller@example.com"),
            ("mu\u{308}ller@example.com", "müller@example.com"),
            ("ΜΑΡΙΑΣ@example.gr", "μαριασ@example.gr"),
            ("o'brien+news@example.ie", "o'brien+news@example.ie"),
            ("a!#$%&'*+-/=?^_`{|}~b@example.com", "a!#$%&'*+-/=?^_`{|}~b@example.com"),
            ("x@r3---sn.example.com", "x@r3---sn.example.com"),
            // Invisible at the ends: copied from a page or a spreadsheet.
            ("\u{feff}mara@example.com\u{200b}", "mara@example.com"),
            ("\u{202a}mara@example.com\u{202c}", "mara@example.com"),
            ("\u{a0}mara@example.com\u{2009}", "mara@example.com"),
        ],
    );
}

#[test]
fn what_no_customer_is_reached_at_is_no_address() {
    let long = "x".repeat(65);
    let (local, label) = ("x".repeat(64), "y".repeat(63));
    let longest = format!("{local}@{label}.{label}.{}.com", "z".repeat(57));
    let too_long = format!("{local}@{label}.{label}.{}.com", "z".repeat(58));
    let email = namespace(email());
    assert_eq!(longest.len(), 254);
    holds(&email, &[(&longest, &longest)]);
    refuses(
        &email,
        IdentifierInvalid,
        &[
            "",
            " ",
            "mara",
            "@example.com",
            "mara@",
            "mara@localhost",
            "mara@example.com.",
            "mara@example..com",
            "mara@.example.com",
            "mara@-example.com",
            "mara@example-.com",
            "mara@exa_mple.com",
            "mara@exa mple.com",
            "mara@192.168.0.1",
            "mara@[192.168.0.1]",
            "mara@[IPv6:2001:db8::1]",
            "mara weber@example.com",
            ".mara@example.com",
            "mara.@example.com",
            "mara..weber@example.com",
            "mara@weber@example.com",
            "\"mara weber\"@example.com",
            "mara(work)@example.com",
            "Mara <mara@example.com>",
            "mara@example.com, jo@example.com",
            "mara,weber@example.com",
            // Inside, what nobody sees makes two addresses of one, and a joiner or a direction makes another look alike.
            "ma\u{200b}ra@example.com",
            "ma\u{200d}ra@example.com",
            "ma\u{ad}ra@example.com",
            "ma\u{202e}ra@example.com",
            "mara@exa\u{200d}mple.com",
            "mara@exa\u{ad}mple.com",
            "ma\u{a0}ra@example.com",
            "ma\u{0}ra@example.com",
            "mara@xn--a.example",
            &format!("{long}@example.com"),
            &format!("mara@{}.com", "y".repeat(64)),
            &too_long,
        ],
    );
}

#[test]
fn the_rules_of_a_provider_make_one_mailbox_of_many_spellings() {
    let rules = NamespaceFields {
        ignore_plus_tag: true,
        ignore_dots_of: vec!["GMail.com".to_owned(), "bücher.example".to_owned()],
        ..email()
    };
    let email = namespace(rules);
    assert_eq!(email.ignore_dots_of, ["gmail.com", "xn--bcher-kva.example"]);
    holds(
        &email,
        &[
            ("Mara.Weber+shop@Gmail.com", "maraweber@gmail.com"),
            ("m.a.r.a@bücher.example", "mara@xn--bcher-kva.example"),
            ("mara.weber+shop@example.com", "mara.weber@example.com"),
            ("mara.+shop@example.com", "mara@example.com"),
            ("+shop@example.com", "+shop@example.com"),
            ("a+b+c@example.com", "a@example.com"),
        ],
    );
}

#[test]
fn addresses_that_are_no_persons_are_blocked() {
    let blocked_values = ["Info@", "@Mailinator.com", "@bücher.example", "Desk@Example.com", "keine Angabe"];
    let blocked_values = blocked_values.map(str::to_owned).to_vec();
    let email = namespace(NamespaceFields { blocked_values, ..email() });
    refuses(
        &email,
        IdentifierBlocked,
        &[
            "null",
            "NULL",
            " n/a ",
            "None",
            "unknown",
            "Anonymous",
            "0000",
            "-",
            "test@example.com",
            "TEST@elsewhere.example",
            "noreply@example.com",
            "info@example.com",
            "INFO@other.example",
            "mara@mailinator.com",
            "mara@xn--bcher-kva.example",
            "desk@example.com",
            "Keine Angabe",
        ],
    );
    holds(&email, &[("info.desk@example.com", "info.desk@example.com")]);
    assert_eq!(normal(&email, "keine"), Err(IdentifierInvalid));
}
