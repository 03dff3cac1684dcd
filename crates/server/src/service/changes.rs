//! The log of the catalogue: every change in order, and from it the catalogue as it was at a past moment.
//!
//! ```text
//! directory ── change V   header{revision = V} ‖ CatalogueChange v1 { version V, when, who, the entry after it }
//! ```
//!
//! Must always hold: a change is written in the same command as the entry, under the catalogue's new version, and never
//! again; its moment is not before that of the change before it. So the changes up to a moment are the first ones of
//! the log. The log grows without bound: it is read from the engine, never kept in memory.
//!
//! What was defined before there was a log has no first change here. It counts as always there: as it is now where it
//! was never changed since, else as it was after the first change that the log has.

use std::collections::BTreeSet;

use bytes::Bytes;
use custodia_consensus::Write;
use custodia_profile::{
    Catalogue, CatalogueChange, CatalogueEntry, GroupId, Revision, Stored as _, TimestampMs,
};
use custodia_proto::v1;
use custodia_store::{Key, KeyKind, KeyPrefix, StateEngine, ValueHeader};
use tokio::time::Instant;

use super::{
    catalogue_convert,
    catalogue_view::CatalogueView,
    definition::{Definition, FIRST},
    definitions::PAGE,
    error::ServiceError,
    events::page_size,
    opaque::{Listing, page_token, parse_page_token},
    room::Room,
    time::now,
};
use crate::identity::Caller;

/// Changes that are read from the engine at a time.
const CHUNK: usize = 256;

/// The entry of the log for a change to `entry`, on the directory's leader.
pub(super) fn next_change(
    room: &Room,
    view: &CatalogueView,
    caller: &Caller,
    entry: CatalogueEntry,
) -> Result<Write, ServiceError> {
    logged(&**room.consensus().engine(), view.version, now(), &caller.name, entry)
}

fn logged(
    engine: &dyn StateEngine,
    version_before: u64,
    now: TimestampMs,
    changed_by: &str,
    entry: CatalogueEntry,
) -> Result<Write, ServiceError> {
    let before = engine.get(Key::catalogue_change(version_before).as_ref())?;
    let before = before.map(|value| decoded(&value)).transpose()?;
    let changed_at = before.map_or(now, |before| before.changed_at().max(now));
    let version = version_before.saturating_add(1);
    let change = CatalogueChange::new(version, changed_at, changed_by.to_owned(), entry)?;
    let header = ValueHeader { revision: version, ..ValueHeader::default() };
    let key = Key::catalogue_change(version).into_bytes();
    Ok(Write { key, value: Some(header.encode(&change.encode())) })
}

fn decoded(value: &Bytes) -> Result<CatalogueChange, ServiceError> {
    let (_, payload) = ValueHeader::decode(value)?;
    Ok(CatalogueChange::decode(&payload)?)
}

/// A page of the log, from this node's engine once it has every change that was acknowledged before the call.
pub(super) async fn list_changes(
    room: &Room,
    request: &v1::ListCatalogChangesRequest,
    deadline: Instant,
) -> Result<v1::ListCatalogChangesResponse, ServiceError> {
    let size = page_size(request.page_size, PAGE.0, PAGE.1)?;
    let after = page_start(&request.page_token)?;
    Box::pin(room.catalogue_cache().catch_up(room, deadline)).await?;
    let view = room.view()?;
    let mut budget = room.limits().response_bytes_max / 2;
    let mut log = Log::behind(&**room.consensus().engine(), after);
    let mut changes: Vec<v1::CatalogChange> = Vec::new();
    let mut next_page_token = String::new();
    while let Some(change) = log.next_change()? {
        let wire = catalogue_convert::change(&change, &view.catalogue);
        let bytes = prost::Message::encoded_len(&wire);
        if let Some(last) = changes.last()
            && (changes.len() == size || bytes > budget)
        {
            next_page_token = page_token(Listing::Changes, &last.version.to_be_bytes());
            break;
        }
        budget = budget.saturating_sub(bytes);
        changes.push(wire);
    }
    Ok(v1::ListCatalogChangesResponse { changes, next_page_token })
}

fn page_start(token: &str) -> Result<Option<u64>, ServiceError> {
    let Some(place) = parse_page_token(Listing::Changes, token)? else { return Ok(None) };
    let malformed = |_length| ServiceError::invalid("page_token", "is not a token of this list");
    place.as_slice().try_into().map(|bytes| Some(u64::from_be_bytes(bytes))).map_err(malformed)
}

impl Room {
    /// The catalogue as it was at a moment, and its version then. As of now, only what this node has of it counts: the
    /// caller has caught up where that matters.
    pub(super) fn catalogue_as_of(&self, moment: TimestampMs) -> Result<(Catalogue, u64), ServiceError> {
        as_of(&**self.consensus().engine(), &*self.view()?, moment)
    }
}

fn as_of(
    engine: &dyn StateEngine,
    current: &CatalogueView,
    moment: TimestampMs,
) -> Result<(Catalogue, u64), ServiceError> {
    let older = older_than_the_log(engine, current)?;
    let mut log = Log::behind(engine, None);
    let mut fault = None;
    let logged = std::iter::from_fn(|| {
        log.next_change().unwrap_or_else(|error| {
            fault = Some(error);
            None
        })
    });
    let found = Catalogue::as_of(older.into_iter().chain(logged), moment);
    if let Some(fault) = fault {
        return Err(fault);
    }
    found.map_err(|_replay| ServiceError::Internal { context: "the log of the catalogue does not replay" })
}

/// What was there before the log began, as changes at the beginning of time. The last has the version at which the log
/// begins; there were at least as many versions, because each of these was created by a change of its own.
fn older_than_the_log(
    engine: &dyn StateEngine,
    current: &CatalogueView,
) -> Result<Vec<CatalogueChange>, ServiceError> {
    let mut logged = BTreeSet::new();
    let mut older = Vec::new();
    let mut begins_behind = current.version;
    let mut log = Log::behind(engine, None);
    while let Some(change) = log.next_change()? {
        begins_behind = begins_behind.min(change.version().saturating_sub(1));
        let (key, revision) = place(change.entry());
        if logged.insert(key) && revision > FIRST {
            older.push(change.entry().clone());
        }
    }
    let is_older = |entry: &CatalogueEntry| {
        let (key, revision) = place(entry);
        revision >= FIRST && !logged.contains(&key)
    };
    older.extend(entries(&current.catalogue).filter(is_older));
    // Attributes name purposes, and those come first in the order of the keys. One that names a purpose of later cannot
    // have been so, and nothing else is known of it.
    older.sort_by_cached_key(|entry| place(entry).0);
    let mut fitting = Catalogue::new();
    older.retain(|entry| fitting.put(entry.clone()).is_ok());
    let versions = (1..=begins_behind).rev().take(older.len());
    let mut changes = Vec::with_capacity(older.len());
    for (version, entry) in versions.zip(older.into_iter().rev()) {
        let beginning = TimestampMs::from_ms(i64::MIN);
        changes.push(CatalogueChange::new(version, beginning, String::new(), entry)?);
    }
    changes.reverse();
    Ok(changes)
}

/// Where an entry lies in the directory, and its revision.
fn place(entry: &CatalogueEntry) -> (Key, Revision) {
    match entry {
        CatalogueEntry::Purpose(purpose) => (purpose.key(), purpose.revision),
        CatalogueEntry::Attribute(attribute) => (attribute.key(), attribute.revision),
        CatalogueEntry::Jurisdiction(jurisdiction) => (jurisdiction.key(), jurisdiction.revision),
        CatalogueEntry::Recipient(recipient) => (recipient.key(), recipient.revision),
    }
}

fn entries(catalogue: &Catalogue) -> impl Iterator<Item = CatalogueEntry> {
    let purposes = catalogue.purposes().cloned().map(CatalogueEntry::Purpose);
    let attributes = catalogue.attributes().cloned().map(CatalogueEntry::Attribute);
    let jurisdictions = catalogue.jurisdictions().cloned().map(CatalogueEntry::Jurisdiction);
    let recipients = catalogue.recipients().cloned().map(CatalogueEntry::Recipient);
    purposes.chain(attributes).chain(jurisdictions).chain(recipients)
}

/// The changes of the log, one after the other, read in chunks.
struct Log<'a> {
    engine: &'a dyn StateEngine,
    last: Option<Bytes>,
    chunk: std::vec::IntoIter<(Bytes, Bytes)>,
    is_last_chunk: bool,
}

impl<'a> Log<'a> {
    /// All that come after a version.
    fn behind(engine: &'a dyn StateEngine, version: Option<u64>) -> Self {
        let last = version.map(|version| Key::catalogue_change(version).into_bytes());
        Self { engine, last, chunk: Vec::new().into_iter(), is_last_chunk: false }
    }

    fn next_change(&mut self) -> Result<Option<CatalogueChange>, ServiceError> {
        if self.chunk.as_slice().is_empty() && !self.is_last_chunk {
            let prefix = KeyPrefix::kind(GroupId::Directory, KeyKind::CatalogueChange);
            let chunk = self.engine.scan(prefix.as_bytes(), self.last.as_deref(), CHUNK)?;
            self.is_last_chunk = chunk.len() < CHUNK;
            self.last = chunk.last().map(|(key, _)| key.clone()).or_else(|| self.last.take());
            self.chunk = chunk.into_iter();
        }
        self.chunk.next().map(|(_, value)| decoded(&value)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use custodia_profile::LawfulBasis;
    use custodia_store::{Batch, MemoryEngine};

    use super::*;
    use crate::service::catalogue_for_tests::{attribute, purpose, purpose_at};

    const CONTRACT: &[LawfulBasis] = &[LawfulBasis::Contract];
    const CONSENT: &[LawfulBasis] = &[LawfulBasis::Consent];

    fn at(ms: i64) -> TimestampMs {
        TimestampMs::from_ms(ms)
    }

    fn view(entries: Vec<CatalogueEntry>, version: u64) -> CatalogueView {
        let catalogue = Catalogue::from_entries(entries).expect("fits").into();
        CatalogueView { directory: Arc::default(), catalogue, version }
    }

    fn write(engine: &MemoryEngine, version_before: u64, ms: i64, entry: impl Into<CatalogueEntry>) {
        let logged = logged(engine, version_before, at(ms), "ana", entry.into()).expect("logged");
        let mut batch = Batch::new();
        batch.put(logged.key, logged.value.expect("a value"));
        engine.write(batch).expect("written");
    }

    fn all(engine: &MemoryEngine) -> Vec<CatalogueChange> {
        let mut log = Log::behind(engine, None);
        std::iter::from_fn(|| log.next_change().expect("decodes")).collect()
    }

    #[test]
    fn a_change_is_never_dated_before_the_one_before_it() {
        let engine = MemoryEngine::new();
        for (version, ms) in [(0, 100), (1, 90), (2, 120)] {
            write(&engine, version, ms, purpose_at(1, "care", CONTRACT, version + 1));
        }
        let moments: Vec<_> =
            all(&engine).iter().map(|change| (change.version(), change.changed_at())).collect();
        assert_eq!(moments, [(1, at(100)), (2, at(100)), (3, at(120))]);
        assert!(all(&engine).iter().all(|change| change.changed_by() == "ana"));
    }

    #[test]
    fn the_log_is_read_over_many_chunks_and_from_any_version() {
        let engine = MemoryEngine::new();
        let count = u64::try_from(CHUNK).expect("small") * 2;
        for version in 0..count {
            write(&engine, version, 1, purpose_at(1, "care", CONTRACT, version + 1));
        }
        assert_eq!(all(&engine).len(), CHUNK * 2);
        let mut log = Log::behind(&engine, Some(count - 1));
        assert_eq!(log.next_change().expect("decodes").map(|change| change.version()), Some(count));
        assert_eq!(log.next_change().expect("decodes"), None);
        assert_eq!(log.next_change().expect("decodes"), None);
    }

    /// CO-8.
    #[test]
    fn the_catalogue_of_a_moment_has_the_entries_as_they_were() {
        let engine = MemoryEngine::new();
        write(&engine, 0, 100, purpose(1, "care", CONTRACT));
        write(&engine, 1, 200, attribute(1, "email", &[1]));
        write(&engine, 2, 300, purpose_at(1, "care", CONSENT, 2));
        let current = view(all(&engine).iter().map(|change| change.entry().clone()).take(2).collect(), 3);
        let found = |ms| {
            let (catalogue, version) = as_of(&engine, &current, at(ms)).expect("replays");
            let bases = catalogue.purpose_by_id("care").map(|purpose| purpose.lawful_bases.clone());
            (bases, catalogue.attribute_by_name("email").is_some(), version)
        };
        assert_eq!(found(99), (None, false, 0));
        assert_eq!(found(100), (Some(CONTRACT.to_vec()), false, 1));
        assert_eq!(found(299), (Some(CONTRACT.to_vec()), true, 2));
        assert_eq!(found(300), (Some(CONSENT.to_vec()), true, 3));
    }

    #[test]
    fn what_is_older_than_the_log_counts_as_always_there() {
        let engine = MemoryEngine::new();
        // Versions 1 to 4 left no change. Since then `care` was changed, and `email` came to serve a new purpose.
        write(&engine, 4, 100, purpose_at(1, "care", CONSENT, 2));
        write(&engine, 5, 200, purpose(3, "offers", CONSENT));
        let untouched = [purpose(2, "billing", CONTRACT).into(), attribute(1, "iban", &[2]).into()];
        let logged = all(&engine).into_iter().map(|change| change.entry().clone());
        let current = view(untouched.into_iter().chain(logged).collect(), 6);
        let (catalogue, version) = as_of(&engine, &current, at(50)).expect("replays");
        let names: Vec<_> = catalogue.purposes().map(|purpose| purpose.id.as_str()).collect();
        assert_eq!((names, version), (vec!["billing", "care"], 4));
        assert!(catalogue.attribute_by_name("iban").is_some());
        let (catalogue, version) = as_of(&engine, &current, at(200)).expect("replays");
        assert_eq!((catalogue.purposes().count(), version), (3, 6));

        let (catalogue, version) = as_of(&MemoryEngine::new(), &current, at(50)).expect("no log");
        assert_eq!((catalogue.purposes().count(), version), (3, 6));
    }

    #[test]
    fn an_older_entry_that_names_what_came_later_is_left_out_of_the_time_before() {
        let engine = MemoryEngine::new();
        write(&engine, 2, 100, purpose(2, "offers", CONSENT));
        let mut fields = (*attribute(1, "email", &[1, 2])).clone();
        fields.revision = Revision::from_u64(2);
        let email = custodia_profile::AttributeDefinition::new(fields).expect("valid");
        write(&engine, 3, 200, email);
        let logged = all(&engine).into_iter().map(|change| change.entry().clone());
        let current = view(logged.chain([purpose(1, "care", CONTRACT).into()]).collect(), 4);
        let (catalogue, _) = as_of(&engine, &current, at(50)).expect("replays");
        assert!(catalogue.purpose_by_id("care").is_some() && catalogue.attribute_by_name("email").is_none());
        let (catalogue, _) = as_of(&engine, &current, at(200)).expect("replays");
        assert!(catalogue.attribute_by_name("email").is_some());
    }

    #[test]
    fn a_page_token_names_a_version() {
        let token = page_token(Listing::Changes, &258_u64.to_be_bytes());
        assert_eq!(page_start(&token).expect("parses"), Some(258));
        assert_eq!(page_start("").expect("the first page"), None);
        assert!(page_start(&page_token(Listing::Changes, &[1, 2])).is_err());
    }
}
