//! `custodia node`: runs one node until it is told to stop, then drains it. SIGHUP makes it read its certificates and tokens
//! again.

use std::path::PathBuf;
use std::sync::Arc;

use custodia_server::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use crate::error::CliError;

/// What `node` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeCommand {
    /// Configuration file of the node (see cluster/node1.toml)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also stop at the end of standard input, so that the node does not outlive the process that started it
    #[arg(long, hide = true)]
    until_input_ends: bool,
    /// Where the process ends, for tests: the name of a failpoint, and how often it is passed before
    #[arg(long, hide = true, env = "CUSTODIA_FAILPOINT")]
    failpoint: Option<String>,
}

impl NodeCommand {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let config = Config::load(&self.config)?;
        custodia_server::init_log(&config.log);
        if let Some(failpoint) = &self.failpoint {
            custodia_server::arm_failpoint(failpoint);
        }
        let signal = stop_signal()?;
        let reload = Arc::new(Notify::new());
        forward_hangups(Arc::clone(&reload))?;
        let input_end = self.until_input_ends.then(input_end);
        let stop = async {
            match input_end {
                None => signal.await,
                Some(input_end) => tokio::select! {
                    () = signal => {}
                    _ = input_end => tracing::info!("stopping: standard input ended"),
                },
            }
        };
        let (started, has_started) = oneshot::channel::<custodia_server::Started>();
        let announce = async {
            if let Ok(started) = has_started.await {
                tracing::info!(address = %started.address, "listening on {}", started.address);
            }
        };
        let (ended, ()) = tokio::join!(custodia_server::run(config, stop, reload, started), announce);
        Ok(ended?)
    }
}

/// From now on, each SIGHUP makes the node read its certificates and tokens again.
fn forward_hangups(reload: Arc<Notify>) -> Result<(), CliError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(CliError::Signals)?;
    drop(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload.notify_one();
        }
    }));
    Ok(())
}

/// Completes on SIGTERM or Ctrl-C.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: received SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: received SIGINT"),
        }
    })
}

/// Completes at the end of standard input. Reads in a thread: a blocking read in the runtime would delay its shutdown.
fn input_end() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tracing::debug!(?copied, "standard input ended");
        drop(sender);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_configurations_are_valid() {
        for node in 1..=3 {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../cluster/node{node}.toml"));
            assert_eq!(Config::load(&path).unwrap().node_id.to_string(), node.to_string());
        }
    }
}
