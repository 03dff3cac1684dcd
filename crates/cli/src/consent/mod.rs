//! `custodia consent` and `custodia subject`: what a customer allows, the history of its decisions, and their proof.

mod explain;
mod export;
mod iab;
mod import;
mod proof;
mod readable;
mod record;
mod signal;
mod subject;
mod timeline;

use std::path::PathBuf;

use custodia_proto::{Timestamp, v1};

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::values::parse_time;

use record::consents_text;
pub(crate) use subject::SubjectCommand;

/// `custodia consent …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsentCommand {
    /// Record a consent, a refusal or another lawful basis
    Record(Box<record::RecordConsent>),
    /// Withdraw a consent, or object to legitimate interests
    Withdraw(record::WithdrawConsent),
    /// Withdraw every consent and object to every purpose that yields to an objection ("unsubscribe from everything")
    WithdrawAll {
        /// Customer id (cust_…)
        id: String,
        /// Channel through which the customer asked
        #[arg(long, default_value = "", hide_default_value = true)]
        channel: String,
    },
    /// List a customer's consents and other grounds
    List(CustomerQuery),
    /// Show a customer's decisions, one line each, in the order of recording
    Timeline(CustomerQuery),
    /// List a customer's consents and other grounds as of a past time
    AsOf {
        #[command(flatten)]
        query: CustomerQuery,
        /// The time
        #[arg(long, value_parser = parse_time)]
        time: Timestamp,
    },
    /// Explain whether a purpose is permitted, now or at a past time, and why
    Explain(explain::ExplainDecision),
    /// Record and honour a privacy signal of the customer's browser
    Signal(signal::RecordSignal),
    /// Record or show an IAB TCF consent string
    Tcf {
        #[command(subcommand)]
        command: iab::TcfCommand,
    },
    /// Record or show an IAB GPP consent string
    Gpp {
        #[command(subcommand)]
        command: iab::GppCommand,
    },
    /// Show the signals for Google's consent mode
    Mode(CustomerQuery),
    /// Export a consent record for other systems, or a receipt for the customer
    Export(export::ExportConsent),
    /// Write a customer's consent history to a tamper-evident file
    History {
        #[command(flatten)]
        query: CustomerQuery,
        /// The file; readable by its owner only
        #[arg(long)]
        file: PathBuf,
    },
    /// Verify a file written by `consent history`; needs no cluster
    #[command(after_help = proof::VERIFY_HELP)]
    Verify(proof::VerifyHistory),
    /// Load consent decisions of another system from a CSV or JSONL file
    Import(import::ImportDecisions),
}

impl ConsentCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Record(record) => connection.show(record.into_request(), state_text).await,
            Self::Withdraw(withdraw) => connection.show(withdraw.into_request(), state_text).await,
            Self::WithdrawAll { id: customer_id, channel } => {
                let request_id = String::new();
                let request = v1::WithdrawAllConsentsRequest { customer_id, channel, request_id };
                connection.show(request, |answer| consents_text(&answer.consents)).await
            }
            Self::List(CustomerQuery { id: customer_id, purpose }) => {
                let request = v1::GetConsentsRequest { customer_id, purpose };
                connection.show(request, states_text).await
            }
            Self::AsOf { query: CustomerQuery { id: customer_id, purpose }, time } => {
                let request = v1::GetConsentsAsOfRequest { customer_id, purpose, time: Some(time) };
                connection.show(request, states_text).await
            }
            Self::Timeline(query) => {
                let history = timeline::whole_history(&connection.client()?, query).await?;
                connection.print(&history, |history| timeline::timeline_text(&history.entries))
            }
            Self::Explain(explain) => {
                connection.show(explain.into_request(), explain::explanation_text).await
            }
            Self::Mode(CustomerQuery { id: customer_id, purpose }) => {
                let request = v1::GetConsentModeRequest { customer_id, purpose };
                connection.show(request, signal::mode_text).await
            }
            Self::Signal(signal) => signal.run(connection).await,
            Self::Tcf { command } => command.run(connection).await,
            Self::Gpp { command } => command.run(connection).await,
            Self::Export(export) => export.run(connection).await,
            Self::History { query, file } => {
                let history = timeline::whole_history(&connection.client()?, query).await?;
                proof::write(connection.output, &file, &history)
            }
            Self::Verify(verify) => verify.run(connection.output),
            Self::Import(import) => import.run(connection).await,
        }
    }
}

/// The consents, or why the law refuses the stated purpose; and the revision that a consent which answers a no must name.
fn states_text(answer: &v1::GetConsentsResponse) -> String {
    let states = if answer.refused() == v1::RefusalReason::Unspecified {
        consents_text(&answer.consents)
    } else {
        format!("not shown for this purpose: {}", enum_text::<v1::RefusalReason>(answer.refused))
    };
    format!("consent revision {}\n\n{states}", answer.consent_revision)
}

fn state_text(state: &v1::ConsentState) -> String {
    let text = consents_text(std::slice::from_ref(state));
    if state.effect() == v1::DecisionEffect::Superseded {
        format!("{text}\n\nsuperseded: it is in the customer's history; a newer decision stands, or a no")
    } else {
        text
    }
}
