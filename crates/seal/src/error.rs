//! What can be wrong with keys and sealed bytes. No message holds key bytes or personal data.

use std::io;
use std::path::PathBuf;

use custodia_profile::KeyEpoch;
use thiserror::Error;

use crate::{BucketId, KeyLevel, RootFileFault, RootKeyId};

/// The byte formats of this crate, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A sealed value.
    SealedValue,
    /// One wrapped key.
    WrappedKey,
    /// The set of wrapped keys under one storage key.
    WrappedKeys,
    /// The part of a wrapped shard key that a root key file makes.
    FileWrap,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SealedValue => "sealed value",
            Self::WrappedKey => "wrapped key",
            Self::WrappedKeys => "set of wrapped keys",
            Self::FileWrap => "key wrapped by a root key file",
        })
    }
}

/// Why something could not be sealed, opened, wrapped or unwrapped.
#[derive(Debug, Error)]
pub enum SealError {
    /// The bytes do not have the layout of their format: cut, too long, or not such bytes at all.
    #[error("malformed {format} of {bytes} bytes")]
    Malformed {
        /// What they should have been.
        format: Format,
        /// How many bytes there were.
        bytes: usize,
    },
    /// The bytes were written by a newer program.
    #[error("format version {version} of a {format} is not known to this program")]
    UnknownVersion {
        /// What was read.
        format: Format,
        /// The version found.
        version: u8,
    },
    /// The tag does not fit the key, the header and the context: changed, moved or of another key.
    #[error("a {format} does not authenticate: it was altered, moved, or made with another key")]
    Unauthentic {
        /// What was read.
        format: Format,
    },
    /// A wrapped key of another level of the tree.
    #[error("found a wrapped {found} key where a {expected} key belongs")]
    WrongLevel {
        /// The level asked for.
        expected: KeyLevel,
        /// The level in the header.
        found: KeyLevel,
    },
    /// A key of another epoch than the one that did the sealing was used.
    #[error("sealed under key epoch {found}, but the key at hand is of epoch {expected}")]
    WrongEpoch {
        /// The epoch of the key at hand.
        expected: KeyEpoch,
        /// The epoch in the header.
        found: KeyEpoch,
    },
    /// The shard key of this epoch is not in the keyring.
    #[error("shard key of epoch {epoch} is not loaded")]
    ShardKeyMissing {
        /// The epoch asked for.
        epoch: KeyEpoch,
    },
    /// The key of this bucket and epoch is not in the keyring.
    #[error("key of bucket {bucket}, epoch {epoch}, is not loaded")]
    BucketKeyMissing {
        /// The bucket.
        bucket: BucketId,
        /// The epoch asked for.
        epoch: KeyEpoch,
    },
    /// More keys than a set may hold, or keys that do not belong into one set.
    #[error("a set of wrapped keys holds at most {max} keys of one level, newest first")]
    KeySet {
        /// [`crate::WRAPPED_KEYS_MAX`].
        max: usize,
    },
    /// The key suffix in a context is over the limit.
    #[error("context suffix of {bytes} bytes is over the limit of {max}")]
    SuffixTooLong {
        /// Bytes given.
        bytes: usize,
        /// [`crate::SUFFIX_BYTES_MAX`].
        max: usize,
    },
    /// The random source failed.
    #[error("the random source failed")]
    Random,
    /// The cipher refused to work, which it does only for lengths beyond its limits.
    #[error("the cipher refused {bytes} bytes")]
    Cipher {
        /// Bytes given.
        bytes: usize,
    },
    /// Not a root key id.
    #[error("a root key id has 1 to {max} characters out of a-z, 0-9, '.', '_' and '-'")]
    RootKeyIdText {
        /// [`crate::ROOT_KEY_ID_BYTES_MAX`].
        max: usize,
    },
    /// The root key that wrapped a shard key is not at hand.
    #[error("root key \"{id}\" is needed to unwrap a shard key, but is not in the root key file")]
    UnknownRootKey {
        /// The id in the wrapped key's header.
        id: RootKeyId,
    },
    /// There is a root key of the right id, but it is another key.
    #[error("wrong root key: \"{id}\" is not the key of that name that the shard keys were wrapped with")]
    WrongRootKey {
        /// The id in the wrapped key's header.
        id: RootKeyId,
    },
    /// The root key file cannot be read.
    #[error("cannot read the root key file {}", path.display())]
    RootKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may use the root key file.
    #[error(
        "the root key file {} has mode {mode:04o}, which lets others than its owner use it; set it to 0600",
        path.display()
    )]
    RootKeyFileMode {
        /// The file.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },
    /// The root key file does not say what it must.
    #[error("the root key file {} is not usable: {fault}", path.display())]
    RootKeyFileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: RootFileFault,
    },
}
