//! Laws of record linkage (ID-4): what holds for any records, in any script.

use std::sync::LazyLock;

use custodia_linkage::population::{Rates, generate};
use custodia_linkage::{
    BlockingDigests, CandidatePair, Category, Edge, Features, FieldKind, Linkage, Model, PairIndex, RecordId,
    blocking_keys, clusters,
};
use proptest::prelude::*;

static SAMPLE: LazyLock<Vec<Features>> = LazyLock::new(|| {
    let mut sample = Vec::new();
    generate(400, 3, &Rates::default(), |record| sample.push(record.features));
    sample
});
static MODEL: LazyLock<Model> = LazyLock::new(|| Linkage::train(&SAMPLE, 1));

const KINDS: [FieldKind; 18] = [
    FieldKind::GivenName,
    FieldKind::MiddleName,
    FieldKind::Surname,
    FieldKind::FullName,
    FieldKind::BirthDate,
    FieldKind::Gender,
    FieldKind::Email,
    FieldKind::Phone,
    FieldKind::Identifier,
    FieldKind::Street,
    FieldKind::HouseNumber,
    FieldKind::AddressLine,
    FieldKind::PostalCode,
    FieldKind::City,
    FieldKind::Region,
    FieldKind::Category(Category::First),
    FieldKind::Category(Category::Fourth),
    FieldKind::FreeText,
];

#[test]
fn among_more_people_the_same_pair_is_less_probable_to_be_one_person() {
    let sample = u64::try_from(SAMPLE.len()).unwrap();
    let models = [sample, 10 * sample, 1_000 * sample].map(|people| Linkage::train_for(&SAMPLE, people, 1));
    assert_eq!(models[0], *MODEL);
    assert!(models.windows(2).all(|pair| pair[1].prior() < pair[0].prior()));
    PairIndex::new(SAMPLE.iter().map(BlockingDigests::of)).for_each(|pair| {
        let (left, right) = (&SAMPLE[pair.left as usize], &SAMPLE[pair.right as usize]);
        let log_odds = models.each_ref().map(|model| model.log_odds(left, right));
        assert!(log_odds.is_sorted_by(|fewer, more| fewer >= more), "{log_odds:?}");
    });
}

/// What is known without the addresses must not be less than what can follow from them.
#[test]
fn no_pair_of_a_block_is_given_up_too_early() {
    PairIndex::new(SAMPLE.iter().map(BlockingDigests::of)).for_each(|pair| {
        let (left, right) = (&SAMPLE[pair.left as usize], &SAMPLE[pair.right as usize]);
        let log_odds = MODEL.log_odds(left, right);
        assert_eq!(MODEL.log_odds_from(left, right, log_odds), Some(log_odds));
    });
}

/// Any values: letters of many scripts, digits, signs, and what looks like a date, a phone number or an address.
fn values() -> impl Strategy<Value = Vec<(FieldKind, String)>> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[a-zà-ÿа-яα-ω王李张 '@.-]{0,16}",
        "[0-9+/. -]{0,14}",
        "(19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9]",
        "[a-c]{1,3}@[a-c]{1,2}",
    ];
    prop::collection::vec((prop::sample::select(KINDS.to_vec()), text), 0..20)
}

fn features(number: u128, values: &[(FieldKind, String)]) -> Features {
    let values = values.iter().map(|(kind, value)| (*kind, value.as_str()));
    Features::new(RecordId::new(number.to_be_bytes()), values)
}

fn pairs_of(index: &PairIndex) -> Vec<CandidatePair> {
    let mut pairs = Vec::new();
    index.for_each(|pair| pairs.push(pair));
    pairs.sort();
    pairs.dedup();
    pairs
}

proptest! {
    #[test]
    fn a_score_does_not_depend_on_the_order_of_the_records(left in values(), right in values()) {
        let (left, right) = (features(1, &left), features(2, &right));
        let (there, back) = (MODEL.score(&left, &right), MODEL.score(&right, &left));
        prop_assert_eq!(&there, &back);
        prop_assert!(there.weight.is_finite());
        prop_assert!((0.0..=1.0).contains(&there.probability));
        prop_assert!(there.fields.iter().all(|field| field.weight.is_finite()));
    }

    #[test]
    fn a_pair_is_given_up_early_only_if_it_is_below_the_limit(
        left in 0..SAMPLE.len(),
        right in 0..SAMPLE.len(),
        min in -40.0..20.0,
    ) {
        let (left, right) = (&SAMPLE[left], &SAMPLE[right]);
        let log_odds = MODEL.log_odds(left, right);
        let given_up = MODEL.log_odds_from(left, right, min).is_none();
        prop_assert_eq!(given_up, log_odds < min);
    }

    #[test]
    fn what_one_record_lacks_is_not_compared(left in values()) {
        let (record, empty) = (features(1, &left), features(2, &[]));
        let score = MODEL.score(&record, &empty);
        prop_assert!(score.fields.is_empty());
        prop_assert!(score.weight.abs() < 1e-6);
    }

    #[test]
    fn features_do_not_depend_on_the_order_of_the_values(values in values()) {
        let mut shuffled = values.clone();
        shuffled.reverse();
        prop_assert_eq!(features(1, &values), features(1, &shuffled));
    }

    #[test]
    fn records_with_the_same_values_share_every_key(values in values()) {
        let (one, other) = (features(1, &values), features(2, &values));
        prop_assert_eq!(blocking_keys(&one), blocking_keys(&other));
        prop_assert_eq!(BlockingDigests::of(&one), BlockingDigests::of(&other));
    }

    #[test]
    fn clusters_do_not_depend_on_the_order_of_the_edges(
        edges in prop::collection::vec((0_u32..12, 0_u32..12, -8_i32..20), 0..40),
        turn in 0_usize..40,
    ) {
        let edges: Vec<Edge> = edges
            .into_iter()
            .map(|(left, right, bits)| Edge { left, right, log_odds: f64::from(bits) })
            .collect();
        let mut other = edges.clone();
        other.rotate_left(turn % edges.len().max(1));
        other.reverse();
        let doubt = |left: u32, right: u32| f64::from(left.abs_diff(right)) - 6.0;
        prop_assert_eq!(clusters(12, &edges, doubt), clusters(12, &other, doubt));
    }
}

/// Which of two swapped names is the given name was decided by the left record.
#[test]
fn swapped_names_score_the_same_from_both_sides() {
    let record = |given: &str, surname: &str| {
        features(1, &[(FieldKind::GivenName, given.to_owned()), (FieldKind::Surname, surname.to_owned())])
    };
    for (one, other) in [
        (record("Anna Maria", "Schneider"), record("Schneidr", "Anna")),
        (record("a@a", "张"), record("张李", "b@a")),
        (record("Anna", "Schneider"), record("Schneider", "Ann")),
    ] {
        assert_eq!(MODEL.score(&one, &other), MODEL.score(&other, &one));
    }
}

/// Each level of an ordered field is weaker evidence than the one before, whatever the other fields say.
#[test]
fn less_alike_dates_are_weaker_evidence() {
    let record = |date| {
        features(
            1,
            &[
                (FieldKind::GivenName, "Anna".to_owned()),
                (FieldKind::Surname, "Becker".to_owned()),
                (FieldKind::BirthDate, date),
            ],
        )
    };
    let base = record("19700203".to_owned());
    let weights: Vec<f64> = ["19700203", "19700204", "19700302", "19700503", "19710903", "19350811"]
        .into_iter()
        .map(|date| MODEL.score(&base, &record(date.to_owned())).weight)
        .collect();
    // levels that were pooled weigh the same, but for rounding
    assert!(weights.is_sorted_by(|one, other| *one >= other - 1e-6), "{weights:?}");
    assert!(weights[0] > weights[5] + 4.0, "{weights:?}");
}

#[test]
fn the_same_sample_and_seed_give_the_same_model() {
    assert_eq!(Linkage::train(&SAMPLE, 1), *MODEL);
}

#[test]
fn a_sample_of_nothing_or_one_record_gives_a_model() {
    for size in 0..3 {
        let model = Linkage::train(&SAMPLE[..size], 1);
        let probability = model.score(&SAMPLE[0], &SAMPLE[1]).probability;
        assert!((0.0..=1.0).contains(&probability), "{size}");
    }
}

/// An over-full block whose records nothing tells apart made no pairs at all.
#[test]
fn many_equal_records_of_one_person_are_one_cluster() {
    let values = [
        (FieldKind::GivenName, "Anna".to_owned()),
        (FieldKind::Surname, "Becker".to_owned()),
        (FieldKind::BirthDate, "19700203".to_owned()),
    ];
    let mut records: Vec<Features> = SAMPLE.iter().take(50).cloned().collect();
    records.extend((0..60).map(|number| features(number, &values)));
    let log_odds = |left: u32, right: u32| MODEL.log_odds(&records[left as usize], &records[right as usize]);
    let pairs = pairs_of(&PairIndex::new(records.iter().map(BlockingDigests::of)));
    let edges: Vec<Edge> = pairs
        .into_iter()
        .map(|pair| Edge { left: pair.left, right: pair.right, log_odds: log_odds(pair.left, pair.right) })
        .filter(|edge| edge.log_odds > 0.0)
        .collect();
    let cluster_of = clusters(110, &edges, log_odds);
    assert!(cluster_of[50..].iter().all(|cluster| *cluster == 50), "{cluster_of:?}");
}

#[test]
fn blinded_keys_make_the_same_pairs() {
    let plain = PairIndex::new(SAMPLE.iter().map(BlockingDigests::of));
    let blinded = PairIndex::new(SAMPLE.iter().map(|features| {
        let keys = blocking_keys(features).into_iter().map(|key| {
            let start = 0xcbf2_9ce4_8422_2325 ^ key.kind as u64;
            let hash = key
                .bytes
                .iter()
                .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let refinements =
            custodia_linkage::refinements(features).map(|it| if it == 0 { 0 } else { it ^ 0x5555_5555 });
        BlockingDigests { keys: keys.collect(), refinements }
    }));
    assert_eq!(pairs_of(&plain), pairs_of(&blinded));
}
