//! Merges of two customers, who may live on two shards. docs/identity.md has the protocol and its proof.
//!
//! ```text
//! leader of the survivor S                       leader of the other customer L
//!   lock S, load R(S), revision r
//!     read ────────────────────────────────────▶ R(L), revision e
//!   evaluate: R(S) with both, and what L becomes
//!     put ─────────────────────────────────────▶ R(L) names S and the merge, if still at e
//!   propose R(S), which lists the merge, if still at r
//! ```
//!
//! Invariant: a merge is in force if and only if the survivor's record lists it, and that record's Raft entry is the commit point. What
//! L's record says of a merge only points to S. Whoever meets it asks S, and if the merge is not in force, raises the revision of S's
//! record first, so that no merge in progress commits after it.

mod answer;
mod events;
mod other;
mod redirect;

pub(crate) use answer::answer_merge_call;
pub(crate) use events::{EventSource, MemberEvents};
pub(crate) use redirect::{REDIRECTS_MAX, Trail};

use custodia_profile::{CustomerId, CustomerRecord, MergeId, Stored as _};
use custodia_proto::internal::v1::{MergeAction, MergeAnswer, MergeOutcome, MergeRequest};
use futures::future::BoxFuture;
use tokio::time::Instant;
use tonic::Code;

use super::{ShardContext, other::of_other_shard};
use crate::{
    routing::{Hop, Redirect, Route},
    wire::ServiceError,
};

fn request(action: MergeAction, customer: CustomerId) -> MergeRequest {
    MergeRequest {
        action: action.into(),
        customer: customer.as_bytes().to_vec().into(),
        ..MergeRequest::default()
    }
}

impl ShardContext {
    /// Calls the leader of a customer's shard, which may be this node.
    ///
    /// Of a named type, because what is called may call in turn.
    fn call_merge(
        &self,
        customer: CustomerId,
        request: MergeRequest,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<MergeAnswer, ServiceError>> {
        Box::pin(async move {
            let group = self.routing().locate(customer)?.group();
            match self.routing().route(group, Hop::First).map_err(of_other_shard)? {
                Route::Here => answer_merge_call(self, &request, deadline).await.map_err(of_other_shard),
                Route::Forward(leader) => {
                    let answer = self.routing().peers().call_merge(&leader, request, deadline).await;
                    answer.map_err(|status| {
                        tracing::debug!(node = %leader.node, code = ?status.code(), "no answer about a merge");
                        if status.code() == Code::DeadlineExceeded {
                            ServiceError::DeadlinePassed
                        } else {
                            ServiceError::OtherShardUnavailable
                        }
                    })
                }
            }
        })
    }

    /// Where the merges of a customer lead, if the customer was merged; asked again after a merge turned out not to be in force.
    pub(crate) async fn merged_into(
        &self,
        named: CustomerId,
        deadline: Instant,
    ) -> Result<Option<Redirect>, ServiceError> {
        let mut redirect: Option<Redirect> = None;
        let mut from = named;
        for _ in 0..REDIRECTS_MAX {
            let at = redirect.map_or(named, |redirect| redirect.survivor);
            let Some(record) = self.record_of(at, deadline).await? else { return Ok(redirect) };
            match (record.merged_into, redirect) {
                (_, Some(led_by)) if !record.merges.iter().any(|merge| merge.id == led_by.merge) => {
                    self.settle_merge(from, deadline).await?;
                    redirect = None;
                }
                (None, _) => return Ok(redirect),
                (Some(into), _) => {
                    from = at;
                    redirect = Some(Redirect { named, survivor: into.survivor, merge: into.merge });
                }
            }
        }
        Err(ServiceError::Contended { tries: 1 })
    }

    /// Ends a merge of a customer into another that is not in force: one that was never committed, or was undone.
    ///
    /// # Errors
    /// [`ServiceError::Contended`] while the survivor is busy; the shard cannot be reached.
    pub(crate) async fn settle_merge(
        &self,
        customer: CustomerId,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let settled = self.call_merge(customer, request(MergeAction::Settle, customer), deadline).await?;
        match settled.outcome() {
            MergeOutcome::Busy => Err(ServiceError::Contended { tries: 1 }),
            MergeOutcome::Unspecified
            | MergeOutcome::Done
            | MergeOutcome::Conflict
            | MergeOutcome::NotInForce => Ok(()),
        }
    }

    /// A customer's record, from the leader of its shard.
    pub(super) async fn record_of(
        &self,
        customer: CustomerId,
        deadline: Instant,
    ) -> Result<Option<CustomerRecord>, ServiceError> {
        let answer = self.call_merge(customer, request(MergeAction::Read, customer), deadline).await?;
        if answer.record.is_empty() {
            return Ok(None);
        }
        Ok(Some(CustomerRecord::decode(&answer.record)?))
    }

    /// Whether a merge into a customer is in force; if not, none in progress will be. `None`: a write of the customer has not ended.
    pub(super) async fn is_in_force(
        &self,
        survivor: CustomerId,
        merge: MergeId,
        deadline: Instant,
    ) -> Result<Option<bool>, ServiceError> {
        let check =
            MergeRequest { merge: merge.as_bytes().to_vec().into(), ..request(MergeAction::Check, survivor) };
        Ok(match self.call_merge(survivor, check, deadline).await?.outcome() {
            MergeOutcome::Done => Some(true),
            MergeOutcome::NotInForce => Some(false),
            MergeOutcome::Unspecified | MergeOutcome::Conflict | MergeOutcome::Busy => None,
        })
    }
}
