//! Brings the index of blocking keys up to date with the catalogue: for records that were written before it said what is
//! compared, or said otherwise; and with the blinding key.

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Expected, ReadMode};
use custodia_profile::{Catalogue, CustomerId, CustomerRecord, GroupId, ShardId};
use custodia_proto::internal::v1::{DuplicateAnswer, IndexStep};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::yield_now, time::Instant};

use super::message::customer_in;
use crate::{
    keys::KeysError,
    propose::Attempt,
    routing::CustomerLocation,
    shard::{Loaded, ShardContext},
    wire::ServiceError,
};

/// Changes of the index that are proposed at the same time.
const AT_ONCE: usize = 16;
/// Records after which other calls get their turn.
const READS_AT_ONCE: usize = 16;

impl ShardContext {
    /// Looks at the next records of a shard, and indexes those that are not as they should be.
    pub(super) async fn reindexed(
        &self,
        shard: ShardId,
        step: &IndexStep,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let view = self.catalogue().leased_view(deadline).await?;
        let group = GroupId::Shard(shard);
        let after = core_after(group, &step.after)?;
        let limit = usize::try_from(step.records_max).unwrap_or(usize::MAX).max(1);
        let read = async || {
            let epoch = self.stage(group)?.stage.epoch;
            let keys = self.blinding_keys(epoch, deadline).await?;
            let key = keys.of_epoch(epoch).map_err(|error| self.blinding_failure(error))?;
            let prefix = KeyPrefix::kind(group, KeyKind::Core);
            let after = after.as_ref().map(AsRef::as_ref);
            let stored = self.engine().scan(prefix.as_bytes(), after, limit)?;
            let mut outdated = Vec::new();
            for (count, (at, value)) in stored.iter().enumerate() {
                let location = CustomerLocation { shard, customer: customer_of(at)? };
                let record = self.open(location, &Key::parse(at.clone())?, value.clone())?;
                let record: Option<Loaded<CustomerRecord>> = record;
                if let Some(Loaded { value, .. }) = record
                    && !self.blocking_change(location, &value, &view.catalogue, key)?.is_empty()
                {
                    outdated.push(location);
                }
                if count % READS_AT_ONCE == 0 {
                    yield_now().await;
                }
            }
            Ok((stored.last().map(|(key, _)| customer_of(key)).transpose()?, stored.len(), outdated))
        };
        let (last, read, outdated) =
            self.read_led(GroupId::Shard(shard), ReadMode::Lease, deadline, read).await?;
        let indexed: Vec<bool> = stream::iter(outdated)
            .map(|location| self.index(location, &view.catalogue, deadline))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        Ok(DuplicateAnswer {
            at_end: read < limit,
            last: last.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default().into(),
            records_read: count(read),
            records_indexed: count(indexed.into_iter().filter(|indexed| *indexed).count()),
            ..DuplicateAnswer::default()
        })
    }

    /// Whether the index of this customer had to change.
    pub(in crate::shard) async fn index(
        &self,
        location: CustomerLocation,
        catalogue: &Catalogue,
        deadline: Instant,
    ) -> Result<bool, ServiceError> {
        let attempt = || async move {
            let stage = self.stage(location.group())?;
            let epoch = stage.stage.epoch;
            let blinding = self.blinding_keys(epoch, deadline).await?;
            let key = blinding.of_epoch(epoch).map_err(|error| self.blinding_failure(error))?;
            let Some(core) = self.core(location)? else { return Ok(Attempt::Done(false)) };
            let change = self.blocking_change(location, &core.value, catalogue, key)?;
            if change.is_empty() {
                return Ok(Attempt::Done(false));
            }
            let failed = |error: KeysError| self.key_failure(location.group(), error);
            let keys = self.keys_of(location.shard)?;
            let bucket = Some(keys.bucket_of(location.customer).map_err(failed)?);
            let writer = keys.writer(location.customer, bucket, deadline.into_std()).await.map_err(failed)?;
            let mut command = Command { conditions: vec![stage.condition()], ..Command::default() };
            let (revision, guard) = (core.header.revision, core.header.guard);
            let key = Key::core(location.group(), &location.customer).into_bytes();
            command.conditions.push(Condition { key, expected: Expected::Both { revision, guard } });
            change.add_to(&mut command, &writer);
            writer.finish(&mut command);
            Ok(Attempt::Propose { command, answer: true })
        };
        self.routing().propose_until_applied(location.group(), deadline, attempt).await
    }
}

/// The record after which a walk over the records of a group goes on; none at its begin.
pub(in crate::shard) fn core_after(group: GroupId, customer: &[u8]) -> Result<Option<Key>, ServiceError> {
    if customer.is_empty() {
        return Ok(None);
    }
    Ok(Some(Key::core(group, &customer_in(customer)?)))
}

pub(in crate::shard) fn customer_of(key: &Bytes) -> Result<CustomerId, ServiceError> {
    KeyParts::parse(key)?.customer.ok_or(ServiceError::Unreadable)
}
