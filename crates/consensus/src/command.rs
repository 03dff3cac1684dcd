//! What callers propose to a group, and the outcome.
//!
//! A command compares revisions and puts bytes, nothing else, so every replica applies it with the same result. Commands
//! proposed at the same time share one log entry and are applied in the order in which the entry lists them:
//!
//! ```text
//! entry data v1 = 0x01 ‖ prost { 1: repeated command } │ 0x01 ‖ prost { 2: seed of a verification }
//! command       = prost { 1: repeated condition { key, kind, revision, guard }, 2: repeated write { key, value? } }
//! ```

use std::fmt;

use bytes::Bytes;
use prost::Message;

use crate::error::ConsensusError;
use crate::format::{decode_v1, encode_v1};

/// Largest encoded command.
pub const COMMAND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How a verification begins: format 1, then field 2 as eight bytes.
const VERIFICATION_BEGIN: [u8; 2] = [1, 2 << 3 | 1];

/// What a key must hold for a command to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// No value.
    Absent,
    /// A value with this revision.
    Revision(u64),
    /// A value with this guard.
    Guard(u64),
    /// A value with this revision and this guard.
    Both {
        /// The revision.
        revision: u64,
        /// The guard.
        guard: u64,
    },
}

impl Expected {
    /// What was read with this revision; 0: nothing was there.
    #[must_use]
    pub const fn as_read(revision: u64) -> Self {
        if revision == 0 { Self::Absent } else { Self::Revision(revision) }
    }
}

/// A key and what it must hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The key.
    pub key: Bytes,
    /// What it must hold.
    pub expected: Expected,
}

/// A key and its new value; no value removes the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Write {
    /// The key.
    pub key: Bytes,
    /// Its new value, header included.
    pub value: Option<Bytes>,
}

/// Writes that all happen if every condition holds; otherwise none happens.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Command {
    /// Checked before the writes.
    pub conditions: Vec<Condition>,
    /// The writes.
    pub writes: Vec<Write>,
}

/// The outcome of a command.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything was written, by the log entry at this index.
    Applied {
        /// The index.
        index: u64,
    },
    /// Nothing was written: this key does not hold what was expected.
    Conflict {
        /// The key.
        key: Bytes,
    },
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("bytes", &self.value.as_ref().map(Bytes::len)).finish_non_exhaustive()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("conditions", &self.conditions.len())
            .field("writes", &self.writes.len())
            .finish()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { index } => f.debug_struct("Applied").field("index", index).finish(),
            Self::Conflict { .. } => f.debug_struct("Conflict").finish_non_exhaustive(),
        }
    }
}

/// The encoded commands of one log entry. Followers store and forward the bytes unchanged; only apply decodes them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CommandBatch(Bytes);

impl CommandBatch {
    /// Joins commands that were encoded with [`Command::encode`].
    pub(crate) fn join(commands: Vec<Bytes>) -> Self {
        Self(encode_v1(&BatchRecord { commands, verification: None }))
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// An entry of its own, at which every replica computes the checksums of its state. It changes nothing.
    pub(crate) fn verification(seed: u64) -> Self {
        Self(encode_v1(&BatchRecord { commands: Vec::new(), verification: Some(seed) }))
    }

    /// The seed, if this is a verification.
    pub(crate) fn verification_seed(&self) -> Option<u64> {
        // Told by its first tag, so that no other batch is decoded for this.
        let seed = self.0.strip_prefix(&VERIFICATION_BEGIN)?;
        Some(u64::from_le_bytes(seed.try_into().ok()?))
    }

    /// Decodes the commands, which share the batch's memory.
    pub(crate) fn commands(&self) -> Result<Vec<Command>, ConsensusError> {
        let record: BatchRecord = decode_v1("a command batch", &self.0)?;
        record.commands.into_iter().map(Command::decode).collect()
    }
}

impl fmt::Debug for CommandBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandBatch({} bytes)", self.0.len())
    }
}

impl fmt::Display for CommandBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Command {
    /// Encodes the command, to be joined into a batch.
    pub(crate) fn encode(self) -> Bytes {
        let conditions = self.conditions.into_iter().map(ConditionRecord::from).collect();
        let writes =
            self.writes.into_iter().map(|write| WriteRecord { key: write.key, value: write.value }).collect();
        CommandRecord { conditions, writes }.encode_to_vec().into()
    }

    fn decode(bytes: Bytes) -> Result<Self, ConsensusError> {
        let malformed = |_error| ConsensusError::Malformed { what: "a command" };
        let record = CommandRecord::decode(bytes).map_err(malformed)?;
        let conditions = record.conditions.into_iter().map(Condition::try_from).collect::<Result<_, _>>()?;
        let writes =
            record.writes.into_iter().map(|write| Write { key: write.key, value: write.value }).collect();
        Ok(Self { conditions, writes })
    }
}

#[derive(Clone, PartialEq, Message)]
struct BatchRecord {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    commands: Vec<Bytes>,
    #[prost(fixed64, optional, tag = "2")]
    verification: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct CommandRecord {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<ConditionRecord>,
    #[prost(message, repeated, tag = "2")]
    writes: Vec<WriteRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ConditionRecord {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    /// 1 absent, 2 revision, 3 guard, 4 both.
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(uint64, tag = "3")]
    revision: u64,
    #[prost(uint64, tag = "4")]
    guard: u64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRecord {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    value: Option<Bytes>,
}

impl From<Condition> for ConditionRecord {
    fn from(condition: Condition) -> Self {
        let (kind, revision, guard) = match condition.expected {
            Expected::Absent => (1, 0, 0),
            Expected::Revision(revision) => (2, revision, 0),
            Expected::Guard(guard) => (3, 0, guard),
            Expected::Both { revision, guard } => (4, revision, guard),
        };
        Self { key: condition.key, kind, revision, guard }
    }
}

impl TryFrom<ConditionRecord> for Condition {
    type Error = ConsensusError;

    fn try_from(record: ConditionRecord) -> Result<Self, ConsensusError> {
        let expected = match record.kind {
            1 => Expected::Absent,
            2 => Expected::Revision(record.revision),
            3 => Expected::Guard(record.guard),
            4 => Expected::Both { revision: record.revision, guard: record.guard },
            _ => return Err(ConsensusError::Malformed { what: "a command" }),
        };
        Ok(Self { key: record.key, expected })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::{framed_garbage, garbage};

    fn command() -> impl Strategy<Value = Command> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
        let expected = prop_oneof![
            Just(Expected::Absent),
            any::<u64>().prop_map(Expected::Revision),
            any::<u64>().prop_map(Expected::Guard),
            any::<(u64, u64)>().prop_map(|(revision, guard)| Expected::Both { revision, guard }),
        ];
        let condition = (bytes(), expected).prop_map(|(key, expected)| Condition { key, expected });
        let write = (bytes(), proptest::option::of(bytes())).prop_map(|(key, value)| Write { key, value });
        let conditions = proptest::collection::vec(condition, 0..4);
        (conditions, proptest::collection::vec(write, 0..4))
            .prop_map(|(conditions, writes)| Command { conditions, writes })
    }

    proptest! {
        #[test]
        fn batch_survives_the_round_trip(commands in proptest::collection::vec(command(), 0..6)) {
            let batch = CommandBatch::join(commands.iter().cloned().map(Command::encode).collect());
            prop_assert_eq!(batch.verification_seed(), None);
            prop_assert_eq!(CommandBatch::from_bytes(batch.bytes().clone()).commands().unwrap(), commands);
        }

        #[test]
        fn garbage_is_an_error_or_reads_back_as_written(
            (version, batch) in framed_garbage(),
            command in garbage(),
        ) {
            let of_one = CommandBatch::join(vec![command.into()]);
            for (version, batch) in [(version, CommandBatch::from_bytes(batch.into())), (1, of_one)] {
                let Ok(commands) = batch.commands() else { continue };
                prop_assert_eq!(version, 1);
                let again = CommandBatch::join(commands.iter().cloned().map(Command::encode).collect());
                prop_assert_eq!(again.commands().unwrap(), commands);
            }
        }

        #[test]
        fn truncated_batch_is_an_error_or_lacks_whole_commands(
            commands in proptest::collection::vec(command(), 1..4),
            cut: prop::sample::Index,
        ) {
            let batch = CommandBatch::join(commands.iter().cloned().map(Command::encode).collect());
            let cut = batch.bytes().slice(..cut.index(batch.bytes().len()));
            if let Ok(read) = CommandBatch::from_bytes(cut).commands() {
                prop_assert!(read.len() < commands.len() && commands.starts_with(&read));
            }
        }
    }

    #[test]
    fn condition_of_an_unknown_kind_is_an_error() {
        for kind in [0, 5] {
            let conditions = vec![ConditionRecord { kind, ..ConditionRecord::default() }];
            let record = CommandRecord { conditions, writes: vec![] }.encode_to_vec();
            assert!(CommandBatch::join(vec![record.into()]).commands().is_err());
        }
    }

    #[test]
    fn format_1_is_pinned() {
        let command = Command {
            conditions: vec![Condition { key: Bytes::from_static(b"k"), expected: Expected::Revision(7) }],
            writes: vec![Write { key: Bytes::from_static(b"k"), value: Some(Bytes::from_static(b"v")) }],
        };
        let batch = CommandBatch::join(vec![command.encode()]);
        let pinned = b"\x01\x0a\x11\x0a\x07\x0a\x01k\x10\x02\x18\x07\x12\x06\x0a\x01k\x12\x01v";
        assert_eq!(batch.bytes().as_ref(), pinned);
    }

    #[test]
    fn verification_is_pinned_and_has_no_commands() {
        let verification = CommandBatch::verification(0x0807_0605_0403_0201);
        assert_eq!(verification.bytes().as_ref(), b"\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08");
        assert_eq!(verification.verification_seed(), Some(0x0807_0605_0403_0201));
        assert_eq!(verification.commands().unwrap(), []);
        assert_eq!(CommandBatch::verification(0).verification_seed(), Some(0));
    }

    #[test]
    fn debug_shows_no_keys_and_no_values() {
        let command = Command {
            conditions: vec![Condition { key: Bytes::from_static(b"secret"), expected: Expected::Absent }],
            writes: vec![Write {
                key: Bytes::from_static(b"secret"),
                value: Some(Bytes::from_static(b"secret")),
            }],
        };
        let text = format!(
            "{command:?} {:?} {:?} {:?}",
            command.conditions[0],
            command.writes[0],
            Outcome::Conflict { key: Bytes::from_static(b"secret") }
        );
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
}
