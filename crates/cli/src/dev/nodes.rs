//! The node processes: this very program, started again as `custodia node`.
//!
//! Each child holds the reading end of a pipe and stops in an orderly way when the pipe closes. So draining is to
//! close the pipes, and should this process be killed, the children stop as well instead of living on unseen.

use std::fs::OpenOptions;
use std::path::PathBuf;
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

    /// Waits until one ends by itself, and says which.
    pub(crate) async fn first_end(&mut self) -> CliError {
        let ends = self.nodes.iter_mut().map(|node| {
            Box::pin(async move {
                let ended = node.child.wait().await;
                CliError::NodeEnded { node: node.number, status: status_text(ended), log: node.log.clone() }
            })
        });
        futures::future::select_all(ends).await.0
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

fn status_text(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) if status.success() => "in order".into(),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
