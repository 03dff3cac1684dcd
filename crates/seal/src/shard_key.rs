//! The key of one shard in one epoch. It wraps bucket keys.

use crate::bucket_key::BucketKey;
use crate::cipher::Cipher;
use crate::error::SealError;
use crate::key_context::{BucketKeyContext, ShardKeyContext};
use crate::key_level::KeyLevel;
use crate::random::RandomSource;
use crate::root::RootKey;
use crate::tree_key::{tree_key, wraps_children};
use crate::wrapped::WrappedKey;

tree_key! {
    /// A shard key in the clear.
    ShardKey
}

impl ShardKey {
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
            KeyLevel::Shard,
            (self.cipher.bytes(), self.epoch),
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
        let key = wrapped.open_under_root(
            KeyLevel::Shard,
            |aad| context.append(aad),
            |id, payload, aad| root.unwrap(id, payload, aad),
        )?;
        Ok(Self { cipher: Cipher::new(key)?, epoch: wrapped.epoch() })
    }
}

wraps_children!(ShardKey, BucketKey in BucketKeyContext at KeyLevel::Bucket);
