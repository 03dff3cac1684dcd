//! Why a key could not be had or turned.

use custodia_consensus::ConsensusError;
use custodia_profile::KeyEpoch;
use custodia_seal::{BucketId, SealError};
use custodia_store::StoreError;

/// Why a key could not be had or turned. Holds no key bytes and no ids of customers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// Bytes do not open. Of a value or a wrapped key this is damage: data loss for one record, repaired from another
    /// replica. Of a root key it is the operator's file.
    #[error("sealed bytes or keys could not be opened")]
    Seal(#[from] SealError),
    /// The state could not be read.
    #[error("the state could not be read")]
    Store(#[from] StoreError),
    /// A command of a turn, or for a new bucket, was not applied.
    #[error("keys could not be written")]
    Consensus(#[from] ConsensusError),
    /// The state names a shard key that it does not hold: damage.
    #[error("shard key of epoch {epoch} is missing")]
    ShardKeyMissing {
        /// The epoch.
        epoch: KeyEpoch,
    },
    /// The state names a bucket key that it does not hold: damage.
    #[error("key of bucket {bucket} is missing")]
    BucketKeyMissing {
        /// The bucket.
        bucket: BucketId,
    },
    /// The state holds a customer's values but not the customer's key: damage.
    #[error("a customer key of bucket {bucket} is missing")]
    CustomerKeyMissing {
        /// The bucket.
        bucket: BucketId,
    },
    /// A key of this epoch was there and is gone: the value was read before a turn ended, or it is damage.
    #[error("the key of epoch {epoch} is gone")]
    EpochGone {
        /// The epoch.
        epoch: KeyEpoch,
    },
    /// The key was destroyed on purpose. Nothing opens the values any more.
    #[error("the key was destroyed")]
    Destroyed,
    /// There is no such customer.
    #[error("there is no such customer")]
    NoCustomer,
    /// An entry or a key of the state is not what this program writes.
    #[error("malformed {what}")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// Others changed the same keys again and again.
    #[error("gave up after {tries} conflicts")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// All numbers of epochs, buckets or revisions are used.
    #[error("all numbers of {what} are used up")]
    Exhausted {
        /// What they number.
        what: &'static str,
    },
}

impl KeysError {
    /// Whether stored bytes are damaged or gone, as opposed to a passing failure.
    pub(crate) const fn is_data_loss(&self) -> bool {
        match self {
            Self::Seal(error) => match error {
                SealError::Malformed { .. }
                | SealError::UnknownVersion { .. }
                | SealError::Unauthentic { .. }
                | SealError::WrongLevel { .. }
                | SealError::WrongEpoch { .. }
                | SealError::ShardKeyMissing { .. }
                | SealError::BucketKeyMissing { .. }
                | SealError::KeySet { .. } => true,
                SealError::SuffixTooLong { .. }
                | SealError::Random
                | SealError::Cipher { .. }
                | SealError::RootKeyIdText { .. }
                | SealError::UnknownRootKey { .. }
                | SealError::WrongRootKey { .. }
                | SealError::RootKeyFile { .. }
                | SealError::RootKeyFileMode { .. }
                | SealError::RootKeyFileContent { .. } => false,
            },
            Self::Store(error) => {
                matches!(error, StoreError::Corrupt { .. } | StoreError::UnknownFormat { .. })
            }
            Self::ShardKeyMissing { .. }
            | Self::BucketKeyMissing { .. }
            | Self::CustomerKeyMissing { .. }
            | Self::EpochGone { .. }
            | Self::Malformed { .. } => true,
            Self::Consensus(_)
            | Self::Destroyed
            | Self::NoCustomer
            | Self::Contended { .. }
            | Self::Exhausted { .. } => false,
        }
    }
}
