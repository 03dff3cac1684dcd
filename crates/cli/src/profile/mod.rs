//! `custodia profile` and `custodia events`: reading and writing profiles, and reading a customer's events.

mod events;
mod find;
mod get;
mod ingest;

use crate::connection::Connection;
use crate::error::CliError;

pub(crate) use events::{EventsCommand, events_text};
pub(crate) use get::profile_text;

/// `custodia profile …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProfileCommand {
    /// Read one or several profiles, limited to what the purpose allows
    Get(get::GetProfile),
    /// Find profiles by what identifies the customer
    Find(find::FindProfile),
    /// Merge attribute values into one profile
    Ingest(Box<ingest::IngestProfile>),
}

impl ProfileCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Get(get) => get.run(connection).await,
            Self::Find(find) => find.run(connection).await,
            Self::Ingest(ingest) => ingest.run(connection).await,
        }
    }
}
