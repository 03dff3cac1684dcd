//! The trained model: scores a pair and says why.

use crate::compare::{Comparison, MISSING, compare, compare_persons, compare_places};
use crate::features::Features;
use crate::field::Field;
use crate::frequency::Frequencies;
use crate::parameters::{
    Dependence, PLACES, Parameters, PerClass, dependence, log_odds, log_odds_at_most, probability,
};
use crate::thresholds::Thresholds;
use crate::training;

/// Trains models.
#[derive(Debug, Clone, Copy)]
pub struct Linkage;

impl Linkage {
    /// Learns from records alone, without labels. `sample` is all records, or a part that holds whole blocks; the seed
    /// chooses the pairs that are looked at. The same input gives the same model.
    #[must_use]
    pub fn train(sample: &[Features], seed: u64) -> Model {
        Self::train_for(sample, sample.len() as u64, seed)
    }

    /// Learns from a sample of whole blocks, to judge pairs of as many records as `population`: a pair of them is as much
    /// less probable to be of one person as there are more records than in the sample.
    #[must_use]
    pub fn train_for(sample: &[Features], population: u64, seed: u64) -> Model {
        let frequencies = Frequencies::of(sample);
        let estimate = training::estimate(sample, &frequencies, population, seed);
        let thresholds = Thresholds::for_scores(estimate.scored);
        Model { frequencies, parameters: estimate.parameters, thresholds }
    }
}

/// What was learned: the counts of the values, and the probabilities of the levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    frequencies: Frequencies,
    parameters: Parameters,
    thresholds: Thresholds,
}

/// How sure it is that two records are of one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Bits of evidence for one person: the logarithm to base 2 of the Bayes factor.
    pub weight: f64,
    /// Probability of one person, in 0.0 ..= 1.0.
    pub probability: f64,
    /// The fields that both records have, in the order of [`Field::ALL`].
    pub fields: Vec<FieldScore>,
}

/// What one field contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldScore {
    /// The field.
    pub field: Field,
    /// How far its values agree: one of [`Field::levels`].
    pub level: &'static str,
    /// Bits for one person, against another member of the household or a stranger, whichever is more probable. The sum of
    /// all fields differs from [`Score::weight`] by how rare households, namesakes and twins are.
    pub weight: f64,
}

impl Model {
    /// Scores a pair, with its explanation. The order of the two does not matter.
    #[must_use]
    pub fn score(&self, left: &Features, right: &Features) -> Score {
        let comparison = compare(left, right, &self.frequencies);
        let joint = self.parameters.joint(&comparison);
        let log_odds = log_odds(&joint);
        let prior = self.parameters.prior();
        Score {
            weight: log_odds - (prior / (1.0 - prior)).log2(),
            probability: probability(log_odds),
            fields: self.explain(&comparison, &joint),
        }
    }

    /// Bits for one person, prior included: 0 is as probable as not.
    #[must_use]
    pub fn log_odds(&self, left: &Features, right: &Features) -> f64 {
        log_odds(&self.parameters.joint(&compare(left, right, &self.frequencies)))
    }

    /// The same, or `None` if it is below `min`. A scan looks at many pairs that addresses can't save: those are not compared.
    #[must_use]
    pub fn log_odds_from(&self, left: &Features, right: &Features, min: f64) -> Option<f64> {
        let persons = compare_persons(left, right, &self.frequencies);
        if log_odds_at_most(&self.parameters.joint(&persons)) < min {
            return None;
        }
        let comparison = compare_places(persons, left, right, &self.frequencies);
        let log_odds = log_odds(&self.parameters.joint(&comparison));
        (log_odds >= min).then_some(log_odds)
    }

    /// The default thresholds for these records.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The share of all pairs that are of one person.
    #[must_use]
    pub fn prior(&self) -> f64 {
        self.parameters.prior()
    }

    fn explain(&self, comparison: &Comparison, joint: &PerClass) -> Vec<FieldScore> {
        let [same, members, _, _, strangers] = joint;
        let (_, same_place) = most_probable(&[*same]);
        let (is_stranger, other_place) = most_probable(&[*members, *strangers]);
        let present = Field::ALL.into_iter().filter(|field| comparison.levels[*field] != MISSING);
        present
            .map(|field| {
                let level = comparison.levels[field];
                let probabilities =
                    self.parameters.fields[field].probabilities(level, comparison.counts[field]);
                let (same, other) = match dependence(field) {
                    Dependence::Place => (Some(same_place), Some(other_place)),
                    Dependence::Relation([same, members, _, _, strangers]) => {
                        (Some(same), [members, strangers].get(is_stranger).copied())
                    }
                };
                let of = |condition: Option<usize>| condition.and_then(|it| probabilities.get(it)).copied();
                let weight = match (of(same), of(other)) {
                    (Some(same), Some(other)) => (same / other).log2(),
                    _ => 0.0,
                };
                let level = field.levels().get(usize::from(level)).copied().unwrap_or_default();
                FieldScore { field, level, weight }
            })
            .collect()
    }
}

/// Relation and place of the most probable class.
fn most_probable(classes: &[[f64; PLACES]]) -> (usize, usize) {
    let numbered = classes.iter().enumerate().flat_map(|(relation, places)| {
        places.iter().enumerate().map(move |(place, share)| ((relation, place), share))
    });
    numbered.max_by(|one, other| one.1.total_cmp(other.1)).map_or((0, 0), |(class, _)| class)
}
