//! Owns the bytes of a customer's blocking set and of a suspected pair.

use prost::Message;

use super::{Intact as _, Stored, byte, frame, unframe};
use crate::{
    duplicate::{
        BLOCK_REFINEMENTS, BlockingSet, DuplicatePair, FieldEvidence, MatchVerdict, PairReview, PairScore,
        ReviewDecision,
    },
    error::ProfileError,
    id::{CallerName, TimestampMs},
};

#[derive(Clone, PartialEq, Message)]
struct WireBlockingSet {
    #[prost(fixed64, repeated, tag = "1")]
    keys: Vec<u64>,
    #[prost(fixed32, repeated, tag = "2")]
    refinements: Vec<u32>,
}

const BLOCKING_SET: &str = "blocking set";

impl Stored for BlockingSet {
    fn encode(&self) -> Vec<u8> {
        frame(&WireBlockingSet { keys: self.keys().to_vec(), refinements: self.refinements().to_vec() })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let WireBlockingSet { keys, refinements } = unframe(BLOCKING_SET, bytes)?;
        let refinements: [u32; BLOCK_REFINEMENTS] =
            refinements.try_into().ok().intact(BLOCKING_SET, "refinements")?;
        if !keys.is_sorted_by(|one, next| one < next) {
            return Err(ProfileError::CorruptField { kind: BLOCKING_SET, field: "key order" });
        }
        Ok(Self::new(keys, refinements))
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireEvidence {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    level: String,
    #[prost(double, tag = "3")]
    bits: f64,
}

#[derive(Clone, PartialEq, Message)]
struct WireReview {
    #[prost(uint32, tag = "1")]
    decision: u32,
    #[prost(string, tag = "2")]
    by: String,
    #[prost(int64, tag = "3")]
    at_ms: i64,
    #[prost(string, tag = "4")]
    note: String,
}

#[derive(Clone, PartialEq, Message)]
struct WirePair {
    #[prost(double, tag = "1")]
    probability: f64,
    #[prost(double, tag = "2")]
    bits: f64,
    #[prost(uint32, tag = "3")]
    verdict: u32,
    #[prost(message, repeated, tag = "4")]
    evidence: Vec<WireEvidence>,
    #[prost(int64, tag = "5")]
    found_at_ms: i64,
    #[prost(message, optional, tag = "6")]
    review: Option<WireReview>,
}

const PAIR: &str = "duplicate pair";

impl Stored for DuplicatePair {
    fn encode(&self) -> Vec<u8> {
        let score = &self.score;
        let evidence = score.evidence.iter().map(|of| WireEvidence {
            field: of.field.clone(),
            level: of.level.clone(),
            bits: of.bits,
        });
        frame(&WirePair {
            probability: score.probability,
            bits: score.bits,
            verdict: score.verdict.number().into(),
            evidence: evidence.collect(),
            found_at_ms: score.found_at.as_ms(),
            review: self.review.as_ref().map(|review| WireReview {
                decision: review.decision.number().into(),
                by: review.by.as_str().to_owned(),
                at_ms: review.at.as_ms(),
                note: review.note.clone(),
            }),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WirePair = unframe(PAIR, bytes)?;
        let is_probability = (0.0..=1.0).contains(&wire.probability);
        let probability = is_probability.then_some(wire.probability).intact(PAIR, "probability")?;
        let bits = wire.bits.is_finite().then_some(wire.bits).intact(PAIR, "bits")?;
        let evidence =
            wire.evidence.into_iter().map(|WireEvidence { field, level, bits }| -> Result<_, ProfileError> {
                let bits = bits.is_finite().then_some(bits).intact(PAIR, "evidence")?;
                Ok(FieldEvidence { field, level, bits })
            });
        let review = wire.review.map(|review| -> Result<_, ProfileError> {
            Ok(PairReview {
                decision: ReviewDecision::from_number(byte(review.decision)).intact(PAIR, "decision")?,
                by: CallerName::new(&review.by).intact(PAIR, "reviewer")?,
                at: TimestampMs::from_ms(review.at_ms),
                note: review.note,
            })
        });
        Ok(Self {
            score: PairScore {
                probability,
                bits,
                verdict: MatchVerdict::from_number(byte(wire.verdict)).intact(PAIR, "verdict")?,
                evidence: evidence.collect::<Result<_, _>>()?,
                found_at: TimestampMs::from_ms(wire.found_at_ms),
            },
            review: review.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(level: &str) -> PairScore {
        PairScore {
            probability: 0.75,
            bits: 20.5,
            verdict: MatchVerdict::Review,
            evidence: vec![FieldEvidence { field: "surname".into(), level: level.into(), bits: 7.5 }],
            found_at: TimestampMs::from_ms(1_000),
        }
    }

    fn reviewed(decision: ReviewDecision) -> DuplicatePair {
        let by = CallerName::new("steward").unwrap();
        let review =
            PairReview { decision, by, at: TimestampMs::from_ms(2_000), note: "father and son".into() };
        DuplicatePair { score: score("same"), review: Some(review) }
    }

    proptest! {
        #[test]
        fn a_blocking_set_reads_back(keys: Vec<u64>, refinements: [u32; BLOCK_REFINEMENTS]) {
            let set = BlockingSet::new(keys, refinements);
            prop_assert_eq!(BlockingSet::decode(&set.encode()).unwrap(), set);
        }

        #[test]
        fn garbage_is_an_error_or_reads_back_as_written(bytes: Vec<u8>) {
            if let Ok(set) = BlockingSet::decode(&bytes) {
                prop_assert_eq!(BlockingSet::decode(&set.encode()).unwrap(), set);
            }
            if let Ok(pair) = DuplicatePair::decode(&bytes) {
                prop_assert_eq!(DuplicatePair::decode(&pair.encode()).unwrap(), pair);
            }
        }
    }

    #[test]
    fn a_pair_reads_back_with_its_decision() {
        for pair in [DuplicatePair::found(score("same")), reviewed(ReviewDecision::Different)] {
            assert_eq!(DuplicatePair::decode(&pair.encode()).unwrap(), pair);
        }
    }

    #[test]
    fn the_formats_are_pinned() {
        let set = BlockingSet::new(vec![7, 3], [1, 0, 0, 0, 2]).encode();
        let pinned = [
            &[2, 10, 16, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 18, 20][..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
        ];
        assert_eq!(set, pinned.concat());
        let pair = DuplicatePair::found(PairScore { evidence: vec![], ..score("same") }).encode();
        let pinned =
            [2, 9, 0, 0, 0, 0, 0, 0, 0xe8, 0x3f, 17, 0, 0, 0, 0, 0, 0x80, 0x34, 0x40, 24, 2, 40, 0xe8, 7];
        assert_eq!(pair, pinned);
    }

    #[test]
    fn a_decision_holds_until_the_records_agree_in_another_way() {
        let open = DuplicatePair::found(score("different"));
        assert_eq!(open.found_again(score("same")).score, score("same"));
        let later = reviewed(ReviewDecision::Later).found_again(score("different"));
        assert!(later.is_open() && later.review.is_some() && later.score == score("different"));
        for decision in [ReviewDecision::Same, ReviewDecision::Different] {
            let newer = PairScore { bits: 1.0, found_at: TimestampMs::from_ms(9), ..score("same") };
            assert_eq!(reviewed(decision).found_again(newer), reviewed(decision), "another model alone");
        }
        let again = reviewed(ReviewDecision::Different).found_again(score("one letter off"));
        assert_eq!(again, DuplicatePair::found(score("one letter off")));
        let merged = reviewed(ReviewDecision::Same).found_again(score("one letter off"));
        assert!(!merged.is_open());
    }
}
