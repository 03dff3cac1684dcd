//! Closed-loop load: so many callers, each with one call in flight, for so long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::process::CpuTimes;

/// What a run of calls came to.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Of the whole run, warming up included.
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

impl Figures {
    /// Microseconds of CPU for each call, where the whole run took this much.
    pub(crate) fn cpu_us(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.calls as f64
    }
}

/// Runs some work, and counts the CPU that these processes use meanwhile.
pub(crate) async fn with_cpu(pids: &[u32], work: impl Future<Output = Figures>) -> (Figures, Duration) {
    let before = CpuTimes::of(pids);
    let figures = work.await;
    (figures, CpuTimes::of(pids).since(&before))
}

/// The lower quartile, the median and the upper quartile of at least one value.
pub(crate) fn quartiles(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    [last / 4, values.len() / 2, last - last / 4].map(|index| values[index])
}

/// Runs `callers` loops of a call for a time; the first tenth is warming up and not counted.
pub(crate) async fn run<Call, Answer>(callers: usize, time: Duration, call: Call) -> Figures
where
    Call: Fn(usize, u64) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = ()> + Send,
{
    let call = Arc::new(call);
    let counted_from = Instant::now() + time / 10;
    let until = counted_from + time;
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let call = Arc::clone(&call);
        tasks.push(tokio::spawn(async move {
            let mut times = histogram();
            let mut number = 0;
            loop {
                let start = Instant::now();
                if start >= until {
                    return (times, number);
                }
                call(caller, number).await;
                number += 1;
                if start >= counted_from {
                    times.saturating_record(start.elapsed().as_micros() as u64);
                }
            }
        }));
    }
    let (mut all, mut calls) = (histogram(), 0);
    for task in tasks {
        let (times, number) = task.await.expect("a caller ends well");
        all.add(times).expect("the same digits");
        calls += number;
    }
    Figures {
        calls,
        calls_per_second: all.len() as f64 / time.as_secs_f64(),
        p50_us: all.value_at_quantile(0.5),
        p99_us: all.value_at_quantile(0.99),
    }
}

/// From a microsecond to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("sensible bounds")
}
