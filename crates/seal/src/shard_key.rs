//! The key of one shard in one epoch. It wraps bucket keys.

use std::fmt;

use custodia_profile::KeyEpoch;

use crate::bucket_key::BucketKey;
use crate::cipher::Cipher;
use crate::error::SealError;
use crate::key_context::{BucketKeyContext, ShardKeyContext};
use crate::key_level::KeyLevel;
use crate::random::RandomSource;
use crate::root::RootKey;
use crate::wrapped::WrappedKey;

/// A shard key in the clear.
pub struct ShardKey {
    cipher: Cipher,
    epoch: KeyEpoch,
}

impl ShardKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn generate(epoch: KeyEpoch, random: &dyn RandomSource) -> Result<Self, SealError> {
        Ok(Self { cipher: Cipher::generate(random)?, epoch })
    }

    /// The epoch of this key.
    #[must_use]
    pub const fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// Wraps this key with the current root key.
    ///
    /// # Errors
    /// Why the root key cannot be used.
    pub fn wrap(
        &self,
        root: &dyn RootKey,
        context: &ShardKeyContext,
        random: &dyn RandomSource,
    ) -> Result<WrappedKey, SealError> {
        WrappedKey::under_root(
            root.current(),
            (&self.cipher, self.epoch),
            |aad| context.append(aad),
            |id, key, aad| root.wrap(id, key, aad, random),
        )
    }

    /// Unwraps a shard key with the root key that its header names.
    ///
    /// # Errors
    /// [`SealError::UnknownRootKey`], [`SealError::WrongRootKey`], [`SealError::Unauthentic`].
    pub fn unwrap(
        wrapped: &WrappedKey,
        root: &dyn RootKey,
        context: &ShardKeyContext,
    ) -> Result<Self, SealError> {
        let cipher = wrapped
            .open_under_root(|aad| context.append(aad), |id, payload, aad| root.unwrap(id, payload, aad))?;
        Ok(Self { cipher, epoch: wrapped.epoch() })
    }

    /// Wraps a bucket key.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn wrap_child(
        &self,
        child: &BucketKey,
        context: &BucketKeyContext,
        random: &dyn RandomSource,
    ) -> Result<WrappedKey, SealError> {
        WrappedKey::under(
            (&self.cipher, self.epoch),
            KeyLevel::Bucket,
            (child.cipher(), child.epoch()),
            random,
            |aad| context.append(aad),
        )
    }

    /// Unwraps a bucket key.
    ///
    /// # Errors
    /// [`SealError::WrongEpoch`] when another epoch of the shard key wrapped it, [`SealError::Unauthentic`].
    pub fn unwrap_child(
        &self,
        wrapped: &WrappedKey,
        context: &BucketKeyContext,
    ) -> Result<BucketKey, SealError> {
        let cipher =
            wrapped.open_under((&self.cipher, self.epoch), KeyLevel::Bucket, |aad| context.append(aad))?;
        Ok(BucketKey::from_cipher(cipher, wrapped.epoch()))
    }
}

impl fmt::Debug for ShardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
