//! The clear header in front of every stored value.
//!
//! ```text
//! offset  size  field
//!      0     1  format version (1)
//!      1     4  crc32c over everything that follows, big endian
//!      5     8  revision, big endian
//!     13     8  guard, big endian
//!     21     4  bucket, big endian
//!     25     …  payload (sealed by the caller; opaque here)
//! ```
//!
//! Apply compares revision and guard and nothing else. The checksum is there because a state engine may hand out
//! altered bytes without a word (measured with one of them): such a value never leaves [`ValueHeader::decode`].

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::StoreError;

/// Length of the header.
pub const VALUE_HEADER_BYTES: usize = 25;

const FORMAT_1: u8 = 1;
const CHECKED_FROM: usize = 5;

/// What apply may know about a value without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ValueHeader {
    /// Revision of the record; the condition of a compare-and-put.
    pub revision: u64,
    /// What else a condition may name: a second counter that rises on its own terms. Of a customer's record it is the
    /// consent revision, of a set of wrapped keys the epoch of its current key.
    pub guard: u64,
    /// The key bucket that wraps the customer's key, so that a bucket can be turned without opening values.
    pub bucket: u32,
}

impl ValueHeader {
    /// Header and payload as they are stored.
    #[must_use]
    pub fn encode(&self, payload: &[u8]) -> Bytes {
        let mut value = BytesMut::with_capacity(VALUE_HEADER_BYTES + payload.len());
        let mut fields = [0_u8; VALUE_HEADER_BYTES - CHECKED_FROM];
        {
            let mut fields = &mut fields[..];
            fields.put_u64(self.revision);
            fields.put_u64(self.guard);
            fields.put_u32(self.bucket);
        }
        value.put_u8(FORMAT_1);
        value.put_u32(crc32c::crc32c_append(crc32c::crc32c(&fields), payload));
        value.put_slice(&fields);
        value.put_slice(payload);
        value.freeze()
    }

    /// Checks a stored value and splits it. The payload shares the value's memory.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is cut or altered, [`StoreError::UnknownFormat`] for a later format.
    pub fn decode(value: &Bytes) -> Result<(Self, Bytes), StoreError> {
        let header = Self::read(value)?;
        Ok((header, value.slice(VALUE_HEADER_BYTES..)))
    }

    /// Checks a stored value and reads its header alone; for apply, which has no use for the payload.
    ///
    /// # Errors
    /// As [`ValueHeader::decode`].
    pub fn read(value: &[u8]) -> Result<Self, StoreError> {
        let (&format, rest) = value.split_first().ok_or(CORRUPT)?;
        if format != FORMAT_1 {
            return Err(StoreError::UnknownFormat { what: "a stored value", version: u32::from(format) });
        }
        let (sum, checked) = rest.split_first_chunk::<4>().ok_or(CORRUPT)?;
        let (revision, after) = checked.split_first_chunk::<8>().ok_or(CORRUPT)?;
        let (guard, after) = after.split_first_chunk::<8>().ok_or(CORRUPT)?;
        let bucket = after.first_chunk::<4>().ok_or(CORRUPT)?;
        if crc32c::crc32c(checked) != u32::from_be_bytes(*sum) {
            return Err(CORRUPT);
        }
        Ok(Self {
            revision: u64::from_be_bytes(*revision),
            guard: u64::from_be_bytes(*guard),
            bucket: u32::from_be_bytes(*bucket),
        })
    }
}

const CORRUPT: StoreError = StoreError::Corrupt { what: "a stored value" };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> ValueHeader {
        ValueHeader { revision: 7, guard: 3, bucket: 4096 }
    }

    #[test]
    fn format_1_is_pinned() {
        let hex: String = header().encode(b"sealed").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, FIXTURE);
    }

    /// A value as written by the first release. It must stay readable for ever.
    const FIXTURE: &str = "011867a34700000000000000070000000000000003000010007365616c6564";

    #[test]
    fn later_format_is_refused_by_its_number() {
        let mut value = header().encode(b"x").to_vec();
        value[0] = 9;
        let error = ValueHeader::decode(&value.into()).unwrap_err();
        assert!(matches!(error, StoreError::UnknownFormat { version: 9, .. }));
    }

    proptest! {
        #[test]
        fn value_survives_the_round_trip(revision: u64, guard: u64, bucket: u32, payload: Vec<u8>) {
            let header = ValueHeader { revision, guard, bucket };
            let value = header.encode(&payload);
            let (decoded, rest) = ValueHeader::decode(&value).unwrap();
            prop_assert_eq!(decoded, header);
            prop_assert_eq!(&rest[..], &payload[..]);
        }

        #[test]
        fn any_flipped_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0..8_u32) {
            let mut value = header().encode(&payload).to_vec();
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert!(ValueHeader::decode(&value.into()).is_err());
        }

        #[test]
        fn any_cut_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index) {
            let value = header().encode(&payload);
            let cut = value.slice(..at.index(value.len()));
            prop_assert!(ValueHeader::decode(&cut).is_err());
        }

        #[test]
        fn garbage_never_panics(garbage: Vec<u8>) {
            let _outcome = ValueHeader::decode(&garbage.into());
        }
    }
}
