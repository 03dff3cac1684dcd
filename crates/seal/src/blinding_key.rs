//! The key that blinds identifiers: an HMAC-SHA-256 (RFC 2104) under a key of its own, so that the index of identifiers
//! shows equal values as equal and nothing else. Without the key nobody can try values against the index.
//!
//! ```text
//! blinded = HMAC-SHA-256(key, namespace ‖ 0 ‖ normalised value)        no namespace contains a zero byte
//! ```

use std::fmt;

use aws_lc_rs::hmac;
use custodia_profile::{BlindedIdentifier, KeyEpoch};

use crate::{
    cipher::KeyBytes, cluster_id::ClusterId, error::SealError, key_level::KeyLevel, random::RandomSource,
    root::RootKey, wrapped::WrappedKey,
};

/// A blinding key in the clear; prints only its epoch.
pub struct BlindingKey {
    bytes: KeyBytes,
    key: hmac::Key,
    epoch: KeyEpoch,
}

impl BlindingKey {
    fn new(bytes: KeyBytes, epoch: KeyEpoch) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_array());
        Self { bytes, key, epoch }
    }

    /// A fresh random key.
    ///
    /// # Errors
    /// [`Random`](SealError::Random).
    pub fn generate(epoch: KeyEpoch, random: &dyn RandomSource) -> Result<Self, SealError> {
        Ok(Self::new(KeyBytes::generate(random)?, epoch))
    }

    /// The epoch of this key.
    #[must_use]
    pub const fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// Blinds a normalised value of a namespace.
    #[must_use]
    pub fn blind(&self, namespace: &str, value: &str) -> BlindedIdentifier {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [namespace.as_bytes(), &[0], value.as_bytes()] {
            context.update(part);
        }
        let tag = context.sign();
        // HMAC-SHA-256 always has 32 bytes.
        let bytes = tag.as_ref().first_chunk().copied().unwrap_or_default();
        BlindedIdentifier::from_hash(bytes)
    }

    /// Wraps this key with the current root key.
    ///
    /// # Errors
    /// Why the root key cannot be used.
    pub fn wrap(
        &self,
        root: &dyn RootKey,
        cluster: ClusterId,
        random: &dyn RandomSource,
    ) -> Result<WrappedKey, SealError> {
        WrappedKey::under_root(
            root.current(),
            KeyLevel::Blinding,
            (&self.bytes, self.epoch),
            |aad| aad.extend_from_slice(cluster.as_bytes()),
            |id, key, aad| root.wrap(id, key, aad, random),
        )
    }

    /// Unwraps a blinding key with the root key that its header names.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`], [`SealError::WrongRootKey`], [`SealError::Unauthentic`].
    pub fn unwrap(wrapped: &WrappedKey, root: &dyn RootKey, cluster: ClusterId) -> Result<Self, SealError> {
        let bytes = wrapped.open_under_root(
            KeyLevel::Blinding,
            |aad| aad.extend_from_slice(cluster.as_bytes()),
            |id, payload, aad| root.unwrap(id, payload, aad),
        )?;
        Ok(Self::new(bytes, wrapped.epoch()))
    }
}

impl fmt::Debug for BlindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlindingKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
