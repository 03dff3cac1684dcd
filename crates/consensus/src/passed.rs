//! A passed read barrier, which serves the reads that follow it closely without asking Raft again.
//!
//! ```text
//! acknowledged by a quorum ──── at most a quarter ────► barrier passes ──── a quarter ────► asked again
//! └───────────────────────────────────── lease: the longest election timeout ─────────────────────────┤
//!                                                                              (the rest is the margin)
//! ```
//!
//! **Why a read under it is not stale.** The barrier passed at a moment when a quorum's acknowledgement was at most a
//! quarter of the lease old (and a sixteenth by which it may be dated too late, `in_flight.rs`), and everything committed
//! before was applied here. Until the lease ends, no other replica can be elected, so every later write is acknowledged by
//! this one, and it acknowledges only what it has applied. A barrier that needed a round to a quorum is younger still.
//! What is read after the check may be newer than the check, never older.
//!
//! **The one way round the lease** is a leadership that this node gives away: the voters then elect at once. So before a
//! transfer is asked for, [`PassedBarrier::giving_away`] ends what has passed and lets nothing new pass; when Raft has
//! taken the request, [`PassedBarrier::given_away`] names the term in which it did, and only a barrier of a later term
//! counts again. Should the request fail in between, every read asks Raft, which is slow and right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Until when one replica's last barrier serves further reads.
#[derive(Debug)]
pub(crate) struct PassedBarrier {
    started: Instant,
    lasts: Duration,
    /// Microseconds since `started`; written under the lock of `giving`, read without it.
    until_us: AtomicU64,
    giving: Mutex<Giving>,
}

/// What has become of this replica's leaderships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Giving {
    /// None that it had up to this term counts; 0 where none was given away.
    Through(u64),
    /// One is being given away, in a term not known yet.
    Now,
}

impl PassedBarrier {
    /// None has passed yet; each that does is good for `lasts`.
    pub(crate) fn new(lasts: Duration) -> Self {
        Self {
            started: Instant::now(),
            lasts,
            until_us: AtomicU64::new(0),
            giving: Mutex::new(Giving::Through(0)),
        }
    }

    /// Whether a barrier that passed a moment ago serves a read now.
    pub(crate) fn serves(&self, now: Instant) -> bool {
        self.micros(now) < self.until_us.load(Ordering::Acquire)
    }

    /// A barrier has passed that was asked for at `asked`, when this replica saw itself in `term`.
    pub(crate) fn passed(&self, term: u64, asked: Instant) {
        let giving = self.giving.lock();
        if matches!(*giving, Giving::Through(given) if term > given) {
            self.until_us.fetch_max(self.micros(asked + self.lasts), Ordering::Release);
        }
    }

    /// Before leadership is given away.
    pub(crate) fn giving_away(&self) {
        let mut giving = self.giving.lock();
        *giving = Giving::Now;
        self.until_us.store(0, Ordering::Release);
    }

    /// After Raft has taken the request, at the latest in `term`. No two requests may be between these two calls.
    pub(crate) fn given_away(&self, term: u64) {
        *self.giving.lock() = Giving::Through(term);
    }

    /// This replica has seen that it leads no more. The lease would still cover reads; it is no use to stretch it.
    pub(crate) fn ended(&self) {
        let _giving = self.giving.lock();
        self.until_us.store(0, Ordering::Release);
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_millis(100);

    #[test]
    fn a_passed_barrier_serves_for_its_time_and_no_longer() {
        let barrier = PassedBarrier::new(LASTS);
        let asked = barrier.started + Duration::from_secs(1);
        assert!(!barrier.serves(asked));
        barrier.passed(3, asked);
        assert!(barrier.serves(asked + LASTS / 2));
        assert!(!barrier.serves(asked + LASTS));
        barrier.passed(3, asked - LASTS / 2);
        assert!(barrier.serves(asked + LASTS * 3 / 4), "an older barrier takes nothing from a younger one");
    }

    #[test]
    fn a_leadership_that_is_given_away_serves_nothing_more() {
        let barrier = PassedBarrier::new(LASTS);
        let asked = barrier.started + Duration::from_secs(1);
        barrier.passed(3, asked);
        barrier.giving_away();
        assert!(!barrier.serves(asked));
        // one that was under way meanwhile, in whatever term, does not count
        barrier.passed(3, asked);
        barrier.passed(9, asked);
        assert!(!barrier.serves(asked));
        barrier.given_away(4);
        barrier.passed(4, asked);
        assert!(!barrier.serves(asked));
        barrier.passed(5, asked);
        assert!(barrier.serves(asked));
    }
}
