//! Turning root, shard and bucket keys. What happens in between, and why it is safe, is in mod.rs.
//!
//! Each call may be repeated at any time: it first ends what an earlier one left behind.

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Outcome};
use custodia_profile::{CustomerId, KeyEpoch};
use custodia_seal::{BucketId, BucketKey, Parent, ShardKey, WrappedKey, WrappedKeys};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix};

use super::carry::Carried;
use super::entry::{self, KeyEntry};
use super::filling::bucket_of;
use super::shard_keys::{TRIES_MAX, parent_epoch};
use super::{KeysError, ShardKeys};

/// What a turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Turned {
    /// Keys made anew or wrapped anew.
    pub(crate) keys: u64,
    /// Values resealed.
    pub(crate) values: u64,
}

impl Turned {
    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { keys: self.keys + other.keys, values: self.values + other.values }
    }
}

impl ShardKeys {
    /// Wraps the shard keys anew with the current root key, where they are not yet. Reads the root key file again
    /// before. The old root key is free to go when this was done on every shard.
    ///
    /// # Errors
    /// When the file is not usable, or nothing could be proposed.
    pub(crate) async fn turn_root(&self) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        self.parts.root.reload()?;
        for _ in 0..TRIES_MAX {
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
            let keys = u64::try_from(command.writes.len()).unwrap_or(u64::MAX);
            if keys == 0 {
                return Ok(Turned::default());
            }
            match self.propose(command).await? {
                Outcome::Applied { .. } => return Ok(Turned { keys, values: 0 }),
                Outcome::Conflict { .. } => {}
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    fn current_root(&self) -> Parent {
        Parent::Root(self.parts.root.current())
    }

    /// Gives the shard a new key and wraps its bucket keys anew.
    ///
    /// # Errors
    /// When something could not be read or proposed; everything stays readable, and the call may be repeated.
    pub(crate) async fn turn_shard(&self) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        if self.shard_entries()?.is_empty() {
            return Ok(Turned::default());
        }
        let before = self.end_shard_turn().await?;
        self.begin_shard_turn().await?;
        let after = self.end_shard_turn().await?;
        Ok(before.and(after).and(Turned { keys: 1, values: 0 }))
    }

    async fn begin_shard_turn(&self) -> Result<(), KeysError> {
        for _ in 0..TRIES_MAX {
            let (current, conditions) = self.newest_shard_key()?;
            let epoch = current.epoch().next().ok_or(KeysError::Exhausted { what: "epochs" })?;
            let key = ShardKey::generate(epoch, &*self.parts.random)?;
            let wrapped = key.wrap(&*self.parts.root, &self.parts.place, &*self.parts.random)?;
            let entry_key = Key::shard_key(self.group(), epoch);
            let write = entry::create(&entry_key, 0, &WrappedKeys::new(vec![wrapped])?)?;
            match self.propose(Command { conditions, writes: vec![write] }).await? {
                Outcome::Applied { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    /// Carries bucket keys over to the newest shard key and drops the older ones. Does nothing when there is one.
    async fn end_shard_turn(&self) -> Result<Turned, KeysError> {
        let mut old = self.shard_entries()?;
        let Some(newest) = old.pop() else { return Ok(Turned::default()) };
        if old.is_empty() {
            return Ok(Turned::default());
        }
        let (shard_key, current) = self.newest_shard_key()?;
        let prefix = KeyPrefix::kind(self.group(), KeyKind::BucketKey);
        let carry = |key: Bytes, value: Bytes| {
            let entry = KeyEntry::decode(Key::parse(key)?, &value)?;
            let bucket = bucket_of(&entry)?;
            let place = self.parts.place.bucket(bucket);
            rewrap(&entry, shard_key.epoch(), &|wrapped| {
                let key = self.shard_key(parent_epoch(wrapped)?)?.unwrap_child(wrapped, &place)?;
                Ok(shard_key.wrap_child(&key, &place, &*self.parts.random)?)
            })
        };
        let keys = self.carry_over(&prefix, &current, &carry).await?;
        self.drop_shard_keys(&old, current).await?;
        self.forget_shard_keys_before(newest.epoch()?);
        Ok(Turned { keys, values: 0 })
    }

    async fn drop_shard_keys(&self, old: &[KeyEntry], current: Vec<Condition>) -> Result<(), KeysError> {
        let writes = old.iter().map(KeyEntry::remove).collect();
        match self.propose(Command { conditions: current, writes }).await? {
            Outcome::Applied { .. } => Ok(()),
            // Another leader began a further turn, and ends both.
            Outcome::Conflict { .. } => Err(KeysError::Contended { tries: 1 }),
        }
    }

    /// Gives a bucket a new key and wraps its customers' keys anew.
    ///
    /// # Errors
    /// As [`Self::turn_shard`].
    pub(crate) async fn turn_bucket(&self, bucket: BucketId) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        self.turn_bucket_now(bucket).await
    }

    /// Turns every bucket of the shard, one after the other.
    ///
    /// # Errors
    /// As [`Self::turn_shard`].
    pub(crate) async fn turn_buckets(&self) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        let mut turned = Turned::default();
        for bucket in self.buckets()? {
            turned = turned.and(self.turn_bucket_now(bucket).await?);
        }
        Ok(turned)
    }

    async fn turn_bucket_now(&self, bucket: BucketId) -> Result<Turned, KeysError> {
        let before = self.end_bucket_turn(bucket).await?;
        self.begin_bucket_turn(bucket).await?;
        let after = self.end_bucket_turn(bucket).await?;
        Ok(before.and(after).and(Turned { keys: 1, values: 0 }))
    }

    async fn begin_bucket_turn(&self, bucket: BucketId) -> Result<(), KeysError> {
        let place = self.parts.place.bucket(bucket);
        for _ in 0..TRIES_MAX {
            let (shard_key, mut conditions) = self.newest_shard_key()?;
            let entry = self.bucket_entry(bucket)?;
            let epoch = next_epoch(&entry)?;
            let key = BucketKey::generate(epoch, &*self.parts.random)?;
            let wrapped = shard_key.wrap_child(&key, &place, &*self.parts.random)?;
            conditions.push(entry.unchanged());
            let writes = vec![entry.replace(&entry.keys().with_newer(wrapped)?)?];
            match self.propose(Command { conditions, writes }).await? {
                Outcome::Applied { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    /// Carries customer keys over to the bucket's newest key and drops the older ones.
    async fn end_bucket_turn(&self, bucket: BucketId) -> Result<Turned, KeysError> {
        if !self.bucket_entry(bucket)?.is_turning() {
            return Ok(Turned::default());
        }
        let (entry, bucket_key) = self.current_bucket_key(bucket)?;
        let prefix = KeyPrefix::bucket_customers(self.group(), bucket.get());
        let carry = |key: Bytes, value: Bytes| {
            let child = KeyEntry::decode(Key::parse(key)?, &value)?;
            let place = self.parts.place.bucket(bucket).customer(customer_of(&child)?);
            rewrap(&child, bucket_key.epoch(), &|wrapped| {
                let key = self.bucket_key(bucket, parent_epoch(wrapped)?)?.unwrap_child(wrapped, &place)?;
                Ok(bucket_key.wrap_child(&key, &place, &*self.parts.random)?)
            })
        };
        let keys = self.carry_over(&prefix, &[entry.still_current()], &carry).await?;
        self.drop_older(entry).await?;
        self.forget_bucket_keys_before(bucket, bucket_key.epoch());
        Ok(Turned { keys, values: 0 })
    }

    /// The end of a turn: only the current key stays in the entry.
    pub(super) async fn drop_older(&self, entry: KeyEntry) -> Result<(), KeysError> {
        let epoch = entry.epoch()?;
        let mut entry = entry;
        for _ in 0..TRIES_MAX {
            let writes = vec![entry.replace(&entry.keys().current_only())?];
            let conditions = vec![entry.unchanged()];
            match self.propose(Command { conditions, writes }).await? {
                Outcome::Applied { .. } => return Ok(()),
                // Rewrapped by a turn one level up, on another leader. A newer key means that another turn took over.
                Outcome::Conflict { .. } => match KeyEntry::read(self.engine(), entry.key().clone())? {
                    Some(newer) if newer.epoch()? == epoch => entry = newer,
                    Some(_) | None => return Ok(()),
                },
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    /// Ends the turns of the shard key and of bucket keys that another leader left behind. Called after this node
    /// began to lead. A customer's turn that was left behind hinders nobody; the next write or turn of the
    /// customer ends it.
    ///
    /// # Errors
    /// As [`Self::turn_shard`].
    pub(crate) async fn resume_turns(&self) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        let mut turned = self.end_shard_turn().await?;
        for bucket in self.buckets()? {
            turned = turned.and(self.end_bucket_turn(bucket).await?);
        }
        Ok(turned)
    }
}

pub(super) fn next_epoch(entry: &KeyEntry) -> Result<KeyEpoch, KeysError> {
    entry.epoch()?.next().ok_or(KeysError::Exhausted { what: "epochs" })
}

fn customer_of(entry: &KeyEntry) -> Result<CustomerId, KeysError> {
    let customer = KeyParts::parse(entry.key().as_ref())?.customer;
    customer.ok_or(KeysError::Malformed { what: "the key of a customer's key" })
}

/// All keys of an entry under the parent of `epoch`; nothing when they are already.
fn rewrap(
    entry: &KeyEntry,
    epoch: KeyEpoch,
    one: &dyn Fn(&WrappedKey) -> Result<WrappedKey, KeysError>,
) -> Result<Option<Carried>, KeysError> {
    let is_under = |wrapped: &WrappedKey| wrapped.parent_epoch() == Some(epoch);
    if entry.keys().keys().iter().all(is_under) {
        return Ok(None);
    }
    let keys = entry.keys().keys().iter();
    let keys = keys.map(|wrapped| if is_under(wrapped) { Ok(wrapped.clone()) } else { one(wrapped) });
    let keys = WrappedKeys::new(keys.collect::<Result<_, _>>()?)?;
    Ok(Some(Carried { unchanged: entry.unchanged(), write: entry.replace(&keys)? }))
}
