//! Owns the id of a merge: a UUID, so that a merge that is begun again is the same one. Always: not nil.

use uuid::Uuid;

use crate::error::ProfileError;

/// The id of a merge of two customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergeId(Uuid);

impl MergeId {
    const MALFORMED: ProfileError =
        ProfileError::Malformed { field: "merge_id", expected: "a UUID that is not nil" };

    /// Takes a UUID.
    ///
    /// # Errors
    /// `Malformed` for the nil UUID.
    pub fn new(id: Uuid) -> Result<Self, ProfileError> {
        if id.is_nil() { Err(Self::MALFORMED) } else { Ok(Self(id)) }
    }

    /// The id in sixteen stored bytes.
    ///
    /// # Errors
    /// `Malformed` for another number of bytes and for the nil UUID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProfileError> {
        Uuid::from_slice(bytes).map_or(Err(Self::MALFORMED), Self::new)
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for MergeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for MergeId {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Uuid::try_parse(text).map_or(Err(Self::MALFORMED), Self::new)
    }
}
