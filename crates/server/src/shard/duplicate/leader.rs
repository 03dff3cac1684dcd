//! What a node answers about the shards that it leads.

use custodia_proto::internal::v1::{DuplicateAnswer, DuplicateRequest, duplicate_request::Action};
use tokio::time::Instant;

use crate::{shard::ShardContext, wire::ServiceError};

/// Answers another node, or this one.
///
/// # Errors
/// This node does not lead a shard; why the state cannot be read or changed.
pub(crate) async fn answer_duplicate_call(
    context: &ShardContext,
    request: &DuplicateRequest,
    deadline: Instant,
) -> Result<DuplicateAnswer, ServiceError> {
    let shards = request.shards.iter().map(|shard| context.routing().known_shard(*shard));
    let shards = shards.collect::<Result<Vec<_>, _>>()?;
    let one = || shards.first().copied().ok_or(ServiceError::RequestMalformed);
    match request.action.as_ref().ok_or(ServiceError::RequestMalformed)? {
        Action::Lookup(lookup) => context.looked_up_blocks(&shards, lookup, deadline).await,
        Action::Range(range) => context.ranged_blocks(&shards, range, deadline).await,
        Action::Records(batch) => context.match_records(&shards, batch, deadline).await,
        Action::Store(batch) => context.stored_pairs(batch, deadline).await,
        Action::Copy(batch) => context.copied_pairs(batch, deadline).await,
        Action::Pairs(walk) => context.walked_pairs(one()?, walk, deadline).await,
        Action::Index(step) => context.reindexed(one()?, step, deadline).await,
        Action::Propose(batch) => context.proposed_pairs(batch, deadline).await,
        Action::Retain(batch) => context.retained_pairs(batch, deadline).await,
        Action::Review(review) => context.reviewed_pair(review, deadline).await,
        Action::ForgetModel(_) => {
            context.duplicates().models.forget();
            Ok(DuplicateAnswer::default())
        }
    }
}
