//! The key of one customer in one epoch. It seals the customer's values (layout: value.rs).

use std::fmt;

use custodia_profile::KeyEpoch;
use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::error::{Format, SealError};
use crate::random::{RandomSource, SystemRandom};
use crate::value::{self, HEADER_BYTES, SEALED_OVERHEAD_BYTES, SealContext};

/// A customer key in the clear, with its key schedule ready.
pub struct CustomerKey {
    cipher: Cipher,
    epoch: KeyEpoch,
}

impl CustomerKey {
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

    /// Seals `plaintext`, bound to `context`.
    ///
    /// # Errors
    /// [`SealError::SuffixTooLong`], [`SealError::Random`].
    pub fn seal(&self, context: &SealContext<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_with(&SystemRandom, context, plaintext)
    }

    /// Seals with a nonce from `random`.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_with(
        &self,
        random: &dyn RandomSource,
        context: &SealContext<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let header = value::header(self.epoch);
        let mut aad = value::AadBuffer::default();
        let aad = aad.fill(&header, context)?;
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(SEALED_OVERHEAD_BYTES));
        sealed.extend_from_slice(&header);
        self.cipher.seal(random, aad, plaintext, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens a value that [`Self::seal`] made with the same key and context.
    ///
    /// # Errors
    /// [`SealError::WrongEpoch`] when the value was sealed under another epoch of this customer's key;
    /// [`SealError::Unauthentic`] when it was altered, moved or sealed by another key;
    /// [`SealError::Malformed`], [`SealError::UnknownVersion`].
    pub fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, found) = value::parse_header(sealed)?;
        if found != self.epoch {
            return Err(SealError::WrongEpoch { expected: self.epoch, found });
        }
        let mut aad = value::AadBuffer::default();
        let aad = aad.fill(header, context)?;
        self.cipher.open(Format::SealedValue, aad, sealed.get(HEADER_BYTES..).unwrap_or_default())
    }

    pub(crate) const fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    pub(crate) const fn from_cipher(cipher: Cipher, epoch: KeyEpoch) -> Self {
        Self { cipher, epoch }
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomerKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
