//! The blocks of the index and the records of the customers in them, as the leader of their shard reads them.
//!
//! Must always hold: an answer is bounded, whatever a block has, and reading makes way for other calls.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_linkage::BLOCK_RECORDS_MAX;
use custodia_profile::{BLOCK_REFINEMENTS, CustomerRecord, GroupId, KeyEpoch, ShardId};
use custodia_proto::internal::v1::{
    BlockEntry, BlockLookup, BlockRange, DuplicateAnswer, MatchRecord, RecordBatch, ShardBlocks,
};
use custodia_store::{KeyKind, KeyParts, KeyPrefix};
use tokio::{task::yield_now, time::Instant};

use super::{
    blocking::refinements_in,
    features::{is_compared, values},
    message::{customer_in, match_value},
};
use crate::{shard::ShardContext, wire::ServiceError};

/// Customers of one block of one shard that are looked at.
const BLOCK_SCAN_MAX: usize = 512;
/// Those that are returned of an over-full block.
const REFINED_MAX: usize = 64;
/// Reads of the engine after which other calls get their turn.
const READS_AT_ONCE: usize = 32;

/// Whether two records share a value that refines a block.
pub(super) fn share_refinement(one: &[u32], other: &[u32]) -> bool {
    one.iter().zip(other).any(|(one, other)| *one != 0 && one == other)
}

impl ShardContext {
    /// The customers in these blocks.
    pub(super) async fn looked_up_blocks(
        &self,
        shards: &[ShardId],
        BlockLookup { keys, refinements }: &BlockLookup,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let mut blocks = Vec::new();
        for shard in shards {
            let group = GroupId::Shard(*shard);
            let read = async || {
                let mut entries = Vec::new();
                for (count, key) in keys.iter().enumerate() {
                    entries.append(&mut self.block(*shard, *key, refinements)?);
                    if count % READS_AT_ONCE == 0 {
                        yield_now().await;
                    }
                }
                Ok((entries, self.stage(group)?.stage.epoch))
            };
            let (entries, epoch) = self.read_led(group, ReadMode::Lease, deadline, read).await?;
            blocks.push(ShardBlocks { entries, at_end: true, key_epoch: epoch.as_u32() });
        }
        Ok(DuplicateAnswer { blocks, ..DuplicateAnswer::default() })
    }

    fn block(&self, shard: ShardId, key: u64, refinements: &[u32]) -> Result<Vec<BlockEntry>, ServiceError> {
        let prefix = KeyPrefix::block(GroupId::Shard(shard), key);
        let stored = self.engine().scan(prefix.as_bytes(), None, BLOCK_SCAN_MAX)?;
        let mut entries =
            stored.iter().map(|(key, value)| entry(key, value)).collect::<Result<Vec<_>, _>>()?;
        if entries.len() > BLOCK_RECORDS_MAX {
            entries.retain(|entry| share_refinement(&entry.refinements, refinements));
            entries.truncate(REFINED_MAX);
        }
        Ok(entries)
    }

    /// The blocks from a key on, of each shard.
    pub(super) async fn ranged_blocks(
        &self,
        shards: &[ShardId],
        range: &BlockRange,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let mut blocks = Vec::new();
        let limit = usize::try_from(range.entries_max).unwrap_or(usize::MAX).max(1);
        for shard in shards {
            let group = GroupId::Shard(*shard);
            let prefix = KeyPrefix::kind(group, KeyKind::BlockingKey);
            // no customer's id has only ones: this is after all entries of the key before
            let after = range
                .from
                .checked_sub(1)
                .map(|before| [KeyPrefix::block(group, before).as_bytes(), &[u8::MAX; 16]].concat());
            let read = async || {
                let stored = self.engine().scan(prefix.as_bytes(), after.as_deref(), limit)?;
                // Read after the entries: stages only grow, so all of them were under this key.
                Ok((stored, self.stage(group)?.stage.blocks_under()))
            };
            let (stored, epoch) =
                self.read_led(GroupId::Shard(*shard), ReadMode::Lease, deadline, read).await?;
            let entries = stored.iter().map(|(key, value)| entry(key, value));
            let at_end = stored.len() < limit;
            let key_epoch = epoch.map_or(0, KeyEpoch::as_u32);
            blocks.push(ShardBlocks { entries: entries.collect::<Result<_, _>>()?, at_end, key_epoch });
            yield_now().await;
        }
        Ok(DuplicateAnswer { blocks, ..DuplicateAnswer::default() })
    }

    /// What is compared of these customers.
    pub(super) async fn match_records(
        &self,
        shards: &[ShardId],
        batch: &RecordBatch,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let catalogue = &self.catalogue().leased_view(deadline).await?.catalogue;
        let mut by_shard: BTreeMap<ShardId, Vec<_>> = BTreeMap::new();
        for customer in &batch.customers {
            let location = self.routing().locate(customer_in(customer)?)?;
            by_shard.entry(location.shard).or_default().push(location);
        }
        let mut records = Vec::new();
        for shard in shards {
            let read = async || {
                for (count, location) in by_shard.get(shard).into_iter().flatten().enumerate() {
                    let stored = self.core(*location)?.filter(|stored| is_compared(&stored.value));
                    records.extend(stored.map(|stored| MatchRecord {
                        customer: Bytes::copy_from_slice(location.customer.as_bytes()),
                        values: values(&stored.value, catalogue).into_iter().map(match_value).collect(),
                        namespaces: namespaces(&stored.value),
                    }));
                    if count % READS_AT_ONCE == 0 {
                        yield_now().await;
                    }
                }
                Ok(())
            };
            self.read_led(GroupId::Shard(*shard), ReadMode::Lease, deadline, read).await?;
        }
        Ok(DuplicateAnswer { records, ..DuplicateAnswer::default() })
    }
}

/// The namespaces of which a record has identifiers, each once.
fn namespaces(record: &CustomerRecord) -> Vec<String> {
    let held: BTreeSet<_> = record.identifiers.keys().map(|held| held.namespace.as_str()).collect();
    held.into_iter().map(str::to_owned).collect()
}

fn entry(key: &Bytes, value: &Bytes) -> Result<BlockEntry, ServiceError> {
    let KeyParts { customer, suffix, .. } = KeyParts::parse(key)?;
    let customer = customer.ok_or(ServiceError::Unreadable)?;
    let key = suffix.try_into().map(u64::from_be_bytes).map_err(|_length| ServiceError::Unreadable)?;
    let refinements: [u32; BLOCK_REFINEMENTS] = refinements_in(value)?;
    let customer = Bytes::copy_from_slice(customer.as_bytes());
    Ok(BlockEntry { key, customer, refinements: refinements.to_vec() })
}
