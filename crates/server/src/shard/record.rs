//! Loads a customer's values from the engine: opens, decodes, and reports what cannot be read.
//!
//! Invariant: a value that does not authenticate or decode is never served and never replaced. The call ends with
//! DATA_LOSS, the value is counted and logged with shard and revision, and the shard keeps serving.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_profile::{
    CustomerRecord, Event, EventId, GroupId, Ingested, Outcome, RefusalReason, RequestMemory, Revision,
    ShardId, Stored, StoredEvent,
};
use custodia_store::{EventSortKey, Key, KeyParts, ValueHeader};
use tokio::time::Instant;

use super::ShardContext;
use crate::{
    counters::count_unreadable,
    keys::{KeysError, ShardKeys},
    routing::CustomerLocation,
    wire::ServiceError,
};

/// A value with its header.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) header: ValueHeader,
    pub(crate) value: T,
}

impl<T> Loaded<T> {
    pub(crate) const fn revision(&self) -> Revision {
        Revision::from_u64(self.header.revision)
    }
}

/// The stored events with the ids of a request's events; `None` for one that cannot be read.
#[derive(Debug, Default)]
pub(crate) struct StoredEvents(BTreeMap<EventId, Option<StoredEvent>>);

impl StoredEvents {
    /// One stored event.
    #[cfg(test)]
    pub(super) fn of(event: StoredEvent) -> Self {
        Self([(event.event.id.clone(), Some(event))].into())
    }

    /// Adds those that members have.
    pub(super) fn add(&mut self, members: Vec<(EventId, Option<StoredEvent>)>) {
        for (id, event) in members {
            self.0.entry(id).or_insert(event);
        }
    }

    /// Whether an event with this id is stored.
    pub(super) fn has(&self, id: &EventId) -> bool {
        self.0.contains_key(id)
    }

    /// The outcome for an event whose id is already stored; `None` if it is not.
    fn outcome_of(&self, event: &StoredEvent) -> Option<Outcome> {
        Some(match self.0.get(&event.event.id)? {
            Some(stored) if stored.says_the_same(event) => Outcome::Merged,
            Some(_other) => Outcome::Refused(RefusalReason::EventIdReused),
            None => Outcome::Refused(RefusalReason::Unreadable),
        })
    }

    /// Removes already stored events from those to append. `sent` are all events of the request, in the order of their
    /// outcomes. An event whose id is stored with other content is refused.
    pub(crate) fn sift(&self, sent: &[Event], ingested: &mut Ingested) {
        let mut unseen = Vec::with_capacity(ingested.events.len());
        for event in std::mem::take(&mut ingested.events) {
            match self.outcome_of(&event) {
                None => unseen.push(event),
                Some(Outcome::Merged) => {}
                Some(refused) => {
                    let outcomes = sent.iter().zip(&mut ingested.event_outcomes);
                    let stays = |(sent, outcome): &(&Event, &mut Outcome)| {
                        sent.id == event.event.id && **outcome == Outcome::Merged
                    };
                    for (_, outcome) in outcomes.filter(stays) {
                        *outcome = refused;
                    }
                }
            }
        }
        ingested.events = unseen;
    }
}

impl ShardContext {
    /// The keys of a shard.
    pub(crate) fn keys_of(&self, shard: ShardId) -> Result<&Arc<ShardKeys>, ServiceError> {
        let keys = self.keys().of(self.routing().cluster()?, shard);
        keys.ok_or(ServiceError::Internal { context: "a shard number out of range" })
    }

    /// The customer's core record in the engine. The caller must have passed the read barrier.
    pub(crate) fn core(
        &self,
        location: CustomerLocation,
    ) -> Result<Option<Loaded<CustomerRecord>>, ServiceError> {
        self.load(location, &Key::core(location.group(), &location.customer))
    }

    /// The customer's core record, behind a read barrier.
    pub(super) async fn led_core(
        &self,
        location: CustomerLocation,
        deadline: Instant,
    ) -> Result<Option<Loaded<CustomerRecord>>, ServiceError> {
        let read = async || self.core(location);
        self.read_led(location.group(), ReadMode::Lease, deadline, read).await
    }

    /// The customer's remembered requests.
    pub(super) fn requests(
        &self,
        location: CustomerLocation,
    ) -> Result<Option<Loaded<RequestMemory>>, ServiceError> {
        self.load(location, &Key::requests(location.group(), &location.customer))
    }

    /// The value stored under `key`, one of the customer's keys.
    pub(crate) fn load<T: Stored>(
        &self,
        location: CustomerLocation,
        key: &Key,
    ) -> Result<Option<Loaded<T>>, ServiceError> {
        let opened = self.keys_of(location.shard)?.read(key);
        self.loaded(location, key, opened)
    }

    /// Opens and decodes a value that was read from `key`.
    pub(crate) fn open<T: Stored>(
        &self,
        location: CustomerLocation,
        key: &Key,
        stored: Bytes,
    ) -> Result<Option<Loaded<T>>, ServiceError> {
        let opened = self.keys_of(location.shard)?.open(key, stored);
        self.loaded(location, key, opened)
    }

    /// The stored events with the ids of these events.
    pub(super) fn stored_events(
        &self,
        location: CustomerLocation,
        events: &[Event],
    ) -> Result<StoredEvents, ServiceError> {
        let mut stored = BTreeMap::new();
        for event in events {
            if let Some(found) = self.event_of_id(location, &event.id)? {
                stored.insert(event.id.clone(), found);
            }
        }
        Ok(StoredEvents(stored))
    }

    pub(super) fn event_of_id(
        &self,
        location: CustomerLocation,
        id: &EventId,
    ) -> Result<Option<Option<StoredEvent>>, ServiceError> {
        let (group, customer) = (location.group(), &location.customer);
        let by_id = Key::event_id(group, customer, id.as_str());
        let Some(pointer) = self.engine().get(by_id.as_ref())? else { return Ok(None) };
        let stored = ValueHeader::decode(&pointer)
            .and_then(|(_, sort_key)| EventSortKey::from_bytes(&sort_key))
            .map_err(|error| unreadable(location, &by_id, None, &error))
            .and_then(|sort_key| self.load(location, &Key::event(group, customer, &sort_key)));
        match stored {
            Ok(event) => Ok(Some(event.map(|Loaded { value, .. }| value))),
            Err(ServiceError::Unreadable) => Ok(Some(None)),
            Err(error) => Err(error),
        }
    }

    fn loaded<T: Stored>(
        &self,
        location: CustomerLocation,
        key: &Key,
        opened: Result<Option<crate::keys::Opened>, KeysError>,
    ) -> Result<Option<Loaded<T>>, ServiceError> {
        match opened {
            Ok(None) => Ok(None),
            Ok(Some(opened)) => match T::decode(&opened.plaintext) {
                Ok(value) => Ok(Some(Loaded { header: opened.header, value })),
                Err(error) => Err(unreadable(location, key, Some(opened.header.revision), &error)),
            },
            Err(error) if error.is_data_loss() => Err(unreadable(location, key, None, &error)),
            Err(error) => Err(self.key_failure(location.group(), error)),
        }
    }

    /// Converts a failure of the keys of a shard.
    pub(crate) fn key_failure(&self, group: GroupId, error: KeysError) -> ServiceError {
        match error {
            KeysError::Consensus(error) => self.routing().consensus_error(group, error),
            KeysError::Barrier(error) => self.routing().barrier_failed(group, error),
            KeysError::Store(error) => error.into(),
            KeysError::NoCustomer | KeysError::Destroyed => ServiceError::CustomerNotFound,
            KeysError::Contended { tries } => ServiceError::Contended { tries },
            KeysError::BlindingKeyMissing => ServiceError::CatalogueUnavailable,
            KeysError::Seal(_)
            | KeysError::ShardKeyMissing { .. }
            | KeysError::BucketKeyMissing { .. }
            | KeysError::CustomerKeyMissing { .. }
            | KeysError::EpochGone { .. }
            | KeysError::Malformed { .. }
            | KeysError::Exhausted { .. } => ServiceError::Keys(error),
        }
    }
}

/// Counts and logs an unreadable value. The log does not name the customer: shard and revision identify it for a repair.
fn unreadable(
    location: CustomerLocation,
    key: &Key,
    revision: Option<u64>,
    error: &dyn std::error::Error,
) -> ServiceError {
    count_unreadable();
    let kind = KeyParts::parse(key.as_ref()).map(|parts| parts.kind).ok();
    tracing::error!(shard = %location.shard, ?kind, revision, %error, "stored value does not authenticate or decode");
    ServiceError::Unreadable
}
