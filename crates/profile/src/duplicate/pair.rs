//! Owns a suspected pair: why it is suspected, and what a person decided. Always: there is a score or a conflict; a decision is
//! replaced by a person, or forgotten because there is evidence that was not there when it was made; `Debug` shows no note.

use std::fmt;

use super::IdentifierConflict;
use crate::{
    id::{CallerName, TimestampMs},
    numbered::numbered,
};

/// A smaller change of a probability is no news.
const PROBABILITY_STEP: f64 = 0.01;

numbered! {
    /// What a model says of a pair. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum MatchVerdict ("verdict", expected "a verdict on a pair") {
        /// One person.
        Same = 1,
        /// A person should look.
        Review = 2,
    }
}

numbered! {
    /// What a person decided about a pair. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ReviewDecision ("decision", expected "a decision on a pair") {
        /// One person.
        Same = 1,
        /// Two people.
        Different = 2,
        /// Cannot be decided yet.
        Later = 3,
    }
}

/// What one field says about a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldEvidence {
    /// The field's name for people.
    pub field: String,
    /// How far its values agree.
    pub level: String,
    /// Bits for one person.
    pub bits: f64,
}

/// How a model judged a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct PairScore {
    /// That both are of one person, in 0.0 ..= 1.0.
    pub probability: f64,
    /// Bits for one person, without what is known beforehand.
    pub bits: f64,
    /// What follows from it.
    pub verdict: MatchVerdict,
    /// Field by field.
    pub evidence: Vec<FieldEvidence>,
    /// When the two were compared.
    pub found_at: TimestampMs,
}

impl PairScore {
    /// Whether another score says nothing new: the same agreement, the same verdict, and nearly the same probability.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let near = (self.probability - other.probability).abs() < PROBABILITY_STEP;
        near && self.verdict == other.verdict && self.agrees_with(other)
    }

    /// Whether both scores are of the same agreement: the same fields at the same levels. The bits may differ, since another
    /// model judged them.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let levels = |score: &Self| {
            let fields = score.evidence.iter().map(|of| (of.field.clone(), of.level.clone()));
            fields.collect::<Vec<_>>()
        };
        levels(self) == levels(other)
    }
}

/// A person's decision on a pair.
#[derive(Clone, PartialEq, Eq)]
pub struct PairReview {
    /// What was decided.
    pub decision: ReviewDecision,
    /// By whom.
    pub by: CallerName,
    /// When.
    pub at: TimestampMs,
    /// Why; may be empty.
    pub note: String,
}

impl fmt::Debug for PairReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairReview")
            .field("decision", &self.decision)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Two customers who may be one person: why, and what a person decided.
#[derive(Debug, Clone, PartialEq)]
pub struct DuplicatePair {
    /// The last score; after a decision of [`ReviewDecision::Same`] or [`ReviewDecision::Different`], the one that was decided on. None:
    /// no model takes the two for one person.
    pub score: Option<PairScore>,
    /// The identifiers of both that came in one ingest, in ascending order.
    pub conflicts: Vec<IdentifierConflict>,
    /// The decision, if there is one.
    pub review: Option<PairReview>,
}

impl DuplicatePair {
    /// A pair that nobody has looked at.
    #[must_use]
    pub const fn found(score: PairScore) -> Self {
        Self { score: Some(score), conflicts: Vec::new(), review: None }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.review.as_ref().is_none_or(|review| review.decision == ReviewDecision::Later)
    }

    /// When it was found: by a model, else by the first ingest.
    #[must_use]
    pub fn found_at(&self) -> TimestampMs {
        let by_ingest = self.conflicts.iter().map(|conflict| conflict.found_at).min();
        let by_model = self.score.as_ref().map(|score| score.found_at);
        by_model.or(by_ingest).unwrap_or_else(|| TimestampMs::from_ms(0))
    }

    /// The pair after it was found again: an open one takes the new score. A decided one stays, but for one decided to be two
    /// people whose records agree in another way than then: it is open again, with its earlier decision forgotten.
    #[must_use]
    pub fn found_again(self, score: PairScore) -> Self {
        match &self.review {
            Some(review) if review.decision == ReviewDecision::Same => self,
            Some(review) if review.decision == ReviewDecision::Different => {
                if self.score.as_ref().is_some_and(|known| known.agrees_with(&score)) {
                    self
                } else {
                    Self { score: Some(score), review: None, ..self }
                }
            }
            Some(_) | None => Self { score: Some(score), ..self },
        }
    }

    /// The pair after a model took the two for two people; none: nothing is left of it. A decided one stays.
    #[must_use]
    pub fn found_no_more(self) -> Option<Self> {
        if self.is_open() { Self { score: None, ..self }.if_suspected() } else { Some(self) }
    }

    /// The pair after an ingest named identifiers of both. A decided one stays, but for one decided to be two people whose
    /// conflicts are not all known: it is open again, with its earlier decision forgotten.
    #[must_use]
    pub fn in_conflict(mut self, conflicts: impl IntoIterator<Item = IdentifierConflict>) -> Self {
        let decision = self.review.as_ref().map(|review| review.decision);
        if decision == Some(ReviewDecision::Same) {
            return self;
        }
        for conflict in conflicts {
            if self.conflicts.iter().any(|known| known.is_same(&conflict)) {
                continue;
            }
            self.conflicts.push(conflict);
            self.conflicts.sort_unstable();
            if decision == Some(ReviewDecision::Different) {
                self.review = None;
            }
        }
        self
    }

    /// The pair after all conflicts but these have ended; none: nothing is left of it. A decided one stays.
    #[must_use]
    pub fn with_standing(mut self, standing: &[IdentifierConflict]) -> Option<Self> {
        if !self.is_open() {
            return Some(self);
        }
        self.conflicts.retain(|conflict| standing.iter().any(|one| one.is_same(conflict)));
        self.if_suspected()
    }

    fn if_suspected(self) -> Option<Self> {
        (self.score.is_some() || !self.conflicts.is_empty()).then_some(self)
    }
}
