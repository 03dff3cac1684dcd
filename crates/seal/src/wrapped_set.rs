//! The wrapped keys of one bucket or one customer: usually one, two while the key is being turned, none after
//! the key was destroyed.
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
//! Always: all keys are of one level, epochs fall strictly, so the first is the current one.
//! The set itself is not authenticated, each key in it is. Whoever can write to the disk may drop a key from
//! the set (the data is then lost, and seen to be) but can't make another key open as this one.

use custodia_profile::KeyEpoch;

use crate::{Format, SealError, WrappedKey};

const FORMAT_VERSION: u8 = 1;

/// The most keys that a set holds. Two are enough for the turns of the server; more is room for later.
pub const WRAPPED_KEYS_MAX: usize = 8;

/// Wrapped keys of one place, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    keys: Vec<WrappedKey>,
}

impl WrappedKeys {
    /// A set of `keys`, newest first.
    ///
    /// # Errors
    /// [`SealError::KeySet`] when there are too many, of several levels, or not in falling order of epochs.
    pub fn new(keys: Vec<WrappedKey>) -> Result<Self, SealError> {
        let ordered = keys.iter().zip(keys.iter().skip(1)).all(|(newer, older)| {
            newer.level() == older.level() && newer.epoch().as_u32() > older.epoch().as_u32()
        });
        if !ordered || keys.len() > WRAPPED_KEYS_MAX {
            return Err(SealError::KeySet { max: WRAPPED_KEYS_MAX });
        }
        Ok(Self { keys })
    }

    /// What is left of a key that was destroyed.
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

    /// The bytes to keep.
    ///
    /// # Errors
    /// [`SealError::KeySet`] should a key be longer than its length field can say, which no parsed key is.
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

    /// The key in use for new values, if the key was not destroyed.
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

    /// The set with nothing but its current key.
    #[must_use]
    pub fn current_only(&self) -> Self {
        Self { keys: self.keys.first().cloned().into_iter().collect() }
    }
}
