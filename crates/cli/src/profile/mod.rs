//! `custodia profile` and `custodia events`: reading and writing profiles, and reading a customer's events.

mod events;
mod find;
mod get;
mod ingest;
mod merge;

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
    /// Merge a customer into another who is the same person
    Merge(merge::MergeProfiles),
    /// Undo the last merge of a customer
    Unmerge(merge::UnmergeProfiles),
}

impl ProfileCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Get(get) => get.run(connection).await,
            Self::Find(find) => find.run(connection).await,
            Self::Ingest(ingest) => ingest.run(connection).await,
            Self::Merge(merge) => merge.run(connection).await,
            Self::Unmerge(unmerge) => unmerge.run(connection).await,
        }
    }
}
