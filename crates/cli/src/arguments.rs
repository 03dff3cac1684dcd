//! The command line, as clap parses it.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::connection::Connection;
use crate::error::CliError;

/// A distributed store of customer profiles that keeps to what each customer allowed.
#[derive(Debug, Parser)]
#[command(name = "custodia", version, propagate_version = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 refused or failed, 2 wrong usage or file, 3 unavailable (try again), 4 not allowed,
5 not found, 6 done but part of the data was refused, 130 interrupted.

Try it: `custodia dev` starts a cluster of three nodes on this machine and says what to type next.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node
    Node(crate::node::NodeCommand),
    /// Run a development cluster of several nodes on this machine, with sample data
    Dev(crate::dev::DevCommand),
    /// Make a cluster, or look at it
    Cluster {
        #[command(subcommand)]
        command: crate::cluster::ClusterCommand,
    },
    /// Look at the shards
    Shard {
        #[command(subcommand)]
        command: crate::cluster::ShardCommand,
    },
    /// Make root key files, turn encryption keys
    Keys {
        #[command(subcommand)]
        command: crate::keys::KeysCommand,
    },
    /// Define purposes: why data is kept and used
    Purpose {
        #[command(subcommand)]
        command: crate::catalog::DefinitionCommand<crate::catalog::PurposeFields>,
    },
    /// Define attributes: what is kept
    Attribute {
        #[command(subcommand)]
        command: crate::catalog::AttributeCommand,
    },
    /// Define jurisdictions: the rules of one law for the customers of some regions
    Jurisdiction {
        #[command(subcommand)]
        command: crate::catalog::DefinitionCommand<crate::catalog::JurisdictionFields>,
    },
    /// Register recipients: the applications to which data goes
    Recipient {
        #[command(subcommand)]
        command: crate::catalog::DefinitionCommand<crate::catalog::RecipientFields>,
    },
    /// Read and write profiles
    Profile {
        #[command(subcommand)]
        command: crate::profile::ProfileCommand,
    },
    /// Record, withdraw, list, explain and prove what a customer allows
    Consent {
        #[command(subcommand)]
        command: crate::consent::ConsentCommand,
    },
    /// What the law needs to know about a customer: region, age, restriction, legal hold
    Subject {
        #[command(subcommand)]
        command: crate::subject::SubjectCommand,
    },
    /// How, when and about what a customer wants to be contacted
    Preferences {
        #[command(subcommand)]
        command: crate::preferences::PreferencesCommand,
    },
    /// Ask whether a customer may be contacted; record contacts
    Contact {
        #[command(subcommand)]
        command: crate::contact::ContactCommand,
    },
    /// Read a customer's interactions
    Events {
        #[command(subcommand)]
        command: crate::events::EventsCommand,
    },
    /// Load a CSV or JSONL file
    Import(crate::import::ImportCommand),
    /// Make certificates for development
    Certificates {
        #[command(subcommand)]
        command: crate::certificates::CertificatesCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Prints the completion script.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_completions(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "custodia", &mut script);
    crate::output::line(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            ["custodia", "--address", "a:1", "shard", "list"],
            ["custodia", "shard", "list", "--address", "a:1"],
        ] {
            assert!(Arguments::try_parse_from(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn every_shell_gets_a_completion_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "custodia", &mut script);
            assert!(String::from_utf8_lossy(&script).contains("import"), "{shell}");
        }
    }
}
