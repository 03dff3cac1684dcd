//! The key of one customer in one epoch. It seals the customer's values (layout: value.rs).

use zeroize::Zeroizing;

use crate::error::{Format, SealError};
use crate::random::{RandomSource, SystemRandom};
use crate::tree_key::tree_key;
use crate::value::{self, HEADER_BYTES, SEALED_OVERHEAD_BYTES, SealContext};

tree_key! {
    /// A customer key in the clear, with its key schedule ready.
    CustomerKey
}

impl CustomerKey {
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
}
