//! A clock that stood still, as CLOCK_MONOTONIC does while a machine is suspended: a small library, preloaded into a node's process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::node::Node;

/// The monotonic clocks of some nodes, which the test can put behind.
#[derive(Debug)]
pub struct StoppedClock {
    folder: PathBuf,
    /// By how much each node's clock is behind.
    behind: BTreeMap<u32, Duration>,
}

impl StoppedClock {
    /// Builds the library with the C compiler that the cryptography needs too, and has these nodes load it when they start.
    pub fn install(folder: &Path, nodes: &mut [Node]) -> Self {
        let (source, library) = (folder.join("stopped_clock.c"), folder.join("stopped_clock.so"));
        fs::write(&source, include_str!("stopped_clock.c")).expect("the source is written");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("a C compiler").success());
        let clock = Self { folder: folder.to_path_buf(), behind: BTreeMap::new() };
        for node in nodes {
            clock.write(node, Duration::ZERO);
            node.environment.push(("LD_PRELOAD", library.clone()));
            node.environment.push(("CUSTODIA_STOPPED_CLOCK", clock.file(node)));
        }
        clock
    }

    /// The clock of a node that is paused stood still for this long.
    pub fn stop_for(&mut self, node: &Node, time: Duration) {
        let behind = self.behind.entry(node.id).or_default();
        *behind += time;
        let behind = *behind;
        self.write(node, behind);
    }

    fn file(&self, node: &Node) -> PathBuf {
        self.folder.join(format!("clock{}", node.id))
    }

    /// In place: the node has the file mapped.
    fn write(&self, node: &Node, behind: Duration) {
        let nanos = i64::try_from(behind.as_nanos()).expect("no test takes that long");
        fs::write(self.file(node), nanos.to_ne_bytes()).expect("the clock is written");
    }
}
