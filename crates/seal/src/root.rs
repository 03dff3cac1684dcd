//! The top of the key tree: the trait behind which a key file, and later a key service, wraps shard keys.

use std::fmt;
use std::str::FromStr;

use crate::cipher::KeyBytes;
use crate::{RandomSource, SealError};

/// The longest root key id.
pub const ROOT_KEY_ID_BYTES_MAX: usize = 64;

/// Names a root key: 1 to 64 characters out of `a-z`, `0-9`, `.`, `_`, `-`. It stands in the clear in every
/// wrapped shard key, so that a node can say which root key it lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootKeyId(String);

impl RootKeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RootKeyId {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > ROOT_KEY_ID_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(SealError::RootKeyIdText { max: ROOT_KEY_ID_BYTES_MAX });
        }
        Ok(Self(text.to_owned()))
    }
}

/// A provider of root keys. It may hold several, so that shard keys wrapped under an older one stay readable
/// until they are wrapped anew.
///
/// The calls are rare, one per shard key when a node begins to lead a shard and one per turn, and made on the
/// threads of the runtime: a provider that asks over the network must bound its time.
pub trait RootKey: Send + Sync + fmt::Debug {
    /// The root key that new shard keys are wrapped with.
    fn current(&self) -> RootKeyId;

    /// Takes up what the operator changed: keys added, another one made current. When that fails, the keys known
    /// before stay in use.
    ///
    /// # Errors
    /// Why the keys could not be read.
    fn reload(&self) -> Result<(), SealError>;

    /// Seals `key` with root key `id`, bound to `aad`.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`] when there is no such key, or why it cannot be used.
    fn wrap(
        &self,
        id: &RootKeyId,
        key: &KeyBytes,
        aad: &[u8],
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>, SealError>;

    /// Opens what [`Self::wrap`] made with the same id and `aad`.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`], [`SealError::WrongRootKey`] when it is a key of the same name but other
    /// bytes, [`SealError::Unauthentic`] when the bytes were altered or moved.
    fn unwrap(&self, id: &RootKeyId, wrapped: &[u8], aad: &[u8]) -> Result<KeyBytes, SealError>;
}
