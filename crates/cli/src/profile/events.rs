//! `custodia events`: a customer's events (interactions).

use std::sync::LazyLock;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::output::{Column, table};
use crate::text::values::{text_of, time_text};

/// `custodia events …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum EventsCommand {
    /// List a customer's events, newest first
    List {
        #[command(flatten)]
        query: CustomerQuery,
        /// Maximum number of events
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

/// The server's largest page.
const PAGE_MAX: usize = 500;

impl EventsCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let Self::List { query: CustomerQuery { id, purpose }, limit } = self;
        let client = connection.client()?;
        let mut all = v1::ListEventsResponse::default();
        while all.events.len() < limit {
            let page_size = i32::try_from((limit - all.events.len()).min(PAGE_MAX)).unwrap_or_default();
            let page_token = std::mem::take(&mut all.next_page_token);
            let (customer_id, purpose) = (id.clone(), purpose.clone());
            let request = v1::ListEventsRequest { customer_id, purpose, page_size, page_token };
            let page = client.list_events(request).await?;
            all.events.extend(page.events);
            for one in page.withheld {
                match all.withheld.iter_mut().find(|known| known.reason == one.reason) {
                    Some(known) => known.count = known.count.saturating_add(one.count),
                    None => all.withheld.push(one),
                }
            }
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                break;
            }
        }
        connection.print(&all, events_text)
    }
}

/// Events for people.
pub(crate) fn events_text(answer: &v1::ListEventsResponse) -> String {
    let mut text = table(EVENT_COLUMNS, &answer.events);
    for withheld in &answer.withheld {
        let reason = enum_text::<v1::RefusalReason>(withheld.reason);
        text.push_str(&format!("\n{} withheld: {reason}", withheld.count));
    }
    if !answer.next_page_token.is_empty() {
        text.push_str("\nmore events exist: raise --limit");
    }
    text
}

const EVENT_COLUMNS: &[Column<v1::StoredEvent>] = &[
    ("OCCURRED", |stored| time_text(event(stored).occurred_at.as_ref())),
    ("EVENT", |stored| event(stored).name.clone()),
    ("CHANNEL", |stored| event(stored).channel.clone()),
    ("PROPERTIES", |stored| properties_text(event(stored))),
    ("GROUND", |stored| enum_text::<v1::LawfulBasis>(stored.ground)),
    ("SOURCE", |stored| stored.provenance.clone().unwrap_or_default().source),
    ("ID", |stored| event(stored).event_id.clone()),
];

fn event(stored: &v1::StoredEvent) -> &v1::Event {
    static NONE: LazyLock<v1::Event> = LazyLock::new(v1::Event::default);
    stored.event.as_ref().unwrap_or(&NONE)
}

fn properties_text(event: &v1::Event) -> String {
    let property = |(name, value): (&String, &v1::Value)| format!("{name}={}", text_of(Some(value)));
    let mut properties: Vec<_> = event.properties.iter().map(property).collect();
    properties.sort();
    properties.join(" ")
}
