//! Rotation of a customer's key: every value of the customer is resealed, its revisions stay (why: mod.rs).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Expected, Write};
use custodia_profile::CustomerId;
use custodia_seal::{BucketId, CustomerKey, sealed_epoch};
use custodia_store::{Key, KeyKind, KeyPrefix};
use tokio::time::timeout;

use super::rewrap::Rewrapped;
use super::rotate::{Evaluated, next_epoch};
use super::shard_keys::reread;
use super::{KeysError, Rotated, ShardKeys, writer};
use crate::propose::Attempt;

/// Everything of a customer that is sealed with the customer's key.
const SEALED_KINDS: [KeyKind; 5] =
    [KeyKind::Core, KeyKind::Requests, KeyKind::Event, KeyKind::Ledger, KeyKind::Duplicate];

impl ShardKeys {
    /// The bucket that holds a customer's key. A customer about whom nothing could be kept yet has no core record but
    /// remembered requests.
    ///
    /// # Errors
    /// [`KeysError::NoCustomer`].
    pub(crate) fn bucket_of(&self, customer: CustomerId) -> Result<BucketId, KeysError> {
        for key in [Key::core(self.group(), &customer), Key::requests(self.group(), &customer)] {
            if let Some(value) = self.engine().get(key.as_ref())? {
                return Ok(BucketId::new(writer::split(&value)?.0.bucket));
            }
        }
        Err(KeysError::NoCustomer)
    }

    /// Gives a customer a new key and reseals the customer's values.
    ///
    /// # Errors
    /// [`KeysError::NoCustomer`]; else as [`Self::rotate_shard`].
    pub(crate) async fn rotate_customer(&self, customer: CustomerId) -> Result<Rotated, KeysError> {
        let _rotating = self.rotating.lock().await;
        self.barrier().await?;
        let bucket = self.bucket_of(customer)?;
        let before = self.finish_customer_rotation(customer, bucket).await?;
        self.step(|| self.customer_rotation_begun(customer, bucket)).await?;
        let after = self.finish_customer_rotation(customer, bucket).await?;
        Ok(before.and(after).and(Rotated { keys: 1, values: 0 }))
    }

    fn customer_rotation_begun(&self, customer: CustomerId, bucket: BucketId) -> Evaluated<()> {
        let place = self.parts.place.bucket(bucket).customer(customer);
        let (bucket_entry, bucket_key) = self.current_bucket_key(bucket)?;
        let entry = self.customer_entry(bucket, customer)?;
        let key = CustomerKey::generate(next_epoch(&entry)?, &*self.parts.random)?;
        let wrapped = bucket_key.wrap_child(&key, &place, &*self.parts.random)?;
        let conditions = vec![bucket_entry.still_current(), entry.unchanged()];
        let writes = vec![entry.replace(&entry.keys().with_newer(wrapped)?)?];
        Ok(Attempt::Propose { command: Command { conditions, writes }, answer: () })
    }

    /// Finishes a rotation that a crash or a deadline interrupted, before a write of the customer. Leaves one alone that is
    /// under way. A failure does not fail the write, which needs the newest key alone; it may take half of the
    /// write's remaining time.
    pub(super) async fn finish_interrupted_rotation(
        &self,
        customer: CustomerId,
        bucket: BucketId,
        deadline: Instant,
    ) {
        let Ok(_rotating) = self.rotating.try_lock() else { return };
        let patience = deadline.saturating_duration_since(Instant::now()) / 2;
        let shard = self.parts.place.shard;
        match timeout(patience, self.finish_customer_rotation(customer, bucket)).await {
            Ok(Ok(rotated)) => {
                tracing::info!(%shard, values = rotated.values, "finished an interrupted key rotation");
            }
            Ok(Err(error)) => tracing::warn!(%shard, %error, "cannot finish an interrupted key rotation"),
            Err(_elapsed) => tracing::warn!(%shard, "timed out finishing an interrupted key rotation"),
        }
    }

    async fn finish_customer_rotation(
        &self,
        customer: CustomerId,
        bucket: BucketId,
    ) -> Result<Rotated, KeysError> {
        let rotating = reread(|| {
            let entry = self.customer_entry(bucket, customer)?;
            if !entry.is_rotating() {
                return Ok(None);
            }
            let newest = self.unwrap_customer_key(bucket, customer, &entry, entry.epoch()?)?;
            Ok(Some((entry, newest)))
        });
        let Some((entry, newest)) = rotating? else { return Ok(Rotated::default()) };
        let reseal = Reseal { keys: self, customer, bucket, newest: Arc::new(newest) };
        let mut values = 0;
        for kind in SEALED_KINDS {
            let prefix = KeyPrefix::customer(self.group(), kind, &customer);
            let rewrap = |key: Bytes, value: Bytes| reseal.value(key, &value);
            values += self.rewrap_all(&prefix, &[entry.still_current()], &rewrap).await?;
        }
        self.drop_older(&entry).await?;
        self.parts.cache.remove(&customer);
        Ok(Rotated { keys: 0, values })
    }
}

struct Reseal<'a> {
    keys: &'a ShardKeys,
    customer: CustomerId,
    bucket: BucketId,
    newest: Arc<CustomerKey>,
}

impl Reseal<'_> {
    /// The value under the newest key, with the same header; nothing when it already is.
    fn value(&self, key: Bytes, value: &Bytes) -> Result<Option<Rewrapped>, KeysError> {
        let (header, sealed) = writer::split(value)?;
        let epoch = sealed_epoch(&sealed)?;
        if epoch == self.newest.epoch() {
            return Ok(None);
        }
        let key = Key::parse(key)?;
        let old = self.keys.customer_key(self.customer, self.bucket, epoch)?;
        let context = writer::context(self.keys.parts.place.cluster, self.customer, &key, &header)?;
        let plaintext = old.open(&context, &sealed)?;
        let resealed = self.newest.seal_with(&*self.keys.parts.random, &context, &plaintext)?;
        let write = Write { key: key.as_bytes().clone(), value: Some(header.encode(&resealed)) };
        let unchanged = Condition {
            key: key.into_bytes(),
            expected: Expected::Both { revision: header.revision, guard: header.guard },
        };
        Ok(Some(Rewrapped { unchanged, write }))
    }
}
