//! A cluster in a child process of the bench. The `CUSTODIA_BINARY` that a sandbox starts is set once for each process, so
//! two builds need two processes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One node of the cluster.
pub(crate) struct NodeProcess {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) pid: u32,
}

/// A running cluster of one build. It ends when this is dropped.
pub(crate) struct ClusterProcess {
    child: Child,
    /// Holds `ca.crt`, `admin.crt` and `admin.key`.
    pub(crate) folder: PathBuf,
    pub(crate) nodes: Vec<NodeProcess>,
}

impl ClusterProcess {
    pub(crate) fn start(binary: &Path, engine: &str, shards: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("the path of this program"))
            .args(["cluster", "--engine", engine, "--shards", &shards.to_string()])
            .env("CUSTODIA_BINARY", binary.canonicalize().expect("the binary exists"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a cluster process starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let mut next = || lines.next().expect("the cluster starts").expect("the cluster writes UTF-8");
        let folder = PathBuf::from(next());
        let mut nodes = Vec::new();
        loop {
            let line = next();
            let Some((pid, address)) = line.split_once(' ') else { break };
            nodes.push(NodeProcess { pid: pid.parse().expect("a process id"), address: address.to_owned() });
        }
        Self { child, folder, nodes }
    }
}

impl Drop for ClusterProcess {
    /// The child ends its nodes and itself when its input ends.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("an own child can be awaited");
    }
}

/// The child's part: starts a cluster, prints its folder, `pid address` of each node and an empty line, and ends the
/// cluster when standard input ends.
pub(crate) async fn serve(engine: &'static str, shards: u32) {
    let sandbox = crate::start_cluster(engine, shards).await;
    sandbox.client_file();
    println!("{}", sandbox.path().display());
    for node in &sandbox.nodes {
        println!("{} {}", node.pid().expect("a running node"), node.address);
    }
    println!();
    let input = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    input.await.expect("the input is read").expect("the input can be read");
}
