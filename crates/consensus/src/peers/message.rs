//! The messages between nodes: prost records of our own. An envelope wraps every call and opens every exchange.
//!
//! ```text
//! call:      Envelope ─► Answer
//! append:    Envelope(append) Append Append … ─► Answer(appended) Answer(appended) …      in the order of the requests
//! push:      Envelope(push) Chunk Chunk … Chunk(last) ─► Answer(installed)
//! fetch:     Envelope(fetch) ─► Answer(found) Chunk Chunk … Chunk(last)
//! ```
//! An exchange is bound to its envelope: one group, one replica at each end. The receiver checks cluster, sender, lease,
//! replica and map version, and refuses a message with the reason. Chunks are described in `raft/snapshot_stream.rs`.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use prost::{Message, Oneof};

use crate::error::{ConsensusError, Refusal};
use crate::raft::record::{Applied, LogIdRecord, VoteRecord, decode_entry, encode_entry};
use crate::raft::types::{AppendRequest, AppendResult, LogId, TypeConfig, Vote};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Envelope {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) cluster: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) from_node: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) map_version: u64,
    #[prost(message, optional, tag = "4")]
    pub(crate) target: Option<Target>,
    /// The sender's lease: its longest election timeout.
    #[prost(uint64, tag = "5")]
    pub(crate) lease_ms: u64,
    #[prost(oneof = "Body", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18")]
    pub(crate) body: Option<Body>,
}

/// The replica that a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Target {
    #[prost(uint32, tag = "1")]
    pub(crate) group: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) replica: u64,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Body {
    #[prost(message, tag = "10")]
    Vote(VoteCall),
    #[prost(message, tag = "11")]
    PreVote(VoteCall),
    #[prost(message, tag = "12")]
    Transfer(TransferCall),
    #[prost(message, tag = "13")]
    Heartbeats(Heartbeats),
    #[prost(message, tag = "14")]
    Probe(Empty),
    #[prost(message, tag = "15")]
    Join(Empty),
    #[prost(message, tag = "16")]
    Append(Empty),
    #[prost(message, tag = "17")]
    Push(Push),
    #[prost(message, tag = "18")]
    Fetch(Fetch),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Empty {}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct VoteCall {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(message, optional, tag = "2")]
    last_log_id: Option<LogIdRecord>,
    #[prost(bool, tag = "3")]
    leadership_transfer: bool,
}

impl From<VoteRequest<TypeConfig>> for VoteCall {
    fn from(request: VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            last_log_id: request.last_log_id.map(Into::into),
            leadership_transfer: request.leadership_transfer,
        }
    }
}

impl From<VoteCall> for VoteRequest<TypeConfig> {
    fn from(call: VoteCall) -> Self {
        let mut request = Self::new(call.vote.into(), call.last_log_id.map(Into::into));
        request.leadership_transfer = call.leadership_transfer;
        request
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TransferCall {
    #[prost(message, required, tag = "1")]
    from_leader: VoteRecord,
    #[prost(uint64, tag = "2")]
    to_replica: u64,
    #[prost(message, optional, tag = "3")]
    last_log_id: Option<LogIdRecord>,
}

impl From<TransferLeaderRequest<TypeConfig>> for TransferCall {
    fn from(request: TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from_leader: (*request.from_leader()).into(),
            to_replica: *request.to_node_id(),
            last_log_id: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl From<TransferCall> for TransferLeaderRequest<TypeConfig> {
    fn from(call: TransferCall) -> Self {
        Self::new(call.from_leader.into(), call.to_replica, call.last_log_id.map(Into::into))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Heartbeats {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<Heartbeat>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Heartbeat {
    #[prost(message, required, tag = "1")]
    pub(crate) target: Target,
    #[prost(message, required, tag = "2")]
    pub(crate) append: Append,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Push {
    #[prost(message, required, tag = "1")]
    pub(crate) vote: VoteRecord,
    #[prost(message, required, tag = "2")]
    pub(crate) meta: Applied,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Fetch {
    /// The snapshot must reach at least this index.
    #[prost(uint64, tag = "1")]
    pub(crate) index_min: u64,
    /// Whether only the group's leader may answer.
    #[prost(bool, tag = "2")]
    pub(crate) leader_only: bool,
}

/// An append request or a heartbeat.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Append {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(message, optional, tag = "2")]
    prev_log_id: Option<LogIdRecord>,
    #[prost(message, optional, tag = "3")]
    leader_commit: Option<LogIdRecord>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    entries: Vec<Bytes>,
}

impl From<&AppendRequest> for Append {
    fn from(request: &AppendRequest) -> Self {
        Self {
            vote: request.vote.into(),
            prev_log_id: request.prev_log_id.map(Into::into),
            leader_commit: request.leader_commit.map(Into::into),
            entries: request.entries.iter().map(encode_entry).collect(),
        }
    }
}

impl TryFrom<Append> for AppendRequest {
    type Error = ConsensusError;

    /// Checks what the library only asserts: entries follow each other and the previous log id without a gap.
    fn try_from(append: Append) -> Result<Self, ConsensusError> {
        let prev_log_id: Option<LogId> = append.prev_log_id.map(Into::into);
        let entries = append.entries.iter().map(decode_entry).collect::<Result<Vec<_>, _>>()?;
        let first = prev_log_id.map_or(0, |id| id.index.saturating_add(1));
        if !entries.iter().map(|entry| entry.log_id.index).eq((first..).take(entries.len())) {
            return Err(ConsensusError::Malformed { what: "an append request" });
        }
        let leader_commit = append.leader_commit.map(Into::into);
        Ok(AppendEntriesRequest { vote: append.vote.into(), prev_log_id, entries, leader_commit })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(oneof = "Reply", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) reply: Option<Reply>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Reply {
    #[prost(enumeration = "Refusal", tag = "1")]
    Refused(i32),
    #[prost(message, tag = "2")]
    Voted(Voted),
    /// Whether the target takes over leadership.
    #[prost(bool, tag = "3")]
    Transferred(bool),
    #[prost(message, tag = "4")]
    Heartbeats(HeartbeatAnswers),
    #[prost(message, tag = "5")]
    Joined(Empty),
    #[prost(message, tag = "6")]
    Appended(Appended),
    #[prost(message, tag = "7")]
    Installed(VoteRecord),
    #[prost(message, tag = "8")]
    Found(Applied),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply: Some(reply) }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Reply::Refused(refusal.into()).into()
    }
}

impl Answer {
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// Decodes an answer. A refusal is an error.
pub(crate) fn read_answer(bytes: Bytes) -> Result<Reply, Refusal> {
    match Answer::decode(bytes).map(|answer| answer.reply) {
        Ok(Some(Reply::Refused(number))) => Err(Refusal::try_from(number).unwrap_or(Refusal::Malformed)),
        Ok(Some(reply)) => Ok(reply),
        Ok(None) | Err(_) => Err(Refusal::Malformed),
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Voted {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(bool, tag = "2")]
    granted: bool,
    #[prost(message, optional, tag = "3")]
    last_log_id: Option<LogIdRecord>,
}

impl From<VoteResponse<TypeConfig>> for Voted {
    fn from(response: VoteResponse<TypeConfig>) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last_log_id: response.last_log_id.map(Into::into),
        }
    }
}

impl From<Voted> for VoteResponse<TypeConfig> {
    fn from(voted: Voted) -> Self {
        Self::new(Vote::from(voted.vote), voted.last_log_id.map(Into::into), voted.granted)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeartbeatAnswers {
    /// In the order of the heartbeats.
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<HeartbeatAnswer>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct HeartbeatAnswer {
    /// Absent if the heartbeat was refused.
    #[prost(message, optional, tag = "1")]
    pub(crate) appended: Option<Appended>,
}

/// The result of one append request.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Appended {
    #[prost(oneof = "AppendedKind", tags = "1, 2, 3, 4")]
    kind: Option<AppendedKind>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
enum AppendedKind {
    #[prost(message, tag = "1")]
    Through(LogIdRecord),
    #[prost(message, tag = "2")]
    Nothing(Empty),
    #[prost(message, tag = "3")]
    Conflict(LogIdRecord),
    #[prost(message, tag = "4")]
    HigherVote(VoteRecord),
}

impl From<AppendResult> for Appended {
    fn from(result: AppendResult) -> Self {
        let kind = match result {
            Ok(Some(through)) => AppendedKind::Through(through.into()),
            Ok(None) => AppendedKind::Nothing(Empty {}),
            Err(StreamAppendError::Conflict(at)) => AppendedKind::Conflict(at.into()),
            Err(StreamAppendError::HigherVote(vote)) => AppendedKind::HigherVote(vote.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl Appended {
    pub(crate) fn result(self) -> Result<AppendResult, Refusal> {
        Ok(match self.kind.ok_or(Refusal::Malformed)? {
            AppendedKind::Through(through) => Ok(Some(through.into())),
            AppendedKind::Nothing(Empty {}) => Ok(None),
            AppendedKind::Conflict(at) => Err(StreamAppendError::Conflict(at.into())),
            AppendedKind::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry;
    use openraft::impls::leader_id_adv::LeaderId;
    use proptest::prelude::*;

    use super::*;
    use crate::raft::types::Entry;
    use crate::tests::garbage;

    fn log_id(index: u64) -> LogId {
        LogId::new(LeaderId { term: 1, node_id: 1 }, index)
    }

    fn request(prev: Option<u64>, indexes: &[u64]) -> AppendRequest {
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: prev.map(log_id),
            entries: indexes.iter().map(|index| Entry::new(log_id(*index), EntryPayload::Blank)).collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn append_with_a_gap_is_refused_before_the_library_sees_it() {
        let read = |request: &AppendRequest| AppendRequest::try_from(Append::from(request));
        assert_eq!(read(&request(Some(4), &[5, 6])).unwrap().entries.len(), 2);
        assert_eq!(read(&request(None, &[0, 1])).unwrap().entries.len(), 2);
        assert!(read(&request(Some(4), &[6])).is_err());
        assert!(read(&request(None, &[1])).is_err());
    }

    #[test]
    fn results_of_every_kind_survive_the_round_trip() {
        let results: [AppendResult; 4] = [
            Ok(None),
            Ok(Some(log_id(3))),
            Err(StreamAppendError::Conflict(log_id(4))),
            Err(StreamAppendError::HigherVote(Vote::new(9, 2))),
        ];
        for result in results {
            let answer = Answer::from(Reply::Appended(result.clone().into())).to_bytes();
            let Ok(Reply::Appended(appended)) = read_answer(answer) else { panic!("not an append answer") };
            assert_eq!(appended.result().unwrap(), result);
        }
    }

    #[test]
    fn every_refusal_keeps_its_reason_and_an_unknown_one_is_malformed() {
        assert_eq!(read_answer(Bytes::new()), Err(Refusal::Malformed), "an answer without a reply");
        let numbers = 0..=20;
        let known: Vec<Refusal> =
            numbers.clone().filter_map(|number| Refusal::try_from(number).ok()).collect();
        assert_eq!(known.len(), 10);
        for refusal in known {
            assert_eq!(read_answer(Answer::from(refusal).to_bytes()), Err(refusal));
        }
        for number in numbers.filter(|number| Refusal::try_from(*number).is_err()) {
            let answer = Answer::from(Reply::Refused(number)).to_bytes();
            assert_eq!(read_answer(answer), Err(Refusal::Malformed));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_reads_back_as_written(garbage in garbage()) {
            let garbage = Bytes::from(garbage);
            if let Ok(envelope) = Envelope::decode(garbage.clone()) {
                prop_assert_eq!(Envelope::decode(envelope.encode_to_vec().as_slice()).unwrap(), envelope);
            }
            if let Ok(append) = Append::decode(garbage.clone())
                && let Ok(request) = AppendRequest::try_from(append)
            {
                let again = AppendRequest::try_from(Append::from(&request)).unwrap();
                prop_assert_eq!((again.vote, again.prev_log_id), (request.vote, request.prev_log_id));
                prop_assert_eq!(again.leader_commit, request.leader_commit);
                prop_assert_eq!(again.entries, request.entries);
            }
            if let Ok(appended) = Appended::decode(garbage.clone())
                && let Ok(result) = appended.result()
            {
                prop_assert_eq!(Appended::from(result.clone()).result().unwrap(), result);
            }
            match read_answer(garbage) {
                Ok(reply) => prop_assert_eq!(read_answer(Answer::from(reply.clone()).to_bytes()), Ok(reply)),
                Err(refusal) => prop_assert_eq!(read_answer(Answer::from(refusal).to_bytes()), Err(refusal)),
            }
        }

        #[test]
        fn truncated_append_is_an_error_or_lacks_whole_entries(cut: prop::sample::Index) {
            let append = Append::from(&request(Some(4), &[5, 6]));
            let bytes = Bytes::from(append.encode_to_vec());
            let cut = cut.index(bytes.len());
            if let Ok(read) = Append::decode(bytes.slice(..cut)) {
                prop_assert!(append.entries.starts_with(&read.entries));
                prop_assert!(read.entries.len() < append.entries.len());
            }
        }
    }
}
