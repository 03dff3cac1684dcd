//! `custodia identifier`: what a customer is known by.

use custodia_proto::{Timestamp, v1};

use super::{report, split};
use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::known_by;
use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, or_dash, table};
use crate::text::values::{parse_time, time_text};

/// `custodia identifier …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum IdentifierCommand {
    /// List what a customer is known by
    List(CustomerQuery),
    /// Record that an identifier was verified
    Verify {
        #[command(flatten)]
        of: Of,
        /// How it was verified
        #[arg(long, value_parser = v1::VerificationMethod::parser())]
        method: v1::VerificationMethod,
        /// When it was verified [default: now]
        #[arg(long, value_parser = parse_time)]
        at: Option<Timestamp>,
        /// What shows it, e.g. the id of the message
        #[arg(long)]
        reference: String,
    },
    /// Record that a message to an identifier bounced
    Bounced {
        #[command(flatten)]
        of: Of,
        /// When it bounced
        #[arg(long, value_parser = parse_time)]
        at: Timestamp,
    },
    /// Take an identifier away from a customer, so that another may have it
    Release(Of),
    /// Give an identifier that a customer got by mistake to the customer whose it is, with its source and evidence
    Split(split::Split),
    /// Count identifiers that are stale, invalid, never verified or shared, and list them
    Report(report::Report),
}

/// One identifier of a customer.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// Customer id (cust_…)
    id: String,
    /// The identifier: +49 30 901820, ana@example.org, loyalty-card=4006381333931
    identifier: String,
    /// Purpose for which you collect
    #[arg(long)]
    purpose: String,
}

impl IdentifierCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::List(CustomerQuery { id: customer_id, purpose }) => {
                let request = v1::ListIdentifiersRequest { customer_id, purpose };
                connection.show(request, list_text).await
            }
            Self::Verify { of, method, at: verified_at, reference } => {
                let verification = v1::Verification { method: method.into(), verified_at, reference };
                update(of, Some(verification), None, connection).await
            }
            Self::Bounced { of, at } => update(of, None, Some(at), connection).await,
            Self::Split(split) => split.run(connection).await,
            Self::Report(report) => report.run(connection).await,
            Self::Release(Of { id: customer_id, identifier, purpose }) => {
                let request = v1::ReleaseIdentifierRequest {
                    customer_id,
                    purpose,
                    identifier: Some(known_by::identifier(&identifier, connection).await?),
                    request_id: String::new(),
                };
                connection.show(request, released_text).await
            }
        }
    }
}

async fn update(
    Of { id: customer_id, identifier, purpose }: Of,
    verification: Option<v1::Verification>,
    bounced_at: Option<Timestamp>,
    connection: &Connection,
) -> Result<(), CliError> {
    let request = v1::UpdateIdentifierRequest {
        customer_id,
        purpose,
        identifier: Some(known_by::identifier(&identifier, connection).await?),
        verification,
        bounced_at,
        request_id: String::new(),
    };
    let text = |answer: &v1::UpdateIdentifierResponse| {
        format!("recorded for {}, etag {}", answer.customer_id, answer.etag)
    };
    connection.show(request, text).await
}

fn list_text(answer: &v1::ListIdentifiersResponse) -> String {
    let mut text = held_text(&answer.identifiers);
    if answer.withheld > 0 {
        text.push_str(&format!("\n{} more may not be used for this purpose", answer.withheld));
    }
    text
}

fn released_text(answer: &v1::ReleaseIdentifierResponse) -> String {
    match (answer.released, answer.etag.is_empty()) {
        (true, _) => format!("released from {}, etag {}", answer.customer_id, answer.etag),
        (false, false) => format!("{} does not hold it", answer.customer_id),
        // Who may not read is not told.
        (false, true) => format!("taken for {}", answer.customer_id),
    }
}

/// Identifiers for people.
pub(super) fn held_text(identifiers: &[v1::HeldIdentifier]) -> String {
    table(COLUMNS, identifiers)
}

const COLUMNS: &[Column<v1::HeldIdentifier>] = &[
    ("KNOWN BY", |held| held.namespace.clone()),
    ("VALUE", |held| held.value.clone()),
    ("VERIFIED", |held| match &held.verification {
        Some(of) => {
            format!(
                "{}, {}",
                enum_text::<v1::VerificationMethod>(of.method),
                time_text(of.verified_at.as_ref())
            )
        }
        None => "never".into(),
    }),
    ("BOUNCED", |held| held.bounced_at.as_ref().map_or_else(|| "-".into(), |at| time_text(Some(at)))),
    ("SOURCE", |held| or_dash(&held.provenance.clone().unwrap_or_default().source)),
    ("OBSERVED", |held| time_text(held.provenance.clone().unwrap_or_default().observed_at.as_ref())),
    ("STALE", |held| if held.stale { "yes" } else { "-" }.into()),
];
