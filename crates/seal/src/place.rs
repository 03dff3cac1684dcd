//! Where in the tree a key belongs. A place enters the additional data of the wrapped key, so that a wrapped key
//! copied to another customer, bucket, shard or cluster does not open there.
//!
//! ```text
//! shard     cluster (16) ‖ shard u16 BE
//! bucket    cluster (16) ‖ shard u16 BE ‖ bucket u32 BE
//! customer  cluster (16) ‖ shard u16 BE ‖ bucket u32 BE ‖ customer (16)
//! ```

use std::fmt;

use custodia_profile::{CustomerId, ShardId};

use crate::ClusterId;

/// Bytes of the longest place.
pub(crate) const PLACE_BYTES_MAX: usize = 38;

/// Numbers the buckets of a shard, from 0. A bucket holds about 4,096 customers' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(u32);

impl BucketId {
    /// The first bucket of a shard.
    pub const FIRST: Self = Self(0);

    /// Bucket number `number`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The bucket after this one, unless the numbers are used up.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of a shard key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardPlace {
    /// The cluster that the shard is part of.
    pub cluster: ClusterId,
    /// The shard.
    pub shard: ShardId,
}

impl ShardPlace {
    /// The place of `bucket` in this shard.
    #[must_use]
    pub const fn bucket(self, bucket: BucketId) -> BucketPlace {
        BucketPlace { shard: self, bucket }
    }

    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        aad.extend_from_slice(self.cluster.as_bytes());
        aad.extend_from_slice(&self.shard.as_u16().to_be_bytes());
    }
}

/// The place of a bucket key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketPlace {
    /// The shard that the bucket is part of.
    pub shard: ShardPlace,
    /// The bucket.
    pub bucket: BucketId,
}

impl BucketPlace {
    /// The place of `customer` in this bucket.
    #[must_use]
    pub const fn customer(self, customer: CustomerId) -> CustomerPlace {
        CustomerPlace { bucket: self, customer }
    }

    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        self.shard.append(aad);
        aad.extend_from_slice(&self.bucket.get().to_be_bytes());
    }
}

/// The place of a customer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerPlace {
    /// The bucket that the customer's key is kept in.
    pub bucket: BucketPlace,
    /// The customer.
    pub customer: CustomerId,
}

impl CustomerPlace {
    pub(crate) fn append(&self, aad: &mut Vec<u8>) {
        self.bucket.append(aad);
        aad.extend_from_slice(self.customer.as_bytes());
    }
}
