//! Owns the bytes of a customer's blocking set and of a suspected pair.

use prost::Message;

use super::{Intact as _, Stored, byte, frame, unframe};
use crate::{
    duplicate::{
        BLOCK_REFINEMENTS, BlockingSet, DuplicatePair, FieldEvidence, IdentifierConflict, MatchVerdict,
        PairReview, PairScore, ReviewDecision,
    },
    error::ProfileError,
    id::{CallerName, CustomerId, NamespaceId, TimestampMs},
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
struct WireConflict {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(bytes = "vec", tag = "2")]
    holder: Vec<u8>,
    #[prost(int64, tag = "3")]
    found_at_ms: i64,
}

/// Without a score the verdict is 0, and all else of the score absent.
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
    #[prost(message, repeated, tag = "7")]
    conflicts: Vec<WireConflict>,
}

const PAIR: &str = "duplicate pair";

impl Stored for DuplicatePair {
    fn encode(&self) -> Vec<u8> {
        let scored = self.score.as_ref().map(wire_score).unwrap_or_default();
        let conflicts = self.conflicts.iter().map(|conflict| WireConflict {
            namespace: conflict.namespace.as_str().to_owned(),
            holder: conflict.holder.as_bytes().to_vec(),
            found_at_ms: conflict.found_at.as_ms(),
        });
        let review = self.review.as_ref().map(|review| WireReview {
            decision: review.decision.number().into(),
            by: review.by.as_str().to_owned(),
            at_ms: review.at.as_ms(),
            note: review.note.clone(),
        });
        frame(&WirePair { review, conflicts: conflicts.collect(), ..scored })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut wire: WirePair = unframe(PAIR, bytes)?;
        let review = wire.review.take().map(|review| -> Result<_, ProfileError> {
            Ok(PairReview {
                decision: ReviewDecision::from_number(byte(review.decision)).intact(PAIR, "decision")?,
                by: CallerName::new(&review.by).intact(PAIR, "reviewer")?,
                at: TimestampMs::from_ms(review.at_ms),
                note: review.note,
            })
        });
        let review = review.transpose()?;
        let conflicts = std::mem::take(&mut wire.conflicts).into_iter().map(conflict);
        let conflicts = conflicts.collect::<Result<Vec<_>, _>>()?;
        if !conflicts.is_sorted_by(|one, next| one < next && !one.is_same(next)) {
            return Err(ProfileError::CorruptField { kind: PAIR, field: "conflict order" });
        }
        let has_score = wire != WirePair::default();
        let score = has_score.then(|| score(wire)).transpose()?;
        (score.is_some() || !conflicts.is_empty()).then_some(()).intact(PAIR, "evidence")?;
        Ok(Self { score, conflicts, review })
    }
}

/// The part of a pair that is its score.
fn wire_score(score: &PairScore) -> WirePair {
    let evidence = score.evidence.iter().map(|of| WireEvidence {
        field: of.field.clone(),
        level: of.level.clone(),
        bits: of.bits,
    });
    WirePair {
        probability: score.probability,
        bits: score.bits,
        verdict: score.verdict.number().into(),
        evidence: evidence.collect(),
        found_at_ms: score.found_at.as_ms(),
        ..WirePair::default()
    }
}

fn score(wire: WirePair) -> Result<PairScore, ProfileError> {
    let is_probability = (0.0..=1.0).contains(&wire.probability);
    let probability = is_probability.then_some(wire.probability).intact(PAIR, "probability")?;
    let bits = wire.bits.is_finite().then_some(wire.bits).intact(PAIR, "bits")?;
    let evidence =
        wire.evidence.into_iter().map(|WireEvidence { field, level, bits }| -> Result<_, ProfileError> {
            let bits = bits.is_finite().then_some(bits).intact(PAIR, "evidence")?;
            Ok(FieldEvidence { field, level, bits })
        });
    Ok(PairScore {
        probability,
        bits,
        verdict: MatchVerdict::from_number(byte(wire.verdict)).intact(PAIR, "verdict")?,
        evidence: evidence.collect::<Result<_, _>>()?,
        found_at: TimestampMs::from_ms(wire.found_at_ms),
    })
}

fn conflict(wire: WireConflict) -> Result<IdentifierConflict, ProfileError> {
    let holder = <[u8; 16]>::try_from(wire.holder).ok().intact(PAIR, "holder")?;
    Ok(IdentifierConflict {
        namespace: NamespaceId::new(&wire.namespace).intact(PAIR, "namespace")?,
        holder: CustomerId::from_bytes(holder).intact(PAIR, "holder")?,
        found_at: TimestampMs::from_ms(wire.found_at_ms),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::PoolId;

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
        DuplicatePair { review: Some(review), ..DuplicatePair::found(score("same")) }
    }

    fn conflict(namespace: &str, holder: u8, at: i64) -> IdentifierConflict {
        IdentifierConflict {
            namespace: NamespaceId::new(namespace).unwrap(),
            holder: CustomerId::from_parts(7, [holder; 10], PoolId::DEFAULT),
            found_at: TimestampMs::from_ms(at),
        }
    }

    fn in_conflict() -> DuplicatePair {
        DuplicatePair { score: None, conflicts: vec![conflict("email", 1, 5)], review: None }
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
        let both = in_conflict().found_again(score("same"));
        for pair in
            [DuplicatePair::found(score("same")), reviewed(ReviewDecision::Different), in_conflict(), both]
        {
            assert_eq!(DuplicatePair::decode(&pair.encode()).unwrap(), pair);
        }
        let nothing = DuplicatePair { conflicts: Vec::new(), ..in_conflict() };
        assert!(DuplicatePair::decode(&nothing.encode()).is_err(), "nothing makes anybody suspect it");
        let twice = vec![conflict("email", 1, 5), conflict("email", 1, 6)];
        let twice = DuplicatePair { conflicts: twice, ..in_conflict() };
        assert!(DuplicatePair::decode(&twice.encode()).is_err());
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
        let holder = in_conflict().conflicts[0].holder;
        let pinned =
            [&[2, 58, 27, 10, 5, 101, 109, 97, 105, 108, 18, 16][..], holder.as_bytes().as_slice(), &[24, 5]];
        assert_eq!(in_conflict().encode(), pinned.concat());
    }

    #[test]
    fn a_decision_holds_until_the_records_agree_in_another_way() {
        let open = DuplicatePair::found(score("different"));
        assert_eq!(open.found_again(score("same")).score, Some(score("same")));
        let later = reviewed(ReviewDecision::Later).found_again(score("different"));
        assert!(later.is_open() && later.review.is_some() && later.score == Some(score("different")));
        for decision in [ReviewDecision::Same, ReviewDecision::Different] {
            let newer = PairScore { bits: 1.0, found_at: TimestampMs::from_ms(9), ..score("same") };
            assert_eq!(reviewed(decision).found_again(newer), reviewed(decision), "another model alone");
        }
        let again = reviewed(ReviewDecision::Different).found_again(score("one letter off"));
        assert_eq!(again, DuplicatePair::found(score("one letter off")));
        let merged = reviewed(ReviewDecision::Same).found_again(score("one letter off"));
        assert!(!merged.is_open());
    }

    /// ID-4: what counts as new evidence after a decision.
    #[test]
    fn a_conflict_is_raised_once_and_again_only_by_another_namespace_or_holder() {
        let again = in_conflict().in_conflict([conflict("email", 1, 900)]);
        assert_eq!(again, in_conflict(), "as it was raised first");
        for decision in [ReviewDecision::Same, ReviewDecision::Different] {
            let review = reviewed(decision).review;
            let decided = DuplicatePair { review, ..in_conflict() };
            assert_eq!(decided.clone().in_conflict([conflict("email", 1, 900)]), decided);
            for newer in [conflict("card", 1, 900), conflict("email", 2, 900)] {
                let raised = decided.clone().in_conflict([newer]);
                assert_eq!(raised.is_open(), decision == ReviewDecision::Different);
            }
            let raised = decided.clone().found_again(score("same"));
            assert_eq!(raised.is_open(), decision == ReviewDecision::Different, "the fields agree, too");
            assert_eq!(raised.conflicts, decided.conflicts);
            assert_eq!(decided.clone().found_no_more(), Some(decided.clone()));
            assert_eq!(decided.clone().with_standing(&[]), Some(decided));
        }
    }

    #[test]
    fn an_open_pair_stays_while_there_is_a_reason() {
        let both = in_conflict().found_again(score("same"));
        assert_eq!(both.clone().found_no_more(), Some(in_conflict()), "the conflict stands");
        assert_eq!(both.clone().with_standing(&[]), Some(DuplicatePair::found(score("same"))));
        assert_eq!(in_conflict().with_standing(&[conflict("email", 1, 900)]), Some(in_conflict()));
        assert_eq!(in_conflict().with_standing(&[conflict("email", 2, 5)]), None);
        assert_eq!(DuplicatePair::found(score("same")).found_no_more(), None);
    }
}
