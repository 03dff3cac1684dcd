//! Why a key is unavailable, or why its rotation failed.

use custodia_consensus::ConsensusError;
use custodia_profile::KeyEpoch;
use custodia_seal::{BucketId, SealError};
use custodia_store::StoreError;

use crate::propose::ProposeError;

/// Why a key is unavailable, or why its rotation failed. Holds no key bytes and no ids of customers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// Bytes do not open. Of a value or a wrapped key this is damage: data loss for one record, repaired from another
    /// replica. Of a root key it is the operator's file.
    #[error("cannot open sealed bytes or keys")]
    Seal(#[from] SealError),
    /// Reading the state failed.
    #[error("cannot read the state")]
    Store(#[from] StoreError),
    /// The read barrier before such a command failed; nothing was proposed.
    #[error("the read barrier failed")]
    Barrier(#[source] ConsensusError),
    /// A command for a rotation or a new bucket was not applied.
    #[error("cannot write keys")]
    Consensus(#[from] ConsensusError),
    /// The state refers to a shard key that it does not hold: damage.
    #[error("the shard key of epoch {epoch} is missing")]
    ShardKeyMissing {
        /// The epoch.
        epoch: KeyEpoch,
    },
    /// The state refers to a bucket key that it does not hold: damage.
    #[error("the key of bucket {bucket} is missing")]
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
    /// This node has no key to blind identifiers with: its copy of the directory is behind.
    #[error("the blinding key is missing")]
    BlindingKeyMissing,
    /// A key of this epoch existed and is gone: the value was read before a rotation ended, or it is damage.
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
    /// An entry or a key of the state is not in a form that this program writes.
    #[error("malformed {what}")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// Others kept changing the same keys.
    #[error("gave up after {tries} conflicts")]
    Contended {
        /// How often it was proposed.
        tries: u32,
    },
    /// No number is left for an epoch, a bucket or a revision.
    #[error("no number is left for more {what}")]
    Exhausted {
        /// What is numbered.
        what: &'static str,
    },
}

impl From<ProposeError<Self>> for KeysError {
    fn from(error: ProposeError<Self>) -> Self {
        match error {
            ProposeError::Evaluate(error) => error,
            ProposeError::Barrier(error) => Self::Barrier(error),
            ProposeError::Consensus(error) => Self::Consensus(error),
            ProposeError::Contended { tries } => Self::Contended { tries },
        }
    }
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
            Self::Barrier(_)
            | Self::BlindingKeyMissing
            | Self::Consensus(_)
            | Self::Destroyed
            | Self::NoCustomer
            | Self::Contended { .. }
            | Self::Exhausted { .. } => false,
        }
    }
}
