//! The messages between nodes: records, scores and pairs.

use custodia_linkage::Score;
use custodia_profile::{
    CallerName, CustomerId, DuplicatePair, FieldEvidence, IdentifierConflict, MatchField, MatchVerdict,
    NamespaceId, PairReview, PairScore, ReviewDecision, TimestampMs,
};
use custodia_proto::{
    internal::v1::{self as internal, PairConflict, StoredPair},
    v1,
};

use super::features::MatchValue;
use crate::wire::ServiceError;

const MALFORMED: ServiceError = ServiceError::Internal { context: "a malformed message about duplicates" };

/// A customer's id between nodes.
pub(super) fn customer_in(bytes: &[u8]) -> Result<CustomerId, ServiceError> {
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_length| MALFORMED)?;
    Ok(CustomerId::from_bytes(bytes)?)
}

pub(super) fn match_value((field, value): MatchValue) -> internal::MatchValue {
    internal::MatchValue { field: field.number().into(), value }
}

pub(super) fn values_in(record: internal::MatchRecord) -> Result<Vec<MatchValue>, ServiceError> {
    let value = |internal::MatchValue { field, value }| {
        let field = u8::try_from(field).ok().and_then(MatchField::with_number).ok_or(MALFORMED)?;
        Ok((field, value))
    };
    record.values.into_iter().map(value).collect()
}

/// What a model says of a pair that it does not take for two people.
pub(super) fn pair_score(score: &Score, verdict: MatchVerdict, found_at: TimestampMs) -> PairScore {
    let evidence = score.fields.iter().map(|of| FieldEvidence {
        field: of.field.name().to_owned(),
        level: of.level.to_owned(),
        bits: of.weight,
    });
    PairScore {
        probability: score.probability,
        bits: score.weight,
        verdict,
        evidence: evidence.collect(),
        found_at,
    }
}

/// A score as callers see it.
pub(crate) fn score_message(score: &PairScore) -> v1::MatchScore {
    let evidence = score.evidence.iter().map(|of| v1::FieldEvidence {
        field: of.field.clone(),
        level: of.level.clone(),
        bits: of.bits,
    });
    v1::MatchScore {
        probability: score.probability,
        bits: score.bits,
        verdict: score.verdict.number().into(),
        evidence: evidence.collect(),
    }
}

/// A score between nodes.
pub(super) fn score_in(score: &v1::MatchScore, found_at_ms: i64) -> Result<PairScore, ServiceError> {
    let verdict = u8::try_from(score.verdict).ok().and_then(MatchVerdict::with_number).ok_or(MALFORMED)?;
    let evidence = score.evidence.iter().map(|of| FieldEvidence {
        field: of.field.clone(),
        level: of.level.clone(),
        bits: of.bits,
    });
    Ok(PairScore {
        probability: score.probability,
        bits: score.bits,
        verdict,
        evidence: evidence.collect(),
        found_at: TimestampMs::from_ms(found_at_ms),
    })
}

/// A pair between nodes, stored with its first customer.
pub(super) fn pair_message(
    [customer, other]: [CustomerId; 2],
    pair: &DuplicatePair,
    revision: u64,
) -> StoredPair {
    let review = pair.review.as_ref();
    StoredPair {
        customer: customer.as_bytes().to_vec().into(),
        other: other.as_bytes().to_vec().into(),
        score: pair.score.as_ref().map(score_message),
        found_at_ms: pair.score.as_ref().map_or(0, |score| score.found_at.as_ms()),
        decision: review.map_or(0, |review| review.decision.number().into()),
        decided_by: review.map_or_else(String::new, |review| review.by.as_str().to_owned()),
        decided_at_ms: review.map_or(0, |review| review.at.as_ms()),
        note: review.map_or_else(String::new, |review| review.note.clone()),
        revision,
        conflicts: pair.conflicts.iter().map(conflict_message).collect(),
    }
}

pub(super) fn conflict_message(conflict: &IdentifierConflict) -> PairConflict {
    PairConflict {
        namespace: conflict.namespace.as_str().to_owned(),
        holder: conflict.holder.as_bytes().to_vec().into(),
        found_at_ms: conflict.found_at.as_ms(),
    }
}

/// The conflicts of a pair between nodes.
pub(super) fn conflicts_in(pair: &StoredPair) -> Result<Vec<IdentifierConflict>, ServiceError> {
    let conflict = |of: &PairConflict| {
        Ok(IdentifierConflict {
            namespace: NamespaceId::new(&of.namespace)?,
            holder: customer_in(&of.holder)?,
            found_at: TimestampMs::from_ms(of.found_at_ms),
        })
    };
    pair.conflicts.iter().map(conflict).collect()
}

/// The two customers of a pair between nodes.
pub(super) fn customers_in(pair: &StoredPair) -> Result<[CustomerId; 2], ServiceError> {
    Ok([customer_in(&pair.customer)?, customer_in(&pair.other)?])
}

/// A pair between nodes, as it is stored.
pub(super) fn pair_in(pair: &StoredPair) -> Result<DuplicatePair, ServiceError> {
    let score = pair.score.as_ref().map(|score| score_in(score, pair.found_at_ms)).transpose()?;
    let review = (pair.decision != 0).then(|| {
        Ok::<_, ServiceError>(PairReview {
            decision: decision_in(pair.decision)?,
            by: CallerName::new(&pair.decided_by)?,
            at: TimestampMs::from_ms(pair.decided_at_ms),
            note: pair.note.clone(),
        })
    });
    Ok(DuplicatePair { score, conflicts: conflicts_in(pair)?, review: review.transpose()? })
}

pub(super) fn decision_in(number: u32) -> Result<ReviewDecision, ServiceError> {
    u8::try_from(number).ok().and_then(ReviewDecision::with_number).ok_or(MALFORMED)
}

/// A pair as a position.
pub(crate) fn pair_bytes([customer, other]: [CustomerId; 2]) -> Vec<u8> {
    [*customer.as_bytes(), *other.as_bytes()].concat()
}

/// The pair at a position.
pub(crate) fn pair_in_bytes(bytes: &[u8]) -> Option<[CustomerId; 2]> {
    let (customer, other) = bytes.split_at_checked(16)?;
    Some([customer_in(customer).ok()?, customer_in(other).ok()?])
}
