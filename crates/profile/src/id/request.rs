//! Owns the id of a request: a UUID chosen by the caller, so that a retry is recognised. Always: not nil.

use uuid::Uuid;

use crate::error::ProfileError;

/// The id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    const MALFORMED: ProfileError =
        ProfileError::Malformed { field: "request_id", expected: "a UUID that is not nil" };

    /// Takes a UUID.
    ///
    /// # Errors
    /// `Malformed` for the nil UUID: a field left out by mistake.
    pub fn new(id: Uuid) -> Result<Self, ProfileError> {
        if id.is_nil() { Err(Self::MALFORMED) } else { Ok(Self(id)) }
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for RequestId {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Uuid::try_parse(text).map_or(Err(Self::MALFORMED), Self::new)
    }
}
