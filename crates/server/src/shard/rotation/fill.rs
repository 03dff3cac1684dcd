//! Brings the customers of a shard into the indexes under a new key.
//!
//! ```text
//! stage ─▶ filling: from here on, every write of the shard claims under both keys
//! 256 records after the last ─▶ each identifier leads to its customer under the new key, the blocking keys are made again ─▶ walk on
//! ```
//! Must always hold: the walk goes on only after all that leads to the customers before it is in the index. So it survives the death of
//! any node, and a part that is walked twice changes nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_profile::{Catalogue, CustomerRecord, GroupId, Identifier, KeyEpoch, ShardId};
use custodia_proto::internal::v1::RotationAnswer;
use custodia_seal::BlindingKey;
use custodia_store::{Key, KeyKind, KeyPrefix};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::yield_now, time::Instant};

use super::{
    Blinded,
    ask::reached,
    stage::{BlindingPhase, Stage, StoredStage},
};
use crate::{
    propose::Attempt,
    routing::CustomerLocation,
    shard::{Loaded, ShardContext, duplicate::customer_of, failpoint::failpoint},
    wire::ServiceError,
};

/// Records that a step reads.
const RECORDS_MAX: usize = 256;
/// Identifiers after which it reads no further one.
const IDENTIFIERS_MAX: usize = 1_024;
/// Records after which other calls get their turn.
const READS_AT_ONCE: usize = 16;
/// Changes of the indexes that are proposed at the same time.
const CHANGES_AT_ONCE: usize = 16;

/// What a part of the walk found.
#[derive(Default)]
struct Walked {
    records: usize,
    at_end: bool,
    /// The end of the key of the last record.
    last: Bytes,
    identifiers: Vec<(CustomerLocation, Identifier)>,
    /// Customers whose blocking keys are to be made again.
    outdated: Vec<CustomerLocation>,
}

impl ShardContext {
    /// The next customers of a shard. Executed on its leader.
    pub(super) async fn fill_step(
        &self,
        shard: ShardId,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let group = GroupId::Shard(shard);
        let keys = self.blinding_keys(epoch, deadline).await?;
        let before = Stage::before(epoch).ok_or(ServiceError::RequestMalformed)?;
        let filling = Stage { epoch, phase: BlindingPhase::Filling };
        let stored = self.advance(group, before, filling, deadline).await?;
        if stored.stage != filling {
            return Ok(reached(stored.stage));
        }
        let key = keys.of_epoch(epoch).map_err(|error| self.blinding_failure(error))?;
        let view = self.catalogue().leased_view(deadline).await?;
        let walked = self.walk_records(shard, &stored, key, &view.catalogue, deadline).await?;
        let indexed = u64::try_from(walked.identifiers.len()).unwrap_or(u64::MAX);
        stream::iter(walked.identifiers)
            .map(|(location, identifier)| async move {
                self.point(&Blinded::by(key, &identifier), location.customer, deadline).await
            })
            .buffer_unordered(CHANGES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        stream::iter(walked.outdated)
            .map(|location| self.index(location, &view.catalogue, deadline))
            .buffer_unordered(CHANGES_AT_ONCE)
            .try_for_each(|_changed| async { Ok(()) })
            .await?;
        failpoint("blinding-filled");
        let at_end = walked.at_end;
        let next = if at_end { Stage { epoch, phase: BlindingPhase::Filled } } else { filling };
        let after = if at_end { Bytes::new() } else { walked.last };
        let stage = self.walked(group, &stored, next, &after, deadline).await?;
        Ok(RotationAnswer {
            customers_read: u64::try_from(walked.records).unwrap_or(u64::MAX),
            identifiers_indexed: indexed,
            ..reached(stage)
        })
    }

    /// The shard answers lookups by the new key alone. Executed on its leader, after every shard is filled.
    pub(super) async fn switch_step(
        &self,
        shard: ShardId,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let filled = Stage { epoch, phase: BlindingPhase::Filled };
        let switched = Stage { epoch, phase: BlindingPhase::Switched };
        let stored = self.advance(GroupId::Shard(shard), filled, switched, deadline).await?;
        Ok(reached(stored.stage))
    }

    /// Brings a shard from a stage to the next; the stage that it is in then, which is another if it was in another before.
    pub(super) async fn advance(
        &self,
        group: GroupId,
        from: Stage,
        to: Stage,
        deadline: Instant,
    ) -> Result<StoredStage, ServiceError> {
        let attempt = || async move {
            let stored = self.stage(group)?;
            Ok(if stored.stage == from {
                Attempt::Propose { command: stored.replaced(to, &[]), answer: () }
            } else {
                Attempt::Done(())
            })
        };
        self.routing().propose_until_applied(group, deadline, attempt).await?;
        self.read_led(group, ReadMode::Lease, deadline, async || self.stage(group)).await
    }

    /// Notes how far the walk has come, unless another has gone on meanwhile; the stage then.
    async fn walked(
        &self,
        group: GroupId,
        before: &StoredStage,
        next: Stage,
        after: &[u8],
        deadline: Instant,
    ) -> Result<Stage, ServiceError> {
        let attempt = || async move {
            let stored = self.stage(group)?;
            Ok(if stored == *before {
                Attempt::Propose { command: stored.replaced(next, after), answer: next }
            } else {
                Attempt::Done(stored.stage)
            })
        };
        self.routing().propose_until_applied(group, deadline, attempt).await
    }

    async fn walk_records(
        &self,
        shard: ShardId,
        from: &StoredStage,
        key: &BlindingKey,
        catalogue: &Catalogue,
        deadline: Instant,
    ) -> Result<Walked, ServiceError> {
        let group = GroupId::Shard(shard);
        let prefix = KeyPrefix::kind(group, KeyKind::Core);
        let prefix = prefix.as_bytes();
        let read = async || {
            let stored = self.engine().scan(prefix, from.walked_to(prefix).as_deref(), RECORDS_MAX)?;
            let mut walked = Walked { at_end: stored.len() < RECORDS_MAX, ..Walked::default() };
            for (count, (at, value)) in stored.into_iter().enumerate() {
                if walked.identifiers.len() >= IDENTIFIERS_MAX {
                    walked.at_end = false;
                    break;
                }
                walked.records += 1;
                let location = CustomerLocation { shard, customer: customer_of(&at)? };
                walked.last = at.slice(prefix.len()..);
                // One that cannot be read ends the step: its identifiers would be lost. It is repaired from another replica.
                let record: Option<Loaded<CustomerRecord>> = self.open(location, &Key::parse(at)?, value)?;
                let Some(Loaded { value: record, .. }) = record else { continue };
                if !self.blocking_change(location, &record, catalogue, key)?.is_empty() {
                    walked.outdated.push(location);
                }
                walked.identifiers.extend(leading_to(&record).map(|one| (location, one.clone())));
                if count % READS_AT_ONCE == 0 {
                    yield_now().await;
                }
            }
            Ok(walked)
        };
        self.read_led(group, ReadMode::Lease, deadline, read).await
    }
}

/// The identifiers by which a customer must be found: those of its record, also of one that was merged, where they lead to the survivor;
/// and those that it will have once its merge is undone.
fn leading_to(record: &CustomerRecord) -> impl Iterator<Item = &Identifier> {
    let restored = record.merged_into.as_ref().and_then(|into| into.restored.as_ref());
    let restored = restored.into_iter().flat_map(|restored| restored.record.identifiers.keys());
    record.identifiers.keys().chain(restored).collect::<BTreeSet<_>>().into_iter()
}
