//! `custodia consent`: what a customer allows.

use custodia_proto::{Timestamp, v1};

use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{print, table};
use crate::values::{parse_time, time_text};
use crate::words::{Word as _, word_of};

/// `custodia consent …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsentCommand {
    /// Record a consent, a refusal or another ground
    Record(RecordConsent),
    /// Withdraw a consent, or object to legitimate interests
    Withdraw {
        /// The customer (cust_…)
        id: String,
        /// For which purpose
        #[arg(long)]
        purpose: String,
        /// The ground that ends [default: consent]
        #[arg(long, value_parser = v1::LawfulBasis::parse)]
        basis: Option<v1::LawfulBasis>,
        /// Through which channel the customer said so
        #[arg(long, default_value = "", hide_default_value = true)]
        channel: String,
    },
    /// List what is recorded for a customer
    List {
        /// The customer (cust_…)
        id: String,
        /// Why you ask
        #[arg(long)]
        purpose: String,
    },
}

/// What `consent record` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordConsent {
    /// The customer (cust_…)
    id: String,
    /// For which purpose
    #[arg(long)]
    purpose: String,
    /// given or refused
    #[arg(long, default_value = "given", value_parser = v1::ConsentStatus::parse)]
    status: v1::ConsentStatus,
    /// The ground
    #[arg(long, default_value = "consent", value_parser = v1::LawfulBasis::parse)]
    basis: v1::LawfulBasis,
    /// Version of the notice that was shown; required with consent
    #[arg(long, default_value = "", hide_default_value = true)]
    notice: String,
    /// unambiguous, explicit or opt-out [default with consent: unambiguous]
    #[arg(long, value_parser = v1::ConsentMethod::parse)]
    method: Option<v1::ConsentMethod>,
    /// Who collected it
    #[arg(long, default_value = "", hide_default_value = true)]
    collector: String,
    /// Contract, law, incident or balancing test; required with other grounds
    #[arg(long, default_value = "", hide_default_value = true)]
    reference: String,
    /// When it was decided [default: now]
    #[arg(long, value_parser = parse_time)]
    decided_at: Option<Timestamp>,
    /// When it ends by itself [default: when withdrawn]
    #[arg(long, value_parser = parse_time)]
    expires_at: Option<Timestamp>,
}

impl ConsentCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let state = match self {
            Self::List { id: customer_id, purpose } => {
                let answer = client.get_consents(v1::GetConsentsRequest { customer_id, purpose }).await?;
                return print(connection.output, "GetConsentsResponse", &answer, || {
                    consents_text(&answer.consents)
                });
            }
            Self::Record(record) => client.record_consent(record.into_request()).await?,
            Self::Withdraw { id, purpose, basis, channel } => {
                let request = v1::WithdrawConsentRequest {
                    customer_id: id,
                    purpose,
                    channel,
                    request_id: String::new(),
                    lawful_basis: basis.unwrap_or(v1::LawfulBasis::Unspecified).into(),
                };
                client.withdraw_consent(request).await?
            }
        };
        print(connection.output, "ConsentState", &state, || consents_text(std::slice::from_ref(&state)))
    }
}

impl RecordConsent {
    fn into_request(self) -> v1::RecordConsentRequest {
        let method = match (self.method, self.basis) {
            (Some(method), _) => method,
            (None, v1::LawfulBasis::Consent) => v1::ConsentMethod::Unambiguous,
            (None, _) => v1::ConsentMethod::Unspecified,
        };
        v1::RecordConsentRequest {
            customer_id: self.id,
            purpose: self.purpose,
            status: self.status.into(),
            lawful_basis: self.basis.into(),
            notice_version: self.notice,
            method: method.into(),
            collector: self.collector,
            reference: self.reference,
            decided_at: self.decided_at,
            expires_at: self.expires_at,
            request_id: String::new(),
            etag: String::new(),
        }
    }
}

/// The status also as the cluster may answer it.
fn status_word(number: i32) -> &'static str {
    match v1::ConsentStatus::try_from(number) {
        Ok(v1::ConsentStatus::Given) => "given",
        Ok(v1::ConsentStatus::Refused) => "refused",
        Ok(v1::ConsentStatus::Withdrawn) => "withdrawn",
        Ok(v1::ConsentStatus::Expired) => "expired",
        Ok(v1::ConsentStatus::Unspecified) | Err(_) => "-",
    }
}

fn consents_text(consents: &[v1::ConsentState]) -> String {
    let mut lines =
        table(["PURPOSE", "GROUND", "STATUS", "NOTICE", "METHOD", "DECIDED", "EXPIRES", "REFERENCE"]);
    for consent in consents {
        lines.add_row([
            consent.purpose.as_str(),
            &word_of::<v1::LawfulBasis>(consent.lawful_basis),
            status_word(consent.status),
            or_dash(&consent.notice_version),
            &word_of::<v1::ConsentMethod>(consent.method),
            &time_text(consent.decided_at.as_ref()),
            &time_text(consent.expires_at.as_ref()),
            or_dash(&consent.reference),
        ]);
    }
    lines.to_string()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
