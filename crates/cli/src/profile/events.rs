//! `custodia events`: a customer's events (interactions).

use custodia_proto::v1;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::enum_text::enum_text;
use crate::text::output::table;
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
        connection.print("ListEventsResponse", &all, events_text)
    }
}

fn events_text(answer: &v1::ListEventsResponse) -> String {
    let mut lines = table(["OCCURRED", "EVENT", "CHANNEL", "PROPERTIES", "GROUND", "SOURCE", "ID"]);
    for stored in &answer.events {
        let event = stored.event.clone().unwrap_or_default();
        let mut properties: Vec<_> =
            event.properties.iter().map(|(name, value)| format!("{name}={}", text_of(Some(value)))).collect();
        properties.sort();
        lines.add_row([
            time_text(event.occurred_at.as_ref()),
            event.name,
            event.channel,
            properties.join(" "),
            enum_text::<v1::LawfulBasis>(stored.ground),
            stored.provenance.as_ref().map(|one| one.source.clone()).unwrap_or_default(),
            event.event_id,
        ]);
    }
    let mut text = lines.to_string();
    for withheld in &answer.withheld {
        let reason = enum_text::<v1::RefusalReason>(withheld.reason);
        text.push_str(&format!("\n{} withheld: {reason}", withheld.count));
    }
    if !answer.next_page_token.is_empty() {
        text.push_str("\nmore events exist: raise --limit");
    }
    text
}
