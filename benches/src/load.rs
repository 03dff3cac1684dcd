//! Closed-loop load: a number of callers, each with one call in flight, for a given time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::process::CpuTimes;

/// The result of one run of calls.
#[derive(Debug)]
pub(crate) struct Figures {
    /// All calls of the run, those of the warm-up included.
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// CPU that the measured processes used during the whole run.
    pub(crate) cpu: Duration,
}

impl Figures {
    /// Microseconds of CPU per call.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.calls as f64
    }
}

/// Runs some work and measures the CPU that these processes use meanwhile.
pub(crate) async fn with_cpu(pids: &[u32], work: impl Future<Output = Figures>) -> Figures {
    let before = CpuTimes::of(pids);
    let figures = work.await;
    Figures { cpu: CpuTimes::of(pids).since(&before), ..figures }
}

/// The lower quartile, the median and the upper quartile. There must be at least one value.
pub(crate) fn quartiles(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    let median = f64::midpoint(values[last / 2], values[values.len() / 2]);
    [values[last / 4], median, values[last - last / 4]]
}

/// The median with the two quartiles.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> String {
    let [lower, median, upper] = quartiles(values);
    format!("{median:.3} ({lower:.3} to {upper:.3})")
}

/// Runs `callers` loops of a call. A warm-up of a tenth of `time` comes first and is not part of the rates.
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
        let (times, number) = task.await.expect("a caller does not panic");
        all.add(times).expect("both histograms have the same bounds");
        calls += number;
    }
    Figures {
        calls,
        calls_per_second: all.len() as f64 / time.as_secs_f64(),
        p50_us: all.value_at_quantile(0.5),
        p99_us: all.value_at_quantile(0.99),
        cpu: Duration::ZERO,
    }
}

/// Times from a microsecond to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("sensible bounds")
}
