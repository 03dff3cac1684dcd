//! Clocks that are wrong: CLOCK_MONOTONIC that stood still, as it does while a machine is suspended, and CLOCK_REALTIME that was
//! stepped. A small library, preloaded into a node's process.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::node::Node;

/// The clocks of some nodes, which the test can put wrong.
#[derive(Debug)]
pub struct NodeClocks {
    folder: PathBuf,
}

impl NodeClocks {
    /// Builds the library with the C compiler that the cryptography needs too, and has these nodes load it when they start.
    pub fn install(folder: &Path, nodes: &mut [Node]) -> Self {
        let (source, library) = (folder.join("node_clocks.c"), folder.join("node_clocks.so"));
        fs::write(&source, include_str!("node_clocks.c")).expect("the source is written");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("a C compiler").success());
        let clocks = Self { folder: folder.to_path_buf() };
        for node in nodes {
            clocks.write(node, [0, 0]);
            node.environment.push(("LD_PRELOAD", library.clone()));
            node.environment.push(("CUSTODIA_NODE_CLOCKS", clocks.file(node)));
        }
        clocks
    }

    /// The monotonic clock of a node that is paused stood still for this long.
    pub fn stop_for(&self, node: &Node, time: Duration) {
        let [behind, ahead] = self.read(node);
        self.write(node, [behind + i64::try_from(time.as_nanos()).expect("no test takes that long"), ahead]);
    }

    /// The wall clock of a node is ahead of the true time by this many seconds from now on; behind it if negative.
    pub fn set_ahead(&self, node: &Node, seconds: i64) {
        let [behind, _] = self.read(node);
        self.write(node, [behind, seconds * 1_000_000_000]);
    }

    fn file(&self, node: &Node) -> PathBuf {
        self.folder.join(format!("clocks{}", node.id))
    }

    fn read(&self, node: &Node) -> [i64; 2] {
        let bytes = fs::read(self.file(node)).expect("the clocks are read");
        let number = |at: usize| i64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        [number(0), number(8)]
    }

    /// In place, and never shorter: the node has the file mapped.
    fn write(&self, node: &Node, nanos: [i64; 2]) {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.file(node));
        let written = file.and_then(|file| file.write_all_at(&nanos.map(i64::to_ne_bytes).concat(), 0));
        written.expect("the clocks are written");
    }
}
