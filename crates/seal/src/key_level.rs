//! Owns the levels of the key tree and their numbers on disk.

use std::fmt;

/// A level of the key tree below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLevel {
    /// Wrapped by a root key.
    Shard,
    /// Wrapped by a shard key.
    Bucket,
    /// Wrapped by a bucket key.
    Customer,
}

impl KeyLevel {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Shard => 1,
            Self::Bucket => 2,
            Self::Customer => 3,
        }
    }

    pub(crate) const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Shard),
            2 => Some(Self::Bucket),
            3 => Some(Self::Customer),
            _ => None,
        }
    }
}

impl fmt::Display for KeyLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shard => "shard",
            Self::Bucket => "bucket",
            Self::Customer => "customer",
        })
    }
}
