//! Models, scores and pairs on the wire.

use custodia_profile::{CustomerId, DuplicatePair, IdentifierConflict, Revision};
use custodia_proto::v1;

use crate::{
    shard::{TrainedModel, score_message},
    wire::{etag, timestamp},
};

pub(super) fn model(model: &TrainedModel) -> v1::DuplicateModel {
    let thresholds = model.thresholds();
    v1::DuplicateModel {
        trained_at: Some(timestamp(model.trained_at)),
        sample_records: model.sample_records,
        records: model.records,
        same_min: thresholds.same_min,
        review_min: thresholds.review_min,
    }
}

pub(super) fn pair(
    [customer, other]: [CustomerId; 2],
    pair: &DuplicatePair,
    revision: Revision,
) -> v1::DuplicatePair {
    let review = pair.review.as_ref();
    v1::DuplicatePair {
        customer_id: customer.to_string(),
        other_customer_id: other.to_string(),
        score: pair.score.as_ref().map(score_message),
        found_at: Some(timestamp(pair.found_at())),
        decision: review.map_or(0, |review| review.decision.number().into()),
        decided_by: review.map_or_else(String::new, |review| review.by.as_str().to_owned()),
        decided_at: review.map(|review| timestamp(review.at)),
        note: review.map_or_else(String::new, |review| review.note.clone()),
        etag: etag(revision),
        conflicts: pair.conflicts.iter().map(conflict).collect(),
    }
}

fn conflict(conflict: &IdentifierConflict) -> v1::IdentifierConflict {
    v1::IdentifierConflict {
        namespace: conflict.namespace.as_str().to_owned(),
        holder_customer_id: conflict.holder.to_string(),
        found_at: Some(timestamp(conflict.found_at)),
    }
}
