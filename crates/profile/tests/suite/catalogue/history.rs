//! The history of the catalogue: what it was at a moment (GO-3).

use custodia_profile::{
    Catalogue, CatalogueChange, CatalogueEntry, Jurisdiction, JurisdictionFields, LawfulBasis, ProfileError,
    Purpose, PurposeFields, Recipient, RecipientFields, Revision, TimestampMs, ValueType,
};
use proptest::prelude::*;

use crate::world::{at, attribute, attribute_fields, purpose, purpose_fields};

fn news(revision: u64, description: &str) -> CatalogueEntry {
    let fields = PurposeFields {
        description: description.to_owned(),
        revision: Revision::from_u64(revision),
        ..purpose_fields(1, "news", &[LawfulBasis::Consent])
    };
    Purpose::new(fields).unwrap().into()
}

fn email() -> CatalogueEntry {
    let fields = attribute_fields(1, "email", ValueType::Text, &[1]);
    custodia_profile::AttributeDefinition::new(fields).unwrap().into()
}

fn mailer(suspended: bool) -> CatalogueEntry {
    let fields = RecipientFields {
        id: "mailer".parse().unwrap(),
        display_name: "Mailer".to_owned(),
        description: String::new(),
        owner: String::new(),
        purposes: vec![purpose(1)],
        collection_purposes: Vec::new(),
        third_party: false,
        suspended,
        revision: Revision::from_u64(1),
    };
    Recipient::new(fields).unwrap().into()
}

fn strict_eu() -> CatalogueEntry {
    let eu = (***Catalogue::new().jurisdiction("eu").unwrap()).clone();
    Jurisdiction::new(JurisdictionFields { guardian_below_age: 18, ..eu }).unwrap().into()
}

fn change(version: u64, changed_at: TimestampMs, entry: CatalogueEntry) -> CatalogueChange {
    CatalogueChange::new(version, changed_at, "admin".to_owned(), entry).unwrap()
}

/// Versions 1, 2 and 3 at one moment, then 5 and 8 (the directory counts other changes too).
fn history() -> Vec<CatalogueChange> {
    vec![
        change(1, at(0), news(1, "First.")),
        change(2, at(0), email()),
        change(3, at(0), news(2, "Second.")),
        change(5, at(10), mailer(false)),
        change(8, at(20), strict_eu()),
    ]
}

fn as_of(moment: TimestampMs) -> (Catalogue, u64) {
    Catalogue::as_of(history(), moment).unwrap()
}

#[test]
fn before_the_first_change_there_are_the_built_in_jurisdictions_alone() {
    assert_eq!(as_of(at(-1)), (Catalogue::new(), 0));
    assert_eq!(Catalogue::as_of([], at(0)), Ok((Catalogue::new(), 0)));
}

#[test]
fn changes_of_the_same_moment_all_count_and_the_last_of_an_entry_stands() {
    let (catalogue, version) = as_of(at(0));
    assert_eq!(version, 3);
    assert_eq!(catalogue.purpose_by_id("news").unwrap().description, "Second.");
    assert!(catalogue.attribute(attribute(1)).is_some());
    assert!(catalogue.recipient("mailer").is_none());
    assert_eq!(as_of(at(9)), (catalogue, 3));
}

#[test]
fn a_change_counts_from_its_very_moment_on() {
    let (catalogue, version) = as_of(at(10));
    assert_eq!(version, 5);
    assert!(catalogue.recipient("mailer").unwrap().allows(purpose(1)));
    assert_eq!(catalogue.jurisdiction("eu").unwrap().guardian_below_age, 16);
    let (catalogue, version) = as_of(at(1_000_000));
    assert_eq!(version, 8);
    assert_eq!(catalogue.jurisdiction("eu").unwrap().guardian_below_age, 18);
    assert_eq!(catalogue.jurisdiction_of(Some(&"FR".parse().unwrap())).guardian_below_age, 18);
}

#[test]
fn a_clock_that_went_back_between_two_changes_never_makes_a_catalogue_that_was_not() {
    let changes = [change(1, at(10), news(1, "First.")), change(2, at(5), email())];
    let seen = |moment| Catalogue::as_of(changes.clone(), moment).map(|(_, version)| version);
    assert_eq!(seen(at(7)), Ok(0), "the attribute alone would name a purpose that is not there");
    assert_eq!(seen(at(10)), Ok(2));
}

#[test]
fn a_history_out_of_order_is_refused() {
    let refused = ProfileError::Malformed { field: "catalogue changes", expected: "versions that ascend" };
    for versions in [[2, 1], [1, 1], [0, 1]] {
        let changes = versions.map(|version| change(version, at(0), news(1, "First.")));
        assert_eq!(Catalogue::as_of(changes, at(0)), Err(refused.clone()));
    }
    let incomplete = Catalogue::as_of([change(1, at(0), email())], at(0));
    assert_eq!(incomplete, Err(ProfileError::Unknown { field: "attribute.purposes" }));
}

#[test]
fn who_changed_the_catalogue_is_named_in_64_bytes() {
    let by = |name: String| CatalogueChange::new(1, at(0), name, news(1, "First."));
    let change = by("x".repeat(64)).unwrap();
    assert_eq!((change.version(), change.changed_at(), change.changed_by().len()), (1, at(0), 64));
    assert_eq!(change.entry(), &news(1, "First."));
    assert_eq!(by("x".repeat(65)), Err(ProfileError::TooLong { field: "changed_by", bytes_max: 64 }));
}

fn entries() -> impl Strategy<Value = CatalogueEntry> {
    prop_oneof![
        (1_u64..9, "[a-z]{0,3}").prop_map(|(revision, text)| news(revision, &text)),
        Just(email()),
        any::<bool>().prop_map(mailer),
        Just(strict_eu()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The catalogue of a moment is the one that was made by putting the changes in, one by one.
    #[test]
    fn the_past_is_replayed_as_it_was(steps in proptest::collection::vec((0_i64..3, entries()), 0..20), look in -1_i64..40) {
        let mut live = Catalogue::new();
        let mut changes = Vec::new();
        let mut expected = (live.clone(), 0);
        let mut time = 0;
        for (step, entry) in steps {
            time += step;
            if live.put(entry.clone()).is_err() {
                continue;
            }
            let version = changes.len() as u64 + 1;
            changes.push(change(version, at(time), entry));
            if time <= look {
                expected = (live.clone(), version);
            }
        }
        prop_assert_eq!(Catalogue::as_of(changes, at(look)), Ok(expected));
    }
}
