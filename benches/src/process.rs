//! What the kernel tells of a process: CPU time, resident memory, bytes below a folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that is ended with its handle.
#[derive(Debug)]
pub(crate) struct Background(Child);

impl Background {
    /// This program again, with other arguments.
    pub(crate) fn start_self(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the own path");
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

/// User and system time that a process has used; ticks are hundredths of a second on Linux.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("an own child's figures");
    let after_name = stat.rsplit_once(')').expect("the name ends").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks");
    Duration::from_millis(ticks * 10)
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("an own child's figures");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("resident memory is told");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1_024
}

/// Bytes of the blocks that all files below a folder take on disk.
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
