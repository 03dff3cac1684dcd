//! The `custodia` command: runs nodes, operates clusters, reads and loads profiles.
//!
//! Owns the way from the command line to the cluster and back; it makes no decisions about data. Exit codes are
//! in [`error`].
#![expect(
    clippy::print_stderr,
    reason = "a command reports progress and errors on standard error; results go through `text::output`"
)]

mod arguments;
mod catalog;
mod certificates;
mod cluster;
mod connection;
mod consent;
mod customer;
mod dev;
mod error;
mod files;
mod import;
mod node;
mod preference;
mod profile;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use error::CliError;
use text::output::Format;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let format = arguments.connection.output;
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error, format);
            error.exit_code()
        }
    }
}

/// Prints the error and its hint to standard error.
fn print_error(error: &CliError, format: Format) {
    let message = with_causes(error);
    if format == Format::Json {
        eprintln!("{}", error.to_json(&message));
        return;
    }
    let label = if matches!(error, CliError::PartlyRefused) { "note" } else { "error" };
    eprintln!("{label}: {message}");
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
}

/// An error and its causes in one line.
fn with_causes(error: &CliError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors print their cause already.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

async fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { connection, command } = arguments;
    match command {
        Command::Node(node) => node.run().await,
        Command::Dev(dev) => dev.run().await,
        Command::Cluster(command) => command.run(&connection).await,
        Command::Shard(command) => command.run(&connection).await,
        Command::Keys(command) => command.run(&connection).await,
        Command::Purpose(command) => command.run(&connection).await,
        Command::Attribute(command) => command.run(&connection).await,
        Command::Jurisdiction(command) => command.run(&connection).await,
        Command::Recipient(command) => command.run(&connection).await,
        Command::Profile(command) => command.run(&connection).await,
        Command::Consent(command) => command.run(&connection).await,
        Command::Subject(command) => command.run(&connection).await,
        Command::Preferences(command) => command.run(&connection).await,
        Command::Contact(command) => command.run(&connection).await,
        Command::Events(command) => command.run(&connection).await,
        Command::Import(import) => import.run(&connection).await,
        Command::Certificates(command) => command.run(),
        Command::Completions { shell } => arguments::print_completions(shell),
    }
}
