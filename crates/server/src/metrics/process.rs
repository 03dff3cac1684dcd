//! What the process uses of its machine, by the names that Prometheus clients share. Read from `/proc/self` when the page is
//! read; what cannot be read keeps its last value.

use std::fs;

use metrics::{Counter, Gauge, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{describe_all, registered_counter, registered_gauge};
use crate::wire::wall_clock;

/// Counter: seconds of CPU time, in user and system mode.
const CPU: &str = "process_cpu_seconds_total";
/// Gauge: bytes of memory in RAM.
const RESIDENT: &str = "process_resident_memory_bytes";
/// Gauge: bytes of virtual memory.
const VIRTUAL: &str = "process_virtual_memory_bytes";
/// Gauge: threads.
const THREADS: &str = "process_threads";
/// Gauge: open file descriptors.
const OPEN_FILES: &str = "process_open_fds";
/// Gauge: the limit on open file descriptors.
const OPEN_FILES_MAX: &str = "process_max_fds";
/// Gauge: when the process started, in seconds since 1970.
const START_TIME: &str = "process_start_time_seconds";

/// The gauges of this process.
pub(super) struct ProcessMetrics {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    threads: Gauge,
    open_files: Gauge,
    open_files_max: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        describe_all(
            recorder,
            &[
                (CPU, Some(Unit::Seconds), "CPU time in user and system mode, in whole seconds"),
                (RESIDENT, Some(Unit::Bytes), "memory in RAM"),
                (VIRTUAL, Some(Unit::Bytes), "virtual memory"),
                (THREADS, Some(Unit::Count), "threads"),
                (OPEN_FILES, Some(Unit::Count), "open file descriptors"),
                (OPEN_FILES_MAX, Some(Unit::Count), "limit on open file descriptors"),
                (START_TIME, Some(Unit::Seconds), "start of the process, in seconds since 1970"),
            ],
        );
        let gauge = |name| registered_gauge(recorder, name, &[]);
        gauge(START_TIME).set(float(u64::try_from(wall_clock().as_ms() / 1_000).unwrap_or_default()));
        Self {
            cpu: registered_counter(recorder, CPU, &[]),
            resident: gauge(RESIDENT),
            virtual_memory: gauge(VIRTUAL),
            threads: gauge(THREADS),
            open_files: gauge(OPEN_FILES),
            open_files_max: gauge(OPEN_FILES_MAX),
        }
    }

    /// Reads everything. Blocks.
    pub(super) fn refresh(&self) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        self.cpu.absolute(u64::try_from(cpu.tv_sec).unwrap_or_default());
        self.open_files_max.set(float(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)));
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(float(u64::try_from(files.count()).unwrap_or_default()));
        }
        let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
        for (key, unit, gauge) in [
            ("VmRSS:", 1_024, &self.resident),
            ("VmSize:", 1_024, &self.virtual_memory),
            ("Threads:", 1, &self.threads),
        ] {
            if let Some(number) = number_after(&status, key) {
                gauge.set(float(number.saturating_mul(unit)));
            }
        }
    }
}

/// The number in the line that begins with `key`, as in proc_pid_status(5).
fn number_after(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads the last digits")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_key() {
        let status = "Name:\tcustodia\nVmSize:\t  204 kB\nVmRSS:\t   17 kB\nThreads:\t4\n";
        assert_eq!(number_after(status, "VmRSS:"), Some(17));
        assert_eq!(number_after(status, "Threads:"), Some(4));
        assert_eq!(number_after(status, "VmSwap:"), None);
    }
}
