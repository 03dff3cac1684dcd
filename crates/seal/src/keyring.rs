//! The shard and bucket keys of one shard, unwrapped. Pure: the caller reads the wrapped bytes and feeds them.
//!
//! Always: a key is in the ring only if it was unwrapped with its parent and at its place. Within a shard an
//! epoch stands for one key for ever, so a key once in the ring is never wrong, at most no longer current.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use custodia_profile::{CustomerId, KeyEpoch};

use crate::{
    BucketId, BucketKey, CustomerKey, KeyLevel, RootKey, SealError, ShardKey, ShardPlace, WrappedKey,
};

/// Unwrapped keys of one shard.
pub struct Keyring {
    place: ShardPlace,
    shard_keys: BTreeMap<u32, Arc<ShardKey>>,
    bucket_keys: BTreeMap<(u32, u32), Arc<BucketKey>>,
}

impl Keyring {
    /// An empty ring for the shard at `place`.
    #[must_use]
    pub const fn new(place: ShardPlace) -> Self {
        Self { place, shard_keys: BTreeMap::new(), bucket_keys: BTreeMap::new() }
    }

    /// The shard that this ring is for.
    #[must_use]
    pub const fn place(&self) -> &ShardPlace {
        &self.place
    }

    /// Unwraps a shard key and keeps it.
    ///
    /// # Errors
    /// As [`ShardKey::unwrap`].
    pub fn add_shard_key(
        &mut self,
        wrapped: &WrappedKey,
        root: &dyn RootKey,
    ) -> Result<Arc<ShardKey>, SealError> {
        Ok(self.keep_shard_key(ShardKey::unwrap(wrapped, root, &self.place)?))
    }

    /// Keeps a shard key that the caller unwrapped at this ring's place. For callers that must not hold the ring
    /// while a key service is asked.
    pub fn keep_shard_key(&mut self, key: ShardKey) -> Arc<ShardKey> {
        let key = Arc::new(key);
        self.shard_keys.insert(key.epoch().as_u32(), Arc::clone(&key));
        key
    }

    /// Unwraps a bucket key with the shard key of the epoch that its header names, and keeps it.
    ///
    /// # Errors
    /// [`SealError::ShardKeyMissing`] when that shard key was not fed; as [`ShardKey::unwrap_child`].
    pub fn add_bucket_key(
        &mut self,
        bucket: BucketId,
        wrapped: &WrappedKey,
    ) -> Result<Arc<BucketKey>, SealError> {
        let epoch = parent_epoch(wrapped, KeyLevel::Bucket)?;
        let shard_key = self.shard_key(epoch).ok_or(SealError::ShardKeyMissing { epoch })?;
        let key = Arc::new(shard_key.unwrap_child(wrapped, &self.place.bucket(bucket))?);
        self.bucket_keys.insert((bucket.get(), key.epoch().as_u32()), Arc::clone(&key));
        Ok(key)
    }

    /// Unwraps a customer key with the bucket key of the epoch that its header names. The ring does not keep
    /// it: there are too many.
    ///
    /// # Errors
    /// [`SealError::BucketKeyMissing`] when that bucket key was not fed; as [`BucketKey::unwrap_child`].
    pub fn unwrap_customer_key(
        &self,
        bucket: BucketId,
        customer: CustomerId,
        wrapped: &WrappedKey,
    ) -> Result<CustomerKey, SealError> {
        let epoch = parent_epoch(wrapped, KeyLevel::Customer)?;
        let missing = SealError::BucketKeyMissing { bucket, epoch };
        let bucket_key = self.bucket_key(bucket, epoch).ok_or(missing)?;
        bucket_key.unwrap_child(wrapped, &self.place.bucket(bucket).customer(customer))
    }

    /// The shard key of `epoch`.
    #[must_use]
    pub fn shard_key(&self, epoch: KeyEpoch) -> Option<&Arc<ShardKey>> {
        self.shard_keys.get(&epoch.as_u32())
    }

    /// The newest shard key in the ring.
    #[must_use]
    pub fn newest_shard_key(&self) -> Option<&Arc<ShardKey>> {
        self.shard_keys.last_key_value().map(|(_, key)| key)
    }

    /// The key of `bucket` in `epoch`.
    #[must_use]
    pub fn bucket_key(&self, bucket: BucketId, epoch: KeyEpoch) -> Option<&Arc<BucketKey>> {
        self.bucket_keys.get(&(bucket.get(), epoch.as_u32()))
    }

    /// Forgets the shard keys before `epoch`: they were dropped from the store.
    pub fn forget_shard_keys_before(&mut self, epoch: KeyEpoch) {
        self.shard_keys.retain(|held, _| *held >= epoch.as_u32());
    }

    /// Forgets the keys of `bucket` before `epoch`: they were dropped from the store.
    pub fn forget_bucket_keys_before(&mut self, bucket: BucketId, epoch: KeyEpoch) {
        self.bucket_keys.retain(|(of, held), _| *of != bucket.get() || *held >= epoch.as_u32());
    }

    /// Forgets everything, when this node no longer needs the keys.
    pub fn clear(&mut self) {
        self.shard_keys.clear();
        self.bucket_keys.clear();
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("place", &self.place)
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
