//! The top of the key tree: the trait through which a key file, and later a key service, wraps shard keys.

use std::fmt;
use std::str::FromStr;

use crate::cipher::KeyBytes;
use crate::error::SealError;
use crate::random::RandomSource;
use crate::root_key_id::{ROOT_KEY_ID_BYTES_MAX, RootKeyId};

impl FromStr for RootKeyId {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text).ok_or(SealError::RootKeyIdText { max: ROOT_KEY_ID_BYTES_MAX })
    }
}

/// A provider of root keys. It may hold several, so that shard keys wrapped by an older one stay readable until they are
/// rewrapped.
///
/// Calls are rare: one for each shard key when a node becomes leader of a shard, and one for each rotation. They are made on
/// the threads of the runtime, so a provider that calls a network service must bound its time.
pub trait RootKey: Send + Sync + fmt::Debug {
    /// The root key that new shard keys are wrapped with.
    fn current(&self) -> RootKeyId;

    /// Takes over what the operator changed: keys added, another key made current. If it fails, the keys known before stay
    /// in use.
    ///
    /// # Errors
    /// Why the keys could not be read.
    fn reload(&self) -> Result<(), SealError>;

    /// Seals `key` with root key `id`, bound to `aad`.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`] when there is no such key; the provider's errors.
    fn wrap(
        &self,
        id: &RootKeyId,
        key: &KeyBytes,
        aad: &[u8],
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>, SealError>;

    /// Opens a key that [`Self::wrap`] sealed with the same id and `aad`.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`], [`SealError::WrongRootKey`] when the key of this name has other bytes,
    /// [`SealError::Unauthentic`] when `wrapped` was altered or moved.
    fn unwrap(&self, id: &RootKeyId, wrapped: &[u8], aad: &[u8]) -> Result<KeyBytes, SealError>;
}
