//! The claims of a write: of the identifiers that its record gains, before it is proposed.

use tokio::time::Instant;

use super::{Commit, CustomerState, Evaluate, Masked, Mutation, ShardContext};
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
}
