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
mod duplicates;
mod error;
mod files;
mod identity;
mod import;
mod known_by;
mod node;
mod option_names;
mod preference;
mod profile;
mod text;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use arguments::{Arguments, Command};
use error::CliError;
use text::output::Format;
use text::printable;

fn main() -> ExitCode {
    let command = arguments::command();
    let parsed = command.clone().try_get_matches();
    let parsed = parsed.and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, matches)));
    let (arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return wrong_usage(&error),
    };
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
            print_error(&error, format, option_names::invoked(&command, &matches));
            error.exit_code()
        }
    }
}

/// Prints the help, or what is wrong with the command line.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let words: Vec<_> = std::env::args().collect();
    let wants_json = words.iter().any(|word| word == "--output=json")
        || words
            .windows(2)
            .any(|pair| matches!(pair, [name, value] if name == "--output" && value == "json"));
    if error.use_stderr() {
        // Its words are those of the command line, whatever they hide.
        let text = error.to_string();
        if wants_json {
            let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let json = serde_json::json!({ "error": { "message": message } }).to_string();
            eprintln!("{}", printable::in_json(&json));
        } else {
            eprint!("{}", printable::in_lines(&text));
        }
    } else if error.print().is_err() {
        return ExitCode::FAILURE;
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Prints the error and its hint to standard error.
fn print_error(error: &CliError, format: Format, command: &clap::Command) {
    let mut message = with_causes(error);
    let option = error.field().and_then(|field| option_names::option_of(command, field));
    if let (Some(field), Some(option)) = (error.field(), &option) {
        message = option_names::with_option(&message, field, option);
    }
    if format == Format::Json {
        eprintln!("{}", printable::in_json(&error.to_json(&message, option.as_deref()).to_string()));
        return;
    }
    let label = if matches!(error, CliError::PartlyRefused) { "note" } else { "error" };
    eprintln!("{label}: {}", printable::in_lines(&message));
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
        Command::Dev(dev) => dev.run(connection.output).await,
        Command::Cluster(command) => command.run(&connection).await,
        Command::Shard(command) => command.run(&connection).await,
        Command::Keys(command) => command.run(&connection).await,
        Command::Purpose(command) => command.run(&connection).await,
        Command::Attribute(command) => command.run(&connection).await,
        Command::Jurisdiction(command) => command.run(&connection).await,
        Command::Recipient(command) => command.run(&connection).await,
        Command::Agent(command) => command.run(&connection).await,
        Command::Identifier(command) => command.run(&connection).await,
        Command::Channel(command) => command.run(&connection).await,
        Command::Namespace(command) => command.run(&connection).await,
        Command::Matter(command) => command.run(&connection).await,
        Command::Trait(command) => command.run(&connection).await,
        Command::Duplicates(command) => command.run(&connection).await,
        Command::Profile(command) => command.run(&connection).await,
        Command::Consent(command) => command.run(&connection).await,
        Command::Subject(command) => command.run(&connection).await,
        Command::Preferences(command) => command.run(&connection).await,
        Command::Contact(command) => command.run(&connection).await,
        Command::Events(command) => command.run(&connection).await,
        Command::Import(import) => import.run(&connection).await,
        Command::Certificates(command) => command.run(connection.output),
        Command::Completions { shell } => arguments::print_completions(shell),
    }
}
