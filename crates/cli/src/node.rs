//! `custodia node`: runs one node until it is told to stop, then lets it drain.

use std::path::PathBuf;

use custodia_server::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::error::CliError;

/// What `node` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeCommand {
    /// Configuration file of the node
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop also when standard input ends: a node that another process started does not outlive it
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

impl NodeCommand {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let config = Config::load(&self.config)?;
        custodia_server::init_log(&config.log);
        let stop = stop_signal(self.until_input_ends)?;
        let (started, has_started) = oneshot::channel::<custodia_server::Started>();
        let announce = async {
            if let Ok(started) = has_started.await {
                tracing::info!(address = %started.address, "listening on {}", started.address);
            }
        };
        let (ended, ()) = tokio::join!(custodia_server::run(config, stop, started), announce);
        Ok(ended?)
    }
}

/// Ends on SIGTERM, Ctrl-C or, if wanted, the end of standard input.
fn stop_signal(until_input_ends: bool) -> Result<impl Future<Output = ()>, CliError> {
    let failed = |error| CliError::Argument { argument: "signals", reason: format!("{error}") };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (ended_sender, mut ended) = oneshot::channel::<()>();
    if until_input_ends {
        // A thread of its own: a read that blocks for ever would hold up the end of the runtime.
        std::thread::spawn(move || {
            let copied = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            tracing::debug!(?copied, "standard input ended");
            drop(ended_sender);
        });
    } else {
        // Held until the end of the future below, so that it never fires.
        ended.close();
    }
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: terminated"),
            _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
            _ = &mut ended, if until_input_ends => tracing::info!("stopping: standard input ended"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_configurations_are_sound() {
        for node in 1..=3 {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../cluster/node{node}.toml"));
            assert_eq!(Config::load(&path).unwrap().node_id.to_string(), node.to_string());
        }
    }
}
