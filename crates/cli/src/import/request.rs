//! Turns rows into requests that ingest profiles: consecutive rows of one customer become one request, within the limits
//! of a request.
//!
//! Invariants: a request depends on the rows and the mapping only, so that a repeated import sends the same requests; only
//! the last request of a customer's rows has a position, so that a run resumes between customers.

use std::collections::BTreeMap;

use custodia_profile::limits::{EVENTS_MAX, GRANTS_MAX, OBSERVATIONS_MAX};
use custodia_proto::{Timestamp, v1};

use crate::import::batch::{Batch, Batcher, NOT_PARSED, Refusal, key_of, position_after, unsendable};
use crate::import::field::Field;
use crate::import::identity::Identities;
use crate::import::mapping::{ConsentMapping, EventMapping, Mapping};
use crate::import::row::Row;

/// What all requests of an import have in common.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) identities: Identities,
    pub(crate) purpose: String,
    pub(crate) source: String,
    pub(crate) basis: v1::LawfulBasis,
    pub(crate) party: v1::Party,
    /// When the values were observed, if the row does not say.
    pub(crate) observed_at: Timestamp,
    /// The catalogue's types, by attribute.
    pub(crate) types: BTreeMap<String, v1::ValueType>,
}

/// The request of a customer's rows, and the row numbers of its observations and events, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ingest {
    pub(crate) request: v1::IngestProfileRequest,
    pub(crate) observation_rows: Vec<u64>,
    pub(crate) event_rows: Vec<u64>,
}

/// Collects the rows of one customer.
#[derive(Debug)]
pub(crate) struct ProfileBatcher<'m> {
    mapping: &'m Mapping,
    common: &'m Common,
    open: Option<Batch<Ingest>>,
    occurrence: u64,
}

impl<'m> ProfileBatcher<'m> {
    pub(crate) fn new(mapping: &'m Mapping, common: &'m Common) -> Self {
        Self { mapping, common, open: None, occurrence: 0 }
    }
}

impl Batcher for ProfileBatcher<'_> {
    type Request = Ingest;

    fn push(&mut self, row: Row) -> Vec<Batch<Ingest>> {
        let mut complete = Vec::new();
        let key = match key_of(&self.mapping.customer.key, &row) {
            Ok(key) => key,
            Err(refusal) => {
                // A bad row among a customer's rows is accounted for with them: later rows may still be theirs.
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
            request: Some(Ingest { request: self.common.request(&key, row.number), ..Ingest::default() }),
            key,
            ..Batch::default()
        });
        merge(open, part, row);
        complete
    }

    fn finish(&mut self) -> Option<Batch<Ingest>> {
        self.occurrence = 0;
        let mut batch = self.open.take()?;
        batch.position = batch.rows.last().map(position_after);
        Some(batch)
    }
}

impl ProfileBatcher<'_> {
    fn map_row(&self, row: &Row) -> Part {
        let mut part = Part::default();
        let mut refuse = |item: &str, reason: String| {
            part.refused.push(Refusal::new(row.number, item, NOT_PARSED, &reason))
        };
        let observed_at = match self.mapping.observed_at.as_ref().map_or(Ok(None), |field| field.time(row)) {
            Ok(time) => time,
            Err(explanation) => {
                refuse("observed_at", explanation);
                None
            }
        };
        let observed_at = Some(observed_at.unwrap_or(self.common.observed_at));
        for (name, field) in &self.mapping.attributes {
            let catalogued = self.common.types.get(name).copied().unwrap_or(v1::ValueType::Text);
            match field.value(row, catalogued) {
                Ok(None) => {}
                Ok(value) => {
                    part.observations.push(v1::Observation { attribute: name.clone(), value, observed_at });
                }
                Err(explanation) => refuse(name, explanation),
            }
        }
        for event in &self.mapping.events {
            match self.map_event(event, row) {
                Ok(event) => part.events.push(event),
                Err(explanation) => refuse(&event.name, explanation),
            }
        }
        for consent in &self.mapping.consents {
            match map_consent(consent, row) {
                Ok(grant) => part.consents.extend(grant),
                Err(explanation) => refuse(&consent.purpose, explanation),
            }
        }
        part
    }

    fn map_event(&self, event: &EventMapping, row: &Row) -> Result<v1::Event, String> {
        let mut properties = BTreeMap::new();
        for (name, field) in &event.properties {
            if let Some(value) = field.value(row, v1::ValueType::Text)? {
                properties.insert(name.clone(), value);
            }
        }
        Ok(v1::Event {
            event_id: expand(&event.id, row, self.occurrence)?,
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

fn fits(open: &Batch<Ingest>, part: &Part) -> bool {
    let Some(ingest) = &open.request else { return false };
    ingest.observation_rows.len() + part.observations.len() <= OBSERVATIONS_MAX
        && ingest.event_rows.len() + part.events.len() <= EVENTS_MAX
        && ingest.request.consents.len() + part.consents.len() <= GRANTS_MAX
}

fn merge(open: &mut Batch<Ingest>, part: Part, row: Row) {
    if let Some(Ingest { request, observation_rows, event_rows }) = &mut open.request {
        for observation in part.observations {
            // Later rows of a customer mostly repeat its attributes.
            if !request.observations.contains(&observation) {
                request.observations.push(observation);
                observation_rows.push(row.number);
            }
        }
        event_rows.extend(part.events.iter().map(|_| row.number));
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

fn map_consent(consent: &ConsentMapping, row: &Row) -> Result<Option<v1::ConsentGrant>, String> {
    if consent.only_where.as_ref().is_some_and(|condition| !condition.holds(row)) {
        return Ok(None);
    }
    let time = |field: &Option<Field>| field.as_ref().map_or(Ok(None), |field| field.time(row));
    let text = |field: &Option<Field>| {
        let found = field.as_ref().map_or(Ok(None), |field| field.text(row));
        found.map(Option::unwrap_or_default)
    };
    let evidence = v1::ConsentEvidence {
        act: consent.act.map_or(0, i32::from),
        statement_sha256: text(&consent.statement_sha256)?,
        language: consent.language.clone(),
        bundled: false,
        decided_by: consent.decided_by.map_or(0, i32::from),
        incapacity: text(&consent.incapacity)?,
    };
    Ok(Some(v1::ConsentGrant {
        purpose: consent.purpose.clone(),
        notice_version: consent.notice_version.clone(),
        method: consent.method.map_or(0, i32::from),
        collector: consent.collector.clone(),
        given_at: time(&consent.given_at)?,
        expires_at: time(&consent.expires_at)?,
        evidence: (evidence != v1::ConsentEvidence::default()).then_some(evidence),
        channel: consent.channel.clone(),
        lawful_basis: consent.basis.map_or(0, i32::from),
        reference: text(&consent.reference)?,
        valid_from: time(&consent.valid_from)?,
    }))
}

/// Expands a template: `{row}`, `{occurrence}`, `{column}`.
fn expand(template: &str, row: &Row, occurrence: u64) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("the template of the id has an unclosed {")?;
        text.push_str(literal);
        match name {
            "row" => text.push_str(&row.number.to_string()),
            "occurrence" => text.push_str(&occurrence.to_string()),
            column => text.push_str(&row.cell(column).ok_or_else(|| format!("{column} is empty"))?),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::batch::NO_KEY;
    use crate::import::mapping::MappingFile as _;
    use crate::import::reader::Position;

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

    fn batches(rows: impl IntoIterator<Item = Row>) -> Vec<Batch<Ingest>> {
        let (mapping, common) = (Mapping::parse(MAPPING).unwrap(), common());
        let mut batches = ProfileBatcher::new(&mapping, &common);
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
        let Ingest { request, event_rows, .. } = all[0].request.as_ref().unwrap();
        let ids: Vec<_> = request.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids, ["a-19970101-1", "a-19970101-2"]);
        assert_eq!(request.observations.len(), 1, "the same value of the same time is sent once");
        assert_eq!(event_rows, &[1, 2]);
        assert_eq!(all[0].position, Some(Position { bytes: 200, rows: 2 }));
    }

    #[test]
    fn a_customer_with_many_rows_is_split_and_resumed_only_after_the_last_part() {
        let all = batches((1..=600).map(|number| row(number, "a", "19970101")));
        assert_eq!(all.len(), 3);
        let ingests = || all.iter().map(|batch| batch.request.as_ref().unwrap());
        assert!(ingests().all(|ingest| ingest.event_rows.len() <= EVENTS_MAX));
        assert_eq!(all[0].position, None);
        assert_eq!(all[1].position, None);
        assert_eq!(all[2].position, Some(Position { bytes: 60_000, rows: 600 }));
        let events = ingests().flat_map(|ingest| &ingest.request.events);
        let ids: std::collections::BTreeSet<_> = events.map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), 600);
        let requests: std::collections::BTreeSet<_> =
            ingests().map(|ingest| ingest.request.request_id.clone()).collect();
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
        assert_eq!(
            all[1].request.as_ref().unwrap().request.observations.len(),
            1,
            "the rest of the row is sent"
        );
    }

    #[test]
    fn a_consent_has_its_evidence() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
            [[consents]]
            purpose = "offers"
            notice_version = "2026-01"
            method = "explicit"
            act = "signed"
            language = "de"
            channel = "store"
            statement_sha256 = "scan"
            expires_at = "until"
            only_where = { column = "agreed", equals = "yes" }
            "#,
        );
        let consent = &mapping.unwrap().consents[0];
        let row = |agreed| Row::of_pairs(1, &[("agreed", agreed), ("scan", "00ff"), ("until", "2030-01-01")]);
        let grant = map_consent(consent, &row("yes")).unwrap().unwrap();
        let evidence = grant.evidence.unwrap();
        assert_eq!(
            (evidence.act(), evidence.statement_sha256.as_str()),
            (v1::AffirmativeAct::Signed, "00ff")
        );
        assert_eq!((grant.channel.as_str(), grant.expires_at.is_some()), ("store", true));
        assert_eq!(map_consent(consent, &row("no")), Ok(None));
    }

    #[test]
    fn a_contract_comes_with_the_row_that_proves_it() {
        let mapping = Mapping::parse(
            r#"
            [customer]
            key = ["id"]
            [[consents]]
            purpose = "service"
            basis = "contract"
            reference = "order"
            valid_from = "since"
            "#,
        );
        let consent = &mapping.unwrap().consents[0];
        let row = Row::of_pairs(1, &[("order", "A-17"), ("since", "2026-01-01")]);
        let grant = map_consent(consent, &row).unwrap().unwrap();
        assert_eq!((grant.lawful_basis(), grant.reference.as_str()), (v1::LawfulBasis::Contract, "A-17"));
        assert!(grant.valid_from.is_some() && grant.evidence.is_none());
        assert_eq!((grant.method(), grant.notice_version.as_str()), (v1::ConsentMethod::Unspecified, ""));
    }

    #[test]
    fn a_resumed_run_sends_the_same_requests() {
        let rows: Vec<_> =
            (1..=9).map(|number| row(number, &format!("c{}", number / 2), "19970101")).collect();
        let whole = batches(rows.clone());
        let cut = usize::try_from(whole[1].position.unwrap().rows).unwrap();
        let rest = batches(rows[cut..].to_vec());
        let requests =
            |all: &[Batch<Ingest>]| all.iter().filter_map(|batch| batch.request.clone()).collect::<Vec<_>>();
        assert_eq!(requests(&whole[2..]), requests(&rest));
    }
}
