//! Turning a customer's key: every value of the customer is resealed, its revisions stay (why: mod.rs).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Expected, Outcome, Write};
use custodia_profile::CustomerId;
use custodia_seal::{BucketId, CustomerKey, sealed_epoch};
use custodia_store::{Key, KeyKind, KeyPrefix};
use tokio::time::timeout;

use super::carry::Carried;
use super::shard_keys::{TRIES_MAX, reread};
use super::turn::next_epoch;
use super::{KeysError, ShardKeys, Turned, writer};

/// Everything of a customer that is sealed with the customer's key.
const SEALED_KINDS: [KeyKind; 4] = [KeyKind::Core, KeyKind::Requests, KeyKind::Event, KeyKind::Ledger];

impl ShardKeys {
    /// The bucket that a customer's key is kept in. A customer about whom nothing could be kept yet has no core record,
    /// but remembered requests.
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
    /// [`KeysError::NoCustomer`]; else as [`Self::turn_shard`].
    pub(crate) async fn turn_customer(&self, customer: CustomerId) -> Result<Turned, KeysError> {
        let _turning = self.turning.lock().await;
        self.barrier().await?;
        let bucket = self.bucket_of(customer)?;
        let before = self.end_customer_turn(customer, bucket).await?;
        self.begin_customer_turn(customer, bucket).await?;
        let after = self.end_customer_turn(customer, bucket).await?;
        Ok(before.and(after).and(Turned { keys: 1, values: 0 }))
    }

    async fn begin_customer_turn(&self, customer: CustomerId, bucket: BucketId) -> Result<(), KeysError> {
        let place = self.parts.place.bucket(bucket).customer(customer);
        for _ in 0..TRIES_MAX {
            let (bucket_entry, bucket_key) = self.current_bucket_key(bucket)?;
            let entry = self.customer_entry(bucket, customer)?;
            let key = CustomerKey::generate(next_epoch(&entry)?, &*self.parts.random)?;
            let wrapped = bucket_key.wrap_child(&key, &place, &*self.parts.random)?;
            let conditions = vec![bucket_entry.still_current(), entry.unchanged()];
            let writes = vec![entry.replace(&entry.keys().with_newer(wrapped)?)?];
            match self.propose(Command { conditions, writes }).await? {
                Outcome::Applied { .. } => return Ok(()),
                Outcome::Conflict { .. } => {}
            }
        }
        Err(KeysError::Contended { tries: TRIES_MAX })
    }

    /// Ends a turn that a crash or a deadline cut off, before a write of the customer that leads here. A turn that is
    /// under way ends by itself. What fails is no failure of the write, which needs the newest key alone; it may take
    /// half of the time that the write has.
    pub(super) async fn end_abandoned_turn(&self, customer: CustomerId, bucket: BucketId, deadline: Instant) {
        let Ok(_turning) = self.turning.try_lock() else { return };
        let patience = deadline.saturating_duration_since(Instant::now()) / 2;
        let shard = self.parts.place.shard;
        match timeout(patience, self.end_customer_turn(customer, bucket)).await {
            Ok(Ok(turned)) => tracing::info!(%shard, values = turned.values, "a key turn was ended"),
            Ok(Err(error)) => tracing::warn!(%shard, %error, "a key turn that was cut off is not ended"),
            Err(_elapsed) => tracing::warn!(%shard, "a key turn that was cut off is not ended in time"),
        }
    }

    async fn end_customer_turn(&self, customer: CustomerId, bucket: BucketId) -> Result<Turned, KeysError> {
        let turning = reread(|| {
            let entry = self.customer_entry(bucket, customer)?;
            if !entry.is_turning() {
                return Ok(None);
            }
            let newest = self.unwrap_customer_key(bucket, customer, &entry, entry.epoch()?)?;
            Ok(Some((entry, newest)))
        });
        let Some((entry, newest)) = turning? else { return Ok(Turned::default()) };
        let reseal = Reseal { keys: self, customer, bucket, newest: Arc::new(newest) };
        let mut values = 0;
        for kind in SEALED_KINDS {
            let prefix = KeyPrefix::customer(self.group(), kind, &customer);
            let carry = |key: Bytes, value: Bytes| reseal.value(key, &value);
            values += self.carry_over(&prefix, &[entry.still_current()], &carry).await?;
        }
        self.drop_older(entry).await?;
        self.parts.cache.remove(&customer);
        Ok(Turned { keys: 0, values })
    }
}

struct Reseal<'a> {
    keys: &'a ShardKeys,
    customer: CustomerId,
    bucket: BucketId,
    newest: Arc<CustomerKey>,
}

impl Reseal<'_> {
    /// The value under the newest key, with the same header; nothing when it is already.
    fn value(&self, key: Bytes, value: &Bytes) -> Result<Option<Carried>, KeysError> {
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
        Ok(Some(Carried { unchanged, write }))
    }
}
