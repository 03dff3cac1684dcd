//! Owns the id of a Raft group: the directory or one shard. Always: `u16` on disk and on the wire, 0xFFFF is the
//! directory.

use super::ShardId;
use crate::error::ProfileError;

/// A Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupId {
    /// A shard's group.
    Shard(ShardId),
    /// The directory's group.
    Directory,
}

impl GroupId {
    const DIRECTORY: u16 = 0xffff;

    /// The number on disk.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::Shard(shard) => shard.as_u16(),
            Self::Directory => Self::DIRECTORY,
        }
    }

    /// The group of a number on disk.
    ///
    /// # Errors
    /// `Malformed` if the number is neither a shard nor the directory.
    pub fn from_u16(number: u16) -> Result<Self, ProfileError> {
        if number == Self::DIRECTORY { Ok(Self::Directory) } else { ShardId::new(number).map(Self::Shard) }
    }

    /// The group of a number on the wire; nothing if there is none.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::from_u16(u16::try_from(number).ok()?).ok()
    }
}

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shard(shard) => write!(f, "shard-{shard}"),
            Self::Directory => f.write_str("directory"),
        }
    }
}

impl std::str::FromStr for GroupId {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        match (text, text.strip_prefix("shard-")) {
            ("directory", _) => Ok(Self::Directory),
            (_, Some(number)) => number.parse().map(Self::Shard),
            (_, None) => {
                Err(ProfileError::Malformed { field: "group", expected: "directory or shard-NUMBER" })
            }
        }
    }
}
