//! What the crate stores and sends about Raft: records of our own, never the library's structs.
//!
//! Log ids, votes, memberships and log entries. Their stored form is framed by `format.rs`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use prost::Message;

use super::types::{Entry, LogId, Membership, ReplicaNode, SnapshotMeta, StoredMembership, Vote};
use crate::command::CommandBatch;
use crate::error::ConsensusError;
use crate::format::{decode_v1, encode_v1};

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct LogIdRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) replica: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
}

impl From<LogId> for LogIdRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, replica: id.leader_id.node_id, index: id.index }
    }
}

impl From<LogIdRecord> for LogId {
    fn from(record: LogIdRecord) -> Self {
        Self::new(LeaderId { term: record.term, node_id: record.replica }, record.index)
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct VoteRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) replica: u64,
    #[prost(bool, tag = "3")]
    pub(crate) committed: bool,
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, replica: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Self {
        Self {
            leader_id: LeaderId { term: record.term, node_id: record.replica },
            committed: record.committed,
        }
    }
}

/// A replica's vote as stored in the log. It also names the group, so the log alone tells which replicas a node has, even
/// when its state engine is lost.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct StoredVote {
    #[prost(uint32, tag = "1")]
    pub(crate) group: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) vote: Option<VoteRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MembershipRecord {
    #[prost(message, repeated, tag = "1")]
    configs: Vec<ConfigRecord>,
    #[prost(message, repeated, tag = "2")]
    members: Vec<MemberRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ConfigRecord {
    #[prost(uint64, repeated, tag = "1")]
    voters: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct MemberRecord {
    #[prost(uint64, tag = "1")]
    replica: u64,
    #[prost(uint32, tag = "2")]
    node: u32,
    #[prost(string, tag = "3")]
    address: String,
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let configs = membership
            .get_joint_config()
            .iter()
            .map(|voters| ConfigRecord { voters: voters.iter().copied().collect() })
            .collect();
        let members = membership
            .nodes()
            .map(|(replica, node)| MemberRecord {
                replica: *replica,
                node: node.node,
                address: node.address.clone(),
            })
            .collect();
        Self { configs, members }
    }
}

impl TryFrom<MembershipRecord> for Membership {
    type Error = ConsensusError;

    fn try_from(record: MembershipRecord) -> Result<Self, ConsensusError> {
        let configs: Vec<BTreeSet<u64>> =
            record.configs.into_iter().map(|config| config.voters.into_iter().collect()).collect();
        let nodes: BTreeMap<u64, ReplicaNode> = record
            .members
            .into_iter()
            .map(|member| (member.replica, ReplicaNode { node: member.node, address: member.address }))
            .collect();
        if configs.is_empty() && nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(configs, nodes).map_err(|_error| ConsensusError::Malformed { what: "a membership" })
    }
}

/// A log id and the membership at that point: what has been applied, what a snapshot contains, or what has been purged.
///
/// It is the value of a group's replica key in the state engine, the metadata of a snapshot, and the log's marker of its
/// purged part. From the marker, a replica that lost its state learns whom to ask for it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Applied {
    #[prost(message, optional, tag = "1")]
    log_id: Option<LogIdRecord>,
    #[prost(message, optional, tag = "2")]
    membership_log_id: Option<LogIdRecord>,
    #[prost(message, optional, tag = "3")]
    membership: Option<MembershipRecord>,
}

impl Applied {
    pub(crate) fn new(log_id: Option<LogId>, membership: &StoredMembership) -> Self {
        Self {
            log_id: log_id.map(Into::into),
            membership_log_id: membership.log_id().map(Into::into),
            membership: Some(membership.membership().into()),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        encode_v1(self)
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, ConsensusError> {
        decode_v1("an applied state", bytes)
    }

    pub(crate) fn log_id(&self) -> Option<LogId> {
        self.log_id.map(Into::into)
    }

    pub(crate) fn membership(&self) -> Result<StoredMembership, ConsensusError> {
        let membership = self.membership.clone().unwrap_or_default().try_into()?;
        Ok(StoredMembership::new(self.membership_log_id.map(Into::into), membership))
    }

    pub(crate) fn meta(&self) -> Result<SnapshotMeta, ConsensusError> {
        Ok(SnapshotMeta { last_log_id: self.log_id(), last_membership: self.membership()? })
    }
}

impl From<&SnapshotMeta> for Applied {
    fn from(meta: &SnapshotMeta) -> Self {
        Self::new(meta.last_log_id, &meta.last_membership)
    }
}

#[derive(Clone, PartialEq, Message)]
struct EntryRecord {
    #[prost(message, optional, tag = "1")]
    log_id: Option<LogIdRecord>,
    /// An entry with neither commands nor a membership is blank.
    #[prost(bytes = "bytes", optional, tag = "2")]
    commands: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    membership: Option<MembershipRecord>,
}

pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let (commands, membership) = match &entry.payload {
        EntryPayload::Blank => (None, None),
        EntryPayload::Normal(batch) => (Some(batch.bytes().clone()), None),
        EntryPayload::Membership(membership) => (None, Some(membership.into())),
    };
    encode_v1(&EntryRecord { log_id: Some(entry.log_id().into()), commands, membership })
}

pub(crate) fn decode_entry(bytes: &Bytes) -> Result<Entry, ConsensusError> {
    const WHAT: &str = "a log entry";
    let record: EntryRecord = decode_v1(WHAT, bytes)?;
    let log_id = record.log_id.ok_or(ConsensusError::Malformed { what: WHAT })?;
    let payload = match (record.commands, record.membership) {
        (None, None) => EntryPayload::Blank,
        (Some(commands), None) => EntryPayload::Normal(CommandBatch::from_bytes(commands)),
        (None, Some(membership)) => EntryPayload::Membership(membership.try_into()?),
        (Some(_), Some(_)) => return Err(ConsensusError::Malformed { what: WHAT }),
    };
    Ok(Entry::new(log_id.into(), payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::framed_garbage;

    fn log_id(index: u64) -> LogId {
        LogIdRecord { term: 3, replica: 2, index }.into()
    }

    fn membership() -> Membership {
        let node = |node: u32| ReplicaNode { node, address: format!("n{node}") };
        Membership::new(
            vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])],
            BTreeMap::from([(1, node(1)), (2, node(2)), (3, node(3)), (4, node(4))]),
        )
        .unwrap()
    }

    #[test]
    fn entries_of_every_kind_survive_the_round_trip() {
        let batch = CommandBatch::from_bytes(Bytes::from_static(b"batch"));
        for payload in
            [EntryPayload::Blank, EntryPayload::Normal(batch), EntryPayload::Membership(membership())]
        {
            let entry = Entry::new(log_id(9), payload);
            assert_eq!(decode_entry(&encode_entry(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn format_1_is_pinned() {
        let entry =
            Entry::new(log_id(9), EntryPayload::Normal(CommandBatch::from_bytes(Bytes::from_static(b"c"))));
        assert_eq!(encode_entry(&entry).as_ref(), b"\x01\x0a\x06\x08\x03\x10\x02\x18\x09\x12\x01c");
        let vote = StoredVote { group: 7, vote: Some(VoteRecord { term: 3, replica: 2, committed: true }) };
        assert_eq!(encode_v1(&vote).as_ref(), b"\x01\x08\x07\x12\x06\x08\x03\x10\x02\x18\x01");
        let applied =
            Applied::new(Some(log_id(9)), &StoredMembership::new(Some(log_id(1)), Membership::default()));
        let pinned = b"\x01\x0a\x06\x08\x03\x10\x02\x18\x09\x12\x06\x08\x03\x10\x02\x18\x01\x1a\x00";
        assert_eq!(applied.encode().as_ref(), pinned);
    }

    #[test]
    fn applied_state_survives_the_round_trip() {
        let stored = StoredMembership::new(Some(log_id(1)), membership());
        let applied = Applied::decode(&Applied::new(Some(log_id(9)), &stored).encode()).unwrap();
        assert_eq!(applied.log_id(), Some(log_id(9)));
        assert_eq!(applied.membership().unwrap(), stored);
    }

    #[test]
    fn entry_without_a_log_id_or_with_two_payloads_is_an_error() {
        let (log_id, commands) = (Some(LogIdRecord::default()), Some(Bytes::new()));
        let membership = Some(MembershipRecord::default());
        let nameless = EntryRecord { log_id: None, commands: commands.clone(), membership: None };
        let double = EntryRecord { log_id, commands, membership };
        for record in [nameless, double] {
            assert!(decode_entry(&encode_v1(&record)).is_err());
        }
    }

    #[test]
    fn later_format_is_refused() {
        let mut bytes = encode_entry(&Entry::new(log_id(1), EntryPayload::Blank)).to_vec();
        bytes[0] = 2;
        assert!(decode_entry(&bytes.into()).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_reads_back_as_written((version, garbage) in framed_garbage()) {
            let garbage = Bytes::from(garbage);
            if let Ok(entry) = decode_entry(&garbage) {
                prop_assert_eq!(version, 1);
                prop_assert_eq!(decode_entry(&encode_entry(&entry)).unwrap(), entry);
            }
            if let Ok(meta) = Applied::decode(&garbage).and_then(|applied| applied.meta()) {
                prop_assert_eq!(version, 1);
                prop_assert_eq!(Applied::from(&meta).meta().unwrap(), meta);
            }
        }

        #[test]
        fn truncated_entry_is_an_error_or_a_shorter_record(cut: prop::sample::Index) {
            let entry = Entry::new(log_id(9), EntryPayload::Membership(membership()));
            let bytes = encode_entry(&entry);
            let cut = cut.index(bytes.len());
            let read = decode_entry(&bytes.slice(..cut));
            // Cut exactly behind its log id, an entry is a blank one; the log's checksum tells the two apart.
            let log_id_alone = encode_entry(&Entry::new(log_id(9), EntryPayload::Blank)).len();
            prop_assert_eq!(read.is_ok(), cut == log_id_alone);
        }
    }
}
