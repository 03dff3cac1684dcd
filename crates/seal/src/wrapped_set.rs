//! The wrapped keys of one bucket or one customer: usually one, two during a rotation, none after the key was
//! destroyed.
//!
//! ```text
//! offset  bytes  field
//! 0       1      format version = 1
//! 1       1      n, number of keys, 0 to 8
//! then n times:
//!         2      length of the wrapped key, u16 BE
//!         …      the wrapped key (wrapped.rs)
//! ```
//!
//! Always: all keys are of one level and epochs decrease strictly, so the first key is the current one.
//! The set is not authenticated, but each key in it is. A person who can write to the disk can remove a key from the set
//! (the data is then lost, and reads say so) but cannot make another key open in its stead.

use custodia_profile::KeyEpoch;

use crate::error::{Format, SealError};
use crate::wrapped::WrappedKey;

const FORMAT_VERSION: u8 = 1;

/// Most keys in a set. Rotations need two; the rest is reserve.
pub const WRAPPED_KEYS_MAX: usize = 8;

/// Wrapped keys of one bucket or customer, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    keys: Vec<WrappedKey>,
}

impl WrappedKeys {
    /// A set of `keys`, newest first.
    ///
    /// # Errors
    /// [`SealError::KeySet`] when there are too many, they are of several levels, or epochs do not decrease.
    pub fn new(keys: Vec<WrappedKey>) -> Result<Self, SealError> {
        let ordered = keys.iter().zip(keys.iter().skip(1)).all(|(newer, older)| {
            newer.level() == older.level() && newer.epoch().as_u32() > older.epoch().as_u32()
        });
        if !ordered || keys.len() > WRAPPED_KEYS_MAX {
            return Err(SealError::KeySet { max: WRAPPED_KEYS_MAX });
        }
        Ok(Self { keys })
    }

    /// The empty set, which is left after a key was destroyed.
    #[must_use]
    pub const fn destroyed() -> Self {
        Self { keys: Vec::new() }
    }

    /// Reads a set.
    ///
    /// # Errors
    /// [`SealError::UnknownVersion`], [`SealError::Malformed`] and [`SealError::KeySet`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        let malformed = || SealError::Malformed { format: Format::WrappedKeys, bytes: bytes.len() };
        let ([version, count], mut rest) = bytes.split_first_chunk::<2>().ok_or_else(malformed)?;
        if *version != FORMAT_VERSION {
            return Err(SealError::UnknownVersion { format: Format::WrappedKeys, version: *version });
        }
        if usize::from(*count) > WRAPPED_KEYS_MAX {
            return Err(malformed());
        }
        let mut keys = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            let (length, after) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (key, after) = after.split_at_checked(length).ok_or_else(malformed)?;
            keys.push(WrappedKey::parse(key)?);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
        Self::new(keys)
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// [`SealError::KeySet`] if a key does not fit its length field; no parsed key is that long.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        let broken = || SealError::KeySet { max: WRAPPED_KEYS_MAX };
        let mut bytes = vec![FORMAT_VERSION, u8::try_from(self.keys.len()).map_err(|_many| broken())?];
        for key in &self.keys {
            let length = u16::try_from(key.as_bytes().len()).map_err(|_long| broken())?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(key.as_bytes());
        }
        Ok(bytes)
    }

    /// The key for new values, unless the key was destroyed.
    #[must_use]
    pub fn current(&self) -> Option<&WrappedKey> {
        self.keys.first()
    }

    /// The key of `epoch`.
    #[must_use]
    pub fn of_epoch(&self, epoch: KeyEpoch) -> Option<&WrappedKey> {
        self.keys.iter().find(|key| key.epoch() == epoch)
    }

    /// All keys, newest first.
    #[must_use]
    pub fn keys(&self) -> &[WrappedKey] {
        &self.keys
    }

    /// The set with `newer` in front.
    ///
    /// # Errors
    /// [`SealError::KeySet`] when `newer` is not newer or the set is full.
    pub fn with_newer(&self, newer: WrappedKey) -> Result<Self, SealError> {
        let mut keys = Vec::with_capacity(self.keys.len() + 1);
        keys.push(newer);
        keys.extend(self.keys.iter().cloned());
        Self::new(keys)
    }

    /// The set with its current key only.
    #[must_use]
    pub fn current_only(&self) -> Self {
        Self { keys: self.keys.first().cloned().into_iter().collect() }
    }
}
