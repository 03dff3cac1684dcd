//! Sealing: the key tree and authenticated encryption of every value at rest.
//!
//! ```text
//! root key        in a file or a key service, outside of the store      RootKey, FileRootKey
//!   └─ shard key     one a shard, turned by epochs                      ShardKey
//!        └─ bucket key    one for about 4,096 customers                 BucketKey
//!             └─ customer key   one a customer                          CustomerKey
//!                  └─ sealed values: core, requests, events, ledger     SealContext
//! ```
//!
//! Every key but the root is random and lives on disk only as a [`WrappedKey`]: sealed by its parent and bound
//! to its place in the tree. So destroying one key makes everything below it unreadable, wherever copies lie.
//!
//! What always holds here:
//! - A key in the clear is zeroized when dropped, is not `Clone` (share it by `Arc`), and prints only its epoch.
//! - Nothing is opened unless its authentication tag fits the key, the clear header and the context: bytes
//!   moved to another customer, kind, revision, bucket, shard or cluster are refused.
//! - No input makes this crate panic.
//! - No I/O but reading the root key file, no clock; randomness is a parameter ([`RandomSource`]).

mod bucket_key;
mod cipher;
mod cluster_id;
mod customer_key;
mod error;
mod keyring;
mod place;
mod random;
mod root;
mod root_file;
mod shard_key;
mod value;
mod wrapped;
mod wrapped_set;

pub use bucket_key::BucketKey;
pub use cipher::KeyBytes;
pub use cluster_id::ClusterId;
pub use customer_key::CustomerKey;
pub use error::{Format, SealError};
pub use keyring::Keyring;
pub use place::{BucketId, BucketPlace, CustomerPlace, ShardPlace};
pub use random::{RandomSource, SystemRandom};
pub use root::{ROOT_KEY_ID_BYTES_MAX, RootKey, RootKeyId};
pub use root_file::{FileRootKey, ROOT_KEYS_MAX, RootFileFault};
pub use shard_key::ShardKey;
pub use value::{SEALED_OVERHEAD_BYTES, SUFFIX_BYTES_MAX, SealContext, sealed_epoch};
pub use wrapped::{KeyLevel, Parent, WrappedKey};
pub use wrapped_set::{WRAPPED_KEYS_MAX, WrappedKeys};

#[cfg(test)]
mod tests;
