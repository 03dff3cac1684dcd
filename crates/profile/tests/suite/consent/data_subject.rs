//! What is known about a data subject: age by the calendar, limits, and what a change leaves alone.

use custodia_profile::{
    CustomerRecord, DataSubject, Date, FieldChange, LedgerBody, ProfileError, Region, SubjectChange,
    TimestampMs, update_subject,
};
use proptest::prelude::*;

use crate::world::{NOW, at, catalogue, context, label, made, made_on_the_version};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn day(text: &str) -> TimestampMs {
    let date: Date = text.parse().unwrap();
    TimestampMs::from_ms(i64::from(date.as_days()) * DAY_MS)
}

fn born(text: &str) -> DataSubject {
    DataSubject { birth_date: Some(text.parse().unwrap()), ..DataSubject::default() }
}

fn regions(texts: &[&str]) -> FieldChange<std::collections::BTreeSet<Region>> {
    FieldChange::Set(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn change(record: &CustomerRecord, change: SubjectChange, now: TimestampMs) -> CustomerRecord {
    let changed = update_subject(record, change, made_on_the_version(now), context(now)).unwrap();
    let expected = LedgerBody::Subject(changed.record.subject.clone());
    assert_eq!(changed.ledger.unwrap().body, expected);
    changed.record
}

#[test]
fn a_year_is_complete_on_the_birthday() {
    let subject = born("2008-05-17");
    assert_eq!(subject.age_at(day("2024-05-16")), Some(15));
    assert_eq!(subject.age_at(day("2024-05-17").plus_ms(-1)), Some(15));
    assert_eq!(subject.age_at(day("2024-05-17")), Some(16));
    assert_eq!(subject.age_at(day("2008-05-17")), Some(0));
    assert_eq!(subject.age_at(day("2000-01-01")), Some(0), "not born yet");
    assert_eq!(DataSubject::default().age_at(NOW), None);
}

#[test]
fn whoever_is_born_on_29_february_is_a_year_older_on_1_march_of_a_common_year() {
    let subject = born("2008-02-29");
    for (moment, age) in [
        ("2023-02-28", 14),
        ("2023-03-01", 15),
        ("2024-02-28", 15),
        ("2024-02-29", 16),
        ("2026-02-28", 17),
        ("2026-03-01", 18),
    ] {
        assert_eq!(subject.age_at(day(moment)), Some(age), "{moment}");
    }
    assert!(subject.is_below(18, day("2026-03-01").plus_ms(-1)));
    assert!(!subject.is_below(18, day("2026-03-01")));
}

#[test]
fn one_without_a_birth_date_is_an_adult_and_an_age_of_0_is_no_age() {
    assert!(!DataSubject::default().is_below(18, NOW));
    assert!(!born("2023-11-14").is_below(0, NOW));
    assert!(born("2023-11-14").is_below(1, NOW));
}

#[test]
fn a_change_leaves_the_other_fields_alone() {
    let record = CustomerRecord::new(at(-1));
    let birth_date = FieldChange::Set("2000-01-31".parse().unwrap());
    let record = change(&record, SubjectChange { birth_date, ..SubjectChange::default() }, NOW);
    let record = change(
        &record,
        SubjectChange { regions: regions(&["DE", "US-CA"]), ..SubjectChange::default() },
        at(1),
    );
    assert_eq!(record.subject.birth_date.map(|date| date.to_string()).as_deref(), Some("2000-01-31"));
    assert_eq!((record.subject.regions.len(), record.subject.updated_at), (2, Some(at(1))));
    let cleared = SubjectChange { birth_date: FieldChange::Clear, ..SubjectChange::default() };
    let record = change(&record, cleared, at(2));
    assert_eq!((record.subject.birth_date, record.subject.regions.len()), (None, 2));
    assert_eq!((record.ledger_entries, record.updated_at), (3, at(2)));
}

#[test]
fn a_restriction_and_a_hold_keep_their_beginning_until_they_end() {
    let restrict = |reason| SubjectChange {
        restriction: FieldChange::Set(label(reason)),
        legal_hold: FieldChange::Set(label(reason)),
        ..SubjectChange::default()
    };
    let record = change(&CustomerRecord::new(at(-1)), restrict("contested"), NOW);
    let record = change(&record, restrict("unlawful"), at(5));
    let (restriction, hold) =
        (record.subject.restriction.clone().unwrap(), record.subject.legal_hold.clone().unwrap());
    assert_eq!((restriction.reason.as_str(), restriction.since), ("unlawful", NOW));
    assert_eq!((hold.reference.as_str(), hold.since), ("unlawful", NOW));
    let end = SubjectChange {
        restriction: FieldChange::Clear,
        legal_hold: FieldChange::Clear,
        ..SubjectChange::default()
    };
    let record = change(&record, end, at(6));
    assert_eq!((&record.subject.restriction, &record.subject.legal_hold), (&None, &None));
    let record = change(&record, restrict("again"), at(7));
    assert_eq!(record.subject.restriction.map(|restriction| restriction.since), Some(at(7)));
}

#[test]
fn what_is_known_already_changes_nothing() {
    let moved = || SubjectChange { regions: regions(&["DE"]), ..SubjectChange::default() };
    let record = change(&CustomerRecord::new(at(-1)), moved(), NOW);
    for again in [moved(), SubjectChange::default()] {
        let same = update_subject(&record, again, made(at(-9)), context(at(9))).unwrap();
        assert_eq!((&same.record, same.ledger), (&record, None));
    }
}

#[test]
fn what_is_stated_replaces_an_unknown_region() {
    let mut record = CustomerRecord::new(NOW);
    record.subject.region_unknown = true;
    let record =
        change(&record, SubjectChange { regions: regions(&["DE"]), ..SubjectChange::default() }, NOW);
    assert!(!record.subject.region_unknown);
    assert_eq!(record.subject.jurisdictions(&catalogue()).count(), 1);
}

#[test]
fn nine_regions_and_a_birth_in_the_future_are_refused() {
    let refused =
        |change| update_subject(&CustomerRecord::new(NOW), change, made(NOW), context(NOW)).unwrap_err();
    let nine = regions(&["AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES"]);
    let error = refused(SubjectChange { regions: nine, ..SubjectChange::default() });
    assert_eq!(error, ProfileError::TooMany { field: "regions", count_max: 8 });
    // NOW is 2023-11-14T22:13:20Z: the 15th has begun in the east.
    let birth = |text: &str| SubjectChange {
        birth_date: FieldChange::Set(text.parse().unwrap()),
        ..SubjectChange::default()
    };
    assert_eq!(refused(birth("2023-11-16")).field(), Some("birth_date"));
    assert!(update_subject(&CustomerRecord::new(NOW), birth("2023-11-15"), made(NOW), context(NOW)).is_ok());
}

#[test]
fn the_jurisdictions_are_those_of_the_regions_and_the_default_where_a_region_is_unknown() {
    let catalogue = catalogue();
    let of = |texts: &[&str], region_unknown| {
        let regions = texts.iter().map(|text| text.parse().unwrap()).collect();
        let subject = DataSubject { regions, region_unknown, ..DataSubject::default() };
        subject.jurisdictions(&catalogue).map(|of| of.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(&[], false), ["default"]);
    assert_eq!(of(&["DE"], false), ["eu"]);
    assert_eq!(of(&["DE", "US-CA"], false), ["eu", "us-ca"]);
    assert_eq!(of(&["DE"], true), ["eu", "default"]);
    assert_eq!(of(&["US-NY", "US-CA"], false), ["us-ca", "default"]);
}

#[test]
fn debug_output_says_nothing_about_the_person() {
    let subject = DataSubject { regions: ["DE".parse().unwrap()].into(), ..born("2000-01-31") };
    assert_eq!(format!("{subject:?}"), "DataSubject { regions: 1, .. }");
}

proptest! {
    #[test]
    fn nobody_grows_younger(birth in -20_000_i32..20_000, days in -20_000_i64..40_000, later in 0_i64..40_000) {
        let subject = DataSubject { birth_date: Date::from_days(birth).ok(), ..DataSubject::default() };
        let age = |days: i64| subject.age_at(TimestampMs::from_ms(days * DAY_MS)).unwrap();
        let years = u16::try_from(later / 365).unwrap();
        prop_assert!(age(days) <= age(days + later));
        prop_assert!(age(days + later) <= age(days) + years + 1);
    }
}

/// A forgotten retry of an earlier change.
#[test]
fn a_change_that_was_asked_for_earlier_does_not_replace_a_later_one() {
    let region = |text: &str| SubjectChange { regions: regions(&[text]), ..SubjectChange::default() };
    let update = |record: &CustomerRecord, change, precondition, now| {
        update_subject(record, change, precondition, context(now)).map(|changed| changed.record)
    };
    let first = update(&CustomerRecord::new(at(-1)), region("US-CA"), made(at(0)), at(1)).unwrap();
    let second = update(&first, region("DE"), made(at(2)), at(3)).unwrap();
    let retry = update(&second, region("US-CA"), made(at(0)), at(9));
    assert_eq!(retry.unwrap_err(), ProfileError::RequestSuperseded);
    assert!(update(&second, region("DE"), made(at(0)), at(9)).is_ok(), "it says what stands");
    // By a caller whose clock is slow, but who read the version.
    let third = update(&second, region("FR"), made_on_the_version(at(0)), at(9)).unwrap();
    assert_eq!(third.requested.subject, Some(at(2)), "the date does not go back");
}

#[test]
fn a_restriction_is_set_whatever_the_date_and_lifted_only_on_the_version_that_was_read() {
    let restrict =
        SubjectChange { restriction: FieldChange::Set(label("contested")), ..SubjectChange::default() };
    let hold = SubjectChange { legal_hold: FieldChange::Set(label("matter 9")), ..SubjectChange::default() };
    let moved = SubjectChange { regions: regions(&["DE"]), ..SubjectChange::default() };
    let record = change(&CustomerRecord::new(at(-1)), moved, at(5));
    let record = update_subject(&record, restrict, made(at(-99)), context(at(6))).unwrap().record;
    let record = update_subject(&record, hold, made(at(-99)), context(at(7))).unwrap().record;
    for (limit, end) in [
        ("the restriction", SubjectChange { restriction: FieldChange::Clear, ..SubjectChange::default() }),
        ("the legal hold", SubjectChange { legal_hold: FieldChange::Clear, ..SubjectChange::default() }),
    ] {
        let error = update_subject(&record, end.clone(), made(at(8)), context(at(8))).unwrap_err();
        assert_eq!(error, ProfileError::LiftsUnseen { limit });
        assert!(update_subject(&record, end, made_on_the_version(at(8)), context(at(8))).is_ok());
    }
}
