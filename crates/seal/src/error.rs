//! What can be wrong with keys and sealed bytes. No message has key bytes or personal data.

use std::path::PathBuf;
use std::{fmt, io};

use custodia_profile::KeyEpoch;
use thiserror::Error;

use crate::bucket_id::BucketId;
use crate::key_level::KeyLevel;
use crate::root_key_id::RootKeyId;

/// The byte formats of this crate, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A sealed value.
    SealedValue,
    /// One wrapped key.
    WrappedKey,
    /// The set of wrapped keys under one storage key.
    WrappedKeys,
    /// The payload of a wrapped shard key, made with a root key file.
    FileWrap,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SealedValue => "sealed value",
            Self::WrappedKey => "wrapped key",
            Self::WrappedKeys => "set of wrapped keys",
            Self::FileWrap => "shard key wrapped with a root key file",
        })
    }
}

/// Why bytes could not be sealed, opened, wrapped or unwrapped.
#[derive(Debug, Error)]
pub enum SealError {
    /// The bytes do not have the layout of their format: cut, too long, or something else.
    #[error("malformed {format} of {bytes} bytes")]
    Malformed {
        /// The expected format.
        format: Format,
        /// Number of bytes.
        bytes: usize,
    },
    /// The bytes have a format version that this program does not know.
    #[error("{format} has unknown format version {version}")]
    UnknownVersion {
        /// What was read.
        format: Format,
        /// The version found.
        version: u8,
    },
    /// The tag does not match the key, the header and the context: the bytes were altered, moved or made with another key.
    #[error("{format} does not authenticate: it was altered, moved, or made with another key")]
    Unauthentic {
        /// What was read.
        format: Format,
    },
    /// The wrapped key is of another level of the tree.
    #[error("expected a wrapped {expected} key, found a {found} key")]
    WrongLevel {
        /// The expected level.
        expected: KeyLevel,
        /// The level in the header.
        found: KeyLevel,
    },
    /// The bytes were sealed by a key of another epoch.
    #[error("sealed with a key of epoch {found}, but opened with a key of epoch {expected}")]
    WrongEpoch {
        /// The epoch of the key in use.
        expected: KeyEpoch,
        /// The epoch in the header.
        found: KeyEpoch,
    },
    /// The shard key of this epoch is not in the keyring.
    #[error("shard key of epoch {epoch} not loaded")]
    ShardKeyMissing {
        /// The epoch.
        epoch: KeyEpoch,
    },
    /// The key of this bucket and epoch is not in the keyring.
    #[error("key of bucket {bucket}, epoch {epoch}, not loaded")]
    BucketKeyMissing {
        /// The bucket.
        bucket: BucketId,
        /// The epoch.
        epoch: KeyEpoch,
    },
    /// Too many keys for a set, or keys that do not belong in one set.
    #[error("a set of wrapped keys has at most {max} keys, all of one level, newest first")]
    KeySet {
        /// [`crate::WRAPPED_KEYS_MAX`].
        max: usize,
    },
    /// The key suffix in a context is too long.
    #[error("context suffix of {bytes} bytes is longer than {max} bytes")]
    SuffixTooLong {
        /// Number of bytes.
        bytes: usize,
        /// [`crate::SUFFIX_BYTES_MAX`].
        max: usize,
    },
    /// The random source failed.
    #[error("random source failed")]
    Random,
    /// The cipher failed, which it does only for lengths beyond its limits.
    #[error("cipher failed on {bytes} bytes")]
    Cipher {
        /// Number of bytes.
        bytes: usize,
    },
    /// The text is not a root key id.
    #[error("invalid root key id: expected 1 to {max} characters out of a-z, 0-9, '.', '_' and '-'")]
    RootKeyIdText {
        /// [`crate::ROOT_KEY_ID_BYTES_MAX`].
        max: usize,
    },
    /// The root key that wrapped a shard key is missing.
    #[error("root key \"{id}\" wraps a shard key but is not in the root key file")]
    UnknownRootKey {
        /// The id in the wrapped key's header.
        id: RootKeyId,
    },
    /// The root key has the right id but other bytes.
    #[error("wrong root key: \"{id}\" is not the key with which the shard keys were wrapped")]
    WrongRootKey {
        /// The id in the wrapped key's header.
        id: RootKeyId,
    },
    /// The root key file cannot be read.
    #[error("cannot read root key file {}", path.display())]
    RootKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may access the root key file.
    #[error(
        "root key file {} has mode {mode:04o}, so others than its owner may access it; set it to 0600",
        path.display()
    )]
    RootKeyFileMode {
        /// The file.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },
    /// The content of the root key file is invalid.
    #[error("root key file {} is invalid: {fault}", path.display())]
    RootKeyFileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: RootFileFault,
    },
}

/// What is wrong with the content of a root key file. It never repeats the content, which may be key digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootFileFault {
    /// Not the TOML that `root_file.rs` describes.
    Syntax {
        /// The line, counted from 1, where known.
        line: Option<usize>,
    },
    /// A key is not 64 hexadecimal digits.
    KeyText {
        /// Its id.
        id: RootKeyId,
    },
    /// Two keys have one id.
    Duplicate {
        /// The id.
        id: RootKeyId,
    },
    /// `current` names no key of the file.
    NoCurrent {
        /// The id it names.
        id: RootKeyId,
    },
    /// No key, or too many.
    Count {
        /// How many.
        keys: usize,
        /// [`crate::ROOT_KEYS_MAX`].
        max: usize,
    },
}

impl fmt::Display for RootFileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line: Some(line) } => {
                write!(
                    f,
                    "syntax error in line {line}; expected current = \"ID\", then [[keys]] with id and key"
                )
            }
            Self::Syntax { line: None } => {
                f.write_str("expected UTF-8 text: current = \"ID\", then [[keys]] with id and key")
            }
            Self::KeyText { id } => write!(f, "key \"{id}\" is not 64 hexadecimal digits"),
            Self::Duplicate { id } => write!(f, "key id \"{id}\" occurs twice"),
            Self::NoCurrent { id } => write!(f, "no key has the id of current = \"{id}\""),
            Self::Count { keys, max } => write!(f, "it has {keys} keys instead of 1 to {max}"),
        }
    }
}
