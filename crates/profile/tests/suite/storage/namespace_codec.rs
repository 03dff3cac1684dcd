//! The bytes of namespaces on disk: fixtures of version 2, round trips, and bytes that are none of ours.

use custodia_profile::{
    CatalogueChange, LinkPolicy, Namespace, NamespaceFields, NamespaceKind, ProfileError, Revision, Stored,
};
use proptest::{collection, option, prelude::*, sample::select};

use crate::{
    identifier::namespace_fields,
    storage::codec::{
        VERSION, bytes_of_another_version, decodes_or_blames_the_bytes, every_cut_and_every_flip, hex, holds,
        names_the_version, unhex,
    },
    world::{at, attribute, purpose},
};

// A change here means that stored data can no longer be read.
const EMAIL: &str = "\
    020a05656d61696c1205656d61696c1a0b576861742069742069732e200130023a05696e666f403a106465736b406578\
    616d706c652e636f6d40ac024a0301ac0268017209676d61696c2e636f6d78ac02800102880101";
const PHONE: &str = "\
    020a0570686f6e65120570686f6e651a0b576861742069742069732e2002280130104a010152024445800101880101";
const TEXT: &str = "\
    020a04636172641204636172641a0b576861742069742069732e2003280130104a01015a0e5b412d5a5d7b327d5b302d\
    395d2b6001800101880101";
const CHANGE: &str = "\
    0208071080a0abfef9621a0561646d696e4a3a0a04636172641204636172641a0b576861742069742069732e20032801\
    30104a01015a0e5b412d5a5d7b327d5b302d395d2b6001800101880101";

fn a_namespace_of(kind: NamespaceKind) -> Namespace {
    let fields = match kind {
        NamespaceKind::Email => NamespaceFields {
            unique: false,
            per_customer_max: 2,
            blocked_values: vec!["info@".to_owned(), "desk@example.com".to_owned()],
            priority: 300,
            purposes: vec![purpose(1), purpose(300)],
            ignore_plus_tag: true,
            ignore_dots_of: vec!["gmail.com".to_owned()],
            attribute: Some(attribute(300)),
            on_conflict: LinkPolicy::Merge,
            ..namespace_fields("email", kind)
        },
        NamespaceKind::Phone => {
            NamespaceFields { default_region: Some("DE".parse().unwrap()), ..namespace_fields("phone", kind) }
        }
        NamespaceKind::Text => NamespaceFields {
            pattern: "[A-Z]{2}[0-9]+".to_owned(),
            case_sensitive: true,
            ..namespace_fields("card", kind)
        },
    };
    Namespace::new(fields).unwrap()
}

fn change(kind: NamespaceKind) -> CatalogueChange {
    CatalogueChange::new(7, at(0), "admin".to_owned(), a_namespace_of(kind).into()).unwrap()
}

#[test]
fn a_namespace_of_each_kind_is_read() {
    holds(&a_namespace_of(NamespaceKind::Email), EMAIL);
    holds(&a_namespace_of(NamespaceKind::Phone), PHONE);
    holds(&a_namespace_of(NamespaceKind::Text), TEXT);
    holds(&change(NamespaceKind::Text), CHANGE);
}

#[test]
fn a_stored_namespace_with_an_impossible_field_names_it() {
    let stored = hex(&a_namespace_of(NamespaceKind::Phone).encode());
    let other_region = stored.replace(&hex(b"DE"), &hex(b"XX"));
    let error = Namespace::decode(&unhex(&other_region)).unwrap_err();
    assert_eq!(error, ProfileError::CorruptField { kind: "namespace", field: "combination of fields" });
}

fn never_panics(bytes: &[u8]) {
    decodes_or_blames_the_bytes::<Namespace>(bytes);
    decodes_or_blames_the_bytes::<CatalogueChange>(bytes);
}

#[test]
fn every_cut_and_every_flipped_byte_of_a_namespace_is_survived() {
    for kind in NamespaceKind::ALL {
        every_cut_and_every_flip(&a_namespace_of(kind).encode(), never_panics);
        every_cut_and_every_flip(&change(kind).encode(), never_panics);
    }
}

fn namespaces() -> impl Strategy<Value = Namespace> {
    let texts = "[a-zà-ÿ0-9 ]{0,8}";
    let blocked = collection::btree_set("[a-z@][a-z0-9@.]{0,9}", 0..4);
    let purposes = collection::btree_set(1_u32.., 1..5);
    (
        ("[a-z][a-z0-9-]{0,9}", texts, texts, select(NamespaceKind::ALL.to_vec()), any::<bool>()),
        (0_u8..=64, blocked, any::<u32>(), purposes, any::<u64>().prop_map(Revision::from_u64)),
        (
            select(vec![None, Some("DE"), Some("US")]),
            select(vec!["", "[0-9]+"]),
            any::<bool>(),
            any::<bool>(),
        ),
        (
            collection::btree_set("[a-z]{1,5}\\.(com|de)", 0..4),
            option::of(1_u32..),
            select(LinkPolicy::ALL.to_vec()),
        ),
    )
        .prop_map(|(named, held, of_kind, rest)| {
            let (id, display_name, description, kind, unique) = named;
            let (per_customer_max, blocked, priority, purposes, revision) = held;
            let (region, pattern, case_sensitive, ignore_plus_tag) = of_kind;
            let (domains, linked, on_conflict) = rest;
            let (of_email, of_text) = (kind == NamespaceKind::Email, kind == NamespaceKind::Text);
            let region = region.filter(|_| kind == NamespaceKind::Phone);
            let fields = NamespaceFields {
                id: id.parse().unwrap(),
                display_name,
                description,
                kind,
                unique,
                per_customer_max,
                blocked_values: blocked.into_iter().collect(),
                priority,
                purposes: purposes.into_iter().map(purpose).collect(),
                default_region: region.map(|code| code.parse().unwrap()),
                pattern: if of_text { pattern.to_owned() } else { String::new() },
                case_sensitive: of_text && case_sensitive,
                ignore_plus_tag: of_email && ignore_plus_tag,
                ignore_dots_of: domains.into_iter().filter(|_| of_email).collect(),
                attribute: linked.map(attribute),
                on_conflict,
                stale_after_days: per_customer_max.into(),
                revision,
            };
            Namespace::new(fields).unwrap()
        })
}

proptest! {
    #[test]
    fn every_namespace_round_trips(namespace in namespaces(), version: u64) {
        prop_assert_eq!(Namespace::decode(&namespace.encode()), Ok(namespace.clone()));
        let change = CatalogueChange::new(version, at(0), "admin".to_owned(), namespace.into()).unwrap();
        prop_assert_eq!(CatalogueChange::decode(&change.encode()), Ok(change));
    }

    #[test]
    fn bytes_of_another_version_are_no_namespace(bytes in bytes_of_another_version()) {
        names_the_version::<Namespace>("namespace", &bytes);
    }

    #[test]
    fn any_bytes_are_a_namespace_or_an_error_and_never_a_panic(mut bytes in collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        never_panics(&bytes);
    }
}
