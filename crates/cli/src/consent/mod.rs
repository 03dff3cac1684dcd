//! `custodia consent`: what a customer allows, what the customer decided before, and the proof of it.

mod explain;
mod export;
mod import;
mod proof;
mod readable;
mod record;
mod signal;
mod timeline;

use std::path::PathBuf;

use custodia_proto::{Timestamp, v1};

use crate::connection::Connection;
use crate::error::CliError;
use crate::output::print;
use crate::values::parse_time;

use record::consents_text;

/// `custodia consent …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsentCommand {
    /// Record a consent, a refusal or another ground
    Record(Box<record::RecordConsent>),
    /// Withdraw a consent, or object to legitimate interests
    Withdraw(record::WithdrawConsent),
    /// List what is recorded for a customer
    List(Question),
    /// Show what a customer decided, one line each, in the order in which it was recorded
    Timeline(Question),
    /// List what was recorded for a customer at a past moment
    AsOf {
        #[command(flatten)]
        question: Question,
        /// The moment
        #[arg(long, value_parser = parse_time)]
        time: Timestamp,
    },
    /// Say what the law says of one purpose, now or at a past moment, and what that rests on
    Explain(explain::ExplainDecision),
    /// Honour a signal of the customer's browser
    Signal(signal::RecordSignal),
    /// Record or show a consent string of the IAB Transparency and Consent Framework
    Tcf {
        #[command(subcommand)]
        command: signal::TcfCommand,
    },
    /// Show Google's consent mode signals
    Mode(Question),
    /// Write a consent record for other systems, or a receipt for the customer
    Export(export::ExportConsent),
    /// Write a customer's whole history into a file that proves itself
    History {
        #[command(flatten)]
        question: Question,
        /// The file, for the owner's eyes alone
        #[arg(long)]
        file: PathBuf,
    },
    /// Check a file of `consent history`, without a cluster
    #[command(after_help = proof::VERIFY_HELP)]
    Verify(proof::VerifyHistory),
    /// Load the decisions of another system from a CSV or JSONL file
    Import(import::ImportDecisions),
}

/// Whom a question is about, and why it is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Question {
    /// The customer (cust_…)
    id: String,
    /// Why you ask
    #[arg(long)]
    purpose: String,
}

impl ConsentCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Record(record) => print_state(connection, &record.send(&connection.client()?).await?),
            Self::Withdraw(withdraw) => print_state(connection, &withdraw.send(&connection.client()?).await?),
            Self::List(Question { id: customer_id, purpose }) => {
                let request = v1::GetConsentsRequest { customer_id, purpose };
                print_states(connection, &connection.client()?.get_consents(request).await?)
            }
            Self::AsOf { question: Question { id: customer_id, purpose }, time } => {
                let request = v1::GetConsentsAsOfRequest { customer_id, purpose, time: Some(time) };
                print_states(connection, &connection.client()?.get_consents_as_of(request).await?)
            }
            Self::Timeline(Question { id, purpose }) => {
                let history = timeline::whole_history(&connection.client()?, &id, &purpose).await?;
                print(connection.output, "ListConsentHistoryResponse", &history, || {
                    timeline::timeline_text(&history.entries)
                })
            }
            Self::Explain(explain) => {
                let explanation = connection.client()?.explain_decision(explain.into_request()).await?;
                print(connection.output, "DecisionExplanation", &explanation, || {
                    explain::explanation_text(&explanation)
                })
            }
            Self::Mode(Question { id: customer_id, purpose }) => {
                let request = v1::GetConsentModeRequest { customer_id, purpose };
                let mode = connection.client()?.get_consent_mode(request).await?;
                print(connection.output, "ConsentMode", &mode, || signal::mode_text(&mode))
            }
            Self::Signal(signal) => signal.run(connection).await,
            Self::Tcf { command } => command.run(connection).await,
            Self::Export(export) => export.run(connection).await,
            Self::History { question: Question { id, purpose }, file } => {
                let history = timeline::whole_history(&connection.client()?, &id, &purpose).await?;
                proof::write(connection.output, &file, &history)
            }
            Self::Verify(verify) => verify.run(connection.output),
            Self::Import(import) => import.run(connection).await,
        }
    }
}

fn print_state(connection: &Connection, state: &v1::ConsentState) -> Result<(), CliError> {
    print(connection.output, "ConsentState", state, || consents_text(std::slice::from_ref(state)))
}

fn print_states(connection: &Connection, answer: &v1::GetConsentsResponse) -> Result<(), CliError> {
    print(connection.output, "GetConsentsResponse", answer, || consents_text(&answer.consents))
}
