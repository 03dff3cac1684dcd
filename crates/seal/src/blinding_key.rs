//! The key that blinds identifiers and blocking keys: an HMAC-SHA-256 (RFC 2104) under a key of its own, so that their indexes
//! show equal values as equal and nothing else. Without the key nobody can try values against them.
//!
//! ```text
//! identifier    HMAC-SHA-256(key, namespace ‖ 0 ‖ normalised value)        no namespace contains a zero byte, or is empty
//! blocking key  HMAC-SHA-256(key, 0 ‖ 1 ‖ kind ‖ bytes), its first 8 bytes
//! refinement    HMAC-SHA-256(key, 0 ‖ 2 ‖ place ‖ value), its first 4 bytes; never 0
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
        BlindedIdentifier::from_hash(self.tag(&[namespace.as_bytes(), &[0], value.as_bytes()]))
    }

    /// Blinds a blocking key: records that have it in common have the same number. Two keys have it by chance with a
    /// probability of 2^-64.
    #[must_use]
    pub fn blind_block(&self, kind: u8, bytes: &[u8]) -> u64 {
        u64::from_be_bytes(self.tag(&[&[0, 1, kind], bytes]))
    }

    /// Blinds a value that refines an over-full block, of those that stand in this place; never 0.
    #[must_use]
    pub fn blind_refinement(&self, place: u8, value: u32) -> u32 {
        u32::from_be_bytes(self.tag(&[&[0, 2, place], &value.to_be_bytes()])).max(1)
    }

    /// The first bytes of the HMAC over these parts, one after another.
    fn tag<const BYTES: usize>(&self, parts: &[&[u8]]) -> [u8; BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        let tag = context.sign();
        // HMAC-SHA-256 always has 32 bytes.
        tag.as_ref().first_chunk().copied().unwrap_or([0; BYTES])
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
