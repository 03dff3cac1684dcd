//! The context of a wrapped key: where in the key tree it belongs. It is part of the additional data, so a wrapped key that
//! was copied to another customer, bucket, shard or cluster does not open there.
//!
//! ```text
//! shard     cluster (16) ‖ shard u16 BE
//! bucket    cluster (16) ‖ shard u16 BE ‖ bucket u32 BE
//! customer  cluster (16) ‖ shard u16 BE ‖ bucket u32 BE ‖ customer (16)
//! ```

use custodia_profile::{CustomerId, ShardId};

use crate::bucket_id::BucketId;
use crate::cluster_id::ClusterId;

/// Length of the longest context.
pub(crate) const KEY_CONTEXT_BYTES_MAX: usize = 38;

/// The context of a shard key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardKeyContext {
    /// The cluster.
    pub cluster: ClusterId,
    /// The shard.
    pub shard: ShardId,
}

impl ShardKeyContext {
    /// The context of the key of `bucket` in this shard.
    #[must_use]
    pub const fn bucket(self, bucket: BucketId) -> BucketKeyContext {
        BucketKeyContext { shard: self, bucket }
    }

    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        aad.extend_from_slice(self.cluster.as_bytes());
        aad.extend_from_slice(&self.shard.as_u16().to_be_bytes());
    }
}

/// The context of a bucket key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketKeyContext {
    /// The bucket's shard.
    pub shard: ShardKeyContext,
    /// The bucket.
    pub bucket: BucketId,
}

impl BucketKeyContext {
    /// The context of the key of `customer` in this bucket.
    #[must_use]
    pub const fn customer(self, customer: CustomerId) -> CustomerKeyContext {
        CustomerKeyContext { bucket: self, customer }
    }

    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        self.shard.append(aad);
        aad.extend_from_slice(&self.bucket.get().to_be_bytes());
    }
}

/// The context of a customer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerKeyContext {
    /// The bucket that holds the customer's key.
    pub bucket: BucketKeyContext,
    /// The customer.
    pub customer: CustomerId,
}

impl CustomerKeyContext {
    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        self.bucket.append(aad);
        aad.extend_from_slice(self.customer.as_bytes());
    }
}
