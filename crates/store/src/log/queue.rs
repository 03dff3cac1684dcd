//! The queue between the callers and the writer thread: bounded in bytes, in the order of the calls.
//!
//! Every operation gets a sequence number. The writer publishes the number through which all operations are durable; it tells
//! a replica which of its records may leave memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use custodia_profile::ReplicaId;
use parking_lot::{Condvar, Mutex};

use super::{Done, LogRecord, Purged};
use crate::error::StoreError;

/// Approximate size of one batch; the rest waits for the next.
pub(super) const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Callers wait while more than this is queued.
pub(super) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the writer does for a replica.
#[derive(Debug)]
pub(super) enum Operation {
    Append(Vec<LogRecord>),
    Vote(Bytes),
    /// Removes everything after this record. The record is written again, which is how raft-engine truncates.
    CutAfter(LogRecord),
    /// Removes every record; the next one may have any index.
    DropBelow(u64),
    Purge(Purged),
    Destroy,
    /// Writes nothing, but keeps `done` in order.
    Barrier,
}

impl Operation {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(records) => records.iter().map(|record| record.bytes.len() + 32).sum(),
            Self::Vote(bytes) => bytes.len() + 32,
            Self::CutAfter(record) => record.bytes.len() + 32,
            Self::Purge(purged) => purged.marker.len() + 32,
            Self::DropBelow(_) | Self::Destroy | Self::Barrier => 32,
        }
    }
}

pub(super) struct Queued {
    pub(super) replica: ReplicaId,
    pub(super) operation: Operation,
    pub(super) done: Done,
}

/// What is written and synced together.
pub(super) struct QueuedBatch {
    pub(super) committed: BTreeMap<ReplicaId, Bytes>,
    pub(super) operations: Vec<Queued>,
    /// Every operation through this number is durable once the batch is.
    pub(super) sequence: u64,
}

#[derive(Default)]
pub(super) struct Queue {
    pending: Mutex<Pending>,
    operation_added: Condvar,
    space_freed: Condvar,
    durable: AtomicU64,
}

#[derive(Default)]
struct Pending {
    operations: VecDeque<Queued>,
    bytes: usize,
    /// Number of the last operation that was pushed.
    pushed: u64,
    /// Number of the last operation that was taken.
    taken: u64,
    committed: BTreeMap<ReplicaId, Bytes>,
    closed: bool,
}

impl Queue {
    /// Adds an operation and returns its number. Waits while the queue is full.
    pub(super) fn push(&self, replica: ReplicaId, operation: Operation, done: Done) -> u64 {
        let mut pending = self.pending.lock();
        while pending.bytes > QUEUE_BYTES_MAX && !pending.closed {
            self.space_freed.wait(&mut pending);
        }
        if pending.closed {
            drop(pending);
            done(Err(StoreError::LogClosed));
            return u64::MAX;
        }
        if matches!(operation, Operation::Destroy) {
            pending.committed.remove(&replica);
        }
        pending.bytes += operation.bytes();
        pending.pushed += 1;
        let sequence = pending.pushed;
        pending.operations.push_back(Queued { replica, operation, done });
        drop(pending);
        self.operation_added.notify_one();
        sequence
    }

    /// Remembers a committed id for the next batch, without waking the writer.
    pub(super) fn save_committed(&self, replica: ReplicaId, committed: Bytes) {
        self.pending.lock().committed.insert(replica, committed);
    }

    /// The next batch. Waits for one; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<QueuedBatch> {
        let mut pending = self.pending.lock();
        while pending.operations.is_empty() && !pending.closed {
            self.operation_added.wait(&mut pending);
        }
        if pending.operations.is_empty() && pending.committed.is_empty() {
            return None;
        }
        let mut operations = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX {
            let Some(queued) = pending.operations.pop_front() else { break };
            bytes += queued.operation.bytes();
            pending.taken += 1;
            operations.push(queued);
        }
        pending.bytes = pending.bytes.saturating_sub(bytes);
        let committed = std::mem::take(&mut pending.committed);
        let sequence = pending.taken;
        drop(pending);
        self.space_freed.notify_all();
        Some(QueuedBatch { committed, operations, sequence })
    }

    pub(super) fn publish(&self, sequence: u64) {
        self.durable.store(sequence, Ordering::Release);
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.pending.lock().closed = true;
        self.operation_added.notify_all();
        self.space_freed.notify_all();
    }
}
