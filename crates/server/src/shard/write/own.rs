//! Writes that no caller asked for: those that keep another write from committing, and the steps of a merge at the other customer.

use custodia_consensus::ReadMode;
use custodia_profile::{CallerName, CallerRole, CustomerRecord, Event, Recorder, RequestId};
use custodia_proto::v1;
use futures::future::BoxFuture;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Commit, CustomerState, CustomerWrite as _, Masked, Mutation, Needs, Remembered, ShardContext,
    WriteOptions,
};
use crate::{
    identity::{Caller, Role, RoleSet},
    routing::{Call, CustomerLocation, Hop},
    shard::{claims::Settled, failpoint::failpoint, fingerprint::Fingerprint, writer::Sight},
    wire::ServiceError,
};

/// Who records what no caller asked for.
pub(super) const PROGRAM: &str = "custodia";

/// Evaluates a write of the program's own.
type EvaluateOwn<'a> =
    dyn Fn(&CustomerState<'_>) -> Result<Mutation<Vec<u8>>, ServiceError> + Send + Sync + 'a;

impl ShardContext {
    /// Raises the customer's revision, unless its record has by now what a write in progress was to give it: then no write that has
    /// loaded the record before can. Where there is no record, the request memory takes its place.
    pub(in crate::shard) async fn fence(
        &self,
        location: CustomerLocation,
        unless: &(dyn Fn(&CustomerRecord) -> Result<bool, ServiceError> + Send + Sync),
        exists: bool,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let evaluate = |state: &CustomerState<'_>| {
            let held = state.record().map_or(Ok(false), unless)?;
            let record = state.record().filter(|_| !held).cloned();
            let answer = vec![u8::from(held)];
            Ok(Mutation::new(record, Vec::new(), answer))
        };
        let id = RequestId::new(Uuid::now_v7())?;
        let remembered = (!exists).then(|| Remembered { id, fingerprint: Fingerprint::default() });
        match self.mutate_as_program(location, remembered, &[], &evaluate, deadline).await {
            Ok(answer) if answer == [1] => Ok(Settled::Held(location.customer)),
            Ok(_raised) => {
                failpoint("fenced");
                Ok(Settled::Free)
            }
            Err(
                ServiceError::DeadlinePassed
                | ServiceError::OutcomeUnknown
                | ServiceError::CustomerBusy
                | ServiceError::Contended { .. },
            ) => Ok(Settled::Busy),
            Err(error) => Err(error),
        }
    }

    /// Merges a customer into this one, as the policy of a namespace wants it. None: it was not merged, and the next request that names
    /// both tries again.
    ///
    /// Of a named type, because a merge is a write, and a write may be followed by a merge.
    pub(super) fn merge_by_policy<'a>(
        &'a self,
        location: CustomerLocation,
        merge: &'a v1::MergeProfilesRequest,
        deadline: Instant,
    ) -> BoxFuture<'a, Option<v1::MergeProfilesResponse>> {
        Box::pin(async move {
            let caller = Caller { name: PROGRAM.into(), roles: RoleSet::of(&[Role::Privacy]) };
            let (hop, read_mode) = (Hop::Forwarded, ReadMode::Lease);
            let call = &Call { caller, hop, read_mode, deadline, redirects: Vec::new() };
            let merged = self.write(call, location, merge).await;
            if let Err(error) = &merged {
                tracing::debug!(%error, "two customers with identifiers of one request are not merged");
            }
            merge.finish(self, call).await;
            merged.ok()
        })
    }

    /// A step of a merge. Identifiers that the record gains are not claimed: the merge sees to it that they lead here.
    pub(in crate::shard) async fn mutate_merged(
        &self,
        location: CustomerLocation,
        events: &[Event],
        evaluate: &EvaluateOwn<'_>,
        deadline: Instant,
    ) -> Result<Vec<u8>, ServiceError> {
        self.mutate_as_program(location, None, events, evaluate, deadline).await
    }

    async fn mutate_as_program(
        &self,
        location: CustomerLocation,
        remembered: Option<Remembered>,
        events: &[Event],
        evaluate: &EvaluateOwn<'_>,
        deadline: Instant,
    ) -> Result<Vec<u8>, ServiceError> {
        let view = self.catalogue().view()?;
        let options = WriteOptions {
            recorded_by: &Recorder { name: CallerName::new(PROGRAM)?, role: CallerRole::Ingest },
            sight: Sight::Full,
            remembered,
            etag: None,
            made_at: None,
            commit: Commit::Yes,
        };
        let needs = Needs { events, ledger: &|_record| false, other: None, claims: false };
        let evaluate = |state: &CustomerState<'_>| Ok((evaluate(state)?, Masked::No));
        let written = Box::pin(self.mutate(location, options, &view, needs, deadline, &evaluate)).await?;
        written.map(|written| written.answer).ok_or(ServiceError::Contended { tries: 1 })
    }
}
