//! Turns rows into requests that ingest profiles: consecutive rows of one customer become one request, within the limits
//! of a request.
//!
//! Invariants: a request depends on the rows and the mapping only, so that a repeated import sends the same requests, but for
//! what is dated in the future; what the rows say of one moment in two ways is refused; only
//! the last request of a customer's rows has a position, so that a run resumes between customers.

use std::collections::{BTreeMap, BTreeSet};

use custodia_profile::EventId;
use custodia_profile::limits::{EVENTS_MAX, GRANTS_MAX, IDENTIFIERS_MAX, OBSERVATIONS_MAX};
use custodia_proto::{Timestamp, v1};

use crate::import::batch::{
    AMBIGUOUS, Batch, Batcher, NOT_PARSED, Refusal, key_of, position_after, unsendable,
};
use crate::import::grant::map_consent;
use crate::import::identifier::{identifiers_of, observed};
use crate::import::identity::Identities;
use crate::import::mapping::{EventMapping, Mapping};
use crate::import::row::Row;

/// Rows of one batch.
const ROWS_MAX: usize = 1_024;
/// Bytes of the rows of a batch to which another row is added. With that row it stays below the largest message.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// What all requests of an import have in common.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) identities: Identities,
    pub(crate) purpose: String,
    pub(crate) source: String,
    pub(crate) basis: v1::LawfulBasis,
    pub(crate) party: v1::Party,
    /// When the values were observed, if the mapping does not say.
    pub(crate) observed_at: Timestamp,
    /// When the import began: what is dated later is in the future.
    pub(crate) began_at: Timestamp,
    /// The catalogue's types, by attribute.
    pub(crate) types: BTreeMap<String, v1::ValueType>,
}

/// The request of a customer's rows, and the row numbers of its identifiers, observations and events, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ingest {
    pub(crate) request: v1::IngestProfileRequest,
    pub(crate) identifier_rows: Vec<u64>,
    pub(crate) observation_rows: Vec<u64>,
    pub(crate) event_rows: Vec<u64>,
    /// The attributes of which rows say different things of the same moment.
    pub(crate) ambiguous: BTreeSet<(String, Moment)>,
}

/// The seconds and nanoseconds of an observation.
pub(crate) type Moment = Option<(i64, i32)>;

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
                // But not any number of them: the rows of a batch are in memory.
                if self.open.as_ref().is_some_and(is_full) {
                    complete.extend(self.finish());
                }
                return complete;
            }
        };
        if self.open.as_ref().is_some_and(|open| open.key != key) {
            complete.extend(self.finish());
        }
        self.occurrence += 1;
        let part = self.map_row(&key, &row);
        if self.open.as_ref().is_some_and(|open| is_full(open) || !fits(open, &part)) {
            complete.extend(self.open.take());
        }
        let open = self.open.get_or_insert_with(|| Batch {
            request: Some(Ingest { request: self.common.request(row.number), ..Ingest::default() }),
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
    fn map_row(&self, key: &str, row: &Row) -> Part {
        let mut part = Part::default();
        let mut refuse = |item: &str, reason: String| {
            part.refused.push(Refusal::new(row.number, item, NOT_PARSED, &reason))
        };
        // What the file declares; its own date is the file system's.
        let declared = self.mapping.observed_at.as_ref().map(|field| field.time(row));
        let declared = declared.map(|time| time.and_then(|time| time.ok_or_else(|| "is empty".to_owned())));
        let (declared, observed_at) = match declared {
            None => (None, Some(self.common.observed_at)),
            Some(Ok(time)) => (Some(time), Some(time)),
            Some(Err(explanation)) => {
                refuse("observed_at", explanation);
                (None, None)
            }
        };
        part.identifiers.push(observed(&self.mapping.customer.namespace, key.to_owned(), observed_at));
        // A value of an unknown moment could replace a newer one.
        let mut unreadable = Vec::new();
        if observed_at.is_some() {
            let (identifiers, refused) = identifiers_of(&self.mapping.identifiers, row, observed_at);
            part.identifiers.extend(identifiers);
            unreadable = refused;
        }
        for (name, field) in self.mapping.attributes.iter().filter(|_| observed_at.is_some()) {
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
            match map_consent(consent, row, declared, self.common.began_at) {
                Ok(grant) => part.consents.extend(grant),
                Err(explanation) => refuse(&consent.purpose, explanation),
            }
        }
        part.refused.extend(unreadable);
        part
    }

    fn map_event(&self, event: &EventMapping, row: &Row) -> Result<v1::Event, String> {
        let mut properties = BTreeMap::new();
        for (name, field) in &event.properties {
            let value =
                field.value(row, v1::ValueType::Text).map_err(|reason| format!("{name}: {reason}"))?;
            if let Some(value) = value {
                properties.insert(name.clone(), value);
            }
        }
        let event_id = expand(&event.id, row, self.occurrence)?;
        EventId::new("event_id", &event_id).map_err(|error| error.to_string())?;
        Ok(v1::Event {
            event_id,
            name: event.name.clone(),
            occurred_at: Some(event.occurred_at.time(row)?.ok_or("the time of the event is empty")?),
            channel: event.channel.clone(),
            properties,
        })
    }
}

impl Common {
    /// The request of the rows from this one on, without what they say.
    fn request(&self, first_row: u64) -> v1::IngestProfileRequest {
        let request_id = self.identities.request(first_row);
        v1::IngestProfileRequest { request_id, has_key: true, ..self.unidentified() }
    }

    /// A request about nobody in particular.
    pub(crate) fn unidentified(&self) -> v1::IngestProfileRequest {
        v1::IngestProfileRequest {
            purpose: self.purpose.clone(),
            source: self.source.clone(),
            party: self.party.into(),
            lawful_basis: self.basis.into(),
            ..v1::IngestProfileRequest::default()
        }
    }
}

/// What one row adds to its customer's request.
#[derive(Debug, Default)]
struct Part {
    /// The key first.
    identifiers: Vec<v1::IdentifierObservation>,
    observations: Vec<v1::Observation>,
    events: Vec<v1::Event>,
    consents: Vec<v1::ConsentGrant>,
    refused: Vec<Refusal>,
}

/// Whether a batch has as many rows as one may have, or as many bytes.
fn is_full(open: &Batch<Ingest>) -> bool {
    open.rows.len() >= ROWS_MAX || open.bytes >= BATCH_BYTES_MAX
}

fn fits(open: &Batch<Ingest>, part: &Part) -> bool {
    let Some(ingest) = &open.request else { return false };
    ingest.request.identifiers.len() + ingest.new_identifiers(&part.identifiers) <= IDENTIFIERS_MAX
        && ingest.observation_rows.len() + part.observations.len() <= OBSERVATIONS_MAX
        && ingest.event_rows.len() + part.events.len() <= EVENTS_MAX
        && ingest.request.consents.len() + part.consents.len() <= GRANTS_MAX
}

fn merge(open: &mut Batch<Ingest>, part: Part, row: Row) {
    if let Some(ingest) = &mut open.request {
        for identifier in part.identifiers {
            ingest.identify(identifier, row.number);
        }
        for observation in part.observations {
            open.refused.extend(ingest.observe(observation, row.number));
        }
        let Ingest { request, event_rows, .. } = ingest;
        event_rows.extend(part.events.iter().map(|_| row.number));
        request.events.extend(part.events);
        for consent in part.consents {
            if !request.consents.contains(&consent) {
                request.consents.push(consent);
            }
        }
    }
    open.refused.extend(part.refused);
    open.add(row);
}

impl Ingest {
    /// Adds an observation of a row, unless it is there already: later rows of a customer mostly repeat its attributes. Which
    /// of two values of the same moment holds is not known, so both are refused.
    fn observe(&mut self, observation: v1::Observation, row: u64) -> Vec<Refusal> {
        let refusal = |row| {
            let reason = "another row of the customer has another value of the same moment";
            Refusal::new(row, &observation.attribute, AMBIGUOUS, reason)
        };
        let moment = observation.observed_at.map(|time| (time.seconds, time.nanos));
        if self.ambiguous.contains(&(observation.attribute.clone(), moment)) {
            return vec![refusal(row)];
        }
        let observations = &mut self.request.observations;
        let is_same = |one: &v1::Observation| {
            one.attribute == observation.attribute && one.observed_at == observation.observed_at
        };
        match observations.iter().position(is_same) {
            None => {
                observations.push(observation);
                self.observation_rows.push(row);
                Vec::new()
            }
            Some(place) if observations.get(place) == Some(&observation) => Vec::new(),
            Some(place) => {
                observations.remove(place);
                let refused = vec![refusal(self.observation_rows.remove(place)), refusal(row)];
                self.ambiguous.insert((observation.attribute, moment));
                refused
            }
        }
    }
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
    use crate::import::row::Cells;

    const MAPPING: &str = r#"
        [customer]
        key = ["id"]
        namespace = "crm"
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
            began_at: Timestamp { seconds: 1_800_000_000, nanos: 0 },
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
        let Ingest { request, event_rows, identifier_rows, .. } = all[0].request.as_ref().unwrap();
        assert!(request.customer_id.is_empty() && request.has_key);
        let observed_at = Some(Timestamp::default());
        assert_eq!(request.identifiers, [observed("crm", "a".into(), observed_at)]);
        assert_eq!(identifier_rows, &[1]);
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
        let ids: BTreeSet<_> = events.map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), 600);
        let requests: BTreeSet<_> = ingests().map(|ingest| ingest.request.request_id.clone()).collect();
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

    fn mapped(mapping: &str, rows: &[&[(&str, &str)]]) -> Vec<Batch<Ingest>> {
        let (mapping, common) = (Mapping::parse(mapping).unwrap(), common());
        let mut batches = ProfileBatcher::new(&mapping, &common);
        let rows = (1..).zip(rows).map(|(number, pairs)| Row::of_pairs(number, pairs));
        let mut all: Vec<_> = rows.flat_map(|row| batches.push(row)).collect();
        all.extend(batches.finish());
        all
    }

    /// Regression: such values got the date of the file, and so an old one replaced a newer one.
    #[test]
    fn values_whose_moment_is_declared_and_cannot_be_read_are_refused() {
        let mapping = "observed_at = \"on\"\n[customer]\nkey = [\"id\"]\nnamespace = \"crm\"\n[attributes]\ncity = \"city\"";
        for on in ["", "01.02.2019"] {
            let all = mapped(mapping, &[&[("id", "a"), ("city", "Perth"), ("on", on)]]);
            assert!(all[0].request.as_ref().unwrap().request.observations.is_empty());
            assert_eq!((all[0].refused.len(), all[0].refused[0].item.as_str()), (1, "observed_at"), "{on}");
        }
    }

    #[test]
    fn of_two_values_of_one_moment_none_is_sent_and_both_rows_are_told() {
        let mapping = "observed_at = \"on\"\n[customer]\nkey = [\"id\"]\nnamespace = \"crm\"\n[attributes]\ncity = \"city\"";
        let row = |city, on| [("id", "a"), ("city", city), ("on", on)];
        let rows = [
            row("Perth", "2026-01-01"),
            row("Perth", "2026-01-01"),
            row("Bath", "2026-01-01"),
            row("Perth", "2026-01-01"),
            row("Bath", "2026-01-02"),
        ];
        let all = mapped(mapping, &rows.each_ref().map(|row| row.as_slice()));
        let sent = &all[0].request.as_ref().unwrap();
        assert_eq!((sent.request.observations.len(), sent.observation_rows.as_slice()), (1, &[5][..]));
        let refused: Vec<_> = all[0].refused.iter().map(|one| (one.row, one.reason.as_str())).collect();
        assert_eq!(refused, [(1, AMBIGUOUS), (3, AMBIGUOUS), (4, AMBIGUOUS)]);
    }

    /// CO-5: a consent counts from the date that the file declares, never from the import.
    #[test]
    fn a_consent_without_a_date_of_its_own_has_that_of_the_file() {
        let text = "observed_at = { constant = \"2026-01-31\" }\n[customer]\nkey = [\"id\"]\nnamespace = \"crm\"\n[[consents]]\n\
                    purpose = \"offers\"\nnotice_version = \"1\"\nmethod = \"explicit\"\nact = \"signed\"";
        let mapping = Mapping::parse(text).unwrap();
        let common = common();
        let mut batches = ProfileBatcher::new(&mapping, &common);
        batches.push(row(1, "a", "19970101"));
        let request = batches.finish().unwrap().request.unwrap().request;
        assert_eq!(request.consents[0].given_at.unwrap().to_string(), "2026-01-31T00:00:00Z");
    }

    #[test]
    fn rows_that_cannot_be_read_do_not_gather_in_memory() {
        let bad = |number| Row {
            cells: Cells::Unreadable("bad".into(), vec![b'x'; 4_096]),
            ..row(number, "a", "")
        };
        let rows = std::iter::once(row(1, "a", "19970101")).chain((2..=5_000).map(bad));
        let all = batches(rows);
        assert!(
            all.iter().all(|batch| batch.rows.len() <= ROWS_MAX && batch.bytes <= BATCH_BYTES_MAX + 4_096)
        );
        assert_eq!(all.iter().map(|batch| batch.refused.len()).sum::<usize>(), 4_999);
        assert!(all.iter().all(|batch| batch.position.is_some()));
    }

    #[test]
    fn an_id_that_is_too_long_refuses_its_event_alone() {
        let all = batches([row(1, &"x".repeat(70), "19970101")]);
        let Ingest { request, .. } = all[0].request.as_ref().unwrap();
        assert_eq!((request.events.len(), request.observations.len()), (0, 1));
        assert!(all[0].refused[0].explanation.contains("64 bytes"), "{:?}", all[0].refused);
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
