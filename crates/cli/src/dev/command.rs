//! The command: starts the cluster, suggests the next commands, and runs until it is told to stop.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::certificates::CertificatePaths;
use crate::cluster::status_text;
use crate::dev::folder::{DevFolder, Wanted};
use crate::dev::nodes::Nodes;
use crate::dev::start::{self, Started};
use crate::error::CliError;
use crate::identity::context_text;
use crate::node::stop_signal;
use crate::text::output::{self, Format, line};

/// What `dev` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DevCommand {
    /// Folder for all files of the cluster
    #[arg(long, default_value = "dev-cluster")]
    dir: PathBuf,
    /// Number of nodes of a new cluster [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    nodes: Option<u32>,
    /// Port of the first node of a new cluster; the others follow, and 100 further their ports for metrics [default: 7443, or
    /// other free ports]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Number of sample customers; remembered [default: 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    customers: Option<u32>,
}

impl DevCommand {
    pub(crate) async fn run(self, format: Format) -> Result<(), CliError> {
        let began = Instant::now();
        let wanted = Wanted { nodes: self.nodes, port: self.port, customers: self.customers };
        let folder = DevFolder::open_or_create(&self.dir, wanted)?;
        let mut nodes = Nodes::start(&folder)?;
        // Drain the nodes, whatever the result.
        let ended = run_until_stopped(&folder, &mut nodes, began, format).await;
        nodes.drain().await;
        ended
    }
}

/// Runs until Ctrl-C, SIGTERM, or the end of the terminal.
async fn run_until_stopped(
    folder: &DevFolder,
    nodes: &mut Nodes,
    began: Instant,
    format: Format,
) -> Result<(), CliError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(CliError::Signals)?;
    tokio::select! {
        () = stop_signal()? => Ok(()),
        _ = hangup.recv() => Ok(()),
        ended = run(folder, nodes, began, format) => ended,
    }
}

/// Starts the cluster, then watches its nodes. During the start every node is needed; later, a node that exits is
/// reported and the others continue.
async fn run(folder: &DevFolder, nodes: &mut Nodes, began: Instant, format: Format) -> Result<(), CliError> {
    let started = tokio::select! {
        started = start::start_cluster(folder, began) => started?,
        error = nodes.next_exit() => return Err(error),
    };
    match format {
        Format::Table => announce(folder, &started)?,
        Format::Json => output::print_json(&json!({
            "client": folder.client_file("admin"),
            "first_lookup_s": started.first_answer.as_secs_f64(),
            "context": output::json_of(&started.context),
            "status": output::json_of(&started.status),
        }))?,
    }
    loop {
        let error = nodes.next_exit().await;
        if nodes.count() == 0 {
            return Err(error);
        }
        eprintln!(
            "\n{error}\nthe other nodes continue; press Ctrl-C and run the command again to restart it"
        );
    }
}

fn announce(folder: &DevFolder, started: &Started) -> Result<(), CliError> {
    line(&format!(
        "What an agent sees when {} calls, for the purpose `service`:\n\n{}\n",
        started.phone,
        context_text(&started.context)
    ))?;
    line(&format!(
        "\nThe first lookup was answered {:.1} s after the start.\n{}\n\n{}\n",
        started.first_answer.as_secs_f64(),
        started.loading.as_deref().unwrap_or_default(),
        status_text(&started.status),
    ))?;
    line(&format!("\n{}", next_steps(folder, started)))
}

/// Commands that can be pasted into a shell.
fn next_steps(folder: &DevFolder, started: &Started) -> String {
    let custodia = std::env::args().next().unwrap_or_else(|| "custodia".into());
    let custodia = shell_quoted(&custodia);
    let phone = &started.phone;
    let customer =
        started.context.profile.as_ref().map(|profile| profile.customer_id.as_str()).unwrap_or_default();
    let client = shell_path(&folder.client_file("admin"));
    let agent = CertificatePaths::new(&folder.certificates(), "agent");
    let address = folder.addresses().into_iter().next().unwrap_or_default();
    format!(
        "Try in another terminal:

  export CUSTODIA_CLIENT={client}
  {custodia} agent context {phone} --purpose service
  {custodia} profile find {phone} --purpose marketing
  {custodia} profile get {customer} --purpose marketing
  {custodia} identifier list {customer} --purpose service
  {custodia} consent list {customer} --purpose privacy-requests
  {custodia} consent withdraw {customer} --purpose marketing
  {custodia} consent timeline {customer} --purpose privacy-requests
  {custodia} consent explain {customer} --decided-purpose marketing --purpose privacy-requests
  {custodia} contact check {customer} --channel email --purpose service
  {custodia} events list {customer} --purpose service
  {custodia} cluster status

  grpcurl -cacert {} -cert {} -key {} \\
    -d '{{\"identifier\": {{\"namespace\": \"phone\", \"value\": \"{phone}\"}}, \"purpose\": \"service\"}}' \\
    {address} custodia.v1.IdentityService/GetAgentContext

Client files with one role each: {}/{{agent,ingest,privacy,operator}}.toml. Logs: {}/node*/node.log.
Ctrl-C stops the cluster; run the same command to start it again with its data.",
        shell_path(&agent.ca),
        shell_path(&agent.certificate),
        shell_path(&agent.key),
        folder.root().display(),
        folder.root().display(),
    )
}

fn shell_path(path: &Path) -> String {
    shell_quoted(&path.display().to_string()).into_owned()
}

/// The text as one argument for a POSIX shell: quoted if necessary.
fn shell_quoted(text: &str) -> Cow<'_, str> {
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
    fn what_a_shell_would_split_or_expand_is_quoted() {
        assert_eq!(shell_quoted("dev-cluster/admin.toml"), "dev-cluster/admin.toml");
        assert_eq!(shell_quoted("/data/a b/admin.toml"), "'/data/a b/admin.toml'");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted("$(x)"), "'$(x)'");
    }
}
