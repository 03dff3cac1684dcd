//! The claims of a write: of the identifiers that its record gains, before it is proposed; and the write that keeps another from
//! gaining one.

use custodia_profile::{BlindedIdentifier, CallerName, CallerRole, Recorder, RequestId};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Commit, CustomerState, Evaluate, Masked, Mutation, Needs, Remembered, ShardContext, WriteOptions,
};
use crate::{
    routing::CustomerLocation,
    shard::{claims::Settled, failpoint::failpoint, fingerprint::Fingerprint, writer::Sight},
    wire::ServiceError,
};

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

    /// Raises the customer's revision, unless its record has the identifier by now: then no write that has loaded the record
    /// before can give it the identifier. Where there is no record, the request memory takes its place.
    pub(in crate::shard) async fn fence(
        &self,
        location: CustomerLocation,
        identifier: &BlindedIdentifier,
        exists: bool,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let view = self.catalogue().view()?;
        let recorded_by = &Recorder { name: CallerName::new("custodia")?, role: CallerRole::Ingest };
        let id = RequestId::new(Uuid::now_v7())?;
        let remembered = (!exists).then(|| Remembered { id, fingerprint: Fingerprint::default() });
        let options = WriteOptions {
            recorded_by,
            sight: Sight::Full,
            remembered,
            etag: None,
            made_at: None,
            commit: Commit::Yes,
        };
        let needs = Needs { events: &[], ledger: &|_record| false };
        let evaluate = |state: &CustomerState<'_>| {
            let held = state.record().map_or(Ok(false), |record| self.holds(record, identifier))?;
            let record = state.record().filter(|_| !held).cloned();
            let answer = vec![u8::from(held)];
            let mutation = Mutation { record, ledger: Vec::new(), events: Vec::new(), answer };
            Ok((mutation, Masked::No))
        };
        let fenced = Box::pin(self.mutate(location, options, &view, needs, deadline, &evaluate)).await;
        match fenced {
            Ok(Some(written)) if written.answer == [1] => Ok(Settled::Held),
            Ok(Some(_written)) => {
                failpoint("fenced");
                Ok(Settled::Free)
            }
            Ok(None)
            | Err(
                ServiceError::DeadlinePassed
                | ServiceError::OutcomeUnknown
                | ServiceError::CustomerBusy
                | ServiceError::Contended { .. },
            ) => Ok(Settled::Busy),
            Err(error) => Err(error),
        }
    }
}
