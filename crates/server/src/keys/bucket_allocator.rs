//! Allocates customers to buckets: opens a new bucket when the last one is full, and creates the shard's first key.
//!
//! ```text
//! nothing known ── scan ──▶ newest bucket, its customers counted ── 4,096 ──▶ next bucket: propose, allocate from it
//!                      └──▶ no bucket: propose shard key epoch 1 (if absent), then bucket 0
//! ```
//!
//! A deposed leader that does not know it yet and its successor cannot both create a key: the entry must be absent. The
//! loser reads what the winner created.

use std::{future::ready, time::Instant};

use custodia_consensus::Command;
use custodia_profile::KeyEpoch;
use custodia_seal::{BucketId, BucketKey, ShardKey, WrappedKeys};
use custodia_store::{Key, KeyKind, KeyPrefix};

use super::entry::{self, KeyEntry};
use super::rotate::Evaluated;
use super::shard_keys::SCAN_PAGE;
use super::{KeysError, ShardKeys};
use crate::{propose::Attempt, scan::Scan};

/// How many customers' keys go into a bucket before the next one is opened. Approximate: failed proposals count too.
pub(super) const BUCKET_CUSTOMERS: usize = 4_096;

/// The bucket that takes new customers.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenBucket {
    bucket: BucketId,
    customers: usize,
}

impl ShardKeys {
    /// A bucket that is not full, with one more customer counted.
    pub(super) async fn allocate_bucket(&self, deadline: Instant) -> Result<BucketId, KeysError> {
        // Held over the proposal of a new bucket: those who come meanwhile need that bucket as well.
        let mut open_bucket = self.open_bucket.lock().await;
        let newest = match *open_bucket {
            Some(known) => Some(known),
            None => self.newest_bucket()?,
        };
        let mut open = match newest {
            Some(open) if open.customers < BUCKET_CUSTOMERS => open,
            Some(full) => {
                let next = full.bucket.next().ok_or(KeysError::Exhausted { what: "buckets" })?;
                self.create_bucket(next, deadline).await?
            }
            None => self.create_bucket(BucketId::FIRST, deadline).await?,
        };
        open.customers += 1;
        *open_bucket = Some(open);
        Ok(open.bucket)
    }

    /// The newest bucket, its customers counted.
    pub(super) fn newest_bucket(&self) -> Result<Option<OpenBucket>, KeysError> {
        let Some(bucket) = self.buckets()?.pop() else { return Ok(None) };
        let prefix = KeyPrefix::bucket_customers(self.group(), bucket.get());
        let mut stored = Scan::new(self.engine(), prefix, None, SCAN_PAGE);
        let mut customers = 0;
        while stored.next_stored()?.is_some() {
            customers += 1;
        }
        Ok(Some(OpenBucket { bucket, customers }))
    }

    /// All buckets, oldest first.
    pub(super) fn buckets(&self) -> Result<Vec<BucketId>, KeysError> {
        let prefix = KeyPrefix::kind(self.group(), KeyKind::BucketKey);
        let mut stored = Scan::new(self.engine(), prefix, None, SCAN_PAGE);
        let mut buckets = Vec::new();
        while let Some((key, value)) = stored.next_stored()? {
            buckets.push(bucket_of(&KeyEntry::decode(Key::parse(key)?, &value)?)?);
        }
        Ok(buckets)
    }

    async fn create_bucket(&self, bucket: BucketId, deadline: Instant) -> Result<OpenBucket, KeysError> {
        self.change(deadline, || ready(self.first_shard_key())).await?;
        self.change(deadline, || ready(self.bucket_created(bucket))).await
    }

    fn bucket_created(&self, bucket: BucketId) -> Evaluated<OpenBucket> {
        let random = &*self.parts.random;
        let entry_key = Key::bucket_key(self.group(), bucket.get());
        if KeyEntry::read(self.engine(), entry_key.clone())?.is_some() {
            let newest = self.newest_bucket()?.ok_or(KeysError::BucketKeyMissing { bucket })?;
            return Ok(Attempt::Done(newest));
        }
        let (shard_key, mut conditions) = self.newest_shard_key()?;
        conditions.push(entry::absent(&entry_key));
        let key = BucketKey::generate(KeyEpoch::FIRST, random)?;
        let wrapped = shard_key.wrap_child(&key, &self.parts.place.bucket(bucket), random)?;
        let write = entry::create(&entry_key, bucket.get(), &WrappedKeys::new(vec![wrapped])?)?;
        let command = Command { conditions, writes: vec![write] };
        Ok(Attempt::Propose { command, answer: OpenBucket { bucket, customers: 0 } })
    }

    /// The shard's first key, unless it has one.
    fn first_shard_key(&self) -> Evaluated<()> {
        if !self.shard_entries()?.is_empty() {
            return Ok(Attempt::Done(()));
        }
        let random = &*self.parts.random;
        let key = ShardKey::generate(KeyEpoch::FIRST, random)?;
        let wrapped = key.wrap(&*self.parts.root, &self.parts.place, random)?;
        let entry_key = Key::shard_key(self.group(), KeyEpoch::FIRST);
        let write = entry::create(&entry_key, 0, &WrappedKeys::new(vec![wrapped])?)?;
        let command = Command { conditions: vec![entry::absent(&entry_key)], writes: vec![write] };
        Ok(Attempt::Propose { command, answer: () })
    }
}

/// The bucket that an entry holds the keys of.
pub(super) fn bucket_of(entry: &KeyEntry) -> Result<BucketId, KeysError> {
    let malformed = KeysError::Malformed { what: "the key of a bucket" };
    let suffix = custodia_store::KeyParts::parse(entry.key().as_ref())?.suffix;
    match suffix.try_into() {
        Ok(number) => Ok(BucketId::new(u32::from_be_bytes(number))),
        Err(_) => Err(malformed),
    }
}
