//! What each kind of value is taken for (ID-4), as a score shows it: levels and bits.

use std::sync::LazyLock;

use custodia_linkage::population::{Rates, generate};
use custodia_linkage::{
    Category, Features, Field, FieldKind, Linkage, Model, RecordId, Score, blocking_keys,
};

const PROPERTY: FieldKind = FieldKind::Category(Category::First);

/// People whose addresses, and a name that was in fashion for ten years and one that always was, can be counted.
static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let mut sample = Vec::new();
    generate(2_000, 3, &Rates::default(), |record| sample.push(record.features));
    for (number, letter) in (0..).zip('a'..='z') {
        let surname = format!("{}inger", String::from(letter).repeat(3));
        for (name, year) in [("Wrenley", 2010 + number % 10), ("Annabel", 1925 + 3 * number)] {
            let date = format!("{year}-05-{:02}", 1 + number % 28);
            let values =
                [(FieldKind::GivenName, name), (FieldKind::Surname, &surname), (FieldKind::BirthDate, &date)];
            sample.push(record(&values));
        }
    }
    for (street, people) in [("Short Lane 1", 2), ("Long Lane 1", 5)] {
        for name in ["Otto", "Ida", "Karl", "Emil", "Olga"].iter().take(people) {
            sample.push(record(&[
                (FieldKind::GivenName, name),
                (FieldKind::Surname, "Holm"),
                (FieldKind::Street, street),
            ]));
        }
    }
    Linkage::train(&sample, 1)
});

fn record(values: &[(FieldKind, &str)]) -> Features {
    Features::new(RecordId::new([0; 16]), values.iter().copied())
}

fn score(one: &[(FieldKind, &str)], other: &[(FieldKind, &str)]) -> Score {
    MODEL.score(&record(one), &record(other))
}

fn levels(score: &Score) -> Vec<(Field, &'static str)> {
    score.fields.iter().map(|field| (field.field, field.level)).collect()
}

#[test]
fn an_initial_beside_a_given_name_is_a_middle_name() {
    let one = record(&[(FieldKind::GivenName, "Ada K.")]);
    let other = record(&[(FieldKind::GivenName, "Ada"), (FieldKind::MiddleName, "k")]);
    assert_eq!(one, other);
    let found = score(
        &[(FieldKind::FullName, "Ada K. Lovelace")],
        &[(FieldKind::FullName, "Lovelace, Ada"), (FieldKind::MiddleName, "King")],
    );
    assert!(levels(&found).contains(&(Field::MiddleName, "initial")), "{found:?}");
    // an initial alone is all that is known of the given name
    let alone = score(&[(FieldKind::GivenName, "A.")], &[(FieldKind::GivenName, "Ada")]);
    assert_eq!(levels(&alone), [(Field::GivenName, "initial")]);
}

#[test]
fn a_middle_name_tells_father_and_son_apart() {
    let person = |middle, born| {
        record(&[
            (FieldKind::GivenName, "Hugo"),
            (FieldKind::MiddleName, middle),
            (FieldKind::Surname, "Holm"),
            (FieldKind::BirthDate, born),
            (FieldKind::Street, "Long Lane 1"),
        ])
    };
    let father = person("Karl", "1950-03-04");
    let weight = |middle, born| MODEL.score(&father, &person(middle, born)).weight;
    assert!(weight("Otto", "") + 3.0 < weight("Karl", ""));
    assert!(weight("Otto", "1975-11-20") < weight("", "1975-11-20"));
}

/// A gender that differs said nothing where the names were alike: it was left out if it was the same, so that it seemed to
/// differ as often among records of one person.
#[test]
fn a_gender_that_differs_is_evidence_where_the_name_does_not_tell_it() {
    let with = |one, other, genders: [&str; 2]| {
        score(
            &[(FieldKind::GivenName, one), (FieldKind::Gender, genders[0])],
            &[(FieldKind::GivenName, other), (FieldKind::Gender, genders[1])],
        )
    };
    let differs = with("Paul", "Paula", ["male", "female"]);
    let gender = differs.fields.iter().find(|field| field.field == Field::Gender).unwrap();
    assert!(gender.weight < -2.0, "{differs:?}");
    for genders in [["male", "female"], ["male", "male"]] {
        assert_eq!(levels(&with("Alex", "Alex", genders)), [(Field::GivenName, "same")]);
    }
}

#[test]
fn letters_in_a_date_are_the_digits_that_they_look_like() {
    for date in ["l9SO-O3-|4", "1950-03-14", "1950-03-14T00:00:00Z"] {
        let found = score(&[(FieldKind::BirthDate, date)], &[(FieldKind::BirthDate, "14.3.1950")]);
        assert_eq!(levels(&found), [(Field::BirthDate, "same")], "{date}");
    }
}

#[test]
fn the_first_of_january_stands_for_its_year() {
    let with = |one, other| levels(&score(&[(FieldKind::BirthDate, one)], &[(FieldKind::BirthDate, other)]));
    assert_eq!(with("1950-01-01", "1950-07-20"), [(Field::BirthYear, "same")]);
    assert_eq!(with("1951-01-01", "1950-01-01"), [(Field::BirthYear, "one year apart")]);
    assert_eq!(with("1950-01-01", "1950"), [(Field::BirthYear, "same")]);
    assert_eq!(with("1950-01-01", "1950-01-01"), [(Field::BirthDate, "same")]);
}

#[test]
fn what_is_no_name_is_left_out() {
    for name in ["Unknown", "Baby", "female child", "Inmate B"] {
        assert_eq!(record(&[(FieldKind::GivenName, name)]), record(&[]), "{name}");
    }
    assert_eq!(record(&[(FieldKind::GivenName, "Baby Ada")]), record(&[(FieldKind::GivenName, "Ada")]));
    assert_ne!(record(&[(FieldKind::Surname, "Child")]), record(&[]));
}

#[test]
fn a_rank_after_a_comma_is_no_given_name() {
    let plain = record(&[(FieldKind::GivenName, "Martin Luther"), (FieldKind::Surname, "King")]);
    for name in ["Martin Luther King, Jr.", "King, Martin Luther", "Martin Luther King, 2nd Earl of Nowhere"]
    {
        assert_eq!(record(&[(FieldKind::FullName, name)]), plain, "{name}");
    }
}

/// A record with one name alone was taken for one whose names were swapped.
#[test]
fn a_name_that_stands_alone_is_not_out_of_order() {
    let both = [(FieldKind::GivenName, "Ada"), (FieldKind::Surname, "Lovelace")];
    let found = score(&[(FieldKind::GivenName, "Lovelace")], &both);
    assert_eq!(levels(&found), [(Field::GivenName, "same")]);
    let swapped = score(&[(FieldKind::GivenName, "Lovelace"), (FieldKind::Surname, "Ada")], &both);
    assert!(levels(&swapped).contains(&(Field::NameOrder, "swapped")));
}

#[test]
fn a_number_in_an_address_is_one_persons_and_a_year_is_many_peoples() {
    let with = |one, other| levels(&score(&[(FieldKind::Email, one)], &[(FieldKind::Email, other)]));
    assert_eq!(with("ada48151@a.example", "lovelace.48151@b.example"), [(Field::Email, "same number")]);
    assert_eq!(with("ada1985@a.example", "lovelace1985@b.example"), [(Field::Email, "different")]);
}

#[test]
fn short_forms_are_known_with_another_ending() {
    for (short, long) in [("Jimmie", "James"), ("Bertie", "Albert"), ("Nikki", "Nicole"), ("Art", "Arthur")] {
        let found = score(&[(FieldKind::GivenName, short)], &[(FieldKind::GivenName, long)]);
        assert_eq!(levels(&found), [(Field::GivenName, "short form or part")], "{short}");
    }
}

/// A name in fashion is what strangers of one age have in common. It was judged by how many have it, of all ages.
#[test]
fn a_name_in_fashion_is_weaker_evidence_among_people_of_its_age() {
    let weight = |name| {
        let person = |surname, born| {
            record(&[
                (FieldKind::GivenName, name),
                (FieldKind::Surname, surname),
                (FieldKind::BirthDate, born),
            ])
        };
        MODEL.score(&person("Adler", "2012-02-03"), &person("Brook", "2013-09-21")).weight
    };
    let (fashion, always) = (weight("Wrenley"), weight("Annabel"));
    assert!(fashion + 1.5 < always, "{fashion} {always}");
}

#[test]
fn father_and_son_are_sought_in_large_households() {
    let weight = |street| {
        let values =
            [(FieldKind::GivenName, "Otto"), (FieldKind::Surname, "Holm"), (FieldKind::Street, street)];
        MODEL.score(&record(&values), &record(&values)).weight
    };
    let (small, large) = (weight("Short Lane 1"), weight("Long Lane 1"));
    assert!(small > large + 0.7, "{small} {large}");
}

#[test]
fn a_property_and_a_name_make_a_block() {
    let one = record(&[(FieldKind::Surname, "Lovelace"), (PROPERTY, "Marylebone")]);
    let other =
        record(&[(FieldKind::GivenName, "Ada"), (FieldKind::Surname, "Lovelase"), (PROPERTY, "Marylebone")]);
    let keys = blocking_keys(&other);
    assert!(blocking_keys(&one).iter().any(|key| keys.contains(key)));
    let second = FieldKind::Category(Category::Second);
    let elsewhere = record(&[(FieldKind::Surname, "Lovelace"), (second, "Marylebone")]);
    assert!(blocking_keys(&elsewhere).iter().all(|key| !keys.contains(key)));
}
