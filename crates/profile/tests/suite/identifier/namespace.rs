//! What a namespace of the catalogue is, and what of it cannot change.

use custodia_profile::{
    AttributeDefinition, Catalogue, CatalogueEntry, Namespace, NamespaceFields, NamespaceKind, ProfileError,
    ValueType,
};

use super::{namespace, namespace_fields};
use crate::world::{MARKETING, SERVICE, attribute, attribute_fields, catalogue, purpose};

type Edit = fn(NamespaceFields) -> NamespaceFields;

fn email() -> NamespaceFields {
    namespace_fields("email", NamespaceKind::Email)
}

fn phone() -> NamespaceFields {
    namespace_fields("phone", NamespaceKind::Phone)
}

fn card() -> NamespaceFields {
    namespace_fields("card", NamespaceKind::Text)
}

#[test]
fn a_namespace_error_names_the_field_and_the_limit() {
    let texts = |count: usize| (0..count).map(|at| format!("v{at}")).collect::<Vec<_>>();
    let no_pattern = "namespace.pattern is malformed, expected a regular expression, without look-around and back references";
    let cases = [
        (
            NamespaceFields { id: "x".repeat(33).parse().unwrap(), ..card() },
            "namespace.id is longer than 32 bytes",
        ),
        (
            NamespaceFields { display_name: "x".repeat(129), ..card() },
            "namespace.display_name is longer than 128 bytes",
        ),
        (
            NamespaceFields { description: "x".repeat(1_025), ..card() },
            "namespace.description is longer than 1024 bytes",
        ),
        (NamespaceFields { purposes: vec![], ..card() }, "namespace.purposes is required"),
        (
            NamespaceFields { purposes: vec![purpose(1); 2], ..card() },
            "namespace.purposes has a duplicate entry",
        ),
        (
            NamespaceFields { purposes: (1..=65).map(purpose).collect(), ..card() },
            "namespace.purposes has more than 64 entries",
        ),
        (
            NamespaceFields { per_customer_max: 65, ..card() },
            "namespace.per_customer_max is malformed, expected at most 64",
        ),
        (
            NamespaceFields { blocked_values: texts(257), ..card() },
            "namespace.blocked_values has more than 256 entries",
        ),
        (
            NamespaceFields { blocked_values: vec!["x".repeat(257)], ..card() },
            "namespace.blocked_values is longer than 256 bytes",
        ),
        (
            NamespaceFields { blocked_values: vec![" ".to_owned()], ..card() },
            "namespace.blocked_values is required",
        ),
        (
            NamespaceFields { pattern: "x".repeat(257), ..card() },
            "namespace.pattern is longer than 256 bytes",
        ),
        (NamespaceFields { pattern: "(".to_owned(), ..card() }, no_pattern),
        (NamespaceFields { pattern: "a)(b".to_owned(), ..card() }, no_pattern),
        (NamespaceFields { pattern: r"(a)\1".to_owned(), ..card() }, no_pattern),
        (NamespaceFields { pattern: "(((x{99}){99}){99}){99}".to_owned(), ..card() }, no_pattern),
    ];
    for (fields, text) in cases {
        assert_eq!(Namespace::new(fields).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_field_of_another_kind_of_namespace_is_refused() {
    let cases = [
        (
            NamespaceFields { pattern: "x".to_owned(), ..email() },
            "namespace.pattern is malformed, expected none unless the kind is TEXT",
        ),
        (
            NamespaceFields { case_sensitive: true, ..phone() },
            "namespace.case_sensitive is malformed, expected none unless the kind is TEXT",
        ),
        (
            NamespaceFields { ignore_plus_tag: true, ..card() },
            "namespace.ignore_plus_tag is malformed, expected none unless the kind is EMAIL",
        ),
        (
            NamespaceFields { ignore_dots_of: vec!["gmail.com".to_owned()], ..phone() },
            "namespace.ignore_dots_of is malformed, expected none unless the kind is EMAIL",
        ),
        (
            NamespaceFields { ignore_dots_of: vec!["g mail".to_owned()], ..email() },
            "namespace.ignore_dots_of is malformed, expected mail domains, e.g. gmail.com",
        ),
        (
            NamespaceFields {
                ignore_dots_of: vec!["gmail.com".to_owned(), "GMAIL.com".to_owned()],
                ..email()
            },
            "namespace.ignore_dots_of has a duplicate entry",
        ),
        (
            NamespaceFields { default_region: Some("DE".parse().unwrap()), ..card() },
            "namespace.default_region is malformed, expected none unless the kind is PHONE",
        ),
        (
            NamespaceFields { default_region: Some("DE-BY".parse().unwrap()), ..phone() },
            "namespace.default_region is malformed, expected the ISO 3166-1 alpha-2 code of a country with telephone \
             numbers",
        ),
    ];
    for (fields, text) in cases {
        assert_eq!(Namespace::new(fields).unwrap_err().to_string(), text);
    }
    for region in ["XX", "AQ", "ZZ"] {
        let fields = NamespaceFields { default_region: Some(region.parse().unwrap()), ..phone() };
        assert_eq!(Namespace::new(fields).unwrap_err().field(), Some("namespace.default_region"));
    }
}

#[test]
fn a_customer_has_sixteen_identifiers_unless_the_namespace_says_otherwise() {
    assert_eq!(namespace(card()).per_customer_max, 16);
    assert_eq!(namespace(NamespaceFields { per_customer_max: 64, ..card() }).per_customer_max, 64);
}

#[test]
fn what_stored_identifiers_rely_on_cannot_change() {
    let frozen: [(&str, NamespaceFields, Edit); 5] = [
        ("namespace.kind", card(), |fields| NamespaceFields { kind: NamespaceKind::Phone, ..fields }),
        ("namespace.unique", card(), |fields| NamespaceFields { unique: false, ..fields }),
        ("namespace.case_sensitive", card(), |fields| NamespaceFields { case_sensitive: true, ..fields }),
        ("namespace.ignore_plus_tag", email(), |fields| NamespaceFields { ignore_plus_tag: true, ..fields }),
        ("namespace.ignore_dots_of", email(), |fields| NamespaceFields {
            ignore_dots_of: vec!["gmail.com".to_owned()],
            ..fields
        }),
    ];
    for (field, before, edit) in frozen {
        let mut catalogue = catalogue();
        catalogue.put_namespace(namespace(before.clone())).unwrap();
        let error = catalogue.put_namespace(namespace(edit(before))).unwrap_err();
        assert_eq!(error, ProfileError::Immutable { field });
    }
    let mut catalogue = catalogue();
    catalogue.put_namespace(namespace(card())).unwrap();
    let after = NamespaceFields {
        display_name: "Card".to_owned(),
        pattern: "[0-9]+".to_owned(),
        blocked_values: vec!["1".to_owned()],
        per_customer_max: 2,
        priority: 7,
        purposes: vec![purpose(SERVICE), purpose(MARKETING)],
        ..card()
    };
    catalogue.put_namespace(namespace(after)).unwrap();
    let stored = catalogue.namespace("card").unwrap();
    assert_eq!((stored.priority, stored.allows(purpose(MARKETING))), (7, true));
    // Domains are compared as a set, in normal form.
    let dots = |domains: [&str; 2]| NamespaceFields {
        ignore_dots_of: domains.map(str::to_owned).to_vec(),
        ..email()
    };
    catalogue.put_namespace(namespace(dots(["gmail.com", "bücher.example"]))).unwrap();
    catalogue.put_namespace(namespace(dots(["xn--bcher-kva.example", "GMAIL.com"]))).unwrap();
}

#[test]
fn a_namespace_refers_to_what_is_in_the_catalogue() {
    let mut catalogue = catalogue();
    let of_attribute = |id: &str, number| NamespaceFields {
        attribute: Some(attribute(number)),
        ..namespace_fields(id, NamespaceKind::Text)
    };
    let mut put = |fields| catalogue.put_namespace(namespace(fields));
    let unknown = ProfileError::Unknown { field: "namespace.purposes" };
    assert_eq!(put(NamespaceFields { purposes: vec![purpose(99)], ..card() }), Err(unknown));
    let unknown = ProfileError::Unknown { field: "namespace.attribute" };
    assert_eq!(put(of_attribute("card", 99)), Err(unknown));
    let error = put(of_attribute("card", 2)).unwrap_err();
    assert_eq!(error.to_string(), "namespace.attribute is malformed, expected an attribute of type TEXT");
    assert_eq!(put(of_attribute("card", 1)), Ok(()));
    let taken = ProfileError::Duplicate { field: "namespace.attribute" };
    assert_eq!(put(of_attribute("other", 1)), Err(taken));
    assert_eq!(put(of_attribute("card", 1)), Ok(()), "its own");
    assert_eq!(catalogue.namespace_of_attribute(attribute(1)).unwrap().id.as_str(), "card");
    assert_eq!(catalogue.namespace_of_attribute(attribute(3)), None);
    catalogue.put_namespace(namespace(card())).unwrap();
    assert_eq!(catalogue.namespace_of_attribute(attribute(1)), None, "given up");
}

#[test]
fn a_catalogue_with_namespaces_is_loaded_from_its_entries_in_any_order() {
    let mut whole = catalogue();
    whole
        .put_attribute(
            AttributeDefinition::new(attribute_fields(7, "phone", ValueType::Text, &[SERVICE])).unwrap(),
        )
        .unwrap();
    whole.put_namespace(namespace(NamespaceFields { attribute: Some(attribute(7)), ..phone() })).unwrap();
    whole.put_namespace(namespace(card())).unwrap();
    let names: Vec<_> = whole.namespaces().map(|namespace| namespace.id.as_str().to_owned()).collect();
    assert_eq!(names, ["card", "phone"]);
    let mut entries: Vec<CatalogueEntry> =
        whole.namespaces().cloned().map(CatalogueEntry::Namespace).collect();
    entries.extend(whole.attributes().cloned().map(CatalogueEntry::Attribute));
    entries.extend(whole.purposes().cloned().map(CatalogueEntry::Purpose));
    assert_eq!(Catalogue::from_entries(entries).unwrap(), whole);
}

#[test]
fn a_catalogue_has_sixty_four_namespaces() {
    let mut catalogue = catalogue();
    for number in 0..64 {
        let fields = namespace_fields(&format!("n{number}"), NamespaceKind::Text);
        catalogue.put_namespace(namespace(fields)).unwrap();
    }
    let error = catalogue.put_namespace(namespace(card())).unwrap_err();
    assert_eq!(error, ProfileError::TooMany { field: "namespaces", count_max: 64 });
}
