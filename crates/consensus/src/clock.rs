//! Whether a lease may be measured by this machine's monotonic clock.
//!
//! Leases are measured with CLOCK_MONOTONIC. It stands still while the machine is suspended, and nothing keeps a hypervisor
//! from moving it. A leader whose clock stood still would take its lease for valid long after the others have elected
//! another leader: a stale read, which was observed. So whenever a lease is used, CLOCK_MONOTONIC is compared with
//! CLOCK_BOOTTIME, which goes on during a suspension, and with CLOCK_REALTIME. When their distance has changed, no lease
//! from before counts: for one whole lease reads ask a quorum, and this node grants no vote.
//!
//! ```text
//! BOOTTIME − MONOTONIC  ───────────────────┐ changed by more than a sixteenth of the lease: a jump
//! REALTIME − MONOTONIC  ───────────────────┘
//!     leases count          │ jump seen │◄── one lease: reads ask a quorum, votes are refused ──►│ leases count
//! ```
//! **What remains assumed:** that not all three clocks stand still together, that no clock runs more than a few per cent too
//! fast or too slow, and that what is slewed (NTP) is slewed in all. Reads in [`ReadMode::Quorum`] assume only that the
//! monotonic clock does not go back. Where it does, the node stops itself ([`LeaseClock::went_back`]): acknowledgements that
//! are dated by it would count in the future.
//!
//! A step of the wall clock by an administrator is a jump too. It costs one lease of slower reads and is harmless.
//!
//! [`ReadMode::Quorum`]: crate::ReadMode::Quorum

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The three clocks at one moment, in nanoseconds; each from a beginning of its own.
#[derive(Debug, Clone, Copy)]
struct Reading {
    monotonic: i64,
    boottime: i64,
    realtime: i64,
}

/// Compares the clocks. Cheap: three reads of a clock, without a system call.
pub(crate) struct LeaseClock {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    lease: Duration,
    tolerance_ns: i64,
    /// BOOTTIME − MONOTONIC and REALTIME − MONOTONIC since the last jump.
    boottime_ahead: AtomicI64,
    realtime_ahead: AtomicI64,
    /// CLOCK_MONOTONIC when the last jump was seen.
    jumped_at: AtomicI64,
    /// The latest CLOCK_MONOTONIC seen.
    latest: AtomicI64,
    went_back: AtomicBool,
}

impl fmt::Debug for LeaseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseClock").field("jumped_at", &self.jumped_at).finish_non_exhaustive()
    }
}

impl LeaseClock {
    /// This machine's clocks. A change of their distance by more than `tolerance` is a jump.
    pub(crate) fn new(lease: Duration, tolerance: Duration) -> Self {
        let started = Instant::now();
        Self::reading(lease, tolerance, move || read_clocks(started))
    }

    fn reading(
        lease: Duration,
        tolerance: Duration,
        read: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Self {
        let first = read();
        Self {
            read: Box::new(read),
            lease,
            tolerance_ns: nanos(tolerance),
            boottime_ahead: AtomicI64::new(first.boottime - first.monotonic),
            realtime_ahead: AtomicI64::new(first.realtime - first.monotonic),
            jumped_at: AtomicI64::new(i64::MIN),
            latest: AtomicI64::new(first.monotonic),
            went_back: AtomicBool::new(false),
        }
    }

    /// Whether leases may be used and granted.
    pub(crate) fn steady_for_a_lease(&self) -> bool {
        self.steady_for(self.lease)
    }

    /// Whether no jump was seen within the last `span`, nor is one seen now.
    pub(crate) fn steady_for(&self, span: Duration) -> bool {
        let Reading { monotonic, boottime, realtime } = (self.read)();
        // Readings of other threads may be a little newer than this one.
        if self.latest.fetch_max(monotonic, Ordering::AcqRel) > monotonic.saturating_add(self.tolerance_ns) {
            self.went_back.store(true, Ordering::Release);
        }
        let (boottime_ahead, realtime_ahead) = (boottime - monotonic, realtime - monotonic);
        let changed = |now: i64, before: &AtomicI64| now.abs_diff(before.load(Ordering::Acquire));
        let by =
            changed(boottime_ahead, &self.boottime_ahead).max(changed(realtime_ahead, &self.realtime_ahead));
        if by > self.tolerance_ns.unsigned_abs() {
            tracing::warn!(
                by_ms = by / 1_000_000,
                "clock jumped: reads ask a quorum and votes are refused for one lease"
            );
            // First, so that whoever sees the new distance sees the jump.
            self.jumped_at.store(monotonic, Ordering::Release);
            self.boottime_ahead.store(boottime_ahead, Ordering::Release);
            self.realtime_ahead.store(realtime_ahead, Ordering::Release);
            return false;
        }
        monotonic.saturating_sub(self.jumped_at.load(Ordering::Acquire)) >= nanos(span)
    }

    /// Whether CLOCK_MONOTONIC has ever been seen to go back.
    pub(crate) fn went_back(&self) -> bool {
        self.went_back.load(Ordering::Acquire)
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with the other clocks, never taken for the time")]
fn read_clocks(started: Instant) -> Reading {
    let boottime = clock_gettime(ClockId::Boottime);
    let realtime = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Reading {
        monotonic: nanos(started.elapsed()),
        boottime: boottime.tv_sec.saturating_mul(1_000_000_000).saturating_add(boottime.tv_nsec),
        realtime: nanos(realtime),
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    const LEASE: Duration = Duration::from_millis(1_600);
    const TOLERANCE: Duration = Duration::from_millis(100);

    fn ms(number: i64) -> i64 {
        number * 1_000_000
    }

    fn clock() -> (Arc<Mutex<Reading>>, LeaseClock) {
        let now = Reading { monotonic: ms(5), boottime: ms(70_000), realtime: ms(1_700_000_000_000) };
        let now = Arc::new(Mutex::new(now));
        let read = Arc::clone(&now);
        (now, LeaseClock::reading(LEASE, TOLERANCE, move || *read.lock()))
    }

    fn pass(now: &Mutex<Reading>, time: i64) {
        let mut now = now.lock();
        now.monotonic += ms(time);
        now.boottime += ms(time);
        now.realtime += ms(time);
    }

    #[test]
    fn clocks_that_run_together_are_steady() {
        let (now, clock) = clock();
        for time in [0, 1, 100, 1_000_000] {
            pass(&now, time);
            assert!(clock.steady_for(LEASE));
        }
    }

    #[test]
    fn a_jump_of_any_clock_in_any_direction_ends_leases_for_one_lease() {
        let jumps: [fn(&mut Reading, i64); 3] =
            [|now, by| now.monotonic += by, |now, by| now.boottime += by, |now, by| now.realtime += by];
        for (number, jump) in jumps.into_iter().enumerate() {
            for by in [-3_600_000, -101, 101, 3_600_000] {
                let (now, clock) = clock();
                pass(&now, 10_000_000);
                assert!(clock.steady_for(LEASE));
                jump(&mut now.lock(), ms(by));
                assert!(!clock.steady_for(LEASE), "clock {number} by {by}");
                assert_eq!(clock.went_back(), number == 0 && by < 0);
                pass(&now, 1_599);
                assert!(!clock.steady_for(LEASE), "clock {number} by {by}");
                pass(&now, 1);
                assert!(clock.steady_for(LEASE), "clock {number} by {by}");
            }
        }
    }

    #[test]
    fn small_steps_add_up_to_a_jump() {
        let (now, clock) = clock();
        for step in 1..=3 {
            now.lock().realtime += ms(40);
            pass(&now, 60_000);
            assert_eq!(clock.steady_for(LEASE), step < 3, "step {step}");
        }
    }

    #[test]
    fn this_machine_is_steady() {
        let clock = LeaseClock::new(LEASE, Duration::from_secs(3_600));
        assert!((0..1_000).all(|_| clock.steady_for(LEASE)));
    }
}
