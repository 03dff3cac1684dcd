//! The node processes: this very program, started again as `custodia node`.
//!
//! Each child holds the reading end of a pipe and stops in an orderly way when the pipe closes. So draining is to
//! close the pipes, and should this process be killed, the children stop as well instead of living on unseen.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use crate::dev::folder::DevFolder;
use crate::error::CliError;

/// A node has 10 s to finish its calls; one that takes longer than this is ended.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The children.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    number: u32,
    child: Child,
    /// The pipe. Not left in the child, because waiting for a child closes what is left in it.
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Nodes {
    /// Starts a process for each node of the folder.
    ///
    /// # Errors
    /// When a process cannot be started.
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
                // Ctrl-C in the terminal is for the parent, which then drains the children.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .map_err(CliError::file(&program))?;
            let input = child.stdin.take();
            nodes.push(Node { number, child, input, log });
        }
        Ok(Self { nodes })
    }

    /// Waits until one ends by itself, and says which; it is then no longer among them. Never ends where none is
    /// left.
    pub(crate) async fn next_end(&mut self) -> CliError {
        if self.nodes.is_empty() {
            return std::future::pending().await;
        }
        let ends = self.nodes.iter_mut().map(|node| Box::pin(node.child.wait()));
        let (ended, place, _) = futures::future::select_all(ends).await;
        let node = self.nodes.remove(place);
        // A node that was killed had no time to say anything.
        let has_spoken = ended.as_ref().is_ok_and(|status| status.code().is_some());
        let said = if has_spoken { last_error(&node.log) } else { String::new() };
        CliError::NodeEnded { node: node.number, status: status_text(ended), said, log: node.log }
    }

    /// How many run.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Lets all finish what they do and end; reports each.
    pub(crate) async fn drain(mut self) {
        eprintln!("\nstopping {} nodes", self.nodes.len());
        for node in &mut self.nodes {
            drop(node.input.take());
        }
        for node in &mut self.nodes {
            match tokio::time::timeout(DRAIN_MAX, node.child.wait()).await {
                Ok(ended) => eprintln!("node {} stopped: {}", node.number, status_text(ended)),
                Err(_) => {
                    eprintln!("node {} does not stop and is killed; see {}", node.number, node.log.display());
                    if let Err(error) = node.child.kill().await {
                        eprintln!("node {}: {error}", node.number);
                    }
                }
            }
        }
    }
}

/// What a node that did not start said last, for the user to see at once.
fn last_error(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().take(LAST_LINES).find_map(|line| line.strip_prefix("error: "));
    last.map(|error| format!(": {error}")).unwrap_or_default()
}

/// So far from its end a log is searched for an error.
const LAST_LINES: usize = 3;

fn status_text(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) if status.success() => "in order".into(),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
