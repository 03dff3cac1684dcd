//! The only use of the cipher: AES-256-GCM with a random 96-bit nonce in front.
//!
//! ```text
//! box = nonce (12) ‖ ciphertext (as long as the plaintext) ‖ tag (16)
//! ```
//!
//! Random nonces are safe for 2³² boxes under one key (NIST SP 800-38D §8.3). A customer key makes one box for each value
//! that is written, a bucket or shard key one for each child and rotation: both stay far below.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Format, SealError};
use crate::random::RandomSource;

/// Bytes of every key in the tree.
pub(crate) const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// How much longer a box is than its plaintext.
pub(crate) const BOX_OVERHEAD_BYTES: usize = NONCE_LEN + TAG_BYTES;

/// The bytes of one key in the clear: zeroized on drop, never printed, readable only inside this crate.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeyBytes([u8; KEY_BYTES]);

impl KeyBytes {
    pub(crate) const fn zeroed() -> Self {
        Self([0; KEY_BYTES])
    }

    pub(crate) fn generate(random: &dyn RandomSource) -> Result<Self, SealError> {
        let mut key = Self::zeroed();
        random.fill(&mut key.0)?;
        Ok(key)
    }

    pub(crate) const fn as_array(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) const fn as_mut_array(&mut self) -> &mut [u8; KEY_BYTES] {
        &mut self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(redacted)")
    }
}

/// A key ready for use: its bytes and the expanded key schedule, which costs more to compute than sealing 1 KB.
/// aws-lc clears the schedule when it frees it.
pub(crate) struct Cipher {
    bytes: KeyBytes,
    key: LessSafeKey,
}

impl Cipher {
    pub(crate) fn new(bytes: KeyBytes) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_array())
            .map_err(|_unspecified| SealError::Cipher { bytes: KEY_BYTES })?;
        Ok(Self { bytes, key: LessSafeKey::new(key) })
    }

    pub(crate) fn generate(random: &dyn RandomSource) -> Result<Self, SealError> {
        Self::new(KeyBytes::generate(random)?)
    }

    pub(crate) const fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    /// Appends the box of `plaintext` to `out`.
    pub(crate) fn seal(
        &self,
        random: &dyn RandomSource,
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let refused = SealError::Cipher { bytes: plaintext.len() };
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce)?;
        out.reserve(plaintext.len().saturating_add(BOX_OVERHEAD_BYTES));
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let Some(in_out) = out.get_mut(start..) else { return Err(refused) };
        match self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), in_out)
        {
            Ok(tag) => {
                out.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_unspecified) => {
                in_out.zeroize();
                Err(refused)
            }
        }
    }

    /// Opens a box into a buffer of its own.
    pub(crate) fn open(
        &self,
        format: Format,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let plaintext_bytes = sealed
            .len()
            .checked_sub(BOX_OVERHEAD_BYTES)
            .ok_or(SealError::Malformed { format, bytes: sealed.len() })?;
        let mut plaintext = Zeroizing::new(vec![0; plaintext_bytes]);
        self.open_into(format, aad, sealed, &mut plaintext)?;
        Ok(plaintext)
    }

    /// Opens the box of a key.
    pub(crate) fn open_key(&self, format: Format, aad: &[u8], sealed: &[u8]) -> Result<KeyBytes, SealError> {
        let mut key = KeyBytes::zeroed();
        self.open_into(format, aad, sealed, key.as_mut_array())?;
        Ok(key)
    }

    fn open_into(
        &self,
        format: Format,
        aad: &[u8],
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), SealError> {
        let malformed = || SealError::Malformed { format, bytes: sealed.len() };
        if sealed.len() != plaintext.len().saturating_add(BOX_OVERHEAD_BYTES) {
            return Err(malformed());
        }
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(malformed)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or_else(malformed)?;
        self.key
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                ciphertext,
                tag,
                plaintext,
            )
            .map_err(|_unspecified| SealError::Unauthentic { format })
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(redacted)")
    }
}
