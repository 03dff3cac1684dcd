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
use crate::text::values::{text_of, time_text};

/// `custodia agent …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AgentCommand {
    /// Show who is calling, what is open, what happened last on each channel, and how the customer may be contacted
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
    if !context.open_matters.is_empty() {
        parts.push(matters_text(context));
    }
    if !context.traits.is_empty() {
        parts.push(table(TRAIT_COLUMNS, &context.traits));
    }
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

fn matters_text(context: &v1::AgentContext) -> String {
    let mut text = table(MATTER_COLUMNS, &context.open_matters);
    if context.has_more_open_matters {
        text.push_str("\nmore are open, which were opened earlier");
    }
    text
}

const MATTER_COLUMNS: &[Column<v1::OpenMatter>] = &[
    ("OPEN MATTER", |of| or(&of.display_name, &of.matter_type)),
    ("KEY", |of| of.key.clone()),
    ("STATE", |of| match (of.state(), of.is_stale) {
        (v1::MatterState::Unknown, _) => "may be closed: a later event is withheld".into(),
        (_, true) => "open, stale".into(),
        (_, false) => "open".into(),
    }),
    ("OPENED", |of| time_text(of.opened_at.as_ref())),
    ("THROUGH", |of| or_dash(&of.channel)),
    ("LAST EVENT", |of| of.last_event.as_ref().map_or_else(String::new, |last| last.name.clone())),
    ("OCCURRED", |of| time_text(of.last_event.as_ref().and_then(|last| last.occurred_at.as_ref()))),
];

const TRAIT_COLUMNS: &[Column<v1::Trait>] = &[
    ("TRAIT", |of| or(&of.display_name, &of.id)),
    ("VALUE", |of| match &of.value {
        Some(value) if !of.unit.is_empty() => format!("{} {}", text_of(Some(value)), of.unit),
        value => text_of(value.as_ref()),
    }),
    ("EVENTS", |of| of.event_count.to_string()),
    ("SKIPPED", |of| of.skipped_event_count.to_string()),
    ("OLDER EVENTS", |of| if of.is_partial { "not looked at" } else { "-" }.into()),
];
