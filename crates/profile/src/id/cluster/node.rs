//! Owns the id of a node: a member of the cluster, at least 1.

use super::number_text;
use crate::error::ProfileError;

/// A node of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Takes a number of at least 1.
    ///
    /// # Errors
    /// `Malformed` for 0.
    pub const fn new(number: u32) -> Result<Self, ProfileError> {
        if number == 0 {
            return Err(ProfileError::Malformed { field: "node_id", expected: "at least 1" });
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

number_text!(NodeId, u32, "node_id");
