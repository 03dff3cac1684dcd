//! The bytes of types of matters and of traits on disk: fixtures of version 2, round trips, and bytes that are none of ours.

use custodia_profile::{
    CatalogueChange, CatalogueEntry, MatterType, MatterTypeFields, Revision, Stored, TraitAggregate,
    TraitDefinition, TraitFields,
};
use proptest::{collection, option, prelude::*, sample::select};

use crate::{
    activity::{case_type, trait_fields},
    storage::codec::{
        VERSION, bytes_of_another_version, decodes_or_blames_the_bytes, every_cut_and_every_flip, holds,
        names_the_version,
    },
    world::{at, label, purpose},
};

// A change here means that stored data can no longer be read.
const MATTER_TYPE: &str = "\
    020a0463617365120c537570706f727420636173651a175768617420697320746f2062652070757420726967\
    6874220b43617365204f70656e6564220d436173652052656f70656e65642a0b4361736520436c6f73656432\
    07636173655f69643a0101401e4a046465736b5001";
const TRAIT: &str = "\
    020a07726576656e75651207526576656e75651a175768617420746865206f726465727320636f6d6520746f\
    20022a0f4f7264657220436f6d706c657465642a0e4f7264657220526566756e6465643205746f74616c38ed\
    024201014a03455552520473686f705801";
const MATTER_TYPE_CHANGE: &str = "\
    0208071080a0abfef9621a0561646d696e526c0a0463617365120c537570706f727420636173651a17576861\
    7420697320746f20626520707574207269676874220b43617365204f70656e6564220d436173652052656f70\
    656e65642a0b4361736520436c6f7365643207636173655f69643a0101401e4a046465736b5001";
const TRAIT_CHANGE: &str = "\
    0208071080a0abfef9621a0561646d696e5a680a07726576656e75651207526576656e75651a175768617420\
    746865206f726465727320636f6d6520746f20022a0f4f7264657220436f6d706c657465642a0e4f72646572\
    20526566756e6465643205746f74616c38ed024201014a03455552520473686f705801";

fn revenue() -> TraitDefinition {
    let fields = trait_fields(TraitAggregate::Sum, Some("total"));
    TraitDefinition::new(TraitFields { window_days: 365, ..fields }).unwrap()
}

fn change(entry: impl Into<CatalogueEntry>) -> CatalogueChange {
    CatalogueChange::new(7, at(0), "admin".to_owned(), entry.into()).unwrap()
}

#[test]
fn types_of_matters_and_traits_are_read() {
    holds(&case_type(), MATTER_TYPE);
    holds(&revenue(), TRAIT);
    holds(&change(case_type()), MATTER_TYPE_CHANGE);
    holds(&change(revenue()), TRAIT_CHANGE);
}

fn never_panics(bytes: &[u8]) {
    decodes_or_blames_the_bytes::<MatterType>(bytes);
    decodes_or_blames_the_bytes::<TraitDefinition>(bytes);
    decodes_or_blames_the_bytes::<CatalogueChange>(bytes);
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    for bytes in
        [case_type().encode(), revenue().encode(), change(case_type()).encode(), change(revenue()).encode()]
    {
        every_cut_and_every_flip(&bytes, never_panics);
    }
}

fn matter_types() -> impl Strategy<Value = MatterType> {
    let names = || collection::btree_set("[A-Z][a-z ]{0,8}", 1..4);
    let texts = "[a-zà-ÿ0-9 ]{0,8}";
    (
        ("[a-z][a-z0-9-]{0,9}", texts, texts, texts, "[a-z_]{1,9}"),
        (names(), names(), collection::btree_set(1_u32.., 1..5), 0_u32..=3_650, any::<u64>()),
    )
        .prop_filter_map("one event opens and closes", |(named, rest)| {
            let (id, display_name, description, owner, key) = named;
            let (opening, closing, purposes, stale_after_days, revision) = rest;
            MatterType::new(MatterTypeFields {
                id: id.parse().unwrap(),
                display_name,
                description,
                opening_events: opening.iter().map(|name| label(name)).collect(),
                closing_events: closing.iter().map(|name| label(name)).collect(),
                key_property: label(&key),
                purposes: purposes.into_iter().map(purpose).collect(),
                stale_after_days,
                owner,
                revision: Revision::from_u64(revision),
            })
            .ok()
        })
}

fn traits() -> impl Strategy<Value = TraitDefinition> {
    let texts = "[a-zà-ÿ0-9 ]{0,8}";
    (
        ("[a-z][a-z0-9-]{0,9}", texts, texts, texts, texts),
        (select(TraitAggregate::ALL.to_vec()), option::of("[a-z_]{1,9}")),
        (
            collection::btree_set("[A-Z][a-z ]{0,8}", 1..4),
            collection::btree_set(1_u32.., 1..5),
            0_u32..=3_650,
            any::<u64>(),
        ),
    )
        .prop_filter_map("a property that does not fit", |(named, (aggregate, property), rest)| {
            let (id, display_name, description, unit, owner) = named;
            let (events, purposes, window_days, revision) = rest;
            TraitDefinition::new(TraitFields {
                id: id.parse().unwrap(),
                display_name,
                description,
                aggregate,
                events: events.iter().map(|name| label(name)).collect(),
                property: property.as_deref().map(label),
                window_days,
                purposes: purposes.into_iter().map(purpose).collect(),
                unit,
                owner,
                revision: Revision::from_u64(revision),
            })
            .ok()
        })
}

proptest! {
    #[test]
    fn every_type_of_matters_and_trait_round_trips(matter_type in matter_types(), definition in traits()) {
        prop_assert_eq!(MatterType::decode(&matter_type.encode()), Ok(matter_type.clone()));
        prop_assert_eq!(TraitDefinition::decode(&definition.encode()), Ok(definition.clone()));
        for change in [change(matter_type), change(definition)] {
            prop_assert_eq!(CatalogueChange::decode(&change.encode()), Ok(change));
        }
    }

    #[test]
    fn bytes_of_another_version_are_neither(bytes in bytes_of_another_version()) {
        names_the_version::<MatterType>("matter type", &bytes);
        names_the_version::<TraitDefinition>("trait", &bytes);
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error_and_never_a_panic(mut bytes in collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        never_panics(&bytes);
    }
}
