//! `custodia duplicates`: customers who may be one person.

mod clusters;
mod pairs;
mod scan;

use custodia_proto::v1;

use crate::connection::steps::STEP_DEADLINE;
use crate::connection::{Connection, pages};
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::enum_text::EnumText as _;

/// `custodia duplicates …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DuplicatesCommand {
    /// Find who may be the same person as one customer
    Find(CustomerQuery),
    /// Compare all customers, and put the pairs that may be one person into the queue
    Scan(scan::Scan),
    /// List the queue: the pairs on which somebody should decide
    List {
        /// Purpose for which you read the data
        #[arg(long)]
        purpose: String,
        /// The pairs that were decided, instead of the open ones
        #[arg(long)]
        decided: bool,
    },
    /// Show the groups of customers who are one person each, all pairs of a group judged together
    Clusters {
        /// Purpose for which you read the data
        #[arg(long)]
        purpose: String,
    },
    /// Decide on a pair; nothing is merged, and nothing else changes
    Review {
        /// Customer id (cust_…)
        id: String,
        /// Id of the other customer
        other: String,
        /// same: one person; different: two people; later: keep it in the queue
        #[arg(value_parser = v1::ReviewDecision::parser())]
        decision: v1::ReviewDecision,
        /// Purpose for which you read the data
        #[arg(long)]
        purpose: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        /// The etag of the pair that you looked at
        #[arg(long, default_value = "")]
        etag: String,
    },
}

impl DuplicatesCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Find(CustomerQuery { id: customer_id, purpose }) => {
                let request = v1::FindDuplicatesRequest { customer_id, purpose, results_max: 0 };
                let client = connection.client_with_deadline(STEP_DEADLINE)?;
                connection.print(&client.find_duplicates(request).await?, pairs::found_text)
            }
            Self::Scan(scan) => scan.run(connection).await,
            Self::List { purpose, decided } => {
                let request = v1::ListDuplicatesRequest { purpose, decided, ..Default::default() };
                connection.print(&pages::all(&connection.client()?, request).await?, pairs::list_text)
            }
            Self::Clusters { purpose } => clusters::run(purpose, connection).await,
            Self::Review { id: customer_id, other: other_customer_id, decision, purpose, note, etag } => {
                let decision = decision.into();
                let request = v1::ReviewDuplicateRequest {
                    purpose,
                    customer_id,
                    other_customer_id,
                    decision,
                    note,
                    etag,
                };
                connection.show(request, pairs::review_text).await
            }
        }
    }
}
