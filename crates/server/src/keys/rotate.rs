//! Rotation of root, shard and bucket keys. mod.rs says what happens in between and why it is safe.
//!
//! Each call may be repeated at any time: it first finishes what an earlier one left behind.

use std::{future::ready, time::Instant};

use bytes::Bytes;
use custodia_consensus::{Command, Condition};
use custodia_profile::{CustomerId, KeyEpoch};
use custodia_seal::{BucketId, BucketKey, Parent, ShardKey, WrappedKey, WrappedKeys};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix};

use super::bucket_allocator::bucket_of;
use super::entry::{self, KeyEntry};
use super::rewrap::{Rewrapped, STEP_TIMEOUT};
use super::shard_keys::parent_epoch;
use super::{KeysError, ShardKeys};
use crate::propose::Attempt;

/// What a rotation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// Keys generated or rewrapped.
    pub(crate) keys: u64,
    /// Values resealed.
    pub(crate) values: u64,
}

impl Rotated {
    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { keys: self.keys + other.keys, values: self.values + other.values }
    }
}

/// Shorthand of every evaluation here.
pub(super) type Evaluated<T> = Result<Attempt<T>, KeysError>;

impl ShardKeys {
    /// One step of a rotation: evaluates, proposes, starts over on a conflict.
    pub(super) async fn step<T: Send>(
        &self,
        evaluate: impl Fn() -> Evaluated<T> + Send + Sync,
    ) -> Result<T, KeysError> {
        self.change(Instant::now() + STEP_TIMEOUT, || ready(evaluate())).await
    }

    /// Rewraps the shard keys that are not yet under the current root key, after reading the root key file again. Once
    /// this was done on every shard, the operator may remove the old root key.
    ///
    /// # Errors
    /// When the file is not usable, or nothing could be proposed.
    pub(crate) async fn rotate_root(&self) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        self.parts.root.reload()?;
        let keys = self.step(|| self.root_rotated()).await?;
        Ok(Rotated { keys, values: 0 })
    }

    fn root_rotated(&self) -> Evaluated<u64> {
        let mut command = Command::default();
        for entry in self.shard_entries()? {
            if entry.keys().current().is_some_and(|key| *key.parent() == self.current_root()) {
                continue;
            }
            let key = self.shard_key(entry.epoch()?)?;
            let wrapped = key.wrap(&*self.parts.root, &self.parts.place, &*self.parts.random)?;
            command.conditions.push(entry.unchanged());
            command.writes.push(entry.replace(&WrappedKeys::new(vec![wrapped])?)?);
        }
        Ok(match u64::try_from(command.writes.len()).unwrap_or(u64::MAX) {
            0 => Attempt::Done(0),
            keys => Attempt::Propose { command, answer: keys },
        })
    }

    fn current_root(&self) -> Parent {
        Parent::Root(self.parts.root.current())
    }

    /// Gives the shard a new key and rewraps its bucket keys.
    ///
    /// # Errors
    /// When something could not be read or proposed; everything stays readable, and the call may be repeated.
    pub(crate) async fn rotate_shard(&self) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        if self.shard_entries()?.is_empty() {
            return Ok(Rotated::default());
        }
        let before = self.finish_shard_rotation().await?;
        self.step(|| self.shard_rotation_begun()).await?;
        let after = self.finish_shard_rotation().await?;
        Ok(before.and(after).and(Rotated { keys: 1, values: 0 }))
    }

    fn shard_rotation_begun(&self) -> Evaluated<()> {
        let (current, conditions) = self.newest_shard_key()?;
        let epoch = current.epoch().next().ok_or(KeysError::Exhausted { what: "epochs" })?;
        let key = ShardKey::generate(epoch, &*self.parts.random)?;
        let wrapped = key.wrap(&*self.parts.root, &self.parts.place, &*self.parts.random)?;
        let entry_key = Key::shard_key(self.group(), epoch);
        let write = entry::create(&entry_key, 0, &WrappedKeys::new(vec![wrapped])?)?;
        Ok(Attempt::Propose { command: Command { conditions, writes: vec![write] }, answer: () })
    }

    /// Rewraps bucket keys under the newest shard key and drops the older ones. Does nothing when there is only one.
    async fn finish_shard_rotation(&self) -> Result<Rotated, KeysError> {
        let mut old = self.shard_entries()?;
        let Some(newest) = old.pop() else { return Ok(Rotated::default()) };
        if old.is_empty() {
            return Ok(Rotated::default());
        }
        let (shard_key, current) = self.newest_shard_key()?;
        let prefix = KeyPrefix::kind(self.group(), KeyKind::BucketKey);
        let rewrap = |key: Bytes, value: Bytes| {
            let entry = KeyEntry::decode(Key::parse(key)?, &value)?;
            let bucket = bucket_of(&entry)?;
            let place = self.parts.place.bucket(bucket);
            rewrap_entry(&entry, shard_key.epoch(), &|wrapped| {
                let key = self.shard_key(parent_epoch(wrapped)?)?.unwrap_child(wrapped, &place)?;
                Ok(shard_key.wrap_child(&key, &place, &*self.parts.random)?)
            })
        };
        let keys = self.rewrap_all(&prefix, &current, &rewrap).await?;
        self.drop_shard_keys(&old, current).await?;
        self.forget_shard_keys_before(newest.epoch()?);
        Ok(Rotated { keys, values: 0 })
    }

    /// Not repeated on a conflict: another leader has begun a further rotation then, and finishes both.
    async fn drop_shard_keys(&self, old: &[KeyEntry], current: Vec<Condition>) -> Result<(), KeysError> {
        let writes = old.iter().map(KeyEntry::remove).collect();
        if self.applies(Command { conditions: current, writes }).await? {
            Ok(())
        } else {
            Err(KeysError::Contended { tries: 1 })
        }
    }

    /// Gives a bucket a new key and rewraps its customers' keys.
    ///
    /// # Errors
    /// As [`Self::rotate_shard`].
    pub(crate) async fn rotate_bucket(&self, bucket: BucketId) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        self.rotate_bucket_now(bucket).await
    }

    /// Rotates the key of every bucket of the shard, one after the other.
    ///
    /// # Errors
    /// As [`Self::rotate_shard`].
    pub(crate) async fn rotate_buckets(&self) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        let mut rotated = Rotated::default();
        for bucket in self.buckets()? {
            rotated = rotated.and(self.rotate_bucket_now(bucket).await?);
        }
        Ok(rotated)
    }

    async fn rotate_bucket_now(&self, bucket: BucketId) -> Result<Rotated, KeysError> {
        let before = self.finish_bucket_rotation(bucket).await?;
        self.step(|| self.bucket_rotation_begun(bucket)).await?;
        let after = self.finish_bucket_rotation(bucket).await?;
        Ok(before.and(after).and(Rotated { keys: 1, values: 0 }))
    }

    fn bucket_rotation_begun(&self, bucket: BucketId) -> Evaluated<()> {
        let place = self.parts.place.bucket(bucket);
        let (shard_key, mut conditions) = self.newest_shard_key()?;
        let entry = self.bucket_entry(bucket)?;
        let key = BucketKey::generate(next_epoch(&entry)?, &*self.parts.random)?;
        let wrapped = shard_key.wrap_child(&key, &place, &*self.parts.random)?;
        conditions.push(entry.unchanged());
        let writes = vec![entry.replace(&entry.keys().with_newer(wrapped)?)?];
        Ok(Attempt::Propose { command: Command { conditions, writes }, answer: () })
    }

    /// Rewraps customer keys under the bucket's newest key and drops the older ones.
    async fn finish_bucket_rotation(&self, bucket: BucketId) -> Result<Rotated, KeysError> {
        if !self.bucket_entry(bucket)?.is_rotating() {
            return Ok(Rotated::default());
        }
        let (entry, bucket_key) = self.current_bucket_key(bucket)?;
        let prefix = KeyPrefix::bucket_customers(self.group(), bucket.get());
        let rewrap = |key: Bytes, value: Bytes| {
            let child = KeyEntry::decode(Key::parse(key)?, &value)?;
            let place = self.parts.place.bucket(bucket).customer(customer_of(&child)?);
            rewrap_entry(&child, bucket_key.epoch(), &|wrapped| {
                let key = self.bucket_key(bucket, parent_epoch(wrapped)?)?.unwrap_child(wrapped, &place)?;
                Ok(bucket_key.wrap_child(&key, &place, &*self.parts.random)?)
            })
        };
        let keys = self.rewrap_all(&prefix, &[entry.still_current()], &rewrap).await?;
        self.drop_older(&entry).await?;
        self.forget_bucket_keys_before(bucket, bucket_key.epoch());
        Ok(Rotated { keys, values: 0 })
    }

    /// The end of a rotation: only the current key stays in the entry.
    pub(super) async fn drop_older(&self, entry: &KeyEntry) -> Result<(), KeysError> {
        let epoch = entry.epoch()?;
        self.step(|| match KeyEntry::read(self.engine(), entry.key().clone())? {
            // Read again: a rotation one level up, on another leader, may have rewrapped the entry meanwhile.
            Some(entry) if entry.epoch()? == epoch && entry.is_rotating() => {
                let writes = vec![entry.replace(&entry.keys().current_only())?];
                let command = Command { conditions: vec![entry.unchanged()], writes };
                Ok(Attempt::Propose { command, answer: () })
            }
            // Another leader was faster; a newer key means that its next rotation took over.
            Some(_) | None => Ok(Attempt::Done(())),
        })
        .await
    }

    /// Finishes the rotations of the shard key and of bucket keys that another leader left behind. Called after this
    /// node began to lead. A customer's rotation that was left behind hinders nobody; the customer's next write or
    /// rotation finishes it.
    ///
    /// # Errors
    /// As [`Self::rotate_shard`].
    pub(crate) async fn resume_rotations(&self) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        let mut rotated = self.finish_shard_rotation().await?;
        for bucket in self.buckets()? {
            rotated = rotated.and(self.finish_bucket_rotation(bucket).await?);
        }
        Ok(rotated)
    }
}

pub(super) fn next_epoch(entry: &KeyEntry) -> Result<KeyEpoch, KeysError> {
    entry.epoch()?.next().ok_or(KeysError::Exhausted { what: "epochs" })
}

fn customer_of(entry: &KeyEntry) -> Result<CustomerId, KeysError> {
    let customer = KeyParts::parse(entry.key().as_ref())?.customer;
    customer.ok_or(KeysError::Malformed { what: "the key of a customer's key" })
}

/// All keys of an entry under the parent of `epoch`; nothing when they already are.
fn rewrap_entry(
    entry: &KeyEntry,
    epoch: KeyEpoch,
    one: &dyn Fn(&WrappedKey) -> Result<WrappedKey, KeysError>,
) -> Result<Option<Rewrapped>, KeysError> {
    let is_under = |wrapped: &WrappedKey| wrapped.parent_epoch() == Some(epoch);
    if entry.keys().keys().iter().all(is_under) {
        return Ok(None);
    }
    let keys = entry.keys().keys().iter();
    let keys = keys.map(|wrapped| if is_under(wrapped) { Ok(wrapped.clone()) } else { one(wrapped) });
    let keys = WrappedKeys::new(keys.collect::<Result<_, _>>()?)?;
    Ok(Some(Rewrapped { unchanged: entry.unchanged(), write: entry.replace(&keys)? }))
}
