//! The other customer of a merge, as the survivor's leader reads and changes it.

use std::collections::BTreeSet;

use custodia_profile::{
    CallerName, CustomerId, CustomerRecord, OtherAlone, Provenance, SourceId, Stored as _, StoredEvent,
};
use custodia_proto::internal::v1::{MergeAction, MergeOutcome, MergeRequest};
use custodia_store::{Key, KeyKind, KeyPrefix};
use tokio::time::Instant;

use super::request;
use crate::{
    routing::CustomerLocation,
    scan::Scan,
    shard::{Loaded, ShardContext, failpoint::failpoint, index::patience, write::CustomerState},
    wire::ServiceError,
};

/// How many events move back to the other customer at most: they are removed by the command that undoes the merge.
pub(crate) const MOVED_EVENTS_MAX: usize = 10_000;
/// Events stored with one call, and read from the engine at a time.
const CHUNK: usize = 64;

/// What is needed of another customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The record, to merge it.
    Record,
    /// Also what tells to which of the two belongs what came since the merge, to undo it.
    Sources,
}

/// Another customer whom a write needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OtherCustomer {
    pub(crate) customer: CustomerId,
    pub(crate) need: Need,
}

/// The other customer of a merge, as it was read.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) customer: CustomerId,
    pub(crate) record: CustomerRecord,
    pub(in crate::shard) revision: u64,
    pub(crate) alone: OtherAlone,
    /// The survivor's events that are the other customer's.
    pub(crate) events: Vec<StoredEvent>,
}

/// What becomes of the other customer.
#[derive(Debug)]
pub(crate) struct OtherChange {
    /// Its record, if the merge is in force then, or while it may be.
    pub(crate) record: CustomerRecord,
    /// Events that move from the survivor to the other customer.
    pub(crate) events: Vec<StoredEvent>,
}

impl ShardContext {
    /// Reads the other customer.
    ///
    /// # Errors
    /// [`ServiceError::OtherCustomerNotFound`].
    pub(in crate::shard) async fn other(
        &self,
        state: &CustomerState<'_>,
        OtherCustomer { customer, need }: OtherCustomer,
        deadline: Instant,
    ) -> Result<Other, ServiceError> {
        let action = match need {
            Need::Record => MergeAction::Read,
            Need::Sources => MergeAction::ReadSources,
        };
        let answer = self.call_merge(customer, request(action, customer), deadline).await?;
        if answer.record.is_empty() {
            return Err(ServiceError::OtherCustomerNotFound);
        }
        let record = CustomerRecord::decode(&answer.record)?;
        let mut other = Other {
            customer,
            record,
            revision: answer.revision,
            alone: OtherAlone::default(),
            events: Vec::new(),
        };
        if let (Need::Sources, Some(survivor)) = (need, state.record()) {
            other.alone.sources = answer.sources.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            other.alone.callers = answer.callers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            self.tell_apart(state, survivor, &mut other)?;
        }
        Ok(other)
    }

    /// Leaves of the other customer's sources those that the survivor had not before the merge, and finds the survivor's events that came
    /// since from them.
    fn tell_apart(
        &self,
        state: &CustomerState<'_>,
        survivor: &CustomerRecord,
        other: &mut Other,
    ) -> Result<(), ServiceError> {
        let Some(archive) = &other.record.merged_into else { return Ok(()) };
        let Some(merge) = survivor.merges.iter().find(|merge| merge.id == archive.merge) else {
            return Ok(());
        };
        let before = &archive.survivor_before;
        let of_record = provenances(before).map(|of| of.source.clone());
        let mut sources: BTreeSet<SourceId> = of_record.collect();
        let mut since = Vec::new();
        self.each_event(state.location, |event| {
            let Provenance { source, recorded_at, .. } = &event.provenance;
            if *recorded_at < merge.merged_at {
                sources.insert(source.clone());
            } else if other.alone.sources.contains(source) {
                since.push(event);
            }
            if since.len() > MOVED_EVENTS_MAX {
                return Err(ServiceError::TooManyEventsToMove);
            }
            Ok(())
        })?;
        other.alone.sources.retain(|source| !sources.contains(source));
        since.retain(|event| other.alone.sources.contains(&event.provenance.source));
        let entries = before.ledger_entries;
        let ours = state.history.iter().filter(|entry| entry.sequence < entries);
        let ours: BTreeSet<&CallerName> = ours.map(|entry| &entry.recorded_by.name).collect();
        other.alone.callers.retain(|caller| !ours.contains(caller));
        other.events = since;
        Ok(())
    }

    /// Goes through a customer's events, newest first. One that cannot be read is left out.
    pub(super) fn each_event(
        &self,
        location: CustomerLocation,
        mut seen: impl FnMut(StoredEvent) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let prefix = KeyPrefix::customer(location.group(), KeyKind::Event, &location.customer);
        let mut stored = Scan::new(self.engine(), prefix, None, CHUNK);
        while let Some((key, value)) = stored.next_stored()? {
            match self.open(location, &Key::parse(key)?, value) {
                Ok(Some(Loaded { value, .. })) => seen(value)?,
                Ok(None) | Err(ServiceError::Unreadable) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Changes the other customer before the survivor. Whether it was still as it was read.
    pub(in crate::shard) async fn put_other(
        &self,
        survivor: CustomerId,
        other: &Other,
        change: &OtherChange,
        deadline: Instant,
    ) -> Result<bool, ServiceError> {
        let customer = other.customer;
        for events in change.events.chunks(CHUNK) {
            let events = events.iter().map(|event| event.encode().into()).collect();
            let put = MergeRequest { events, ..request(MergeAction::PutEvents, customer) };
            self.call_merge(customer, put, deadline).await?;
        }
        failpoint("merge-events-moved");
        let restored = change.record.merged_into.as_ref().and_then(|into| into.restored.as_ref());
        if let Some(restored) = restored {
            for identifier in restored.record.identifiers.keys() {
                self.point(&self.blind(identifier)?, customer, deadline).await?;
            }
        }
        let put = MergeRequest {
            revision: other.revision,
            record: change.record.encode().into(),
            ..request(MergeAction::Put, customer)
        };
        // Of two merges in opposite directions, each of which has locked its survivor, one gives up first.
        let deadline = deadline.min(Instant::now() + patience(survivor, customer));
        let put = match self.call_merge(customer, put, deadline).await {
            Err(ServiceError::DeadlinePassed) => Err(ServiceError::Contended { tries: 1 }),
            put => put,
        }?;
        failpoint("merge-other-put");
        Ok(put.outcome() == MergeOutcome::Done)
    }
}

/// Where the attributes and identifiers of a record come from.
pub(super) fn provenances(record: &CustomerRecord) -> impl Iterator<Item = &Provenance> {
    let of_attributes = record.attributes.values().map(|of| &of.provenance);
    of_attributes.chain(record.identifiers.values().map(|of| &of.provenance))
}
