//! Estimates the mixture from the records alone, without labels: expectation maximisation over a stratified sample of
//! all pairs.
//!
//! One stratum is the pairs of blocks, weighted by the inverse of their sampling rate. The other is random pairs, which
//! stand for all pairs that share no block and are taken to be of different people. Together they represent the whole
//! space of pairs, so nothing is conditioned on the blocking, and the share of matches and the chance of coincidences
//! are estimated in the same run as the rest.
//!
//! Each distribution has a Dirichlet prior, so that a small sample, or one without households or without matches,
//! stays near what is usual. After each round the ratio of "same" to "apart" is made to fall from level to level.

use crate::blocking::BlockingDigests;
use crate::compare::{Comparison, MISSING, compare};
use crate::features::Features;
use crate::field::{Field, LEVELS_MAX, PerField};
use crate::frequency::Frequencies;
use crate::pairs::PairIndex;
use crate::parameters::{
    CONDITIONS, Dependence, FieldParameters, PLACES, Parameters, PerClass, RELATIONS, SIZES, dependence,
    log_odds, size,
};
use crate::random::Generator;

/// Pairs of blocks that are looked at.
const BLOCKED_PAIRS: f64 = 300_000.0;
/// Random pairs that are looked at.
const RANDOM_PAIRS: usize = 150_000;
/// Rounds of expectation and maximisation at most.
const ROUNDS_MAX: usize = 60;
/// The share of matches changes by less from round to round: the estimate stands.
const CHANGE_MIN: f64 = 1e-4;

/// Strength of the priors, in pairs.
const SAME_STRENGTH: f64 = 20.0;
const COMMON_STRENGTH: f64 = 40.0;
const APART_STRENGTH: f64 = 2.0;
const COINCIDENCE_STRENGTH: f64 = 2.0;
const ASSOCIATION_STRENGTH: f64 = 100.0;
const CLASS_STRENGTH: f64 = 0.5;

/// The least `q`: a value that only one person seems to have may still be two people's. Contacts and identifiers are
/// given to one person, names and places are not.
fn coincidence_min(field: Field) -> f64 {
    if matches!(field, Field::Email | Field::Phone | Field::Identifier) { 0.01 } else { 0.1 }
}

/// What a record is assumed to have of each, per record, before anything is known: other records of the same person,
/// other members of the household.
const DUPLICATES_PER_RECORD: f64 = 0.1;
const HOUSEHOLD_PER_RECORD: f64 = 1.0;
/// The share of pairs in one area, before anything is known.
const AREA_SHARE: f64 = 0.01;
/// Where the records of one person are: at home, in the area, elsewhere.
const MATCH_PLACES: [f64; PLACES] = [0.7, 0.1, 0.2];

/// Namesakes and twins, as shares of any two members of a household, before anything is known.
const NAMESAKES: f64 = 0.03;
const TWINS: f64 = 0.02;
/// The most that namesakes and twins are believed to be, as shares of any two members. Without a limit, a sample that
/// has no households would take pairs for one that are of one person and only half alike.
const NAMESAKES_MAX: f64 = 0.15;
const TWINS_MAX: f64 = 0.05;
/// The least share of a person's records that is at home, for the limits above.
const HOME_MIN: f64 = 0.2;

/// `q` of given name and surname together, before anything is known.
const ASSOCIATION: f64 = 0.001;

/// A pair of the sample.
struct Observation {
    comparison: Comparison,
    /// Pairs that it stands for.
    weight: f64,
    random: bool,
}

/// What is estimated.
pub(crate) struct Estimate {
    pub(crate) parameters: Parameters,
    /// Log-odds and weight of each pair of the sample's blocks.
    pub(crate) scored: Vec<(f64, f64)>,
}

/// Estimates the parameters, with values counted in `frequencies`, for as many records as `population`.
pub(crate) fn estimate(
    sample: &[Features],
    frequencies: &Frequencies,
    population: u64,
    seed: u64,
) -> Estimate {
    let observations = observe(sample, frequencies, seed);
    let mut parameters = initial(frequencies, &observations);
    let priors = parameters.clone();
    for _ in 0..ROUNDS_MAX {
        let counts = expectation(&parameters, &observations);
        let before = parameters.prior();
        parameters = maximisation(&counts, &priors);
        if (parameters.prior() / before - 1.0).abs() < CHANGE_MIN {
            break;
        }
    }
    let parameters = parameters.for_population(population as f64);
    let blocked = observations.iter().filter(|observation| !observation.random);
    let scored = blocked.map(|it| (log_odds(&parameters.joint(&it.comparison)), it.weight)).collect();
    Estimate { parameters, scored }
}

fn observe(sample: &[Features], frequencies: &Frequencies, seed: u64) -> Vec<Observation> {
    let records = sample.len();
    let index = PairIndex::new(sample.iter().map(BlockingDigests::of));
    let survey = index.survey();
    let rate = (BLOCKED_PAIRS / survey.pairs_at_most.max(1.0)).min(1.0);
    let mut observations = Vec::new();
    let mut generator = Generator::new(seed);
    index.sample(rate, generator.next(), |pair| {
        if let (Some(left), Some(right)) = (sample.get(pair.left as usize), sample.get(pair.right as usize)) {
            let comparison = compare(left, right, frequencies);
            let visits = index.visits_at_most(pair.left, pair.right, &survey);
            let weight = 1.0 / (rate * f64::from(visits.max(1)));
            observations.push(Observation { comparison, weight, random: false });
        }
    });
    let blocked: f64 = observations.iter().map(|observation| observation.weight).sum();
    let all = records as f64 * (records as f64 - 1.0) / 2.0;
    let mut apart = Vec::new();
    // of a small sample each pair is looked at about once
    let random =
        if all < RANDOM_PAIRS as f64 { records * records.saturating_sub(1) / 2 } else { RANDOM_PAIRS };
    for _ in 0..random {
        let (left, right) = (generator.below(records), generator.below(records));
        let numbers = (u32::try_from(left), u32::try_from(right));
        if let (Some(one), Some(other), (Ok(left), Ok(right))) =
            (sample.get(left), sample.get(right), numbers)
            && left != right
            && !index.share_block(left, right, &survey)
        {
            apart.push(compare(one, other, frequencies));
        }
    }
    let weight = (all - blocked).max(1.0) / (apart.len() as f64).max(1.0);
    observations.extend(apart.into_iter().map(|comparison| Observation { comparison, weight, random: true }));
    observations
}

/// What is usual, before anything is known: errors in one of seven values, coincidences as random pairs have them.
fn initial(frequencies: &Frequencies, observations: &[Observation]) -> Parameters {
    let records = frequencies.records().max(2.0);
    let others = records - 1.0;
    let matches = DUPLICATES_PER_RECORD / others;
    let household = HOUSEHOLD_PER_RECORD / others;
    let classes = [
        MATCH_PLACES.map(|share| share * matches),
        [household, 0.0, 0.0],
        MATCH_PLACES.map(|share| share * household * NAMESAKES),
        MATCH_PLACES.map(|share| share * household * TWINS),
        [0.0, AREA_SHARE, 1.0 - AREA_SHARE - matches - household * (1.0 + NAMESAKES + TWINS)],
    ];
    let fields = Field::ALL.map(|field| {
        let mut counts = [0.0; LEVELS_MAX];
        for observation in observations.iter().filter(|observation| observation.random) {
            add(&mut counts, observation.comparison.levels[field], 1.0);
        }
        let agreement = if matches!(field, Field::NameOrder | Field::Gender) { 0.98 } else { 0.85 };
        let same = usual_same(field, agreement);
        let apart = if field == Field::NameOrder {
            // names swapped by chance agree as often as names in order
            [1.0; LEVELS_MAX]
        } else {
            smoothed(counts, usual_same(field, 0.1), APART_STRENGTH)
        };
        let (common, _) = usual_common(field);
        FieldParameters { same, apart, common, coincidence: [1.0; SIZES], total: frequencies.total(field) }
    });
    Parameters { classes, fields: PerField(fields), full_name: [ASSOCIATION; SIZES], records }
}

/// Full agreement with this probability, and each further level half as probable as the one before.
fn usual_same(field: Field, agreement: f64) -> [f64; LEVELS_MAX] {
    let levels = field.levels().len();
    let mut probabilities = [0.0; LEVELS_MAX];
    let mut left = 1.0 - agreement;
    for (level, probability) in probabilities.iter_mut().take(levels).enumerate() {
        *probability = match level {
            0 => agreement,
            _ if level + 1 == levels => left,
            _ => left / 2.0,
        };
        if level > 0 {
            left -= *probability;
        }
    }
    probabilities
}

/// How often a household, or an area, has the value in common: what is usual, and the most that is believed.
fn usual_common(field: Field) -> (f64, f64) {
    match field {
        Field::Surname => (0.6, 1.0),
        Field::Phone => (0.3, 1.0),
        Field::Email => (0.03, 0.1),
        Field::Identifier => (0.001, 0.005),
        Field::PostalCode => (0.6, 1.0),
        Field::City => (0.85, 1.0),
        Field::Region => (0.95, 1.0),
        Field::Street | Field::AddressLine => (0.01, 0.1),
        Field::MiddleName => (0.1, 0.3),
        Field::FirstCategory
        | Field::SecondCategory
        | Field::ThirdCategory
        | Field::FourthCategory
        | Field::FreeText => (0.05, 0.5),
        Field::GivenName
        | Field::BirthDate
        | Field::BirthYear
        | Field::NameOrder
        | Field::HouseNumber
        | Field::Gender => (0.0, 0.0),
    }
}

#[derive(Debug, Clone)]
struct Counts {
    classes: PerClass,
    same: PerField<[f64; LEVELS_MAX]>,
    apart: PerField<[f64; LEVELS_MAX]>,
    /// Pairs of a household or area, and those of them that have the value in common.
    common: PerField<[f64; 2]>,
    /// Per size: agreements, and those of them that are by chance.
    agreements: PerField<[[f64; 2]; SIZES]>,
    /// The same for given name and surname together.
    full_names: [[f64; 2]; SIZES],
}

fn add(counts: &mut [f64; LEVELS_MAX], level: u8, weight: f64) {
    if let Some(count) = counts.get_mut(usize::from(level)) {
        *count += weight;
    }
}

fn expectation(parameters: &Parameters, observations: &[Observation]) -> Counts {
    let mut counts = Counts {
        classes: [[0.0; PLACES]; RELATIONS],
        same: PerField::filled([0.0; LEVELS_MAX]),
        apart: PerField::filled([0.0; LEVELS_MAX]),
        common: PerField::filled([0.0; 2]),
        agreements: PerField::filled([[0.0; 2]; SIZES]),
        full_names: [[0.0; 2]; SIZES],
    };
    for observation in observations {
        let mut shares = parameters.joint(&observation.comparison);
        if observation.random {
            shares.iter_mut().take(RELATIONS - 1).flatten().for_each(|share| *share = 0.0);
        }
        let sum: f64 = shares.iter().flatten().sum();
        if sum <= 0.0 || !sum.is_finite() {
            continue;
        }
        shares.iter_mut().flatten().for_each(|share| *share *= observation.weight / sum);
        for (count, share) in counts.classes.iter_mut().flatten().zip(shares.iter().flatten()) {
            *count += share;
        }
        let full_name = observation.comparison.full_name;
        if let (2.0.., Some([agreements, by_chance])) =
            (full_name, counts.full_names.get_mut(size(full_name)))
        {
            *agreements += observation.weight;
            let strangers: f64 = shares.last().map_or(0.0, |strangers| strangers.iter().sum());
            *by_chance += strangers * (1.0 - 1.0 / parameters.association(&observation.comparison));
        }
        let mut by_place = [0.0; PLACES];
        for class in &shares {
            by_place.iter_mut().zip(class).for_each(|(sum, share)| *sum += share);
        }
        for field in Field::ALL {
            let level = observation.comparison.levels[field];
            if level == MISSING {
                continue;
            }
            let mut by_condition = by_place;
            if let Dependence::Relation(conditions) = dependence(field) {
                by_condition = [0.0; CONDITIONS];
                for (condition, class) in conditions.into_iter().zip(&shares) {
                    if let Some(sum) = by_condition.get_mut(condition) {
                        *sum += class.iter().sum::<f64>();
                    }
                }
            }
            let [same, together, apart] = by_condition;
            let count = observation.comparison.counts[field];
            let field_parameters = &parameters.fields[field];
            let [if_same, if_together, _] = field_parameters.probabilities(level, count);
            let common = together * field_parameters.common * if_same / if_together;
            add(&mut counts.same[field], level, same);
            add(&mut counts.apart[field], level, apart);
            let [all, in_common] = &mut counts.common[field];
            *all += together;
            *in_common += common;
            if let (0, Some([agreements, by_chance])) = (level, counts.agreements[field].get_mut(size(count)))
            {
                *agreements += observation.weight;
                *by_chance += apart + together - common;
            }
        }
    }
    counts
}

fn maximisation(counts: &Counts, priors: &Parameters) -> Parameters {
    let classes = class_shares(&counts.classes, priors);
    let fields = Field::ALL.map(|field| {
        let prior = &priors.fields[field];
        let mut same = smoothed(counts.same[field], prior.same, SAME_STRENGTH);
        let mut apart = prior.apart;
        if field != Field::NameOrder {
            apart = smoothed(counts.apart[field], prior.apart, APART_STRENGTH);
            falling(&mut same, &apart, field.levels().len());
        }
        let [all, in_common] = counts.common[field];
        let (_, common_max) = usual_common(field);
        let common = (in_common + prior.common * COMMON_STRENGTH) / (all + COMMON_STRENGTH);
        let coincidence = coincidences(&counts.agreements[field], 0.5, COINCIDENCE_STRENGTH)
            .map(|q| q.max(coincidence_min(field)));
        FieldParameters { same, apart, common: common.min(common_max), coincidence, total: prior.total }
    });
    let full_name = coincidences(&counts.full_names, 0.0, ASSOCIATION_STRENGTH);
    Parameters { classes, fields: PerField(fields), full_name, records: priors.records }
}

fn coincidences(counts: &[[f64; 2]; SIZES], usual: f64, strength: f64) -> [f64; SIZES] {
    counts.map(|[agreements, by_chance]| (by_chance + usual * strength) / (agreements + strength))
}

fn class_shares(counts: &PerClass, priors: &Parameters) -> PerClass {
    let all: f64 = counts.iter().flatten().sum();
    // as many pairs as the prior's strength, whatever the number of records
    let matches = priors.prior();
    let strength = CLASS_STRENGTH / matches.max(f64::MIN_POSITIVE);
    let mut classes = *counts;
    for (class, prior) in classes.iter_mut().flatten().zip(priors.classes.iter().flatten()) {
        *class = (*class + prior.min(matches) * strength) / (all + strength);
    }
    let [same, [members, _, _], namesakes, twins, _] = &mut classes;
    let persons: f64 = same.iter().sum();
    let places = same.map(|share| share / persons);
    let [home, _, _] = places;
    for (relation, most) in [(namesakes, NAMESAKES_MAX), (twins, TWINS_MAX)] {
        let sum: f64 = relation.iter().sum();
        let limited = sum.min(*members * most / home.max(HOME_MIN));
        *relation = places.map(|place| place * limited);
    }
    let sum: f64 = classes.iter().flatten().sum();
    classes.map(|class| class.map(|share| share / sum))
}

fn smoothed(counts: [f64; LEVELS_MAX], usual: [f64; LEVELS_MAX], strength: f64) -> [f64; LEVELS_MAX] {
    let sum: f64 = counts.iter().sum();
    let mut probabilities = [0.0; LEVELS_MAX];
    for ((probability, count), usual) in probabilities.iter_mut().zip(counts).zip(usual) {
        *probability = (count + usual * strength) / (sum + strength);
    }
    probabilities
}

/// Pools neighbouring levels until the ratio of `same` to `apart` falls from level to level (isotonic regression by
/// pooling adjacent violators).
fn falling(same: &mut [f64; LEVELS_MAX], apart: &[f64; LEVELS_MAX], levels: usize) {
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(levels);
    for (same, apart) in same.iter().zip(apart).take(levels) {
        pools.push((*same, *apart, 1));
        while let [.., (above_same, above_apart, above), (below_same, below_apart, below)] = pools.as_slice()
        {
            if above_same * below_apart >= below_same * above_apart {
                break;
            }
            let merged = (above_same + below_same, above_apart + below_apart, above + below);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    let mut level = same.iter_mut().zip(apart);
    for (pool_same, pool_apart, size) in pools {
        for (same, apart) in level.by_ref().take(size) {
            *same = pool_same * apart / pool_apart.max(f64::MIN_POSITIVE);
        }
    }
}
