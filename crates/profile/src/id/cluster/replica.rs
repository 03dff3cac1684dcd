//! Owns the id of a replica: fresh for every placement of a group on a node, never reused, at least 1.

use super::number_text;
use crate::error::ProfileError;

/// One placement of one group on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(u64);

impl ReplicaId {
    /// Takes a number of at least 1.
    ///
    /// # Errors
    /// `Malformed` for 0.
    pub const fn new(number: u64) -> Result<Self, ProfileError> {
        if number == 0 {
            return Err(ProfileError::Malformed { field: "replica_id", expected: "at least 1" });
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

number_text!(ReplicaId, u64, "replica_id");
