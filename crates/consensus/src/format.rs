//! The frame of every stored record: a format version, then a prost message.
//!
//! ```text
//! stored record = format version (1 byte, now 1) ‖ prost bytes
//! ```
//! Field numbers are never reused. A record inside a message between nodes has no version byte of its own, with one
//! exception: log entries travel exactly as they are stored.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::error::ConsensusError;

const FORMAT_1: u8 = 1;

pub(crate) fn encode_v1(record: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + record.encoded_len());
    bytes.put_u8(FORMAT_1);
    record.encode_raw(&mut bytes);
    bytes.freeze()
}

pub(crate) fn decode_v1<R: Message + Default>(
    what: &'static str,
    bytes: &Bytes,
) -> Result<R, ConsensusError> {
    if bytes.first() != Some(&FORMAT_1) {
        return Err(ConsensusError::Malformed { what });
    }
    R::decode(bytes.slice(1..)).map_err(|_error| ConsensusError::Malformed { what })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_of_another_format_are_an_error(version in 0..=u8::MAX, record: Vec<u8>) {
            prop_assume!(version != FORMAT_1);
            let bytes: Bytes = [&[version], record.as_slice()].concat().into();
            prop_assert!(decode_v1::<()>("a test record", &bytes).is_err());
        }
    }

    #[test]
    fn no_bytes_are_an_error() {
        assert!(decode_v1::<()>("a test record", &Bytes::new()).is_err());
    }
}
