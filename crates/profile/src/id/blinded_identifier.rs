//! Owns an identifier as the index knows it: blinded, so that it tells nothing without the key. Always: the same value of the
//! same namespace under the same key is the same blinded identifier.
//!
//! ```text
//! byte    0 … 15                                             16 … 31
//!         of the hash, in the form of a customer id          of the hash
//! ```

use std::fmt;

use super::{CustomerId, PoolId, SlotId};

/// A blinded identifier: 32 bytes. Its first sixteen have the form of a customer id, so that an entry of the index is placed,
/// copied and verified as a customer is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlindedIdentifier {
    place: CustomerId,
    rest: [u8; 16],
}

impl BlindedIdentifier {
    /// From the keyed hash of a value.
    #[must_use]
    pub fn from_hash(hash: [u8; 32]) -> Self {
        let [ms @ .., r0, r1] = *hash.first_chunk::<8>().unwrap_or(&[0; 8]);
        let [_, _, _, _, _, _, _, _, r2, r3, r4, r5, r6, r7, r8, r9, rest @ ..] = hash;
        let [m0, m1, m2, m3, m4, m5] = ms;
        let ms = u64::from_be_bytes([0, 0, m0, m1, m2, m3, m4, m5]);
        let random = [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9];
        Self { place: CustomerId::from_parts(ms, random, PoolId::default()), rest }
    }

    /// From its stored or sent bytes.
    ///
    /// # Errors
    /// `Malformed` unless the first sixteen bytes have the form of a customer id.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, crate::error::ProfileError> {
        let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, rest @ ..] = bytes;
        let place = [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15];
        Ok(Self { place: CustomerId::from_bytes(place)?, rest })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (place, rest) = bytes.split_at_mut(16);
        place.copy_from_slice(self.place.as_bytes());
        rest.copy_from_slice(&self.rest);
        bytes
    }

    /// The part by which its entry is placed. It is no customer's id.
    #[must_use]
    pub const fn place(&self) -> &CustomerId {
        &self.place
    }

    /// The other part.
    #[must_use]
    pub const fn rest(&self) -> &[u8; 16] {
        &self.rest
    }

    /// The hash slot of its entry.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        self.place.slot()
    }
}

impl fmt::Debug for BlindedIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindedIdentifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_hash_is_a_place_and_reads_back(hash: [u8; 32], other: [u8; 32]) {
            let blinded = BlindedIdentifier::from_hash(hash);
            prop_assert_eq!(BlindedIdentifier::from_bytes(blinded.to_bytes()).unwrap(), blinded);
            prop_assert_eq!(blinded.place().pool(), PoolId::default());
            prop_assert_eq!(&blinded.to_bytes()[16..], &hash[16..]);
            if hash[16..] != other[16..] {
                prop_assert_ne!(BlindedIdentifier::from_hash(other), blinded);
            }
        }
    }
}
