//! The keys of one shard on a node that has a replica of it: finds and creates keys for the leader's reads and writes.
//!
//! Must always hold: correctness rests on the state alone. The ring, the cache and the count of the open bucket may be
//! stale (another node led and rotated keys); a missing epoch is read from the state, and a write is conditional on what
//! it assumed.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use custodia_consensus::Condition;
use custodia_profile::{CustomerId, GroupId, KeyEpoch};
use custodia_seal::{
    BucketId, BucketKey, CustomerKey, Keyring, RandomSource, RootKey, SealContext, ShardKey, ShardKeyContext,
    WrappedKey, WrappedKeys, sealed_epoch,
};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix, StateEngine};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::bucket_allocator::OpenBucket;
use super::entry::{self, KeyEntry, with_reload};
use super::writer::{self, CustomerWriter};
use super::{CustomerKeyCache, KeysError, Opened};
use crate::propose::{Propose, TRIES_MAX};

pub(super) const SCAN_PAGE: usize = 1_024;

/// In the additional data of a position in a list, in the place of the kind of a stored value: no such kind is ever stored.
const POSITION_KIND: u8 = 0xff;

/// What the keys of a shard are made of.
#[derive(Debug)]
pub(crate) struct ShardKeysParts {
    /// The shard, and the cluster that it is part of.
    pub(crate) place: ShardKeyContext,
    /// Where the entries are read.
    pub(crate) engine: Arc<dyn StateEngine>,
    /// How they are written.
    pub(crate) proposer: Arc<dyn Propose>,
    /// What unwraps the shard keys.
    pub(crate) root: Arc<dyn RootKey>,
    /// The node's cache.
    pub(crate) cache: Arc<CustomerKeyCache>,
    /// Where keys and nonces come from.
    pub(crate) random: Arc<dyn RandomSource>,
}

/// The keys of one shard.
pub(crate) struct ShardKeys {
    pub(super) parts: ShardKeysParts,
    ring: RwLock<Keyring>,
    pub(super) open_bucket: Mutex<Option<OpenBucket>>,
    /// One rotation at a time: conditions keep two nodes apart, this saves two calls a needless conflict.
    pub(super) rotating: Mutex<()>,
}

impl ShardKeys {
    /// The keys of the shard at `parts.place`. Reads nothing yet.
    pub(crate) fn new(parts: ShardKeysParts) -> Self {
        let ring = RwLock::new(Keyring::new(parts.place));
        Self { parts, ring, open_bucket: Mutex::new(None), rotating: Mutex::new(()) }
    }

    /// Called when this node begins to lead the shard: forgets what may be stale, unwraps the newest shard key and
    /// counts the newest bucket, so that the first calls need not. A failure is worth a warning; everything is tried
    /// again when needed.
    ///
    /// # Errors
    /// When the root key does not fit, or the state cannot be read.
    pub(crate) async fn prepare(&self) -> Result<(), KeysError> {
        self.forget().await;
        if self.newest_shard_entry()?.is_some() {
            self.newest_shard_key()?;
            *self.open_bucket.lock().await = self.newest_bucket()?;
        }
        Ok(())
    }

    /// Forgets the unwrapped keys of the shard, when this node no longer leads it.
    pub(crate) async fn forget(&self) {
        self.ring.write().clear();
        *self.open_bucket.lock().await = None;
    }

    /// The value under `key`, opened.
    ///
    /// # Errors
    /// [`KeysError::is_data_loss`] tells damage from a passing failure.
    pub(crate) fn read(&self, key: &Key) -> Result<Option<Opened>, KeysError> {
        match self.parts.engine.get(key.as_ref())? {
            Some(value) => self.open(key, value),
            None => Ok(None),
        }
    }

    /// Opens `value`, as it was read under `key`. When its key is gone, a rotation ended between the reads of the
    /// value and of the key: then the value is read again, and may be gone as well.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn open(&self, key: &Key, value: Bytes) -> Result<Option<Opened>, KeysError> {
        let customer = KeyParts::parse(key.as_ref())?
            .customer
            .ok_or(KeysError::Malformed { what: "a key of no customer" })?;
        let mut value = value;
        for _ in 0..TRIES_MAX {
            match self.open_now(customer, key, &value) {
                Err(KeysError::EpochGone { epoch }) => match self.parts.engine.get(key.as_ref())? {
                    None => return Ok(None),
                    Some(same) if same == value => return Err(KeysError::EpochGone { epoch }),
                    Some(newer) => value = newer,
                },
                opened => return opened.map(Some),
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    fn open_now(&self, customer: CustomerId, key: &Key, value: &Bytes) -> Result<Opened, KeysError> {
        let (header, sealed) = writer::split(value)?;
        let epoch = sealed_epoch(&sealed)?;
        let customer_key = self.customer_key(customer, BucketId::new(header.bucket), epoch)?;
        let context = writer::context(self.parts.place.cluster, customer, key, &header)?;
        Ok(Opened { header, plaintext: customer_key.open(&context, &sealed)? })
    }

    /// The key of `customer`, kept in `bucket`, of `epoch`.
    ///
    /// # Errors
    /// [`KeysError::EpochGone`] when there is a key but none of this epoch.
    pub(crate) fn customer_key(
        &self,
        customer: CustomerId,
        bucket: BucketId,
        epoch: KeyEpoch,
    ) -> Result<Arc<CustomerKey>, KeysError> {
        if let Some(key) = self.parts.cache.get(&customer, epoch) {
            return Ok(key);
        }
        let key = reread(|| {
            let entry = self.customer_entry(bucket, customer)?;
            self.unwrap_customer_key(bucket, customer, &entry, epoch)
        })?;
        let key = Arc::new(key);
        self.parts.cache.insert(customer, Arc::clone(&key));
        Ok(key)
    }

    /// Seals where a list of `customer` goes on, for a caller who may not learn it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn seal_position(
        &self,
        customer: CustomerId,
        bucket: BucketId,
        position: &[u8],
    ) -> Result<Vec<u8>, KeysError> {
        let (_, NewKey { key, .. }) = self.known_customer(customer, bucket)?;
        Ok(key.seal_with(&*self.parts.random, &self.position_context(customer), position)?)
    }

    /// Opens what [`Self::seal_position`] has sealed.
    ///
    /// # Errors
    /// [`KeysError::Seal`] if it is something else; [`KeysError::EpochGone`] once the customer's key was rotated.
    pub(crate) fn open_position(
        &self,
        customer: CustomerId,
        bucket: BucketId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let key = self.customer_key(customer, bucket, sealed_epoch(sealed)?)?;
        Ok(key.open(&self.position_context(customer), sealed)?)
    }

    const fn position_context(&self, customer: CustomerId) -> SealContext<'static> {
        let cluster = self.parts.place.cluster;
        SealContext { cluster, customer, kind: POSITION_KIND, suffix: &[], revision: 0, guard: 0 }
    }

    /// What a command for `customer` needs. `bucket` is in the headers of the core record and of the remembered requests.
    /// For a customer who has neither, pass none: the writer then brings a new key and the condition that neither
    /// exists, and the command must put one of them, or nobody finds the key again. On the way this may propose a new
    /// bucket and the shard's first key, and it finishes an interrupted rotation of the customer's key.
    ///
    /// After a conflict, ask for another writer: it reads the state again.
    ///
    /// # Errors
    /// [`KeysError::Destroyed`] after an erasure; [`KeysError::Consensus`] when no bucket could be created.
    pub(crate) async fn writer(
        &self,
        customer: CustomerId,
        bucket: Option<BucketId>,
        deadline: Instant,
    ) -> Result<CustomerWriter, KeysError> {
        let parts = match bucket {
            Some(bucket) => {
                let (entry, key) = self.known_customer(customer, bucket)?;
                if entry.is_rotating() {
                    Box::pin(self.finish_interrupted_rotation(customer, bucket, deadline)).await;
                }
                key
            }
            None => self.new_customer(customer, deadline).await?,
        };
        let NewKey { bucket, key, conditions, writes } = parts;
        Ok(CustomerWriter {
            cluster: self.parts.place.cluster,
            customer,
            bucket,
            key,
            random: Arc::clone(&self.parts.random),
            conditions,
            writes,
        })
    }

    fn known_customer(
        &self,
        customer: CustomerId,
        bucket: BucketId,
    ) -> Result<(KeyEntry, NewKey), KeysError> {
        reread(|| {
            let entry = self.customer_entry(bucket, customer)?;
            let key = self.customer_key(customer, bucket, entry.epoch()?)?;
            let conditions = vec![entry.still_current()];
            Ok((entry, NewKey { bucket, key, conditions, writes: Vec::new() }))
        })
    }

    async fn new_customer(&self, customer: CustomerId, deadline: Instant) -> Result<NewKey, KeysError> {
        let random = &*self.parts.random;
        let bucket = self.allocate_bucket(deadline).await?;
        let (bucket_entry, bucket_key) = self.current_bucket_key(bucket)?;
        let key = CustomerKey::generate(KeyEpoch::FIRST, random)?;
        let place = self.parts.place.bucket(bucket).customer(customer);
        let wrapped = bucket_key.wrap_child(&key, &place, random)?;
        let entry_key = Key::customer_key(self.group(), bucket.get(), &customer);
        // A customer has one key, so no value may name the bucket of another one.
        let core = Key::core(self.group(), &customer);
        let requests = Key::requests(self.group(), &customer);
        Ok(NewKey {
            bucket,
            key: Arc::new(key),
            conditions: vec![
                bucket_entry.still_current(),
                entry::absent(&entry_key),
                entry::absent(&core),
                entry::absent(&requests),
            ],
            writes: vec![entry::create(&entry_key, bucket.get(), &WrappedKeys::new(vec![wrapped])?)?],
        })
    }

    pub(super) const fn group(&self) -> GroupId {
        GroupId::Shard(self.parts.place.shard)
    }

    pub(super) fn engine(&self) -> &dyn StateEngine {
        &*self.parts.engine
    }
}

/// A customer key for a writer.
struct NewKey {
    bucket: BucketId,
    key: Arc<CustomerKey>,
    conditions: Vec<Condition>,
    writes: Vec<custodia_consensus::Write>,
}

/// Entries and unwrapping.
impl ShardKeys {
    pub(super) fn customer_entry(
        &self,
        bucket: BucketId,
        customer: CustomerId,
    ) -> Result<KeyEntry, KeysError> {
        let key = Key::customer_key(self.group(), bucket.get(), &customer);
        KeyEntry::read(self.engine(), key)?.ok_or(KeysError::CustomerKeyMissing { bucket })
    }

    pub(super) fn bucket_entry(&self, bucket: BucketId) -> Result<KeyEntry, KeysError> {
        let key = Key::bucket_key(self.group(), bucket.get());
        KeyEntry::read(self.engine(), key)?.ok_or(KeysError::BucketKeyMissing { bucket })
    }

    /// All shard keys, oldest first.
    pub(super) fn shard_entries(&self) -> Result<Vec<KeyEntry>, KeysError> {
        let prefix = KeyPrefix::kind(self.group(), KeyKind::ShardKey);
        let pairs = self.engine().scan(prefix.as_bytes(), None, SCAN_PAGE)?;
        pairs.into_iter().map(|(key, value)| KeyEntry::decode(Key::parse(key)?, &value)).collect()
    }

    fn newest_shard_entry(&self) -> Result<Option<KeyEntry>, KeysError> {
        Ok(self.shard_entries()?.pop())
    }

    /// The newest shard key, with the conditions under which it is that.
    pub(super) fn newest_shard_key(&self) -> Result<(Arc<ShardKey>, Vec<Condition>), KeysError> {
        reread(|| {
            let missing = KeysError::ShardKeyMissing { epoch: KeyEpoch::FIRST };
            let entry = self.newest_shard_entry()?.ok_or(missing)?;
            let epoch = entry.epoch()?;
            let next = epoch.next().ok_or(KeysError::Exhausted { what: "epochs" })?;
            let conditions = vec![entry.still_current(), entry::absent(&Key::shard_key(self.group(), next))];
            Ok((self.shard_key(epoch)?, conditions))
        })
    }

    /// The current key of a bucket, with its entry.
    pub(super) fn current_bucket_key(
        &self,
        bucket: BucketId,
    ) -> Result<(KeyEntry, Arc<BucketKey>), KeysError> {
        reread(|| {
            let entry = self.bucket_entry(bucket)?;
            let key = self.bucket_key(bucket, entry.epoch()?)?;
            Ok((entry, key))
        })
    }

    pub(super) fn shard_key(&self, epoch: KeyEpoch) -> Result<Arc<ShardKey>, KeysError> {
        if let Some(key) = self.ring.read().shard_key(epoch) {
            return Ok(Arc::clone(key));
        }
        let key = Key::shard_key(self.group(), epoch);
        let entry = KeyEntry::read(self.engine(), key)?.ok_or(KeysError::EpochGone { epoch })?;
        let wrapped = entry.keys().of_epoch(epoch).ok_or(KeysError::ShardKeyMissing { epoch })?;
        let root = &*self.parts.root;
        let unwrapped = with_reload(root, || ShardKey::unwrap(wrapped, root, &self.parts.place))?;
        Ok(self.ring.write().keep_shard_key(unwrapped))
    }

    pub(super) fn bucket_key(&self, bucket: BucketId, epoch: KeyEpoch) -> Result<Arc<BucketKey>, KeysError> {
        if let Some(key) = self.ring.read().bucket_key(bucket, epoch) {
            return Ok(Arc::clone(key));
        }
        let entry = self.bucket_entry(bucket)?;
        let wrapped = entry.keys().of_epoch(epoch).ok_or(KeysError::EpochGone { epoch })?;
        self.shard_key(parent_epoch(wrapped)?)?;
        Ok(self.ring.write().add_bucket_key(bucket, wrapped)?)
    }

    pub(super) fn unwrap_customer_key(
        &self,
        bucket: BucketId,
        customer: CustomerId,
        entry: &KeyEntry,
        epoch: KeyEpoch,
    ) -> Result<CustomerKey, KeysError> {
        if entry.keys().current().is_none() {
            return Err(KeysError::Destroyed);
        }
        let wrapped = entry.keys().of_epoch(epoch).ok_or(KeysError::EpochGone { epoch })?;
        let bucket_key = self.bucket_key(bucket, parent_epoch(wrapped)?)?;
        let place = self.parts.place.bucket(bucket).customer(customer);
        Ok(bucket_key.unwrap_child(wrapped, &place)?)
    }

    pub(super) fn forget_shard_keys_before(&self, epoch: KeyEpoch) {
        self.ring.write().forget_shard_keys_before(epoch);
    }

    pub(super) fn forget_bucket_keys_before(&self, bucket: BucketId, epoch: KeyEpoch) {
        self.ring.write().forget_bucket_keys_before(bucket, epoch);
    }
}

/// Reads again when a key went away between two reads of the state, because a rotation ended there. When it stays away,
/// it is gone for good.
pub(super) fn reread<T>(attempt: impl Fn() -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut outcome = attempt();
    for _ in 1..TRIES_MAX {
        if !matches!(outcome, Err(KeysError::EpochGone { .. })) {
            break;
        }
        outcome = attempt();
    }
    outcome
}

pub(super) fn parent_epoch(wrapped: &WrappedKey) -> Result<KeyEpoch, KeysError> {
    wrapped.parent_epoch().ok_or(KeysError::Malformed { what: "a wrapped key" })
}

impl fmt::Debug for ShardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardKeys").field("shard", &self.parts.place.shard).finish_non_exhaustive()
    }
}
