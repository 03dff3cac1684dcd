//! What the kernel reports: CPU time and memory of processes, bytes of a folder on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use custodia_tests::{Node, Sandbox};

/// A child process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Background(Child);

impl Background {
    /// Starts this program again with other arguments.
    pub(crate) fn start_self(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let child =
            Command::new(program).args(arguments).stdin(Stdio::null()).spawn().expect("a process starts");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().expect("an own child can be awaited");
        }
    }
}

/// The process ids of the running nodes.
pub(crate) fn node_pids(sandbox: &Sandbox) -> Vec<u32> {
    sandbox.nodes.iter().filter_map(Node::pid).collect()
}

/// User and system time of each thread of some processes, in nanoseconds, as the scheduler counts it (`schedstat`).
/// `/proc/PID/stat` counts in hundredths of a second, which is too coarse for a short round.
#[derive(Debug)]
pub(crate) struct CpuTimes(BTreeMap<u32, Duration>);

impl CpuTimes {
    /// The times up to now.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut times = BTreeMap::new();
        for pid in pids {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("an own child's threads");
            for thread in threads.flatten() {
                // A thread may end between the listing and this read.
                let Ok(figures) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
                let id = thread.file_name().to_string_lossy().parse().expect("a thread's number");
                let nanoseconds = figures.split_whitespace().next().expect("the time on a core");
                times.insert(id, Duration::from_nanos(nanoseconds.parse().expect("nanoseconds")));
            }
        }
        Self(times)
    }

    /// What the threads that still run have used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let before = |id: &u32| earlier.0.get(id).copied().unwrap_or_default();
        self.0.iter().map(|(id, time)| time.saturating_sub(before(id))).sum()
    }
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The most memory that this process has had resident so far, in bytes.
pub(crate) fn peak_resident_bytes() -> u64 {
    status_bytes(std::process::id(), "VmHWM:")
}

fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process's figures");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the status has the figure");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1_024
}

/// Bytes on disk of all files in a folder and below it, by their blocks.
pub(crate) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut total = 0;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        total += if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 };
    }
    total
}
