//! The header in front of every stored value. It is not encrypted.
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
//! Apply compares revision and guard, nothing else. The checksum is needed because a state engine may return altered bytes
//! without an error (measured with one of them): such a value never passes [`ValueHeader::decode`].

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::StoreError;

/// Length of the header.
pub const VALUE_HEADER_BYTES: usize = 25;

const FORMAT_1: u8 = 1;
const CHECKED_FROM: usize = 5;

/// What apply knows about a value without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ValueHeader {
    /// Revision of the record; the condition of a compare-and-put.
    pub revision: u64,
    /// A second counter for conditions, which rises independently of the revision: the consent revision in a customer's
    /// record, the epoch of the current key in a set of wrapped keys.
    pub guard: u64,
    /// The bucket of the customer's key, so that a bucket key can be rotated without opening values.
    pub bucket: u32,
}

impl ValueHeader {
    /// The stored bytes: header and payload.
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

    /// Checks stored bytes and splits them. The payload shares their memory.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when they are cut or altered, [`StoreError::UnknownFormat`] for another format.
    pub fn decode(value: &Bytes) -> Result<(Self, Bytes), StoreError> {
        let header = Self::read(value)?;
        Ok((header, value.slice(VALUE_HEADER_BYTES..)))
    }

    /// Checks stored bytes and returns the header alone; for apply, which does not need the payload.
    ///
    /// # Errors
    /// As [`ValueHeader::decode`].
    pub fn read(value: &[u8]) -> Result<Self, StoreError> {
        let (&format, rest) = value.split_first().ok_or(CORRUPT)?;
        if format != FORMAT_1 {
            return Err(StoreError::UnknownFormat { what: "stored value", version: u32::from(format) });
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

const CORRUPT: StoreError = StoreError::Corrupt { what: "stored value" };

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn header() -> ValueHeader {
        ValueHeader { revision: 7, guard: 3, bucket: 4096 }
    }

    #[test]
    fn format_1_is_pinned() {
        assert_eq!(HEXLOWER.encode(&header().encode(b"sealed")), FIXTURE);
    }

    /// A value of format 1.
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
        fn bytes_decode_only_if_format_and_checksum_are_right(
            format in 0..3_u8, right_sum: bool, garbage in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            let sum = if right_sum { crc32c::crc32c(&garbage) } else { crc32c::crc32c(&garbage) ^ 1 };
            let bytes = Bytes::from([&[format], &sum.to_be_bytes()[..], &garbage].concat());
            let valid = format == 1 && right_sum && bytes.len() >= VALUE_HEADER_BYTES;
            match ValueHeader::decode(&bytes) {
                Ok((header, payload)) => {
                    prop_assert!(valid);
                    prop_assert_eq!(header.encode(&payload), bytes);
                }
                Err(_) => prop_assert!(!valid),
            }
            prop_assert!(ValueHeader::decode(&garbage.into()).is_err());
        }
    }
}
