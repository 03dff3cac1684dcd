//! The unwrapped shard and bucket keys of one shard. Pure: the caller reads the wrapped bytes and adds them.
//!
//! Always: a key is in the ring only if it was unwrapped with its parent and in its context. Within a shard an epoch names
//! one key for ever, so a key in the ring is never wrong, at most no longer current.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use custodia_profile::{CustomerId, KeyEpoch};

use crate::bucket_id::BucketId;
use crate::bucket_key::BucketKey;
use crate::customer_key::CustomerKey;
use crate::error::SealError;
use crate::key_context::ShardKeyContext;
use crate::key_level::KeyLevel;
use crate::shard_key::ShardKey;
use crate::wrapped::WrappedKey;

/// Unwrapped keys of one shard.
pub struct Keyring {
    context: ShardKeyContext,
    shard_keys: BTreeMap<u32, Arc<ShardKey>>,
    bucket_keys: BTreeMap<(u32, u32), Arc<BucketKey>>,
}

impl Keyring {
    /// An empty ring for the shard of `context`.
    #[must_use]
    pub const fn new(context: ShardKeyContext) -> Self {
        Self { context, shard_keys: BTreeMap::new(), bucket_keys: BTreeMap::new() }
    }

    /// Keeps a shard key that the caller unwrapped in this ring's context. For callers that must not hold the ring during
    /// a call to a key service.
    pub fn keep_shard_key(&mut self, key: ShardKey) -> Arc<ShardKey> {
        let key = Arc::new(key);
        self.shard_keys.insert(key.epoch().as_u32(), Arc::clone(&key));
        key
    }

    /// Unwraps a bucket key with the shard key of the epoch in its header, and keeps it.
    ///
    /// # Errors
    /// [`SealError::ShardKeyMissing`] when that shard key was not added; as [`ShardKey::unwrap_child`].
    pub fn add_bucket_key(
        &mut self,
        bucket: BucketId,
        wrapped: &WrappedKey,
    ) -> Result<Arc<BucketKey>, SealError> {
        let epoch = parent_epoch(wrapped, KeyLevel::Bucket)?;
        let shard_key = self.shard_key(epoch).ok_or(SealError::ShardKeyMissing { epoch })?;
        let key = Arc::new(shard_key.unwrap_child(wrapped, &self.context.bucket(bucket))?);
        self.bucket_keys.insert((bucket.get(), key.epoch().as_u32()), Arc::clone(&key));
        Ok(key)
    }

    /// Unwraps a customer key with the bucket key of the epoch in its header. The ring does not keep it: there are too
    /// many.
    ///
    /// # Errors
    /// [`SealError::BucketKeyMissing`] when that bucket key was not added; as [`BucketKey::unwrap_child`].
    pub fn unwrap_customer_key(
        &self,
        bucket: BucketId,
        customer: CustomerId,
        wrapped: &WrappedKey,
    ) -> Result<CustomerKey, SealError> {
        let epoch = parent_epoch(wrapped, KeyLevel::Customer)?;
        let missing = SealError::BucketKeyMissing { bucket, epoch };
        let bucket_key = self.bucket_key(bucket, epoch).ok_or(missing)?;
        bucket_key.unwrap_child(wrapped, &self.context.bucket(bucket).customer(customer))
    }

    /// The shard key of `epoch`.
    #[must_use]
    pub fn shard_key(&self, epoch: KeyEpoch) -> Option<&Arc<ShardKey>> {
        self.shard_keys.get(&epoch.as_u32())
    }

    /// The key of `bucket` in `epoch`.
    #[must_use]
    pub fn bucket_key(&self, bucket: BucketId, epoch: KeyEpoch) -> Option<&Arc<BucketKey>> {
        self.bucket_keys.get(&(bucket.get(), epoch.as_u32()))
    }

    /// Forgets the shard keys before `epoch`, which were removed from the store.
    pub fn forget_shard_keys_before(&mut self, epoch: KeyEpoch) {
        self.shard_keys.retain(|held, _| *held >= epoch.as_u32());
    }

    /// Forgets the keys of `bucket` before `epoch`, which were removed from the store.
    pub fn forget_bucket_keys_before(&mut self, bucket: BucketId, epoch: KeyEpoch) {
        self.bucket_keys.retain(|(of, held), _| *of != bucket.get() || *held >= epoch.as_u32());
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.shard_keys.clear();
        self.bucket_keys.clear();
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("context", &self.context)
            .field("shard_keys", &self.shard_keys.len())
            .field("bucket_keys", &self.bucket_keys.len())
            .finish()
    }
}

fn parent_epoch(wrapped: &WrappedKey, expected: KeyLevel) -> Result<KeyEpoch, SealError> {
    if wrapped.level() != expected {
        return Err(SealError::WrongLevel { expected, found: wrapped.level() });
    }
    wrapped.parent_epoch().ok_or(SealError::WrongLevel { expected, found: wrapped.level() })
}
