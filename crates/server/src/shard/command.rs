//! Builds the one command that holds a mutation and everything that belongs to it.
//!
//! Invariant: personal data is in the command only sealed, and everything that the mutation was evaluated on is a
//! condition.

use custodia_consensus::{Command, Condition, Expected, Write};
use custodia_profile::{Stored, StoredEvent};
use custodia_seal::BucketId;
use custodia_store::{EventSortKey, Key};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    Loaded, ShardContext,
    write::{CustomerState, Mutation, Remembered},
};
use crate::{
    keys::{CustomerWriter, KeysError},
    routing::CustomerLocation,
    wire::ServiceError,
};

/// Seals the values of a mutation and adds what it was evaluated on as conditions.
pub(super) async fn build(
    context: &ShardContext,
    state: &CustomerState<'_>,
    remembered: Option<Remembered>,
    mutation: &Mutation<Vec<u8>>,
    deadline: Instant,
) -> Result<Command, ServiceError> {
    let location = state.location;
    let failed = |error: KeysError| context.key_failure(location.group(), error);
    let keys = context.keys_of(location.shard)?;
    let bucket = bucket(state).map(BucketId::new);
    let writer = keys.writer(location.customer, bucket, deadline.into_std()).await.map_err(failed)?;
    let mut builder = CommandBuilder { location, writer, command: Command::default() };
    builder.conditions(state, remembered);
    builder.records(state, remembered, mutation).map_err(failed)?;
    if let Some(other) = &mutation.other {
        other.events.iter().for_each(|event| builder.remove_event(event));
    }
    if let Some(record) = &mutation.record {
        let epoch = state.blinding.stage.epoch;
        // Its identifiers were claimed, and it comes into the index of duplicates, as this stage says.
        builder.command.conditions.push(state.blinding.condition());
        if state.view.catalogue.compares() {
            let keys = context.blinding_keys(epoch, deadline).await?;
            let key = keys.of_epoch(epoch).map_err(failed)?;
            let change = context.blocking_change(location, record, &state.view.catalogue, key)?;
            change.add_to(&mut builder.command, &builder.writer);
        }
    }
    Ok(builder.finish())
}

/// The bucket of the customer's key, if there is one yet.
fn bucket(state: &CustomerState<'_>) -> Option<u32> {
    let requests = || state.requests.as_ref().map(|requests| requests.header.bucket);
    state.core.as_ref().map(|core| core.header.bucket).or_else(requests)
}

struct CommandBuilder {
    location: CustomerLocation,
    writer: CustomerWriter,
    command: Command,
}

/// The revision and guard in a value's header.
#[derive(Debug, Clone, Copy)]
struct Revisions {
    revision: u64,
    guard: u64,
}

impl CommandBuilder {
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

    /// Adds all state that was read as conditions.
    fn conditions(&mut self, state: &CustomerState<'_>, remembered: Option<Remembered>) {
        let (group, customer) = (self.location.group(), &self.location.customer);
        let core = state.core.as_ref().map_or(Expected::Absent, |core| Expected::Both {
            revision: core.header.revision,
            guard: core.header.guard,
        });
        self.expect(Key::core(group, customer), core);
        if remembered.is_some() || state.core.is_none() {
            let known = state.requests.as_ref().map(|requests| requests.header.revision);
            let requests = known.map_or(Expected::Absent, Expected::Revision);
            self.expect(Key::requests(group, &state.location.customer), requests);
        }
    }

    fn records(
        &mut self,
        state: &CustomerState<'_>,
        remembered: Option<Remembered>,
        mutation: &Mutation<Vec<u8>>,
    ) -> Result<(), KeysError> {
        let (group, customer) = (self.location.group(), self.location.customer);
        let after = Revisions {
            revision: state.revision_after(mutation.record.is_some()).as_u64(),
            guard: match &mutation.record {
                Some(record) => record.consent_revision(),
                None => state.consent_revision_after(&mutation.ledger),
            },
        };
        if let Some(record) = &mutation.record {
            self.seal(&Key::core(group, &customer), after, record)?;
        }
        for entry in &mutation.ledger {
            let key = Key::ledger(group, &customer, entry.sequence);
            self.expect(key.clone(), Expected::Absent);
            self.seal(&key, after, entry)?;
        }
        for event in &mutation.events {
            self.event(event, after)?;
        }
        match remembered {
            Some(request) => self.memory(state, request, &mutation.answer),
            None => Ok(()),
        }
    }

    /// Writes the event, and under its id the pointer to it. The pointer is also part of the event's key, so it is not sealed.
    fn event(&mut self, event: &StoredEvent, at: Revisions) -> Result<(), KeysError> {
        let (group, customer) = (self.location.group(), self.location.customer);
        let id = event.event.id.as_str();
        let sort_key = EventSortKey::new(event.event.occurred_at, id);
        let by_id = Key::event_id(group, &customer, id);
        self.expect(by_id.clone(), Expected::Absent);
        let pointer = self.writer.clear(&by_id, at.revision, at.guard, sort_key.as_bytes());
        self.command.writes.push(pointer);
        self.seal(&Key::event(group, &customer, &sort_key), at, event)
    }

    /// Removes an event, which another customer has by now, and its id.
    fn remove_event(&mut self, event: &StoredEvent) {
        let (group, customer) = (self.location.group(), self.location.customer);
        let id = event.event.id.as_str();
        let sort_key = EventSortKey::new(event.event.occurred_at, id);
        let keys = [Key::event(group, &customer, &sort_key), Key::event_id(group, &customer, id)];
        self.command.writes.extend(keys.map(|key| Write { key: key.into_bytes(), value: None }));
    }

    fn memory(
        &mut self,
        state: &CustomerState<'_>,
        request: Remembered,
        answer: &[u8],
    ) -> Result<(), KeysError> {
        let revision = state.requests.as_ref().map_or(0, |requests| requests.header.revision);
        let mut memory =
            state.requests.as_ref().map(|Loaded { value, .. }| value.clone()).unwrap_or_default();
        memory.remember(request.id, state.now, [&request.fingerprint, answer].concat());
        let at = Revisions { revision: revision.saturating_add(1), guard: 0 };
        self.seal(&Key::requests(self.location.group(), &self.location.customer), at, &memory)
    }
}
