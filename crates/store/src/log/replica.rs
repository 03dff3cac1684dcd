//! What memory holds of one replica's log: its bounds, its vote and its latest records.
//!
//! ```text
//!   purged │ first … on disk only … │ tail: in memory (and on disk once synced) │ next
//!          └────────────────────────┴──────────────────────────────────────────┘
//! ```
//! The tail holds every record that is not yet durable and up to [`TAIL_BYTES_MAX`] of the latest durable ones: the leader
//! reads each record again for its followers and for apply.

use std::collections::VecDeque;

use bytes::Bytes;
use custodia_profile::ReplicaId;

use super::queue::Operation;
use super::{LogBounds, LogRecord, Purged};
use crate::error::StoreError;

/// Durable records of each replica stay in memory up to this size.
const TAIL_BYTES_MAX: usize = 256 * 1024;

const NOT_QUEUED: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(super) struct ReplicaLog {
    /// First index held; equal to `next` when none is.
    first: u64,
    /// The index of the next record; `None` while any index may come, because none ever did.
    next: Option<u64>,
    purged: Option<Purged>,
    tail: VecDeque<TailRecord>,
    tail_bytes: usize,
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<Bytes>,
    pub(super) destroyed: bool,
}

#[derive(Debug)]
struct TailRecord {
    bytes: Bytes,
    /// Number of the operation that writes it to disk.
    sequence: u64,
}

/// Where the records of a read are: all in memory, or some on disk.
pub(super) struct ReadPlan {
    pub(super) in_memory: Vec<LogRecord>,
    pub(super) on_disk: Option<(u64, u64)>,
}

impl ReplicaLog {
    /// The log as found on disk.
    pub(super) fn recovered(span: Option<(u64, u64)>, purged: Option<Purged>) -> Self {
        let after_purged = purged.as_ref().map(|purged| purged.index + 1);
        let (first, next) = match span {
            Some((first, last)) => (first, Some(last + 1)),
            None => (after_purged.unwrap_or(0), after_purged),
        };
        Self { first, next, purged, ..Self::default() }
    }

    pub(super) fn check(&self, replica: ReplicaId) -> Result<(), StoreError> {
        if self.destroyed { Err(StoreError::ReplicaDestroyed { replica }) } else { Ok(()) }
    }

    pub(super) fn bounds(&self) -> LogBounds {
        let held = self.next.filter(|&next| self.first < next);
        LogBounds {
            first: held.map(|_| self.first),
            last: held.map(|next| next - 1),
            purged: self.purged.clone(),
        }
    }

    pub(super) fn append(
        &mut self,
        replica: ReplicaId,
        records: Vec<LogRecord>,
    ) -> Result<Operation, StoreError> {
        let Some(start) = records.first().map(|record| record.index) else {
            return Ok(Operation::Barrier);
        };
        let mut expected = self.next.unwrap_or(start);
        for record in &records {
            if record.index != expected {
                return Err(StoreError::LogHole { replica, expected, found: record.index });
            }
            expected += 1;
        }
        if self.next.is_none() {
            self.first = start;
        }
        self.next = Some(expected);
        for record in &records {
            self.push_tail(record.bytes.clone());
        }
        Ok(Operation::Append(records))
    }

    /// Keeps everything through `index`. `reload` reads a record that is no longer in memory.
    pub(super) fn truncate_after(
        &mut self,
        replica: ReplicaId,
        index: Option<u64>,
        reload: impl FnOnce(u64) -> Result<Vec<LogRecord>, StoreError>,
    ) -> Result<Operation, StoreError> {
        if let Some(purged) = &self.purged
            && index.is_none_or(|index| index < purged.index)
        {
            let index = index.unwrap_or(0);
            return Err(StoreError::LogPurged { replica, index, purged: purged.index });
        }
        let Some(next) = self.next.filter(|&next| self.first < next) else {
            return Ok(Operation::Barrier);
        };
        let kept = match index {
            Some(index) if index >= next - 1 => return Ok(Operation::Barrier),
            Some(index) if index >= self.first => index,
            Some(_) | None => {
                self.tail.clear();
                self.tail_bytes = 0;
                self.next = self.purged.as_ref().map(|purged| purged.index + 1);
                self.first = self.next.unwrap_or(0);
                return Ok(Operation::DropBelow(next));
            }
        };
        let last = match self.in_memory(kept) {
            Some(bytes) => LogRecord { index: kept, bytes },
            None => reload(kept)?.pop().ok_or(StoreError::Corrupt { what: "log record" })?,
        };
        for _ in kept + 1..next {
            if self.tail.is_empty() {
                break;
            }
            self.pop_tail_back();
        }
        self.next = Some(kept + 1);
        Ok(Operation::CutAfter(last))
    }

    pub(super) fn purge_through(&mut self, purged: Purged) -> Operation {
        if self.purged.as_ref().is_some_and(|before| before.index >= purged.index) {
            return Operation::Barrier;
        }
        let after = purged.index + 1;
        while self.tail_start().is_some_and(|start| start < after) {
            self.pop_tail_front();
        }
        self.first = self.first.max(after);
        self.next = Some(self.next.map_or(after, |next| next.max(after)));
        self.purged = Some(purged.clone());
        Operation::Purge(purged)
    }

    /// The operation was queued under this number; everything through `durable` is on disk.
    pub(super) fn pushed(&mut self, sequence: u64, durable: u64) {
        for record in self.tail.iter_mut().rev().take_while(|record| record.sequence == NOT_QUEUED) {
            record.sequence = sequence;
        }
        while self.tail_bytes > TAIL_BYTES_MAX
            && self.tail.front().is_some_and(|record| record.sequence <= durable)
        {
            self.pop_tail_front();
        }
    }

    pub(super) fn plan_read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> ReadPlan {
        let from = from.max(self.first);
        let to = to_exclusive.min(self.next.unwrap_or(0));
        let tail_start = self.tail_start().unwrap_or(to);
        if from < to && from < tail_start {
            return ReadPlan { in_memory: Vec::new(), on_disk: Some((from, to.min(tail_start))) };
        }
        let mut bytes = 0;
        let in_memory = (from..to)
            .map_while(|index| Some(LogRecord { index, bytes: self.in_memory(index)? }))
            .take_while(|record| {
                let first = bytes == 0;
                bytes += record.bytes.len().max(1);
                first || bytes <= bytes_max
            })
            .collect();
        ReadPlan { in_memory, on_disk: None }
    }

    /// Index of the first record in memory, if one is.
    fn tail_start(&self) -> Option<u64> {
        let length = u64::try_from(self.tail.len()).ok().filter(|&length| length > 0)?;
        self.next?.checked_sub(length)
    }

    fn in_memory(&self, index: u64) -> Option<Bytes> {
        let offset = index.checked_sub(self.tail_start()?)?;
        Some(self.tail.get(usize::try_from(offset).ok()?)?.bytes.clone())
    }

    fn push_tail(&mut self, bytes: Bytes) {
        self.tail_bytes += bytes.len();
        self.tail.push_back(TailRecord { bytes, sequence: NOT_QUEUED });
    }

    fn pop_tail_front(&mut self) {
        if let Some(record) = self.tail.pop_front() {
            self.tail_bytes -= record.bytes.len();
        }
    }

    fn pop_tail_back(&mut self) {
        if let Some(record) = self.tail.pop_back() {
            self.tail_bytes -= record.bytes.len();
        }
    }
}
