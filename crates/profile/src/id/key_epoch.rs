//! Owns the epoch of a key. Always: the first is 1, and each new key at the same position of the key tree has a
//! larger one.

use super::number_id;

number_id! {
    /// The epoch of a key at one position of the key tree.
    pub struct KeyEpoch(u32), as_u32, 1.., "key epoch": "at least 1"
}

impl KeyEpoch {
    /// The first epoch.
    pub const FIRST: Self = Self(1);

    /// The epoch after this one; none after the last, so that no epoch is ever used twice.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}
