//! The one way in which a customer changes.
//!
//! ```text
//! lock the customer ─▶ read barrier ─▶ read core and remembered requests ─▶ answered before? ── yes ──▶ first answer
//!        ▲                                                                      │ no
//!        │                                                              etag as expected?
//!        │                                                                      │
//!        └──────────────── conflict ◀── propose ◀── seal ◀── evaluate (pure, in profile)
//!                                           │ applied
//!                                           ▼
//!                                         answer
//! ```
//!
//! Why no data slips past a withdrawal, and no request takes effect twice: what was read is in the command's conditions
//! (revision and consent revision of the core, revision of the request memory, absence of each new event id, the
//! customer's key). Whatever changed in between, also by a proposal of before whose outcome nobody knows, makes
//! the command fail as a whole, and everything is evaluated again on the new state. The lock only saves that
//! work; it is not needed for any of this.

use custodia_consensus::{Command, Condition, ConsensusError, Expected, Outcome};
use custodia_profile::{
    CustomerId, CustomerRecord, Event, Ingested, LedgerEntry, Outcome as Judged, RefusalReason, RequestId,
    RequestMemory, Revision, Stored, StoredEvent, TimestampMs,
};
use custodia_seal::BucketId;
use custodia_store::{EventSortKey, Key, ValueHeader};
use prost::Message;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    error::{FieldFault, ServiceError},
    fingerprint::Fingerprint,
    meters::count_conflict,
    record::{Home, Loaded, unreadable},
    room::Room,
    time::now,
};
use crate::keys::{CustomerWriter, KeysError};

/// How often a change is evaluated at most.
const TRIES_MAX: u32 = 8;

/// A request that is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remembered {
    pub(super) id: RequestId,
    pub(super) fingerprint: Fingerprint,
}

/// What a change asks for, besides what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) remembered: Option<Remembered>,
    /// The revision at which the record must be.
    pub(super) etag: Option<Revision>,
    pub(super) commit: Commit,
}

/// Whether a change is made or only judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    Yes,
    ValidateOnly,
}

/// What a change is evaluated on.
#[derive(Debug)]
pub(super) struct State {
    pub(super) home: Home,
    pub(super) now: TimestampMs,
    core: Option<Loaded<CustomerRecord>>,
    requests: Option<Loaded<RequestMemory>>,
}

impl State {
    /// The record, where the customer has one.
    pub(super) fn record(&self) -> Option<&CustomerRecord> {
        self.core.as_ref().map(|core| &core.value)
    }

    /// The revision that the record has.
    pub(super) fn revision(&self) -> Revision {
        self.core.as_ref().map_or(Revision::NONE, Loaded::revision)
    }

    /// The revision that the record will have where it changes.
    pub(super) fn next_revision(&self) -> Revision {
        self.revision().next()
    }

    /// The revision that the record will have, whether it changes or not.
    pub(super) fn revision_after(&self, changes: bool) -> Revision {
        if changes { self.next_revision() } else { self.revision() }
    }

    /// The customer's consent revision.
    pub(super) fn consent_revision(&self) -> u64 {
        self.core.as_ref().map_or(0, |core| core.header.guard)
    }

    /// The customer's consent revision after these decisions: each is one step.
    pub(super) fn consent_revision_after(&self, decisions: &[LedgerEntry]) -> u64 {
        self.consent_revision().saturating_add(u64::try_from(decisions.len()).unwrap_or(u64::MAX))
    }

    /// The bucket of the customer's key, where it has one.
    fn bucket(&self) -> Option<u32> {
        let requests = || self.requests.as_ref().map(|requests| requests.header.bucket);
        self.core.as_ref().map(|core| core.header.bucket).or_else(requests)
    }
}

/// What an evaluation leads to.
#[derive(Debug)]
pub(super) struct Change<A> {
    /// The new record, where it differs.
    pub(super) record: Option<CustomerRecord>,
    /// Entries to append to the ledger; with any, the consent revision rises.
    pub(super) ledger: Vec<LedgerEntry>,
    /// Events to append, none of which is stored.
    pub(super) events: Vec<StoredEvent>,
    pub(super) answer: A,
}

impl Room {
    /// Changes a customer, or gives the first answer to a request that was answered before.
    pub(super) async fn change<A, F>(
        &self,
        home: Home,
        terms: Terms,
        deadline: Instant,
        evaluate: F,
    ) -> Result<A, ServiceError>
    where
        A: Message + Default,
        F: Fn(&State) -> Result<Change<A>, ServiceError> + Send + Sync,
    {
        let _locked = self.locks().lock(home.customer, deadline).await?;
        for _ in 0..TRIES_MAX {
            self.read_barrier(home.group(), deadline).await?;
            let state = self.state(home, terms)?;
            if let Some(answer) = answered_before(&state, terms.remembered)? {
                return Ok(answer);
            }
            if terms.etag.is_some_and(|etag| etag != state.revision()) {
                return Err(ServiceError::EtagStale);
            }
            let change = evaluate(&state)?;
            let changes = change.record.is_some() || !change.events.is_empty() || terms.remembered.is_some();
            if terms.commit == Commit::ValidateOnly || !changes {
                return Ok(change.answer);
            }
            let command = self.command(&state, terms.remembered, &change, deadline).await?;
            match self.consensus().propose(home.group(), command, deadline.into_std()).await {
                Ok(Outcome::Applied { .. }) => return Ok(change.answer),
                Ok(Outcome::Conflict { .. }) => {
                    count_conflict();
                }
                Err(ConsensusError::Timeout) => return Err(unknown_outcome(deadline)),
                Err(error) => return Err(self.explained(home.group(), error)),
            }
        }
        Err(ServiceError::Contended { tries: TRIES_MAX })
    }

    fn state(&self, home: Home, terms: Terms) -> Result<State, ServiceError> {
        let core = self.core(home)?;
        // Also without a request id where there is no record: the memory may stand alone, and knows the key's bucket.
        let needed = terms.remembered.is_some() || core.is_none();
        let requests = if needed { self.requests(home)? } else { None };
        Ok(State { home, now: now(), core, requests })
    }

    /// The one command that makes a change and everything that belongs to it.
    async fn command<A: Message>(
        &self,
        state: &State,
        remembered: Option<Remembered>,
        change: &Change<A>,
        deadline: Instant,
    ) -> Result<Command, ServiceError> {
        let home = state.home;
        let failed = |error: KeysError| self.key_failure(home.group(), error);
        let keys = self.keys_of(home.shard)?;
        let bucket = state.bucket().map(BucketId::new);
        let writer = keys.writer(home.customer, bucket, deadline.into_std()).await.map_err(failed)?;
        let mut draft = Draft { home, writer, command: Command::default() };
        draft.conditions(state, remembered);
        draft.records(state, remembered, change).map_err(failed)?;
        Ok(draft.finish())
    }

    /// Leaves of the events to append those that are not stored yet. `sent` are all of the request, in the order of
    /// their outcomes: one whose id is stored with other content is refused.
    pub(super) fn sift_events(
        &self,
        home: Home,
        sent: &[Event],
        ingested: &mut Ingested,
    ) -> Result<(), ServiceError> {
        let mut unseen = Vec::with_capacity(ingested.events.len());
        for event in std::mem::take(&mut ingested.events) {
            match self.stored_before(home, &event)? {
                None => unseen.push(event),
                Some(Judged::Merged) => {}
                Some(refused) => {
                    let outcomes = sent.iter().zip(&mut ingested.event_outcomes);
                    let stays = |(sent, outcome): &(&Event, &mut Judged)| {
                        sent.id == event.event.id && **outcome == Judged::Merged
                    };
                    for (_, outcome) in outcomes.filter(stays) {
                        *outcome = refused;
                    }
                }
            }
        }
        ingested.events = unseen;
        Ok(())
    }

    /// What becomes of an event whose id is stored; nothing where it is not.
    fn stored_before(&self, home: Home, event: &StoredEvent) -> Result<Option<Judged>, ServiceError> {
        let by_id = Key::event_id(home.group(), &home.customer, event.event.id.as_str());
        let Some(pointer) = self.consensus().engine().get(by_id.as_ref())? else { return Ok(None) };
        let stored = ValueHeader::decode(&pointer)
            .and_then(|(_, place)| EventSortKey::from_bytes(&place))
            .map_err(|error| unreadable(home, &by_id, None, &error))
            .and_then(|place| self.load(home, &Key::event(home.group(), &home.customer, &place)));
        match stored {
            Ok(Some(Loaded::<StoredEvent> { value, .. })) if value.says_the_same(event) => {
                Ok(Some(Judged::Merged))
            }
            Ok(Some(_other)) => Ok(Some(Judged::Refused(RefusalReason::EventIdReused))),
            Ok(None) | Err(ServiceError::Unreadable) => Ok(Some(Judged::Refused(RefusalReason::Unreadable))),
            Err(error) => Err(error),
        }
    }
}

/// A command in the making.
struct Draft {
    home: Home,
    writer: CustomerWriter,
    command: Command,
}

impl Draft {
    fn finish(mut self) -> Command {
        self.writer.finish(&mut self.command);
        self.command
    }

    fn expect(&mut self, key: Key, expected: Expected) {
        self.command.conditions.push(Condition { key: key.into_bytes(), expected });
    }

    fn seal(&mut self, key: &Key, at: Revisions, value: &impl Stored) -> Result<(), KeysError> {
        let plaintext = Zeroizing::new(value.encode());
        self.command.writes.push(self.writer.seal(key, at.revision, at.guard, &plaintext)?);
        Ok(())
    }

    /// All of the state that was read.
    fn conditions(&mut self, state: &State, remembered: Option<Remembered>) {
        let core = state.core.as_ref().map_or(Expected::Absent, |core| Expected::Both {
            revision: core.header.revision,
            guard: core.header.guard,
        });
        self.expect(Key::core(self.home.group(), &self.home.customer), core);
        if remembered.is_some() || state.core.is_none() {
            let known = state.requests.as_ref().map(|requests| requests.header.revision);
            let requests = known.map_or(Expected::Absent, Expected::Revision);
            self.expect(Key::requests(self.home.group(), &self.home.customer), requests);
        }
    }

    fn records<A: Message>(
        &mut self,
        state: &State,
        remembered: Option<Remembered>,
        change: &Change<A>,
    ) -> Result<(), KeysError> {
        let after = Revisions::after(state, change);
        if let Some(record) = &change.record {
            self.seal(&Key::core(self.home.group(), &self.home.customer), after, record)?;
        }
        for entry in &change.ledger {
            let key = Key::ledger(self.home.group(), &self.home.customer, entry.sequence);
            self.expect(key.clone(), Expected::Absent);
            self.seal(&key, after, entry)?;
        }
        for event in &change.events {
            self.event(event, after)?;
        }
        match remembered {
            Some(request) => self.memory(state, request, &change.answer),
            None => Ok(()),
        }
    }

    /// The event and the way to it from its id. The place is in the event's key as well, so it needs no seal.
    fn event(&mut self, event: &StoredEvent, at: Revisions) -> Result<(), KeysError> {
        let (group, customer, id) = (self.home.group(), self.home.customer, event.event.id.as_str());
        let place = EventSortKey::new(event.event.occurred_at, id);
        let by_id = Key::event_id(group, &customer, id);
        self.expect(by_id.clone(), Expected::Absent);
        let pointer = self.writer.clear(&by_id, at.revision, at.guard, place.as_bytes());
        self.command.writes.push(pointer);
        self.seal(&Key::event(group, &customer, &place), at, event)
    }

    fn memory(&mut self, state: &State, request: Remembered, answer: &impl Message) -> Result<(), KeysError> {
        let revision = state.requests.as_ref().map_or(0, |requests| requests.header.revision);
        let mut memory = state.requests.as_ref().map(|requests| requests.value.clone()).unwrap_or_default();
        let mut bytes = request.fingerprint.to_vec();
        bytes.extend_from_slice(&answer.encode_to_vec());
        memory.remember(request.id, state.now, bytes);
        let at = Revisions { revision: revision.saturating_add(1), guard: 0 };
        self.seal(&Key::requests(self.home.group(), &self.home.customer), at, &memory)
    }
}

/// What the header of a value says.
#[derive(Debug, Clone, Copy)]
struct Revisions {
    revision: u64,
    guard: u64,
}

impl Revisions {
    /// The customer's revisions after a change.
    fn after<A>(state: &State, change: &Change<A>) -> Self {
        let revision = state.revision_after(change.record.is_some());
        Self { revision: revision.as_u64(), guard: state.consent_revision_after(&change.ledger) }
    }
}

/// The first answer to a request that was answered within 24 hours.
fn answered_before<A: Message + Default>(
    state: &State,
    request: Option<Remembered>,
) -> Result<Option<A>, ServiceError> {
    let Some((request, memory)) = request.zip(state.requests.as_ref()) else { return Ok(None) };
    let Some(known) = memory.value.answer(&request.id, state.now) else { return Ok(None) };
    let split = known.split_first_chunk::<{ size_of::<Fingerprint>() }>();
    let (fingerprint, answer) = split.ok_or(ServiceError::Unreadable)?;
    if *fingerprint != request.fingerprint {
        return Err(ServiceError::field("request_id", FieldFault::RequestIdReused));
    }
    A::decode(answer).map(Some).map_err(|_error| ServiceError::Unreadable)
}

/// The deadline passed, or leadership was lost on the way.
fn unknown_outcome(deadline: Instant) -> ServiceError {
    if Instant::now() >= deadline { ServiceError::OutcomeUnknown } else { ServiceError::LeadershipLost }
}

/// A customer's id where a caller left it to the cluster.
pub(super) fn derived_customer(caller: &str, request: RequestId) -> CustomerId {
    CustomerId::derive(caller, request, custodia_profile::PoolId::default())
}
