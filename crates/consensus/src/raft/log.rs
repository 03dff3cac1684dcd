//! One replica's log: the Raft library's log storage on the node's shared log.
//!
//! What must hold:
//! - a vote is durable before `save_vote` returns, and `append` calls back after the fsync;
//! - vote, append, truncate and purge reach the shared log in the order of the calls, and only through this object;
//! - a purge stores the applied membership, so that a replica that loses its state later knows whom to ask for it.
//!
//! The newest entries are kept decoded, up to a limit, because they are soon read again: by apply and by one replication
//! stream per follower.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use custodia_profile::{GroupId, ReplicaId};
use custodia_store::{Done, LogRecord, SharedLog, StoreError};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::log_sizes::LogSizes;
use super::record::{Applied, LogIdRecord, StoredVote, VoteRecord, decode_entry, encode_entry};
use super::types::{Entry, LogId, StoredMembership, TypeConfig, Vote};
use crate::blocking::blocking;
use crate::error::{ConsensusError, as_io};
use crate::format::{decode_v1, encode_v1};

/// The most bytes of entries that one read returns, unless the first entry alone is larger.
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the newest entries that are kept decoded.
const RECENT_BYTES_MAX: usize = 256 * 1024;
/// What an entry counts in addition to its data.
const ENTRY_OVERHEAD_BYTES: usize = 128;
/// The committed log id is stored once per this many entries. It only saves work after a restart.
const COMMITTED_EVERY: u64 = 64;

/// A replica's log. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaLog {
    group: GroupId,
    replica: ReplicaId,
    log: SharedLog,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    vote: Option<Vote>,
    committed: Option<LogId>,
    committed_written: u64,
    purged: Option<LogId>,
    last: Option<LogId>,
    recent: Recent,
    sizes: LogSizes,
    /// The applied membership, which goes into the marker of a purge.
    membership: StoredMembership,
}

impl ReplicaLog {
    /// Opens a replica's log. A new replica gets its first record, which names its group. `has_state` tells whether the
    /// engine holds anything that the replica has applied, which is never so for a new one.
    pub(crate) async fn open(
        log: SharedLog,
        group: GroupId,
        replica: ReplicaId,
        has_state: bool,
    ) -> Result<Self, ConsensusError> {
        let (registered, vote) = read_vote(&log, replica)?;
        let mut state = State { vote, ..State::default() };
        let bounds = log.bounds(replica)?;
        if let Some(purged) = &bounds.purged {
            let marker = Applied::decode(&purged.marker)?;
            state.purged = marker.log_id();
            state.membership = marker.membership()?;
        }
        state.last = state.purged;
        if let Some(last) = bounds.last {
            let records = log.read(replica, last, last + 1, 1)?;
            let record = records.first().ok_or(ConsensusError::Malformed { what: "the end of a log" })?;
            state.last = Some(decode_entry(&record.bytes)?.log_id);
        }
        if let Some(committed) = log.read_committed(replica)? {
            let record: LogIdRecord = decode_v1("a committed log id", &committed)?;
            // It is not synced with the log, so it may name an entry that a power failure has removed.
            state.committed = Some(record.into()).filter(|committed| Some(*committed) <= state.last);
        }
        let this = Self { group, replica, log, state: Arc::new(Mutex::new(state)) };
        match registered {
            Some(registered) if registered == group => {}
            Some(_) => return Err(ConsensusError::Malformed { what: "a replica's group" }),
            // Its votes and the entries that it acknowledged are lost: it must not take part as a new replica would.
            None if has_state => return Err(ConsensusError::LogLost { group, replica }),
            None => this.write_vote(None).await?,
        }
        Ok(this)
    }

    /// The last index to purge, if the log holds more than `bytes_max`, so that it holds a quarter of that.
    pub(crate) fn purge_to_hold(&self, bytes_max: u64) -> Option<u64> {
        let sizes = &self.state.lock().sizes;
        if sizes.held() > bytes_max { sizes.purge_to_hold(bytes_max / 4) } else { None }
    }

    /// Returns when everything that was found is durable. A run of this replica that ended in this process may have left
    /// records that were not yet synced, and the library takes what it finds as durable.
    pub(crate) async fn sync(&self) -> Result<(), ConsensusError> {
        let vote = self.state.lock().vote;
        self.write_vote(vote).await
    }

    /// Whether this replica may have granted a vote or a lease in an earlier run, in this process or before it started.
    pub(crate) fn has_voted(&self) -> bool {
        self.state.lock().vote.is_some_and(|vote| vote.leader_id.term > 0)
    }

    /// The end of the purged part and the membership at that point.
    pub(crate) fn purged(&self) -> (Option<LogId>, StoredMembership) {
        let state = self.state.lock();
        (state.purged, state.membership.clone())
    }

    /// Tells the log the applied membership.
    pub(crate) fn set_membership(&self, membership: StoredMembership) {
        self.state.lock().membership = membership;
    }

    /// Drops the entries that a snapshot contradicts, after it was installed without the library. An entry at the snapshot's
    /// index with another log id was never committed, nor was anything after it.
    pub(crate) async fn reconcile(&self, snapshot: LogId) -> Result<(), ConsensusError> {
        let last = self.state.lock().last;
        let Some(last) = last else { return Ok(()) };
        let purged = self.state.lock().purged;
        if last.index < snapshot.index || purged == Some(snapshot) {
            return Ok(());
        }
        let ours = self.read(snapshot.index, snapshot.index + 1, 1).await?.first().map(|entry| entry.log_id);
        if ours == Some(snapshot) {
            return Ok(());
        }
        self.truncate(purged).await
    }

    async fn write_vote(&self, vote: Option<Vote>) -> Result<(), ConsensusError> {
        let stored = StoredVote { group: u32::from(self.group.as_u16()), vote: vote.map(VoteRecord::from) };
        let (done, synced) = done_channel();
        self.log.save_vote(self.replica, encode_v1(&stored), done);
        wait(synced).await?;
        self.state.lock().vote = vote;
        Ok(())
    }

    async fn truncate(&self, after: Option<LogId>) -> Result<(), ConsensusError> {
        {
            let mut state = self.state.lock();
            if state.last.map(|last| last.index) <= after.map(|id| id.index) {
                return Ok(());
            }
            state.recent.truncate_after(after.map(|id| id.index));
            state.sizes.truncate_after(after.map(|id| id.index));
            state.last = after;
        }
        let (done, synced) = done_channel();
        self.log.truncate_after(self.replica, after.map(|id| id.index), done);
        wait(synced).await
    }

    /// The existing entries of `[from, to)`: at least one, and up to about `bytes_max` bytes.
    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, ConsensusError> {
        let (from, to) = {
            let state = self.state.lock();
            let from = from.max(state.purged.map_or(0, |id| id.index + 1));
            let to = to.min(state.last.map_or(0, |id| id.index + 1));
            if let Some(entries) = state.recent.read(from, to, bytes_max) {
                return Ok(entries);
            }
            (from, to)
        };
        if from >= to {
            return Ok(Vec::new());
        }
        let (log, replica) = (self.log.clone(), self.replica);
        let records = blocking(move || log.read(replica, from, to, bytes_max)).await?;
        records.iter().map(|record| decode_entry(&record.bytes)).collect()
    }
}

/// The group and the vote that a replica has stored.
fn read_vote(log: &SharedLog, replica: ReplicaId) -> Result<(Option<GroupId>, Option<Vote>), ConsensusError> {
    const WHAT: &str = "a vote";
    let Some(bytes) = log.read_vote(replica)? else { return Ok((None, None)) };
    let stored: StoredVote = decode_v1(WHAT, &bytes)?;
    let malformed = ConsensusError::Malformed { what: WHAT };
    let group = u16::try_from(stored.group).ok().and_then(|number| GroupId::from_u16(number).ok());
    Ok((Some(group.ok_or(malformed)?), stored.vote.map(Into::into)))
}

/// The replica of a group that the log knows.
pub(crate) fn find_replica(log: &SharedLog, group: GroupId) -> Result<Option<ReplicaId>, ConsensusError> {
    for replica in log.replicas() {
        if read_vote(log, replica)?.0 == Some(group) {
            return Ok(Some(replica));
        }
    }
    Ok(None)
}

type Synced = oneshot::Receiver<Result<(), StoreError>>;

fn done_channel() -> (Done, Synced) {
    let (sender, receiver) = oneshot::channel();
    // The receiver may be gone; then nobody needs the result.
    (Box::new(move |result| drop(sender.send(result))), receiver)
}

async fn wait(synced: Synced) -> Result<(), ConsensusError> {
    synced.await.unwrap_or(Err(StoreError::LogClosed)).map_err(Into::into)
}

/// The newest entries of a log, without a gap.
#[derive(Debug, Default)]
struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
}

fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_OVERHEAD_BYTES
        + match &entry.payload {
            EntryPayload::Normal(batch) => batch.bytes().len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 0,
        }
}

impl Recent {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry_bytes(&entry);
        self.entries.push_back(entry);
        while self.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= entry_bytes(&oldest);
        }
    }

    fn truncate_after(&mut self, index: Option<u64>) {
        while self.entries.back().is_some_and(|entry| Some(entry.log_id.index) > index) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= entry_bytes(&entry);
            }
        }
    }

    fn purge_through(&mut self, index: u64) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= index) {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= entry_bytes(&entry);
            }
        }
    }

    /// `None` if the range does not begin in here.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.log_id.index;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let mut read = Vec::new();
        for entry in self.entries.iter().skip(skip).take_while(|entry| entry.log_id.index < to) {
            bytes += entry_bytes(entry);
            if bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(entry.clone());
        }
        (!read.is_empty() || from >= to).then_some(read)
    }
}

fn bounds_of(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<TypeConfig> for ReplicaLog {
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds_of(&range);
        let pages = stream::unfold(Some((self.clone(), from)), move |state| async move {
            let (log, from) = state?;
            match log.read(from, to, READ_BYTES_MAX).await {
                Ok(page) => {
                    let next = page.last()?.log_id.index + 1;
                    let page: Vec<_> = page.into_iter().map(Ok).collect();
                    Some((stream::iter(page), Some((log, next))))
                }
                Err(error) => Some((stream::iter(vec![Err(as_io(error))]), None)),
            }
        });
        let entries: BoxStream<'static, _> = pages.flatten().boxed();
        entries
    }

    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (mut from, to) = bounds_of(&range);
        let mut entries = Vec::new();
        loop {
            let page = self.read(from, to, READ_BYTES_MAX).await.map_err(as_io)?;
            let Some(last) = page.last() else { return Ok(entries) };
            from = last.log_id.index + 1;
            entries.extend(page);
        }
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.state.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, READ_BYTES_MAX).await.map_err(as_io)
    }
}

impl RaftLogStorage<TypeConfig> for ReplicaLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let state = self.state.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.write_vote(Some(*vote)).await.map_err(as_io)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let write = {
            let mut state = self.state.lock();
            state.committed = committed;
            let index = committed.map_or(0, |id| id.index);
            let due = index >= state.committed_written.saturating_add(COMMITTED_EVERY);
            if due {
                state.committed_written = index;
            }
            committed.filter(|_| due)
        };
        let Some(committed) = write else { return Ok(()) };
        self.log.save_committed(self.replica, encode_v1(&LogIdRecord::from(committed))).map_err(as_io)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.state.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut state = self.state.lock();
            for entry in entries {
                let record = LogRecord { index: entry.log_id.index, bytes: encode_entry(&entry) };
                state.sizes.push(record.index, record.bytes.len());
                records.push(record);
                state.last = Some(entry.log_id());
                state.recent.push(entry);
            }
        }
        let done: Done = Box::new(move |result| callback.io_completed(result.map_err(as_io)));
        self.log.append(self.replica, records, done);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        self.truncate(last_log_id).await.map_err(as_io)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let marker = {
            let mut state = self.state.lock();
            if state.purged >= Some(log_id) {
                return Ok(());
            }
            state.purged = Some(log_id);
            if state.last.is_none_or(|last| last.index <= log_id.index) {
                state.last = Some(log_id);
            }
            state.recent.purge_through(log_id.index);
            state.sizes.purge_through(log_id.index);
            Applied::new(Some(log_id), &state.membership)
        };
        let (done, synced) = done_channel();
        self.log.purge_through(self.replica, log_id.index, marker.encode(), done);
        wait(synced).await.map_err(as_io)
    }
}
