//! Duplicates among generated people (ID-4): how many are found, and how many are false. The figures of larger sets are
//! in docs/identity.md; these limits only catch a model that has become worse.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::collections::HashMap;

use custodia_linkage::population::{Rates, generate};
use custodia_linkage::{
    BlockingDigests, Edge, Features, FieldKind, Linkage, PairIndex, RecordId, Verdict, clusters,
};

struct People {
    features: Vec<Features>,
    persons: Vec<u32>,
}

fn people(count: u32, seed: u64, rates: &Rates) -> People {
    let mut people = People { features: Vec::new(), persons: Vec::new() };
    generate(count, seed, rates, |record| {
        people.features.push(record.features);
        people.persons.push(record.person);
    });
    people
}

/// Precision and recall of pairs at the default threshold, and the share of true pairs that share a block.
fn quality(people: &People) -> [f64; 3] {
    let features = &people.features;
    let model = Linkage::train(features, 1);
    let log_odds =
        |left: u32, right: u32| model.log_odds(&features[left as usize], &features[right as usize]);
    let (mut edges, mut found) = (Vec::new(), 0.0);
    PairIndex::new(features.iter().map(BlockingDigests::of)).for_each(|pair| {
        let (left, right) = (pair.left, pair.right);
        found += f64::from(u8::from(people.persons[left as usize] == people.persons[right as usize]));
        let log_odds = log_odds(left, right);
        if log_odds >= model.thresholds().same_min_log_odds() {
            edges.push(Edge { left, right, log_odds });
        }
    });
    let cluster_of = clusters(u32::try_from(features.len()).expect("few records"), &edges, log_odds);
    let pairs = |groups: &mut dyn Iterator<Item = (u32, u32)>| {
        let mut sizes: HashMap<(u32, u32), f64> = HashMap::new();
        groups.for_each(|group| *sizes.entry(group).or_default() += 1.0);
        sizes.into_values().map(|size| size * (size - 1.0) / 2.0).sum::<f64>()
    };
    let truth = pairs(&mut people.persons.iter().map(|person| (*person, 0)));
    let claimed = pairs(&mut cluster_of.iter().map(|cluster| (*cluster, 0)));
    let right = pairs(&mut cluster_of.iter().copied().zip(people.persons.iter().copied()));
    [right / claimed, right / truth, found / truth]
}

#[test]
fn households_are_not_taken_for_one_person() {
    let [precision, recall, completeness] = quality(&people(3_000, 11, &Rates::default()));
    assert!(precision > 0.985, "precision {precision}");
    assert!(recall > 0.8, "recall {recall}");
    assert!(completeness > 0.98, "pair completeness {completeness}");
}

#[test]
fn people_without_duplicates_stay_apart() {
    let people = people(3_000, 12, &Rates { duplicate: 0.0, ..Rates::default() });
    let features = &people.features;
    let model = Linkage::train(features, 1);
    let mut same = 0;
    PairIndex::new(features.iter().map(BlockingDigests::of)).for_each(|pair| {
        let score = model.score(&features[pair.left as usize], &features[pair.right as usize]);
        same += u32::from(model.thresholds().verdict(score.probability) == Verdict::Same);
    });
    assert!(same < 10, "{same} of 3,000 people");
}

/// A pair with several over-full blocks in common was counted once for each of them in training. Strangers of one town, with
/// common names, have many: the model believed in twice as many matches as there were, and in the features of those strangers.
#[test]
fn people_of_one_town_are_counted_once() {
    let (mut features, mut persons) = (Vec::new(), Vec::new());
    generate(6_000, 14, &Rates::default(), |record| {
        let of_town = |kind| matches!(kind, FieldKind::PostalCode | FieldKind::City | FieldKind::Region);
        let values = record
            .values
            .iter()
            .map(|(kind, value)| (*kind, if of_town(*kind) { "1000" } else { value.as_str() }));
        features.push(Features::new(record.features.id(), values));
        persons.push(record.person);
    });
    let people = People { features, persons };
    let mut sizes: HashMap<u32, f64> = HashMap::new();
    people.persons.iter().for_each(|person| *sizes.entry(*person).or_default() += 1.0);
    let matches: f64 = sizes.into_values().map(|size| size * (size - 1.0) / 2.0).sum();
    let records = f64::from(u32::try_from(people.features.len()).expect("few records"));
    let share = matches / (records * (records - 1.0) / 2.0);
    let ratio = Linkage::train(&people.features, 1).prior() / share;
    assert!((0.9..1.15).contains(&ratio), "{ratio} of the matches that there are");
}

fn record(values: &[(FieldKind, &str)]) -> Features {
    Features::new(RecordId::new([0; 16]), values.iter().copied())
}

#[test]
fn an_explanation_names_level_and_weight_of_each_field() {
    let sample = people(2_000, 13, &Rates::default());
    let model = Linkage::train(&sample.features, 1);
    let one = record(&[
        (FieldKind::GivenName, "William"),
        (FieldKind::Surname, "Иванов"),
        (FieldKind::BirthDate, "1970-02-03"),
    ]);
    let other = record(&[
        (FieldKind::FullName, "Ivanov, Bill"),
        (FieldKind::BirthDate, "03.02.1970"),
        (FieldKind::City, "Ghent"),
    ]);
    let score = model.score(&one, &other);
    let levels: Vec<&str> = score.fields.iter().map(|field| field.level).collect();
    assert_eq!(levels, ["short form or part", "same", "in order", "same"]);
    assert!(score.fields[3].weight > 5.0, "{score:?}");
    let swapped = record(&[
        (FieldKind::GivenName, "Ivanov"),
        (FieldKind::Surname, "William"),
        (FieldKind::BirthDate, "1970-03-02"),
    ]);
    let score = model.score(&one, &swapped);
    let levels: Vec<&str> = score.fields.iter().map(|field| field.level).collect();
    assert_eq!(levels, ["same", "same", "swapped", "day and month swapped"]);
}

#[test]
fn debug_output_shows_no_value() {
    let features = record(&[(FieldKind::Surname, "Secretname")]);
    let keys = custodia_linkage::blocking_keys(&record(&[(FieldKind::Email, "secretname@mail.example")]));
    assert!(!keys.is_empty());
    assert!(!format!("{features:?}{keys:?}").to_lowercase().contains("secretname"));
}
