//! The read lease: a passed read barrier also serves the reads that closely follow it, without asking Raft again.
//!
//! ```text
//! acknowledged by a quorum ──── at most a quarter ────► barrier passes ──── a quarter ────► Raft is asked again
//! └───────────────────────────────────── lease: the longest election timeout ─────────────────────────┤
//!                                                                              (the rest is the margin)
//! ```
//!
//! **Why a read under it is not stale.** When the barrier passed, a quorum's acknowledgement was at most a quarter of the
//! lease old (`peers/acknowledgements.rs` makes sure that none is dated too late), and everything committed before had been
//! applied here. All of this is measured by a clock that ran steadily for the whole lease (`clock.rs`). Until the lease ends,
//! no other replica can be elected. So every later write is acknowledged by this replica, which acknowledges only what it has
//! applied. A barrier that needed a round to a quorum is younger still. Data read after the check may be newer than the
//! check, never older.
//!
//! **The exception is a leadership transfer:** the voters then elect a new leader at once, in spite of the lease. So before
//! a transfer is requested, [`ReadLease::begin_transfer`] ends the read lease and admits no new one. When Raft has taken the
//! request, [`ReadLease::end_transfer`] names the term in which it did, and only a barrier of a later term counts again. If
//! the request fails in between, every read asks Raft, which is slow but correct.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time until which the last barrier of one replica serves further reads.
#[derive(Debug)]
pub(crate) struct ReadLease {
    started: Instant,
    length: Duration,
    /// Microseconds since `started`. Written under the lock of `transfers`, read without it.
    until_us: AtomicU64,
    transfers: Mutex<Transfers>,
}

/// The leaderships that this replica has transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfers {
    /// No leadership up to this term counts any more; 0 if none was transferred.
    Through(u64),
    /// One is being transferred, in a term that is not known yet.
    Running,
}

impl ReadLease {
    /// No barrier has passed yet. Each that does serves reads for `length`.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            started: Instant::now(),
            length,
            until_us: AtomicU64::new(0),
            transfers: Mutex::new(Transfers::Through(0)),
        }
    }

    /// Whether a read may be served now without a new barrier.
    pub(crate) fn covers(&self, now: Instant) -> bool {
        self.micros(now) < self.until_us.load(Ordering::Acquire)
    }

    /// A barrier has passed that was requested at `asked`, when this replica saw itself in `term`.
    pub(crate) fn extend(&self, term: u64, asked: Instant) {
        let transfers = self.transfers.lock();
        if matches!(*transfers, Transfers::Through(transferred) if term > transferred) {
            self.until_us.fetch_max(self.micros(asked + self.length), Ordering::Release);
        }
    }

    /// To be called before a leadership transfer is requested.
    pub(crate) fn begin_transfer(&self) {
        let mut transfers = self.transfers.lock();
        *transfers = Transfers::Running;
        self.until_us.store(0, Ordering::Release);
    }

    /// To be called when Raft has taken the request, in `term` at the latest. Only one request at a time may be between
    /// these two calls.
    pub(crate) fn end_transfer(&self, term: u64) {
        *self.transfers.lock() = Transfers::Through(term);
    }

    /// This replica has seen that it no longer leads. The leader's lease would still cover reads, but there is no reason to
    /// use it up.
    pub(crate) fn end(&self) {
        let _transfers = self.transfers.lock();
        self.until_us.store(0, Ordering::Release);
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_millis(100);

    #[test]
    fn read_lease_covers_its_length_and_no_more() {
        let lease = ReadLease::new(LENGTH);
        let asked = lease.started + Duration::from_secs(1);
        assert!(!lease.covers(asked));
        lease.extend(3, asked);
        assert!(lease.covers(asked + LENGTH / 2));
        assert!(!lease.covers(asked + LENGTH));
        lease.extend(3, asked - LENGTH / 2);
        assert!(
            lease.covers(asked + LENGTH * 3 / 4),
            "an older barrier does not shorten the lease of a younger one"
        );
    }

    #[test]
    fn transferred_leadership_covers_no_read() {
        let lease = ReadLease::new(LENGTH);
        let asked = lease.started + Duration::from_secs(1);
        lease.extend(3, asked);
        lease.begin_transfer();
        assert!(!lease.covers(asked));
        // A barrier that was running meanwhile does not count, whatever its term.
        lease.extend(3, asked);
        lease.extend(9, asked);
        assert!(!lease.covers(asked));
        lease.end_transfer(4);
        lease.extend(4, asked);
        assert!(!lease.covers(asked));
        lease.extend(5, asked);
        assert!(lease.covers(asked));
    }
}
