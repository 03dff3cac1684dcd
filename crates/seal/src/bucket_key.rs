//! The key of one bucket of customers in one epoch. It wraps customer keys.

use std::fmt;

use custodia_profile::KeyEpoch;

use crate::cipher::Cipher;
use crate::customer_key::CustomerKey;
use crate::error::SealError;
use crate::key_context::CustomerKeyContext;
use crate::key_level::KeyLevel;
use crate::random::RandomSource;
use crate::wrapped::WrappedKey;

/// A bucket key in the clear.
pub struct BucketKey {
    cipher: Cipher,
    epoch: KeyEpoch,
}

impl BucketKey {
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

    /// Wraps a customer key.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn wrap_child(
        &self,
        child: &CustomerKey,
        context: &CustomerKeyContext,
        random: &dyn RandomSource,
    ) -> Result<WrappedKey, SealError> {
        WrappedKey::under(
            (&self.cipher, self.epoch),
            KeyLevel::Customer,
            (child.cipher(), child.epoch()),
            random,
            |aad| context.append(aad),
        )
    }

    /// Unwraps a customer key.
    ///
    /// # Errors
    /// [`SealError::WrongEpoch`] when another epoch of the bucket key wrapped it, [`SealError::Unauthentic`].
    pub fn unwrap_child(
        &self,
        wrapped: &WrappedKey,
        context: &CustomerKeyContext,
    ) -> Result<CustomerKey, SealError> {
        let cipher =
            wrapped.open_under((&self.cipher, self.epoch), KeyLevel::Customer, |aad| context.append(aad))?;
        Ok(CustomerKey::from_cipher(cipher, wrapped.epoch()))
    }

    pub(crate) const fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    pub(crate) const fn from_cipher(cipher: Cipher, epoch: KeyEpoch) -> Self {
        Self { cipher, epoch }
    }
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
