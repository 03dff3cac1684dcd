//! Turns rows into requests: consecutive rows of one customer become one request, as far as its limits allow.
//!
//! Always: what is in a request depends on the rows and the mapping alone, so a repeated import makes the same
//! requests; only the last request of a customer's rows carries a position, so a run resumes between customers.

use std::collections::BTreeMap;

use custodia_profile::limits::{EVENTS_MAX, GRANTS_MAX, OBSERVATIONS_MAX};
use custodia_proto::{Timestamp, v1};

use crate::import::identity::Identities;
use crate::import::mapping::{ConsentMapping, EventMapping, Mapping};
use crate::import::reader::Position;
use crate::import::row::{Cells, Row};
use crate::words::Word as _;

/// Why something was refused before it was sent.
pub(crate) const UNREADABLE_ROW: &str = "unreadable-row";
pub(crate) const NO_KEY: &str = "no-key";
pub(crate) const NOT_PARSED: &str = "not-parsed";

/// What all requests of an import share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) identities: Identities,
    pub(crate) purpose: String,
    pub(crate) source: String,
    pub(crate) basis: v1::LawfulBasis,
    pub(crate) party: v1::Party,
    /// When values without a time of their own were observed.
    pub(crate) observed_at: Timestamp,
    /// The catalogue's types, by attribute.
    pub(crate) types: BTreeMap<String, v1::ValueType>,
}

/// A part of a row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) row: u64,
    /// The attribute, the event's name, or `row`.
    pub(crate) item: String,
    pub(crate) reason: String,
    pub(crate) explanation: String,
}

/// One request on its way, and what is needed to account for its answer.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// `None` where nothing of the rows can be sent.
    pub(crate) request: Option<v1::IngestProfileRequest>,
    pub(crate) key: String,
    pub(crate) rows: Vec<Row>,
    /// The row of each observation and of each event, in their order.
    pub(crate) observation_rows: Vec<u64>,
    pub(crate) event_rows: Vec<u64>,
    pub(crate) refused: Vec<Refusal>,
    /// Where a later run goes on, once this one and all before are done.
    pub(crate) position: Option<Position>,
}

/// Collects the rows of one customer.
#[derive(Debug)]
pub(crate) struct Batches<'m> {
    mapping: &'m Mapping,
    common: &'m Common,
    open: Option<Batch>,
    occurrence: u64,
}

impl<'m> Batches<'m> {
    pub(crate) fn new(mapping: &'m Mapping, common: &'m Common) -> Self {
        Self { mapping, common, open: None, occurrence: 0 }
    }

    /// Takes a row; gives back what it completes.
    pub(crate) fn push(&mut self, row: Row) -> Vec<Batch> {
        let mut complete = Vec::new();
        let key = match self.key_of(&row) {
            Ok(key) => key,
            Err(refusal) => {
                // A bad row amid a customer's rows goes with them: what comes after it is still theirs.
                match &mut self.open {
                    Some(open) => merge(open, Part { refused: vec![refusal], ..Part::default() }, row),
                    None => complete.push(unsendable(row, refusal)),
                }
                return complete;
            }
        };
        if self.open.as_ref().is_some_and(|open| open.key != key) {
            complete.extend(self.finish());
        }
        self.occurrence += 1;
        let part = self.map_row(&row);
        if self.open.as_ref().is_some_and(|open| !fits(open, &part)) {
            complete.extend(self.open.take());
        }
        let open = self.open.get_or_insert_with(|| Batch {
            request: Some(self.common.request(&key, row.number)),
            key,
            ..Batch::default()
        });
        merge(open, part, row);
        complete
    }

    /// What is left after the last row.
    pub(crate) fn finish(&mut self) -> Option<Batch> {
        self.occurrence = 0;
        let mut batch = self.open.take()?;
        batch.position = batch.rows.last().map(|row| Position { bytes: row.end, rows: row.number });
        Some(batch)
    }

    fn key_of(&self, row: &Row) -> Result<String, Refusal> {
        if let Cells::Unreadable(explanation, _) = &row.cells {
            return Err(refusal(row, "row", UNREADABLE_ROW, explanation));
        }
        let parts: Option<Vec<_>> = self.mapping.customer.key.iter().map(|column| row.cell(column)).collect();
        parts
            .map(|parts| parts.join("/"))
            .ok_or_else(|| refusal(row, "row", NO_KEY, "a column of customer.key is empty"))
    }

    fn map_row(&self, row: &Row) -> Part {
        let mut part = Part::default();
        let observed_at = match self.mapping.observed_at.as_ref().map(|field| field.time(row)) {
            Some(Ok(time)) => time,
            Some(Err(explanation)) => {
                part.refused.push(refusal(row, "observed_at", NOT_PARSED, &explanation));
                None
            }
            None => None,
        };
        let observed_at = observed_at.unwrap_or(self.common.observed_at);
        for (attribute, field) in &self.mapping.attributes {
            let catalogued = self.common.types.get(attribute).copied().unwrap_or(v1::ValueType::Text);
            match field.value(row, catalogued) {
                Ok(None) => {}
                Ok(value) => part.observations.push(v1::Observation {
                    attribute: attribute.clone(),
                    value,
                    observed_at: Some(observed_at),
                }),
                Err(explanation) => part.refused.push(refusal(row, attribute, NOT_PARSED, &explanation)),
            }
        }
        for event in &self.mapping.events {
            match self.map_event(event, row) {
                Ok(event) => part.events.push(event),
                Err(explanation) => part.refused.push(refusal(row, &event.name, NOT_PARSED, &explanation)),
            }
        }
        for consent in &self.mapping.consents {
            match map_consent(consent, row) {
                Ok(grant) => part.consents.extend(grant),
                Err(explanation) => {
                    part.refused.push(refusal(row, &consent.purpose, NOT_PARSED, &explanation));
                }
            }
        }
        part
    }

    fn map_event(&self, event: &EventMapping, row: &Row) -> Result<v1::Event, String> {
        let mut properties = std::collections::HashMap::new();
        for (name, field) in &event.properties {
            if let Some(value) = field.value(row, v1::ValueType::Text)? {
                properties.insert(name.clone(), value);
            }
        }
        Ok(v1::Event {
            event_id: fill(&event.id, row, self.occurrence)?,
            name: event.name.clone(),
            occurred_at: Some(event.occurred_at.time(row)?.ok_or("the time of the event is empty")?),
            channel: event.channel.clone(),
            properties,
        })
    }
}

impl Common {
    fn request(&self, key: &str, first_row: u64) -> v1::IngestProfileRequest {
        v1::IngestProfileRequest {
            customer_id: self.identities.customer(key).to_string(),
            purpose: self.purpose.clone(),
            source: self.source.clone(),
            party: self.party.into(),
            lawful_basis: self.basis.into(),
            request_id: self.identities.request(first_row),
            ..v1::IngestProfileRequest::default()
        }
    }
}

/// What one row adds to its customer's request.
#[derive(Debug, Default)]
struct Part {
    observations: Vec<v1::Observation>,
    events: Vec<v1::Event>,
    consents: Vec<v1::ConsentGrant>,
    refused: Vec<Refusal>,
}

fn fits(open: &Batch, part: &Part) -> bool {
    open.observation_rows.len() + part.observations.len() <= OBSERVATIONS_MAX
        && open.event_rows.len() + part.events.len() <= EVENTS_MAX
        && open.request.as_ref().map_or(0, |request| request.consents.len()) + part.consents.len()
            <= GRANTS_MAX
}

fn merge(open: &mut Batch, part: Part, row: Row) {
    if let Some(request) = &mut open.request {
        for observation in part.observations {
            // Later rows of a customer mostly repeat its attributes.
            if !request.observations.contains(&observation) {
                request.observations.push(observation);
                open.observation_rows.push(row.number);
            }
        }
        open.event_rows.extend(part.events.iter().map(|_| row.number));
        request.events.extend(part.events);
        for consent in part.consents {
            if !request.consents.contains(&consent) {
                request.consents.push(consent);
            }
        }
    }
    open.refused.extend(part.refused);
    open.rows.push(row);
}

fn unsendable(row: Row, refusal: Refusal) -> Batch {
    let position = Some(Position { bytes: row.end, rows: row.number });
    Batch { rows: vec![row], refused: vec![refusal], position, ..Batch::default() }
}

fn refusal(row: &Row, item: &str, reason: &str, explanation: &str) -> Refusal {
    let (item, reason, explanation) = (item.to_owned(), reason.to_owned(), explanation.to_owned());
    Refusal { row: row.number, item, reason, explanation }
}

fn map_consent(consent: &ConsentMapping, row: &Row) -> Result<Option<v1::ConsentGrant>, String> {
    if let Some(condition) = &consent.only_where
        && row.cell(&condition.column).as_deref() != Some(condition.equals.as_str())
    {
        return Ok(None);
    }
    let given_at = match &consent.given_at {
        Some(field) => field.time(row)?,
        None => None,
    };
    Ok(Some(v1::ConsentGrant {
        purpose: consent.purpose.clone(),
        notice_version: consent.notice_version.clone(),
        method: v1::ConsentMethod::parse(&consent.method)?.into(),
        collector: consent.collector.clone(),
        given_at,
        expires_at: None,
    }))
}

/// Fills a template: `{row}`, `{occurrence}`, `{column}`.
fn fill(template: &str, row: &Row, occurrence: u64) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("the id's template has a { without its }")?;
        filled.push_str(text);
        match name {
            "row" => filled.push_str(&row.number.to_string()),
            "occurrence" => filled.push_str(&occurrence.to_string()),
            column => filled.push_str(&row.cell(column).ok_or_else(|| format!("{column} is empty"))?),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = r#"
        [customer]
        key = ["id"]
        [attributes]
        city = "city"
        [[events]]
        name = "Order Completed"
        id = "{id}-{date}-{occurrence}"
        occurred_at = { column = "date", format = "%Y%m%d" }
    "#;

    fn common() -> Common {
        Common {
            identities: Identities::new("shop", &["file"]),
            purpose: "service".into(),
            source: "shop".into(),
            basis: v1::LawfulBasis::Unspecified,
            party: v1::Party::First,
            observed_at: Timestamp::default(),
            types: BTreeMap::new(),
        }
    }

    fn batches(rows: impl IntoIterator<Item = Row>) -> Vec<Batch> {
        let (mapping, common) = (Mapping::parse(MAPPING).unwrap(), common());
        let mut batches = Batches::new(&mapping, &common);
        let mut all: Vec<_> = rows.into_iter().flat_map(|row| batches.push(row)).collect();
        all.extend(batches.finish());
        all
    }

    fn row(number: u64, id: &str, date: &str) -> Row {
        Row::of_pairs(number, &[("id", id), ("date", date), ("city", "Perth")])
    }

    #[test]
    fn consecutive_rows_of_a_customer_are_one_request() {
        let all = batches([row(1, "a", "19970101"), row(2, "a", "19970101"), row(3, "b", "19970102")]);
        assert_eq!(all.len(), 2);
        let request = all[0].request.as_ref().unwrap();
        let ids: Vec<_> = request.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids, ["a-19970101-1", "a-19970101-2"]);
        assert_eq!(request.observations.len(), 1, "the same value of the same time stands once");
        assert_eq!(all[0].event_rows, [1, 2]);
        assert_eq!(all[0].position, Some(Position { bytes: 200, rows: 2 }));
    }

    #[test]
    fn a_customer_with_many_rows_is_split_and_resumed_only_behind_the_last_part() {
        let all = batches((1..=600).map(|number| row(number, "a", "19970101")));
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|batch| batch.event_rows.len() <= EVENTS_MAX));
        assert_eq!(all[0].position, None);
        assert_eq!(all[1].position, None);
        assert_eq!(all[2].position, Some(Position { bytes: 60_000, rows: 600 }));
        let events = all.iter().flat_map(|batch| &batch.request.as_ref().unwrap().events);
        let ids: std::collections::BTreeSet<_> = events.map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), 600);
        let requests: std::collections::BTreeSet<_> =
            all.iter().map(|batch| batch.request.as_ref().unwrap().request_id.clone()).collect();
        assert_eq!(requests.len(), 3);
    }

    #[test]
    fn a_row_without_a_key_and_a_bad_date_are_refused_with_their_reasons() {
        let all = batches([row(1, "", "19970101"), row(2, "a", "1997"), row(3, "", "19970101")]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].refused[0].reason, NO_KEY);
        assert!(all[0].request.is_none());
        let reasons: Vec<_> = all[1].refused.iter().map(|one| (one.row, one.reason.as_str())).collect();
        assert_eq!(reasons, [(2, NOT_PARSED), (3, NO_KEY)]);
        assert_eq!(all[1].request.as_ref().unwrap().observations.len(), 1, "the rest of the row is sent");
    }

    #[test]
    fn a_run_that_resumes_makes_the_same_requests() {
        let rows: Vec<_> =
            (1..=9).map(|number| row(number, &format!("c{}", number / 2), "19970101")).collect();
        let whole = batches(rows.clone());
        let cut = usize::try_from(whole[1].position.unwrap().rows).unwrap();
        let rest = batches(rows[cut..].to_vec());
        let requests =
            |all: &[Batch]| all.iter().filter_map(|batch| batch.request.clone()).collect::<Vec<_>>();
        assert_eq!(requests(&whole[2..]), requests(&rest));
    }
}
