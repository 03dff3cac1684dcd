//! Owns the id of a customer. Always: a UUIDv7 whose variant byte carries the residency pool, so an id alone routes.
//!
//! ```text
//! byte    0 … 5            6          7       8              9 … 15
//!         unix ms, BE      7 ‖ rand4  rand    10 ‖ pool(6)   rand
//! text    cust_ ‖ 26 × Crockford base32, lower case (TypeID); 130 bits, of which the top two are 0
//! ```

use std::{fmt, str::FromStr};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{PoolId, RequestId, SlotId};
use crate::error::ProfileError;

const PREFIX: &str = "cust_";
const DIGITS: usize = 26;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The one id that every system uses for a customer (ID-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId([u8; 16]);

impl CustomerId {
    const MALFORMED: ProfileError = ProfileError::Malformed {
        field: "customer_id",
        expected: "cust_ and 26 characters of a version 7 UUID in lower-case base32",
    };

    /// The id of a customer first seen at `unix_ms` (48 bits), with random bytes from the caller.
    #[must_use]
    pub fn from_parts(unix_ms: u64, random: [u8; 10], pool: PoolId) -> Self {
        let [_, _, ms @ ..] = unix_ms.to_be_bytes();
        let [r6, r7, _, rest @ ..] = random;
        let [a, b, c, d, e, f] = ms;
        let [g, h, i, j, k, l, m] = rest;
        Self([a, b, c, d, e, f, 0x70 | (r6 & 0x0f), r7, 0x80 | pool.as_u8(), g, h, i, j, k, l, m])
    }

    /// The id that a caller's request for a new customer always results in, so that a retry creates no second customer.
    ///
    /// The time is the request id's if that is a UUIDv7; else it comes from the hash, as the rest does.
    #[must_use]
    pub fn derive(caller: &str, request: RequestId, pool: PoolId) -> Self {
        let mut bytes = Vec::with_capacity(8 + caller.len() + 16);
        bytes.extend_from_slice(&(caller.len() as u64).to_le_bytes());
        bytes.extend_from_slice(caller.as_bytes());
        bytes.extend_from_slice(request.as_bytes());
        let [h0, h1, h2, h3, h4, h5, random @ ..] = xxh3_128(&bytes).to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, ..] = *request.as_bytes();
        let ms = match request.as_uuid().get_version_num() {
            7 => [0, 0, t0, t1, t2, t3, t4, t5],
            _ => [0, 0, h0, h1, h2, h3, h4, h5],
        };
        Self::from_parts(u64::from_be_bytes(ms), random, pool)
    }

    /// The id in sixteen stored bytes.
    ///
    /// # Errors
    /// `Malformed` unless they are a UUIDv7.
    pub const fn from_bytes(bytes: [u8; 16]) -> Result<Self, ProfileError> {
        let [_, _, _, _, _, _, version, _, variant, ..] = bytes;
        if version >> 4 != 7 || variant >> 6 != 0b10 {
            return Err(Self::MALFORMED);
        }
        Ok(Self(bytes))
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The residency pool.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        let [_, _, _, _, _, _, _, _, variant, ..] = self.0;
        PoolId::new(variant & PoolId::MAX).unwrap_or_default()
    }

    /// The hash slot. It must never change: every customer would be lost.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        SlotId::of_hash(xxh3_64(&self.0))
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let mut text = [0_u8; DIGITS];
        for (position, digit) in text.iter_mut().rev().enumerate() {
            let value = (number >> (5 * position)) & 0x1f;
            *digit = usize::try_from(value).ok().and_then(|at| ALPHABET.get(at)).copied().unwrap_or(b'0');
        }
        f.write_str(PREFIX)?;
        std::str::from_utf8(&text).map_or(Err(fmt::Error), |digits| f.write_str(digits))
    }
}

impl fmt::Debug for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CustomerId {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let digits = text.strip_prefix(PREFIX).ok_or(Self::MALFORMED)?;
        // The first digit carries three bits: 26 × 5 = 130, two more than there are.
        if digits.len() != DIGITS || digits.as_bytes().first().is_none_or(|first| *first > b'7') {
            return Err(Self::MALFORMED);
        }
        let mut number = 0_u128;
        for digit in digits.bytes() {
            let value = ALPHABET.iter().zip(0_u128..).find(|(known, _)| **known == digit);
            number = (number << 5) | value.ok_or(Self::MALFORMED)?.1;
        }
        Self::from_bytes(number.to_be_bytes())
    }
}
