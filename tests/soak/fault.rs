//! The faults: what is done to which node, and how all of it is taken back.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custodia_tests::{Links, Node, NodeClocks, Sandbox};
use fastrand::Rng;

/// Nodes of the cluster.
const NODES: usize = 3;
/// How far a wall clock is stepped at most, in seconds.
const STEP_S: i64 = 15;

/// One fault. Nodes are indexes from 0.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// SIGKILL, and a start after some time.
    Kill(Vec<usize>),
    /// SIGSTOP, and SIGCONT after some time. All clocks run on.
    Pause(usize, Duration),
    /// The same, with CLOCK_MONOTONIC standing still: the machine was suspended.
    Suspend(usize, Duration),
    /// SIGTERM, and a start.
    Drain(usize),
    /// CLOCK_REALTIME is stepped by these seconds, and back at the end of the round.
    WallClock(usize, i64),
    /// The link between two nodes delivers nothing.
    Cut(usize, usize),
    /// Both links of a node deliver nothing.
    Isolate(usize),
    /// Killed, all of its state removed, and started.
    LoseState(usize),
    /// Killed, one partition of its state removed, and started.
    LosePartition(usize),
    /// One bit of a file of the state engine is flipped while the node is down.
    FlipStopped(usize),
    /// The same while it runs.
    FlipRunning(usize),
}

impl Fault {
    /// One to two faults: one may stand while the other strikes.
    pub(crate) fn choose(random: &mut Rng) -> Vec<Self> {
        let node = random.usize(..NODES);
        let other = (node + random.usize(1..NODES)) % NODES;
        let standing = match random.u8(..8) {
            0 => Some(Self::Cut(node, other)),
            1 => Some(Self::Isolate(node)),
            2 => Some(Self::WallClock(node, random.i64(-STEP_S..=STEP_S))),
            _ => None,
        };
        let node = random.usize(..NODES);
        let other = (node + random.usize(1..NODES)) % NODES;
        let time = Duration::from_millis(random.u64(200..2_500));
        let striking = match random.u8(..16) {
            0 | 1 => Self::Kill(vec![node]),
            2 => Self::Kill(vec![node, other]),
            3 => Self::Kill((0..NODES).collect()),
            4 | 5 => Self::Pause(node, time),
            6 | 7 => Self::Suspend(node, time),
            8 => Self::Drain(node),
            9 => Self::WallClock(node, random.i64(-STEP_S..=STEP_S)),
            10 => Self::Cut(node, other),
            11 => Self::Isolate(node),
            12 => Self::LoseState(node),
            13 => Self::LosePartition(node),
            14 => Self::FlipStopped(node),
            _ => Self::FlipRunning(node),
        };
        standing.into_iter().chain([striking]).collect()
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Kill(nodes) => match nodes.len() {
                1 => "kill one",
                2 => "kill two",
                _ => "kill all",
            },
            Self::Pause(..) => "pause",
            Self::Suspend(..) => "suspend",
            Self::Drain(_) => "drain",
            Self::WallClock(..) => "step wall clock",
            Self::Cut(..) => "cut link",
            Self::Isolate(_) => "isolate",
            Self::LoseState(_) => "lose state",
            Self::LosePartition(_) => "lose partition",
            Self::FlipStopped(_) => "flip bit of stopped node",
            Self::FlipRunning(_) => "flip bit of running node",
        }
    }

    /// Whether stored bytes were changed so that a node may not notice by itself.
    pub(crate) const fn alters_bytes(&self) -> bool {
        matches!(self, Self::FlipStopped(_) | Self::FlipRunning(_))
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Kill(nodes) => {
                write!(formatter, "{name} {:?}", nodes.iter().map(|node| node + 1).collect::<Vec<_>>())
            }
            Self::Pause(node, time) | Self::Suspend(node, time) => {
                write!(formatter, "{name} node {} for {} ms", node + 1, time.as_millis())
            }
            Self::WallClock(node, seconds) => write!(formatter, "{name} of node {} by {seconds} s", node + 1),
            Self::Cut(one, other) => write!(formatter, "{name} {}-{}", one + 1, other + 1),
            Self::Drain(node)
            | Self::Isolate(node)
            | Self::LoseState(node)
            | Self::LosePartition(node)
            | Self::FlipStopped(node)
            | Self::FlipRunning(node) => write!(formatter, "{name} {}", node + 1),
        }
    }
}

/// The cluster, and what can be done to it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) sandbox: Sandbox,
    pub(crate) links: Links,
    pub(crate) clocks: NodeClocks,
}

impl Cluster {
    /// Puts a fault in, and leaves it there for some time. Links and clocks stay as they are until [`Self::heal`].
    pub(crate) async fn strike(&mut self, fault: &Fault, random: &mut Rng) {
        let some_time = Duration::from_millis(random.u64(..1_500));
        // so long that every lease runs out
        let long = Duration::from_millis(random.u64(500..4_000));
        match fault {
            Fault::Kill(nodes) => {
                nodes.iter().for_each(|node| self.sandbox.nodes[*node].kill());
                tokio::time::sleep(some_time).await;
            }
            Fault::Pause(node, time) => {
                let node = &self.sandbox.nodes[*node];
                node.pause();
                tokio::time::sleep(*time).await;
                node.resume();
            }
            Fault::Suspend(node, time) => {
                let node = &self.sandbox.nodes[*node];
                node.pause();
                tokio::time::sleep(*time).await;
                self.clocks.stop_for(node, *time);
                node.resume();
            }
            Fault::Drain(node) => {
                let code = self.sandbox.nodes[*node].terminate();
                assert_eq!(code, Some(0), "a drain ends well");
            }
            Fault::WallClock(node, seconds) => {
                self.clocks.set_ahead(&self.sandbox.nodes[*node], *seconds);
                tokio::time::sleep(some_time).await;
            }
            Fault::Cut(one, other) => {
                self.cut(*one, *other);
                tokio::time::sleep(long).await;
            }
            Fault::Isolate(node) => {
                self.cut(*node, (node + 1) % NODES);
                self.cut(*node, (node + 2) % NODES);
                tokio::time::sleep(long).await;
            }
            Fault::LoseState(node) => {
                let node = &mut self.sandbox.nodes[*node];
                node.kill();
                fs::remove_dir_all(node.data_path().join("state")).expect("a state folder");
            }
            Fault::LosePartition(node) => {
                let node = &mut self.sandbox.nodes[*node];
                node.kill();
                let partitions = folders(&node.data_path().join("state"));
                let lost = random.choice(partitions).expect("a partition");
                fs::remove_dir_all(lost).expect("a partition's folder");
            }
            Fault::FlipStopped(node) => {
                let node = &mut self.sandbox.nodes[*node];
                node.kill();
                flip_bit(node, random);
            }
            Fault::FlipRunning(node) => flip_bit(&self.sandbox.nodes[*node], random),
        }
    }

    fn cut(&self, one: usize, other: usize) {
        self.links.cut(self.sandbox.nodes[one].id, self.sandbox.nodes[other].id);
    }

    /// Mends every link, sets every clock right and starts every node that does not run.
    pub(crate) fn heal(&mut self) {
        for one in 0..NODES {
            self.clocks.set_ahead(&self.sandbox.nodes[one], 0);
            for other in one + 1..NODES {
                self.links.mend(self.sandbox.nodes[one].id, self.sandbox.nodes[other].id);
            }
        }
        for node in self.sandbox.nodes.iter_mut().filter(|node| !node.is_running()) {
            node.start();
        }
    }
}

/// The folders in a folder that are in use: those set aside have an extension.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir() && path.extension().is_none()).collect();
    folders.sort();
    folders
}

/// Flips one bit somewhere in the files of a node's state engine: each byte is as likely as any other.
fn flip_bit(node: &Node, random: &mut Rng) {
    let mut files = Vec::new();
    let mut pending = folders(&node.data_path().join("state"));
    while let Some(folder) = pending.pop() {
        pending.extend(folders(&folder));
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            // a file of a running node may be gone by now
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.push((entry.path(), metadata.len()));
            }
        }
    }
    files.sort();
    let bytes = files.iter().map(|(_, length)| length).sum::<u64>();
    let mut at = random.u64(..bytes.max(1));
    let bit = random.u8(..8);
    for (path, length) in files {
        if at >= length {
            at -= length;
            continue;
        }
        let Ok(file) = fs::OpenOptions::new().read(true).write(true).open(&path) else { return };
        let mut byte = [0];
        if file.read_exact_at(&mut byte, at).is_ok() {
            file.write_all_at(&[byte[0] ^ (1 << bit)], at).expect("a byte is written");
        }
        return;
    }
}
