//! Unwrapped customer keys of all shards of a node, bounded.
//!
//! Must always hold: a key is in here only after it was read from the state. The caller compares epochs: a key of another
//! epoch than the value's is read again, so a rotation on another node needs no message.

use std::sync::Arc;

use custodia_profile::{CustomerId, KeyEpoch};
use custodia_seal::CustomerKey;
use quick_cache::sync::Cache;

/// Customer keys, by customer. About 1 KB each.
#[derive(Debug)]
pub(crate) struct CustomerKeyCache {
    keys: Cache<CustomerId, Arc<CustomerKey>>,
}

impl CustomerKeyCache {
    /// A cache of about `capacity` keys.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { keys: Cache::new(capacity) }
    }

    /// The customer's key, if it is of `epoch`.
    pub(crate) fn get(&self, customer: &CustomerId, epoch: KeyEpoch) -> Option<Arc<CustomerKey>> {
        self.keys.get(customer).filter(|key| key.epoch() == epoch)
    }

    pub(crate) fn insert(&self, customer: CustomerId, key: Arc<CustomerKey>) {
        self.keys.insert(customer, key);
    }

    /// Forgets a customer's key, when it is destroyed or rotated.
    pub(crate) fn remove(&self, customer: &CustomerId) {
        self.keys.remove(customer);
    }
}
