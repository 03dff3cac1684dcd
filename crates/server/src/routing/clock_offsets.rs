//! How far the clocks of the other nodes are from this one's, and which clock dates what this node records.
//!
//! ```text
//! asked at a ──▶ other node: its clock says c ──▶ answered at b      offset = c − (a + b) / 2, known to (b − a) / 2
//! ```
//! (RFC 5905, section 8.) The calls judge times by the wall clock of the leader that happens to serve them. If that clock is
//! slow, a plain "now" of a client, or of the leader before it, would lie in the future; if it is fast, what it dates would.
//! So a node whose clock is further from the **median** of the cluster's clocks than a bound judges times by the median: one
//! bad clock moves nobody else's. Of two clocks in the middle the later one counts, for both nodes alike.
//!
//! Leases do not depend on this: they are measured with the monotonic clock, see `crates/consensus/src/clock.rs`.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use custodia_profile::{NodeId, TimestampMs};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{counters::set_clock_offset, wire::correct_clock};

/// An offset that was measured longer ago does not count: the node may be down, its clock may have been set.
const VALID_FOR: Duration = Duration::from_secs(60);

/// The offset of another node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offset {
    /// Positive: the other clock is ahead of this one.
    pub(crate) ms: i64,
    /// Half the time that the question took.
    uncertainty_ms: i64,
}

impl Offset {
    /// Of a clock that said `theirs` between two readings of this node's clock.
    pub(crate) fn measured(asked: TimestampMs, theirs: TimestampMs, answered: TimestampMs) -> Self {
        let took = answered.as_ms().saturating_sub(asked.as_ms()).max(0);
        let middle = asked.as_ms().saturating_add(took / 2);
        Self { ms: theirs.as_ms().saturating_sub(middle), uncertainty_ms: took / 2 }
    }

    /// What is certainly more than `bound_ms` away.
    const fn exceeds(self, bound_ms: i64) -> bool {
        self.ms.saturating_abs().saturating_sub(self.uncertainty_ms) > bound_ms
    }
}

/// The offsets of all other nodes.
#[derive(Debug)]
pub(crate) struct ClockOffsets {
    bound: Duration,
    measured: Mutex<BTreeMap<NodeId, (Instant, Offset)>>,
    /// The correction in force, in milliseconds.
    corrected: AtomicI64,
}

impl ClockOffsets {
    /// Warns of offsets beyond `bound`.
    pub(crate) fn new(bound: Duration) -> Self {
        Self { bound, measured: Mutex::default(), corrected: AtomicI64::new(0) }
    }

    fn bound_ms(&self) -> i64 {
        i64::try_from(self.bound.as_millis()).unwrap_or(i64::MAX)
    }

    /// Notes a measurement. Warns when it passes the bound, and says when it is back.
    pub(crate) fn note(&self, node: NodeId, offset: Offset) {
        let before = self.measured.lock().insert(node, (Instant::now(), offset));
        set_clock_offset(node, offset.ms);
        let was_beyond = before.is_some_and(|(_, before)| before.exceeds(self.bound_ms()));
        match (was_beyond, offset.exceeds(self.bound_ms())) {
            (false, true) => tracing::warn!(
                %node,
                offset_ms = offset.ms,
                limit = "clock_offset_max_ms",
                "the clock of another node is far from this one's: check how their clocks are synchronised"
            ),
            (true, false) => {
                tracing::info!(%node, offset_ms = offset.ms, "the clock of another node is near this one's again")
            }
            (true, true) | (false, false) => {}
        }
    }

    /// The offset of a node's clock, if it was measured lately.
    pub(crate) fn of(&self, node: NodeId, now: Instant) -> Option<Offset> {
        let measured = self.measured.lock();
        measured.get(&node).filter(|(at, _)| is_valid(*at, now)).map(|(_, offset)| *offset)
    }

    /// Has this node judge times by the median of the clocks, if its own is far from that.
    pub(crate) fn correct(&self, now: Instant) {
        let offsets: Vec<_> = {
            let mut measured = self.measured.lock();
            measured.retain(|_, (at, _)| is_valid(*at, now));
            measured.values().map(|(_, offset)| *offset).collect()
        };
        let correction = correction_ms(&offsets, self.bound_ms());
        correct_clock(correction);
        let before = self.corrected.swap(correction, Ordering::Relaxed);
        match (before, correction) {
            (0, 0) => {}
            (0, _) => tracing::warn!(
                offset_ms = correction,
                limit = "clock_offset_max_ms",
                "this node's clock is far from those of the others: times are judged by their median"
            ),
            (_, 0) => tracing::info!("this node's clock is near those of the others again"),
            _ => {}
        }
    }
}

fn is_valid(measured_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(measured_at) <= VALID_FOR
}

/// The offset of the median of all clocks, this node's among them, if it is certainly beyond the bound.
fn correction_ms(others: &[Offset], bound_ms: i64) -> i64 {
    let own = Offset { ms: 0, uncertainty_ms: 0 };
    let mut all: Vec<_> = others.iter().copied().chain([own]).collect();
    all.sort_by_key(|offset| offset.ms);
    let median = all.get(all.len() / 2).copied().unwrap_or(own);
    if median.exceeds(bound_ms) { median.ms } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets<const N: usize>(ms: [i64; N]) -> [Offset; N] {
        ms.map(|ms| Offset { ms, uncertainty_ms: 2 })
    }

    #[test]
    fn an_offset_is_measured_against_the_middle_of_the_question() {
        let at = TimestampMs::from_ms;
        assert_eq!(Offset::measured(at(1_000), at(1_030), at(1_020)), Offset { ms: 20, uncertainty_ms: 10 });
        assert_eq!(Offset::measured(at(1_000), at(400), at(1_000)), Offset { ms: -600, uncertainty_ms: 0 });
        let set_back = Offset::measured(at(1_000), at(1_000), at(10));
        assert_eq!(set_back.uncertainty_ms, 0, "the clock was set back during the question");
    }

    #[test]
    fn one_bad_clock_follows_the_others_and_moves_none_of_them() {
        let minutes = 60_000;
        assert_eq!(correction_ms(&offsets([10 * minutes, 10 * minutes + 3]), 500), 10 * minutes);
        assert_eq!(correction_ms(&offsets([-10 * minutes, 4]), 500), 0, "another clock is the bad one");
        assert_eq!(correction_ms(&offsets([400, 450]), 500), 0, "within the bound");
        assert_eq!(correction_ms(&[], 500), 0, "alone");
        // of two, both follow the later
        assert_eq!(correction_ms(&offsets([10 * minutes]), 500), 10 * minutes);
        assert_eq!(correction_ms(&offsets([-10 * minutes]), 500), 0);
    }

    #[test]
    fn a_slow_answer_proves_nothing() {
        let slow = Offset { ms: 900, uncertainty_ms: 450 };
        assert_eq!(correction_ms(&[slow, slow], 500), 0);
    }
}
