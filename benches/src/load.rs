//! Closed-loop load: so many callers, each with one call in flight, for so long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What a run of calls came to.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
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
                    return times;
                }
                call(caller, number).await;
                number += 1;
                if start >= counted_from {
                    times.saturating_record(start.elapsed().as_micros() as u64);
                }
            }
        }));
    }
    let mut all = histogram();
    for task in tasks {
        all.add(task.await.expect("a caller ends well")).expect("the same digits");
    }
    Figures {
        calls_per_second: all.len() as f64 / time.as_secs_f64(),
        p50_us: all.value_at_quantile(0.5),
        p99_us: all.value_at_quantile(0.99),
    }
}

/// From a microsecond to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("sensible bounds")
}
