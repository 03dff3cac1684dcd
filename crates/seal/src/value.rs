//! The layout of a sealed value, and of the additional data that binds it to its key, revision and guard.
//!
//! ```text
//! offset  bytes  field
//! 0       1      format version = 1
//! 1       4      epoch of the customer key, u32 BE
//! 5       n+28   box of the n plaintext bytes: nonce (12) ‖ ciphertext (n) ‖ tag (16)
//!
//! additional data = format version (1) ‖ epoch u32 BE ‖ cluster (16) ‖ customer (16) ‖ kind (1)
//!                   ‖ revision u64 BE ‖ guard u64 BE ‖ key suffix (the rest, up to 64)
//! ```
//!
//! Every field but the last has a fixed length, so no two contexts give the same additional data.

use custodia_profile::{CustomerId, KeyEpoch};

use crate::cipher::BOX_OVERHEAD_BYTES;
use crate::cluster_id::ClusterId;
use crate::error::{Format, SealError};

const FORMAT_VERSION: u8 = 1;
pub(crate) const HEADER_BYTES: usize = 5;
const FIXED_AAD_BYTES: usize = HEADER_BYTES + 16 + 16 + 1 + 8 + 8;

/// The longest key suffix in a context.
pub const SUFFIX_BYTES_MAX: usize = 64;

/// How much longer a sealed value is than its plaintext.
pub const SEALED_OVERHEAD_BYTES: usize = HEADER_BYTES + BOX_OVERHEAD_BYTES;

/// Where a sealed value belongs. It opens only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The customer.
    pub customer: CustomerId,
    /// The kind byte of the storage key.
    pub kind: u8,
    /// The suffix of the storage key (`KeyParts::suffix` in the store).
    pub suffix: &'a [u8],
    /// The revision in the value's clear header.
    pub revision: u64,
    /// The guard in the value's clear header.
    pub guard: u64,
}

/// The epoch of the customer key that sealed a value.
///
/// # Errors
/// [`SealError::Malformed`], [`SealError::UnknownVersion`].
pub fn sealed_epoch(sealed: &[u8]) -> Result<KeyEpoch, SealError> {
    parse_header(sealed).map(|(_, epoch)| epoch)
}

pub(crate) fn header(epoch: KeyEpoch) -> [u8; HEADER_BYTES] {
    let [e0, e1, e2, e3] = epoch.as_u32().to_be_bytes();
    [FORMAT_VERSION, e0, e1, e2, e3]
}

pub(crate) fn parse_header(sealed: &[u8]) -> Result<(&[u8; HEADER_BYTES], KeyEpoch), SealError> {
    let malformed = || SealError::Malformed { format: Format::SealedValue, bytes: sealed.len() };
    if sealed.len() < SEALED_OVERHEAD_BYTES {
        return Err(malformed());
    }
    let header = sealed.first_chunk::<HEADER_BYTES>().ok_or_else(malformed)?;
    let [version, e0, e1, e2, e3] = *header;
    if version != FORMAT_VERSION {
        return Err(SealError::UnknownVersion { format: Format::SealedValue, version });
    }
    let epoch = KeyEpoch::new(u32::from_be_bytes([e0, e1, e2, e3])).map_err(|_zero| malformed())?;
    Ok((header, epoch))
}

/// Additional data on the stack: opening a value allocates only its plaintext.
pub(crate) struct AadBuffer {
    bytes: [u8; FIXED_AAD_BYTES + SUFFIX_BYTES_MAX],
}

impl Default for AadBuffer {
    fn default() -> Self {
        Self { bytes: [0; FIXED_AAD_BYTES + SUFFIX_BYTES_MAX] }
    }
}

impl AadBuffer {
    pub(crate) fn fill(
        &mut self,
        header: &[u8; HEADER_BYTES],
        context: &SealContext<'_>,
    ) -> Result<&[u8], SealError> {
        let too_long = || SealError::SuffixTooLong { bytes: context.suffix.len(), max: SUFFIX_BYTES_MAX };
        let parts: [&[u8]; 7] = [
            header,
            context.cluster.as_bytes(),
            context.customer.as_bytes(),
            &[context.kind],
            &context.revision.to_be_bytes(),
            &context.guard.to_be_bytes(),
            context.suffix,
        ];
        let mut length = 0_usize;
        for part in parts {
            let end = length.saturating_add(part.len());
            self.bytes.get_mut(length..end).ok_or_else(too_long)?.copy_from_slice(part);
            length = end;
        }
        self.bytes.get(..length).ok_or_else(too_long)
    }
}
