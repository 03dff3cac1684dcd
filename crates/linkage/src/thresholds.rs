//! What to do about a pair: take it for one person, ask somebody, or leave it.
//!
//! The first threshold follows the decision rule of Fellegi and Sunter (1969): it is set so that a stated share of the
//! decisions may be wrong. The share is expected from the probabilities themselves, so it needs no labels: records full of
//! namesakes get a higher threshold than records that are easy to tell apart.

use crate::parameters::probability;

/// The share of pairs taken for one person that may be of two: three in a thousand.
pub const FALSE_SHARE_MAX: f64 = 0.003;

/// Probabilities at which the verdict on a pair changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// From here on two records are taken for one person: in 0.5 ..= 0.95.
    pub same_min: f64,
    /// From here on a person should look.
    pub review_min: f64,
}

/// What to do about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Two people.
    Different,
    /// A person should look.
    Review,
    /// One person.
    Same,
}

const SAME_LEAST: f64 = 0.5;
const SAME_MOST: f64 = 0.95;
const REVIEW_MIN: f64 = 0.1;

impl Thresholds {
    /// The lowest threshold at which no more than [`FALSE_SHARE_MAX`] of the pairs above it are expected to be of two
    /// people. `scored` has the log-odds of pairs, and how many pairs each stands for.
    pub(crate) fn for_scores(mut scored: Vec<(f64, f64)>) -> Self {
        scored.retain(|(log_odds, _)| probability(*log_odds) >= SAME_LEAST);
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        let (mut pairs, mut wrong) = (0.0, 0.0);
        let mut same_min = SAME_LEAST;
        for (log_odds, weight) in scored {
            let probability = probability(log_odds);
            pairs += weight;
            wrong += weight * (1.0 - probability);
            if wrong > FALSE_SHARE_MAX * pairs && probability < SAME_MOST {
                // this pair is the first that is too many
                same_min = (probability + f64::EPSILON).clamp(SAME_LEAST, SAME_MOST);
                break;
            }
        }
        Self { same_min, review_min: REVIEW_MIN }
    }

    /// The verdict on a probability.
    #[must_use]
    pub fn verdict(&self, probability: f64) -> Verdict {
        if probability >= self.same_min {
            Verdict::Same
        } else if probability >= self.review_min {
            Verdict::Review
        } else {
            Verdict::Different
        }
    }

    /// [`Self::same_min`] as log-odds in bits.
    #[must_use]
    pub fn same_min_log_odds(&self) -> f64 {
        (self.same_min / (1.0 - self.same_min)).log2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_sample_has_the_lowest_threshold_and_a_doubtful_one_a_higher() {
        let sure = Thresholds::for_scores(vec![(20.0, 1.0); 100]);
        assert_eq!(sure.same_min, SAME_LEAST);
        let mut scored = vec![(20.0, 1.0); 100];
        scored.extend([(2.0, 1.0); 10]);
        let doubtful = Thresholds::for_scores(scored);
        assert!(doubtful.same_min > 0.8 && doubtful.same_min <= SAME_MOST);
        assert_eq!(doubtful.verdict(0.97), Verdict::Same);
        assert_eq!(doubtful.verdict(0.5), Verdict::Review);
        assert_eq!(doubtful.verdict(0.01), Verdict::Different);
    }

    #[test]
    fn no_pairs_have_the_lowest_threshold() {
        assert_eq!(Thresholds::for_scores(Vec::new()).same_min, SAME_LEAST);
    }
}
