//! The calls between nodes for the index of identifiers: their messages, and what a node answers.

use custodia_consensus::ReadMode;
use custodia_profile::{BlindedIdentifier, CustomerId, KeyEpoch, MergeId};
use custodia_proto::internal::v1::{IndexAction, IndexAnswer, IndexOutcome, IndexRequest};
use tokio::time::Instant;
use tonic::Code;

use super::{
    ShardContext,
    claims::{Raise, Settled},
    index::{Claim, Claimed},
    rotation::Blinded,
};
use crate::wire::{LeaderHint, ServiceError};

pub(super) fn request(
    action: IndexAction,
    identifier: &Blinded,
    customer: Option<CustomerId>,
) -> IndexRequest {
    IndexRequest {
        action: action.into(),
        identifier: identifier.identifier.to_bytes().to_vec().into(),
        key_epoch: identifier.epoch.as_u32(),
        customer: customer.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default().into(),
        ..IndexRequest::default()
    }
}

pub(super) fn customer_in(bytes: &[u8]) -> Result<CustomerId, ServiceError> {
    let malformed = ServiceError::Internal { context: "a malformed customer id between nodes" };
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_length| malformed)?;
    Ok(CustomerId::from_bytes(bytes)?)
}

impl ShardContext {
    /// Asks another node.
    pub(super) async fn call_index(
        &self,
        leader: &LeaderHint,
        request: IndexRequest,
        deadline: Instant,
    ) -> Result<IndexAnswer, ServiceError> {
        self.routing().peers().call_index(leader, request, deadline).await.map_err(|status| {
            tracing::debug!(node = %leader.node, code = ?status.code(), "no answer about an identifier");
            if status.code() == Code::DeadlineExceeded {
                ServiceError::DeadlinePassed
            } else {
                ServiceError::IndexUnavailable
            }
        })
    }
}

/// Answers another node, on the leader of the identifier's shard or of the customer's.
///
/// # Errors
/// This node does not lead the shard; why the state cannot be read or changed.
pub(crate) async fn answer_index_call(
    context: &ShardContext,
    request: &IndexRequest,
    deadline: Instant,
) -> Result<IndexAnswer, ServiceError> {
    let malformed = ServiceError::Internal { context: "a malformed identifier between nodes" };
    let bytes = <[u8; 32]>::try_from(&*request.identifier).map_err(|_length| malformed)?;
    let epoch = KeyEpoch::new(request.key_epoch)?;
    let identifier = &Blinded { identifier: BlindedIdentifier::from_bytes(bytes)?, epoch };
    let customer = || customer_in(&request.customer);
    let done = IndexAnswer { outcome: IndexOutcome::Done.into(), ..IndexAnswer::default() };
    match request.action() {
        IndexAction::Unspecified => Err(ServiceError::RequestMalformed),
        IndexAction::Holders => {
            let mode = if request.quorum_read { ReadMode::Quorum } else { ReadMode::Lease };
            let Some(holders) = context.holders_here(identifier, mode, deadline).await? else {
                return Ok(IndexAnswer { outcome: IndexOutcome::Retired.into(), ..done });
            };
            let holders = holders.iter().map(|holder| holder.as_bytes().to_vec().into()).collect();
            Ok(IndexAnswer { holders, ..done })
        }
        IndexAction::Claim => {
            let holders_max = usize::try_from(request.holders_max).unwrap_or(usize::MAX);
            let claim = Claim { identifier: *identifier, customer: customer()?, holders_max };
            Ok(match context.claim_here(&claim, deadline).await? {
                Claimed::Granted => done,
                Claimed::Held(holder) => IndexAnswer {
                    outcome: IndexOutcome::Held.into(),
                    holders: vec![holder.as_bytes().to_vec().into()],
                    ..done
                },
                Claimed::Busy => IndexAnswer { outcome: IndexOutcome::Busy.into(), ..done },
            })
        }
        IndexAction::Point => {
            context.point_here(identifier, customer()?, deadline).await?;
            Ok(done)
        }
        IndexAction::Settle => settled(context, request, identifier, Raise::Yes, deadline).await,
        IndexAction::Check => settled(context, request, identifier, Raise::No, deadline).await,
    }
}

async fn settled(
    context: &ShardContext,
    request: &IndexRequest,
    identifier: &Blinded,
    raise: Raise,
    deadline: Instant,
) -> Result<IndexAnswer, ServiceError> {
    let location = context.routing().locate(customer_in(&request.customer)?)?;
    let merge = Some(&request.merge).filter(|bytes| !bytes.is_empty());
    let merge = merge.map(|bytes| MergeId::from_bytes(bytes)).transpose()?;
    let answer = |outcome: IndexOutcome| IndexAnswer { outcome: outcome.into(), ..IndexAnswer::default() };
    match context.settled_here(location, merge, identifier, raise, deadline).await {
        Ok(Settled::Held(_)) => Ok(answer(IndexOutcome::Held)),
        Ok(Settled::Free) => Ok(answer(IndexOutcome::Free)),
        Ok(Settled::Busy | Settled::Own) => Ok(answer(IndexOutcome::Busy)),
        Err(ServiceError::CustomerMerged { survivor, merge }) => Ok(IndexAnswer {
            holders: vec![survivor.as_bytes().to_vec().into()],
            merge: merge.as_bytes().to_vec().into(),
            ..answer(IndexOutcome::Merged)
        }),
        Err(ServiceError::MergeNotInForce) => Ok(answer(IndexOutcome::NotInForce)),
        Err(error) => Err(error),
    }
}
