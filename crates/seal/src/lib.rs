//! Sealing: the key tree and authenticated encryption of every value at rest.
//!
//! ```text
//! root key        in a file or a key service, outside the store         RootKey, FileRootKey
//!   └─ shard key     one per shard                                      ShardKey
//!        └─ bucket key    one per about 4,096 customers                 BucketKey
//!             └─ customer key   one per customer                        CustomerKey
//!                  └─ sealed values: core, requests, events, ledger     SealContext
//!   └─ blinding key  one per cluster; blinds identifiers               BlindingKey
//! ```
//!
//! Every key below the root is random and stored only as a [`WrappedKey`]: sealed by its parent and bound to its position
//! in the tree. So destroying one key makes everything below it unreadable, copies and backups included. Each key is rotated
//! on its own; an epoch numbers the keys that one shard, bucket or customer has had.
//!
//! What always holds here:
//! - A key in the clear is zeroized on drop, is not `Clone` (share it by `Arc`), and prints only its epoch.
//! - Nothing opens unless its authentication tag matches the key, the header and the context: bytes moved to another
//!   customer, kind, revision, bucket, shard or cluster are refused.
//! - No input makes this crate panic.
//! - The only I/O is reading the root key file. There is no clock, and randomness is a parameter ([`RandomSource`]).

mod blinding_key;
mod bucket_id;
mod bucket_key;
mod cipher;
mod cluster_id;
mod customer_key;
mod error;
mod key_context;
mod key_level;
mod keyring;
mod random;
mod root;
mod root_file;
mod root_key_id;
mod shard_key;
mod tree_key;
mod value;
mod wrapped;
mod wrapped_set;

pub use blinding_key::BlindingKey;
pub use bucket_id::BucketId;
pub use bucket_key::BucketKey;
pub use cipher::KeyBytes;
pub use cluster_id::ClusterId;
pub use customer_key::CustomerKey;
pub use error::{Format, RootFileFault, SealError};
pub use key_context::{BucketKeyContext, CustomerKeyContext, ShardKeyContext};
pub use key_level::KeyLevel;
pub use keyring::Keyring;
pub use random::{RandomSource, SystemRandom};
pub use root::RootKey;
pub use root_file::{FileRootKey, ROOT_KEYS_MAX};
pub use root_key_id::{ROOT_KEY_ID_BYTES_MAX, RootKeyId};
pub use shard_key::ShardKey;
pub use value::{SEALED_OVERHEAD_BYTES, SUFFIX_BYTES_MAX, SealContext, sealed_epoch};
pub use wrapped::{Parent, WrappedKey};
pub use wrapped_set::{WRAPPED_KEYS_MAX, WrappedKeys};

#[cfg(test)]
mod tests;
