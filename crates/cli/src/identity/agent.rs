//! `custodia agent context`: what an agent needs to know when a customer calls.

use custodia_proto::v1;

use super::identifiers::held_text;
use crate::connection::Connection;
use crate::error::CliError;
use crate::known_by::Whom;
use crate::preference::preferences_text;
use crate::profile::{events_text, profile_text};
use crate::text::enum_text::enum_text;
use crate::text::output::{Column, or, or_dash, table};
use crate::text::values::time_text;

/// `custodia agent …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AgentCommand {
    /// Show who is calling, what happened last on each channel, and how the customer may be contacted
    Context {
        /// Customer id (cust_…), or what the customer is known by: +49 30 901820, ana@example.org, loyalty-card=4006381333931
        whom: String,
        /// Purpose that you work for
        #[arg(long)]
        purpose: String,
        /// Interactions on each channel, at most 20
        #[arg(long, default_value_t = 3)]
        interactions: i32,
    },
}

impl AgentCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let Self::Context { whom, purpose, interactions } = self;
        let (customer_id, identifier) = match Whom::read(&whom, connection).await? {
            Whom::Customer(customer_id) => (customer_id, None),
            Whom::Identifier(identifier) => (String::new(), Some(identifier)),
        };
        let request =
            v1::GetAgentContextRequest { customer_id, identifier, purpose, interactions_max: interactions };
        connection.show(request, context_text).await
    }
}

/// The context for people; `dev` prints one too.
pub(crate) fn context_text(context: &v1::AgentContext) -> String {
    let Some(profile) = &context.profile else {
        let candidates: Vec<_> = context.candidates.iter().map(profile_text).collect();
        let count = candidates.len();
        return format!(
            "{count} customers hold this identifier: ask again with one's id\n\n{}",
            candidates.join("\n\n")
        );
    };
    let mut parts = vec![profile_text(profile)];
    for of in &context.interactions {
        let shown = v1::ListEventsResponse { events: of.events.clone(), ..Default::default() };
        parts.push(format!("last on {}\n{}", or(&of.channel, "no channel"), events_text(&shown)));
    }
    let withheld: Vec<_> = context
        .withheld_events
        .iter()
        .map(|of| format!("{} events withheld: {}", of.count, enum_text::<v1::RefusalReason>(of.reason)))
        .collect();
    if !withheld.is_empty() {
        parts.push(withheld.join("\n"));
    }
    if context.has_older_events {
        parts.push("older events exist: see `custodia events list`".to_owned());
    }
    parts.push(table(CHANNEL_COLUMNS, &context.channels));
    if !context.identifiers.is_empty() {
        parts.push(held_text(&context.identifiers));
    }
    for suspected in &context.suspected_duplicates {
        let customer = &suspected.customer_id;
        let compared = (suspected.probability > 0.0).then(|| format!("{:.3}", suspected.probability));
        let named = suspected.namespaces.iter().map(|namespace| format!("{namespace} in one ingest"));
        let why: Vec<_> = compared.into_iter().chain(named).collect();
        let why = why.join(", ");
        parts.push(format!("may be the same person as {customer} ({why}): see `custodia duplicates`"));
    }
    if let Some(preferences) = &context.preferences {
        parts.push(preferences_text(preferences));
    }
    parts.join("\n\n")
}

const CHANNEL_COLUMNS: &[Column<v1::ChannelPermission>] = &[
    ("CONTACT ON", |of| of.channel.clone()),
    ("NOW", |of| match of.verdict() {
        v1::ContactVerdict::Allowed => "allowed".into(),
        v1::ContactVerdict::AllowedFrom => format!("from {}", time_text(of.allowed_from.as_ref())),
        v1::ContactVerdict::NotAllowed | v1::ContactVerdict::Unspecified => "not allowed".into(),
    }),
    ("REASON", |of| enum_text::<v1::RefusalReason>(of.reason)),
    ("EXPLANATION", |of| or_dash(&of.explanation)),
];
