//! `custodia contact`: checks whether a customer may be contacted, and records contacts.

use custodia_proto::{
    Timestamp,
    v1::{self, batch_contact::Result as Judged},
};

use crate::connection::Connection;
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::output::{Column, facts, or_dash, table};
use crate::text::values::{parse_time, time_text};

/// `custodia contact …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ContactCommand {
    /// Check whether a contact is allowed, now or from when, with one customer or with many
    Check {
        /// Customer ids (cust_…); at most 500
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        contact: Contact,
        /// Topic of the contact
        #[arg(long, default_value = "", hide_default_value = true)]
        topic: String,
        /// Planned time of the contact [default: now]
        #[arg(long, value_parser = parse_time)]
        at: Option<Timestamp>,
    },
    /// Record a contact that was made, for the frequency caps
    Record {
        /// Customer id (cust_…)
        id: String,
        #[command(flatten)]
        contact: Contact,
        /// Time of the contact [default: now]
        #[arg(long, value_parser = parse_time)]
        at: Option<Timestamp>,
    },
}

/// One contact.
#[derive(Debug, clap::Args)]
pub(crate) struct Contact {
    /// Channel of the catalogue: email, phone, sms, … (see `custodia channel list`)
    #[arg(long)]
    channel: String,
    /// Purpose of the contact
    #[arg(long)]
    purpose: String,
}

impl ContactCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Check { ids: customer_ids, contact: Contact { channel, purpose }, topic, at } => {
                if let [customer_id] = customer_ids.as_slice() {
                    let customer_id = customer_id.clone();
                    let request = v1::CheckContactRequest { customer_id, channel, purpose, topic, at };
                    return connection.show(request, verdict_text).await;
                }
                let request = v1::BatchCheckContactRequest { customer_ids, channel, purpose, topic, at };
                connection.show(request, |answer| table(BATCH_COLUMNS, &answer.contacts)).await
            }
            Self::Record { id: customer_id, contact: Contact { channel, purpose }, at: contacted_at } => {
                let request_id = String::new();
                let request =
                    v1::RecordContactRequest { customer_id, channel, purpose, contacted_at, request_id };
                let text = |answer: &v1::RecordContactResponse| {
                    format!("recorded for {}, etag {}", answer.customer_id, answer.etag)
                };
                connection.show(request, text).await
            }
        }
    }
}

const BATCH_COLUMNS: &[Column<v1::BatchContact>] = &[
    ("CUSTOMER", |contact| contact.customer_id.clone()),
    ("CONTACT", |contact| match &contact.result {
        Some(Judged::Contact(answer)) => verdict_of(answer),
        Some(Judged::Error(error)) => error.message.clone(),
        None => "-".into(),
    }),
    ("REASON", |contact| match &contact.result {
        Some(Judged::Contact(answer)) => enum_text::<v1::RefusalReason>(answer.reason),
        Some(Judged::Error(error)) => error.reason.clone(),
        None => "-".into(),
    }),
    ("ADDRESS", |contact| match &contact.result {
        Some(Judged::Contact(answer)) => or_dash(&answer.address),
        Some(Judged::Error(_)) | None => "-".into(),
    }),
];

fn verdict_of(answer: &v1::CheckContactResponse) -> String {
    match answer.verdict() {
        v1::ContactVerdict::AllowedFrom => {
            format!("allowed from {}", time_text(answer.allowed_from.as_ref()))
        }
        v1::ContactVerdict::Allowed => "allowed".into(),
        v1::ContactVerdict::NotAllowed | v1::ContactVerdict::Unspecified => "not allowed".into(),
    }
}

fn verdict_text(answer: &v1::CheckContactResponse) -> String {
    let verdict = verdict_of(answer);
    let unless_dash = |text: String| if text == "-" { String::new() } else { text };
    let facts = facts([
        ("ground", unless_dash(enum_text::<v1::LawfulBasis>(answer.ground))),
        ("reason", unless_dash(enum_text::<v1::RefusalReason>(answer.reason))),
        ("why", answer.explanation.clone()),
        ("address", answer.address.clone()),
        ("language", answer.language.clone()),
    ]);
    format!("{verdict}\n\n{facts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_when_and_why() {
        let later = v1::CheckContactResponse {
            verdict: v1::ContactVerdict::AllowedFrom.into(),
            reason: v1::RefusalReason::QuietHours.into(),
            allowed_from: Some(parse_time("2026-11-23").unwrap()),
            ..Default::default()
        };
        let text = verdict_text(&later);
        assert!(text.starts_with("allowed from 2026-11-23T00:00:00Z"), "{text}");
        assert!(text.contains("quiet-hours") && !text.contains("address"), "{text}");
        assert!(verdict_text(&v1::CheckContactResponse::default()).starts_with("not allowed"));
    }
}
