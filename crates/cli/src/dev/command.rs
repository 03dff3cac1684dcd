//! The command: brings the cluster up, says what to type next, and stays until it is told to stop.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use custodia_proto::v1;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::status_text;
use crate::dev::folder::DevFolder;
use crate::dev::nodes::Nodes;
use crate::dev::start::{self, Started};
use crate::error::CliError;
use crate::output::line;
use crate::profile::profile_text;

/// What `dev` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DevCommand {
    /// Folder for everything the cluster keeps
    #[arg(long, default_value = "dev-cluster")]
    dir: PathBuf,
    /// Nodes of a new cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    nodes: u32,
    /// Customers of the sample
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    customers: u32,
}

impl DevCommand {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let began = Instant::now();
        let folder = DevFolder::open_or_create(&self.dir, self.nodes)?;
        let mut nodes = Nodes::start(&folder)?;
        // The nodes are drained however the rest ends.
        let ended = self.stay(&folder, &mut nodes, began).await;
        nodes.drain().await;
        ended
    }

    async fn stay(&self, folder: &DevFolder, nodes: &mut Nodes, began: Instant) -> Result<(), CliError> {
        let failed = |error| CliError::Argument { argument: "signals", reason: format!("{error}") };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let stopped = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        tokio::select! {
            () = stopped => Ok(()),
            ended = run(folder, nodes, self.customers, began) => ended,
        }
    }
}

/// Brings the cluster up, then watches its nodes. Until it is up, every node is needed; later, one that ends is
/// reported and the others go on.
async fn run(folder: &DevFolder, nodes: &mut Nodes, customers: u32, began: Instant) -> Result<(), CliError> {
    let started = tokio::select! {
        started = start::bring_up(folder, customers, began) => started?,
        error = nodes.next_end() => return Err(error),
    };
    announce(folder, &started)?;
    loop {
        let error = nodes.next_end().await;
        if nodes.count() == 0 {
            return Err(error);
        }
        eprintln!("\n{error}\nthe other nodes go on; Ctrl-C and a new start bring it back");
    }
}

fn announce(folder: &DevFolder, started: &Started) -> Result<(), CliError> {
    line(&format!(
        "\nThe first lookup was answered {:.1} s after the start.\n\n{}\n",
        started.first_answer.as_secs_f64(),
        status_text(&started.status),
    ))?;
    line(&format!(
        "\nWhat an agent sees of one customer for the purpose `service`:\n\n{}\n",
        profile_text(&started.profile)
    ))?;
    line(&format!("\n{}", next_steps(folder, &started.profile)))
}

/// Commands that can be pasted as they are.
fn next_steps(folder: &DevFolder, profile: &v1::Profile) -> String {
    let custodia = std::env::args().next().unwrap_or_else(|| "custodia".into());
    let custodia = shell_word(&custodia);
    let customer = &profile.customer_id;
    let client = shell_path(&folder.client_file("admin"));
    let (ca, certificate, key) = folder.pem_files("agent");
    let address = folder.addresses().into_iter().next().unwrap_or_default();
    format!(
        "Try in another terminal:

  export CUSTODIA_CLIENT={client}
  {custodia} profile get {customer} --purpose marketing
  {custodia} consent list {customer} --purpose privacy-requests
  {custodia} consent withdraw {customer} --purpose marketing
  {custodia} consent timeline {customer} --purpose privacy-requests
  {custodia} consent explain {customer} --decided-purpose marketing --purpose privacy-requests
  {custodia} contact check {customer} --channel email --purpose service
  {custodia} events list {customer} --purpose service
  {custodia} cluster status

  grpcurl -cacert {} -cert {} -key {} \\
    -d '{{\"customer_id\": \"{customer}\", \"purpose\": \"service\"}}' \\
    {address} custodia.v1.ProfileService/GetProfile

Certificates of single roles: {}/{{agent,ingest,privacy,operator}}.toml. Logs: {}/node*/node.log.
Ctrl-C stops the cluster; the same command brings it back with its data.",
        shell_path(&ca),
        shell_path(&certificate),
        shell_path(&key),
        folder.root().display(),
        folder.root().display(),
    )
}

fn shell_path(path: &Path) -> String {
    shell_word(&path.display().to_string()).into_owned()
}

/// A text as a POSIX shell reads it as one word: quoted, unless there is nothing to quote.
fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:@%+,".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(shell_word("dev-cluster/admin.toml"), "dev-cluster/admin.toml");
        assert_eq!(shell_word("/home/a b/admin.toml"), "'/home/a b/admin.toml'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("$(x)"), "'$(x)'");
    }
}
