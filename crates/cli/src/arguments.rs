//! The command line, as clap parses it.

use clap::builder::Resettable;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::connection::Connection;
use crate::error::CliError;

/// Distributed store of customer profiles that enforces what each customer allowed
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
5 not found, 6 done but some of the data was refused, 130 interrupted.

Try it: `custodia dev` starts a cluster of three nodes on this machine and suggests the next commands.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node
    Node(crate::node::NodeCommand),
    /// Run a development cluster on this machine, with sample data
    Dev(crate::dev::DevCommand),
    /// Create a cluster, or show its status
    #[command(subcommand)]
    Cluster(crate::cluster::ClusterCommand),
    /// List the shards, or compare their replicas
    #[command(subcommand)]
    Shard(crate::cluster::ShardCommand),
    /// Create root key files and rotate encryption keys
    #[command(subcommand)]
    Keys(crate::cluster::KeysCommand),
    /// Manage purposes: why data is stored and used
    #[command(subcommand)]
    Purpose(crate::catalog::DefinitionCommand<crate::catalog::PurposeFields>),
    /// Manage attributes: which data is stored
    #[command(subcommand)]
    Attribute(crate::catalog::AttributeCommand),
    /// Manage jurisdictions: the rules of a law for customers of some regions
    #[command(subcommand)]
    Jurisdiction(crate::catalog::DefinitionCommand<crate::catalog::JurisdictionFields>),
    /// Manage recipients: the applications that receive data
    #[command(subcommand)]
    Recipient(crate::catalog::DefinitionCommand<crate::catalog::RecipientFields>),
    /// Manage channels: how customers are contacted
    #[command(subcommand)]
    Channel(crate::catalog::DefinitionCommand<crate::catalog::ChannelFields>),
    /// Manage namespaces: what customers are found by
    #[command(subcommand)]
    Namespace(crate::catalog::DefinitionCommand<crate::catalog::NamespaceFields>),
    /// Manage types of matters: what customers may have open, e.g. a case or an order
    #[command(subcommand)]
    Matter(crate::catalog::DefinitionCommand<crate::catalog::MatterTypeFields>),
    /// Manage traits: what is computed of a customer's events
    #[command(subcommand)]
    Trait(crate::catalog::DefinitionCommand<crate::catalog::TraitFields>),
    /// Show an agent who is calling
    #[command(subcommand)]
    Agent(crate::identity::AgentCommand),
    /// List, verify and release what customers are known by
    #[command(subcommand)]
    Identifier(crate::identity::IdentifierCommand),
    /// Find customers who may be one person, and decide on them
    #[command(subcommand)]
    Duplicates(crate::duplicates::DuplicatesCommand),
    /// Read and write profiles
    #[command(subcommand)]
    Profile(crate::profile::ProfileCommand),
    /// Record, withdraw, list, explain and prove what a customer allows
    #[command(subcommand)]
    Consent(crate::consent::ConsentCommand),
    /// Show or change a customer's legal facts: region, birth date, restriction, legal hold
    #[command(subcommand)]
    Subject(crate::consent::SubjectCommand),
    /// Show or set how, when and about what a customer wants to be contacted
    #[command(subcommand)]
    Preferences(crate::preference::PreferencesCommand),
    /// Check whether a customer may be contacted; record contacts
    #[command(subcommand)]
    Contact(crate::preference::ContactCommand),
    /// List a customer's events (interactions)
    #[command(subcommand)]
    Events(crate::profile::EventsCommand),
    /// Load customers, events and consents from a CSV or JSONL file
    Import(crate::import::ImportCommand),
    /// Create certificates for development
    #[command(subcommand)]
    Certificates(crate::certificates::CertificatesCommand),
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The command line. A variable of the environment that is set and empty counts as not set.
pub(crate) fn command() -> clap::Command {
    Arguments::command().mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        let is_empty = value.is_some_and(|value| value.is_empty());
        if is_empty { argument.env(Resettable::Reset) } else { argument }
    })
}

/// Prints the completion script.
pub(crate) fn print_completions(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "custodia", &mut script);
    crate::text::output::line(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_come_before_or_after_the_command() {
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
            let script = String::from_utf8_lossy(&script);
            for word in ["import", "legitimate-interests", "double-opt-in", "operator", "ad-storage"] {
                assert!(script.contains(word), "{word} for {shell}");
            }
        }
    }
}
