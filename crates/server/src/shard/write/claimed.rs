//! The claims of a write: of the identifiers that its record gains, before it is proposed; and what follows from those that it cannot have.

use custodia_profile::{Identifier, LinkPolicy};
use tokio::time::Instant;

use super::{Commit, CustomerState, Evaluate, HeldByOthers, Masked, Mutation, ShardContext};
use crate::{shard::failpoint::failpoint, wire::ServiceError};

impl ShardContext {
    /// Evaluates, and claims the identifiers that the record gains; evaluates again without those that it cannot have.
    pub(super) async fn evaluate_claimed(
        &self,
        state: &mut CustomerState<'_>,
        commit: Commit,
        deadline: Instant,
        evaluate: &Evaluate<'_>,
    ) -> Result<(Mutation<Vec<u8>>, Masked), ServiceError> {
        // Ends: each round but the last takes away an identifier, of at most as many as the request has.
        loop {
            let (mutation, masked) = evaluate(state)?;
            let Some(after) = mutation.record.as_ref().filter(|after| !after.identifiers.is_empty()) else {
                return Ok((mutation, masked));
            };
            let taken = Box::pin(self.claim_gained(state, after, commit, deadline)).await?;
            if taken.is_empty() {
                failpoint("claims-granted");
                return Ok((mutation, masked));
            }
            state.taken.extend(taken);
        }
    }

    /// Puts the pairs into the queue that follow from the identifiers that an ingest named and its customer cannot have. Those
    /// whose holder is merged into the customer by the policy of their namespace are left to that merge.
    pub(super) async fn propose_disputed(
        &self,
        state: &CustomerState<'_>,
        disputed: &[Identifier],
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let customer = state.location.customer;
        let mut held = HeldByOthers::new();
        for identifier in disputed {
            let holder = match state.taken.get(identifier) {
                Some(_) if is_merged_by_policy(identifier, state) => None,
                Some(taken) => Some(taken.holder),
                // One too many for the customer, so nobody has asked yet whose it is.
                None => self.would_be_held(customer, identifier, 1, deadline).await?,
            };
            if let Some(holder) = holder {
                held.entry(holder).or_default().insert(identifier.namespace.clone());
            }
        }
        self.propose_pairs(customer, held, deadline).await
    }
}

fn is_merged_by_policy(identifier: &Identifier, state: &CustomerState<'_>) -> bool {
    let namespace = state.view.catalogue.namespace(identifier.namespace.as_str());
    namespace.is_some_and(|namespace| namespace.on_conflict == LinkPolicy::Merge)
}
