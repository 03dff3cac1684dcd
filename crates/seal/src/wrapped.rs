//! One key of the tree as it is stored: sealed by its parent, with a header in the clear that names the parent.
//!
//! ```text
//! offset  bytes  field
//! 0       1      format version = 1
//! 1       1      level: 1 shard, 2 bucket, 3 customer, 4 blinding
//! 2       4      epoch of this key, u32 BE
//! 6       1      p, length of the parent field: 4, at the shard and blinding levels 1 to 64
//! 7       p      parent: the parent's epoch u32 BE; at the shard and blinding levels the id of the root key, ASCII
//! 7+p     n      payload: bucket and customer: box of the 32 key bytes (n = 60, see cipher.rs);
//!                shard and blinding: made by the root key provider (root_file.rs: n = 68), 1 to 4096 bytes
//! ```
//!
//! Additional data = header (offsets 0 to 7+p) ‖ context of the key (key_context.rs). The level fixes the length of the
//! context and `p` the length of the parent, so no two different inputs give the same bytes.

use std::fmt;

use custodia_profile::KeyEpoch;

use crate::cipher::{BOX_OVERHEAD_BYTES, Cipher, KEY_BYTES, KeyBytes};
use crate::error::{Format, SealError};
use crate::key_context::KEY_CONTEXT_BYTES_MAX;
use crate::key_level::KeyLevel;
use crate::random::RandomSource;
use crate::root_key_id::{ROOT_KEY_ID_BYTES_MAX, RootKeyId};

const FORMAT_VERSION: u8 = 1;
const FIXED_BYTES: usize = 7;
const EPOCH_BYTES: usize = 4;
const BOX_BYTES: usize = KEY_BYTES + BOX_OVERHEAD_BYTES;
const ROOT_PAYLOAD_BYTES_MAX: usize = 4_096;

/// What wrapped a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// The root key of this id.
    Root(RootKeyId),
    /// The key one level up, of this epoch.
    Epoch(KeyEpoch),
}

/// A wrapped key. Its header has been checked; its payload is checked when it is unwrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    level: KeyLevel,
    epoch: KeyEpoch,
    parent: Parent,
    header_bytes: usize,
    bytes: Vec<u8>,
}

impl WrappedKey {
    /// Reads the header of `bytes`.
    ///
    /// # Errors
    /// [`SealError::UnknownVersion`] and [`SealError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        let malformed = || SealError::Malformed { format: Format::WrappedKey, bytes: bytes.len() };
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or_else(malformed)?;
        let [version, level, e0, e1, e2, e3, parent_bytes] = *fixed;
        if version != FORMAT_VERSION {
            return Err(SealError::UnknownVersion { format: Format::WrappedKey, version });
        }
        let level = KeyLevel::with_number(level).ok_or_else(malformed)?;
        let parent_bytes = usize::from(parent_bytes);
        let (parent, payload) = rest.split_at_checked(parent_bytes).ok_or_else(malformed)?;
        let (parent, payload_bytes) = match level {
            KeyLevel::Shard | KeyLevel::Blinding => {
                let id = std::str::from_utf8(parent).ok().and_then(RootKeyId::from_text);
                (Parent::Root(id.ok_or_else(malformed)?), 1..=ROOT_PAYLOAD_BYTES_MAX)
            }
            KeyLevel::Bucket | KeyLevel::Customer => {
                let epoch: [u8; EPOCH_BYTES] = parent.try_into().map_err(|_length| malformed())?;
                let epoch = KeyEpoch::new(u32::from_be_bytes(epoch)).map_err(|_zero| malformed())?;
                (Parent::Epoch(epoch), BOX_BYTES..=BOX_BYTES)
            }
        };
        if !payload_bytes.contains(&payload.len()) {
            return Err(malformed());
        }
        let epoch = KeyEpoch::new(u32::from_be_bytes([e0, e1, e2, e3])).map_err(|_zero| malformed())?;
        Ok(Self { level, epoch, parent, header_bytes: FIXED_BYTES + parent_bytes, bytes: bytes.to_vec() })
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The level of the wrapped key.
    #[must_use]
    pub const fn level(&self) -> KeyLevel {
        self.level
    }

    /// The epoch of the wrapped key.
    #[must_use]
    pub const fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// What wrapped it.
    #[must_use]
    pub const fn parent(&self) -> &Parent {
        &self.parent
    }

    /// The epoch of the parent, of a bucket or customer key.
    #[must_use]
    pub const fn parent_epoch(&self) -> Option<KeyEpoch> {
        match &self.parent {
            Parent::Epoch(epoch) => Some(*epoch),
            Parent::Root(_) => None,
        }
    }

    /// Wraps `child` under `parent`; each comes with its epoch. `context` appends the child's context.
    pub(crate) fn under(
        parent: (&Cipher, KeyEpoch),
        level: KeyLevel,
        child: (&Cipher, KeyEpoch),
        random: &dyn RandomSource,
        context: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Self, SealError> {
        let header = header(level, child.1, &parent.1.as_u32().to_be_bytes())?;
        let aad = with_context(&header, context);
        let mut bytes = header;
        let header_bytes = bytes.len();
        parent.0.seal(random, &aad, child.0.bytes().as_array(), &mut bytes)?;
        Ok(Self { level, epoch: child.1, parent: Parent::Epoch(parent.1), header_bytes, bytes })
    }

    /// Unwraps a key of `level` with `parent`, which comes with its epoch.
    pub(crate) fn open_under(
        &self,
        parent: (&Cipher, KeyEpoch),
        level: KeyLevel,
        context: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Cipher, SealError> {
        self.check_level(level)?;
        match &self.parent {
            Parent::Epoch(found) if *found == parent.1 => {}
            Parent::Epoch(found) => {
                return Err(SealError::WrongEpoch { expected: parent.1, found: *found });
            }
            Parent::Root(_) => return Err(self.malformed()),
        }
        let (header, payload) = self.split()?;
        Cipher::new(parent.0.open_key(Format::WrappedKey, &with_context(header, context), payload)?)
    }

    /// Wraps a key of `level` under a root key: `wrap` makes the payload from the key and the additional data.
    pub(crate) fn under_root(
        root: RootKeyId,
        level: KeyLevel,
        child: (&KeyBytes, KeyEpoch),
        context: impl FnOnce(&mut Vec<u8>),
        wrap: impl FnOnce(&RootKeyId, &KeyBytes, &[u8]) -> Result<Vec<u8>, SealError>,
    ) -> Result<Self, SealError> {
        let header = header(level, child.1, root.as_str().as_bytes())?;
        let payload = wrap(&root, child.0, &with_context(&header, context))?;
        let mut bytes = header;
        bytes.extend_from_slice(&payload);
        Self::parse(&bytes)
    }

    /// Unwraps a key of `level` that a root key wrapped: `unwrap` opens the payload, given the id of the root key and the
    /// additional data.
    pub(crate) fn open_under_root(
        &self,
        level: KeyLevel,
        context: impl FnOnce(&mut Vec<u8>),
        unwrap: impl FnOnce(&RootKeyId, &[u8], &[u8]) -> Result<KeyBytes, SealError>,
    ) -> Result<KeyBytes, SealError> {
        self.check_level(level)?;
        let Parent::Root(root) = &self.parent else { return Err(self.malformed()) };
        let (header, payload) = self.split()?;
        unwrap(root, payload, &with_context(header, context))
    }

    fn check_level(&self, expected: KeyLevel) -> Result<(), SealError> {
        if self.level == expected {
            Ok(())
        } else {
            Err(SealError::WrongLevel { expected, found: self.level })
        }
    }

    fn split(&self) -> Result<(&[u8], &[u8]), SealError> {
        self.bytes.split_at_checked(self.header_bytes).ok_or_else(|| self.malformed())
    }

    fn malformed(&self) -> SealError {
        SealError::Malformed { format: Format::WrappedKey, bytes: self.bytes.len() }
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey")
            .field("level", &self.level)
            .field("epoch", &self.epoch)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

fn header(level: KeyLevel, epoch: KeyEpoch, parent: &[u8]) -> Result<Vec<u8>, SealError> {
    let parent_bytes = u8::try_from(parent.len())
        .map_err(|_too_long| SealError::RootKeyIdText { max: ROOT_KEY_ID_BYTES_MAX })?;
    let mut header = Vec::with_capacity(FIXED_BYTES + parent.len() + BOX_BYTES);
    header.push(FORMAT_VERSION);
    header.push(level.number());
    header.extend_from_slice(&epoch.as_u32().to_be_bytes());
    header.push(parent_bytes);
    header.extend_from_slice(parent);
    Ok(header)
}

fn with_context(header: &[u8], context: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut aad = Vec::with_capacity(header.len() + KEY_CONTEXT_BYTES_MAX);
    aad.extend_from_slice(header);
    context(&mut aad);
    aad
}
