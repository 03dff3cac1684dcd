//! The node processes: this program, started as `custodia node`.
//!
//! The standard input of each child is a pipe, and the child drains and exits when the pipe closes. Closing the pipes
//! therefore drains the nodes; if this process is killed, the children exit too.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use crate::dev::folder::DevFolder;
use crate::error::CliError;

/// A node has 10 s to finish its calls; a node that takes longer than this is killed.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The running nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    number: u32,
    child: Child,
    /// The pipe. Taken out of `child`, because waiting for a child closes its pipes.
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Nodes {
    /// Starts a process for each node of the folder.
    pub(crate) fn start(folder: &DevFolder) -> Result<Self, CliError> {
        let program = std::env::current_exe().map_err(CliError::file("custodia"))?;
        let mut nodes = Vec::new();
        for number in folder.nodes() {
            let log = folder.log_file(number);
            let file =
                OpenOptions::new().append(true).create(true).open(&log).map_err(CliError::file(&log))?;
            let copy = file.try_clone().map_err(CliError::file(&log))?;
            let mut child = Command::new(&program)
                .args(["node", "--until-input-ends", "--config"])
                .arg(folder.config_file(number))
                .stdin(Stdio::piped())
                .stdout(Stdio::from(file))
                .stderr(Stdio::from(copy))
                // Ctrl-C in the terminal reaches only the parent, which then drains the children.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .map_err(CliError::file(&program))?;
            let input = child.stdin.take();
            nodes.push(Node { number, child, input, log });
        }
        Ok(Self { nodes })
    }

    /// Waits until a node exits by itself, removes it and returns the error. Never returns if no node is left.
    pub(crate) async fn next_exit(&mut self) -> CliError {
        if self.nodes.is_empty() {
            return std::future::pending().await;
        }
        let ends = self.nodes.iter_mut().map(|node| Box::pin(node.child.wait()));
        let (ended, index, _) = futures::future::select_all(ends).await;
        let node = self.nodes.remove(index);
        // A node that was killed had no time to log an error.
        let has_exit_code = ended.as_ref().is_ok_and(|status| status.code().is_some());
        let error = if has_exit_code { last_error(&node.log) } else { String::new() };
        CliError::NodeExited { node: node.number, status: status_text(ended), error, log: node.log }
    }

    /// How many nodes run.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Lets all nodes finish their calls and exit; reports each.
    pub(crate) async fn drain(mut self) {
        match self.nodes.len() {
            1 => eprintln!("\nstopping the node"),
            nodes => eprintln!("\nstopping {nodes} nodes"),
        }
        for node in &mut self.nodes {
            drop(node.input.take());
        }
        for node in &mut self.nodes {
            match tokio::time::timeout(DRAIN_MAX, node.child.wait()).await {
                Ok(ended) => eprintln!("node {} stopped: {}", node.number, status_text(ended)),
                Err(_) => {
                    eprintln!("node {} did not stop and is killed; see {}", node.number, node.log.display());
                    if let Err(error) = node.child.kill().await {
                        eprintln!("node {}: {error}", node.number);
                    }
                }
            }
        }
    }
}

/// The last error in a node's log.
fn last_error(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().take(LAST_LINES).find_map(|line| line.strip_prefix("error: "));
    last.map(|error| format!(": {error}")).unwrap_or_default()
}

/// How many lines from its end a log is searched for an error.
const LAST_LINES: usize = 3;

fn status_text(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) if status.success() => "normally".into(),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
