//! Owns which partition of the state a group is in, and the partition's name. Always: this never changes, because it says in
//! which folder the state of a group is.

use std::fmt;

use custodia_profile::GroupId;

/// Partitions of the shards.
const SHARD_PARTITIONS: u16 = 16;

/// A partition of a node's state: one database. Its `Display` is the name of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(u16);

impl PartitionId {
    /// All partitions: those of the shards and that of the directory.
    pub(crate) const COUNT: u16 = SHARD_PARTITIONS + 1;

    /// The partition of a group.
    #[must_use]
    pub const fn of(group: GroupId) -> Self {
        match group {
            GroupId::Shard(shard) => Self(shard.as_u16() % SHARD_PARTITIONS),
            GroupId::Directory => Self(SHARD_PARTITIONS),
        }
    }

    /// All of them, in order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its position among all.
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SHARD_PARTITIONS => formatter.write_str("directory"),
            number => write!(formatter, "{number:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::ShardId;

    use super::*;

    #[test]
    fn folders_of_groups_are_pinned() {
        let folder = |number| PartitionId::of(GroupId::Shard(ShardId::new(number).unwrap())).to_string();
        assert_eq!([0, 15, 16, 4_095].map(folder), ["00", "15", "00", "15"]);
        assert_eq!(PartitionId::of(GroupId::Directory).to_string(), "directory");
        assert!(PartitionId::all().map(PartitionId::index).eq(0..17));
    }
}
