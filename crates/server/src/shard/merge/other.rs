//! The other customer of a merge, as the survivor's leader reads and changes it.

use std::collections::BTreeSet;

use custodia_profile::{CustomerId, CustomerRecord, KeyEpoch, OtherAlone, Stored as _, StoredEvent};
use custodia_proto::internal::v1::{MergeAction, MergeAnswer, MergeOutcome, MergeRequest};
use custodia_store::{Key, KeyKind, KeyPrefix};
use tokio::time::Instant;

use super::request;
use crate::{
    routing::CustomerLocation,
    scan::Scan,
    shard::{
        Loaded, ShardContext,
        failpoint::failpoint,
        index::patience,
        other::{Need, Other, OtherChange, OtherCustomer},
        rotation::Blinded,
        write::CustomerState,
    },
    wire::ServiceError,
};

/// How many events move back to the other customer at most: they are removed by the command that undoes the merge.
pub(crate) const MOVED_EVENTS_MAX: usize = 10_000;
/// Events stored with one call, and read from the engine at a time.
const CHUNK: usize = 64;

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
            other.alone = alone(&answer)?;
            for member in other.record.members() {
                let of_member = self.call_merge(*member, request(action, *member), deadline).await?;
                add(&mut other.alone, alone(&of_member)?);
            }
            self.tell_apart(state, survivor, &mut other, deadline).await?;
        }
        Ok(other)
    }

    /// Leaves of the other customer's sources those that the survivor had not before the merge, and finds the survivor's events that came
    /// since from them.
    async fn tell_apart(
        &self,
        state: &CustomerState<'_>,
        survivor: &CustomerRecord,
        other: &mut Other,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let Some(archive) = &other.record.merged_into else { return Ok(()) };
        let Some(merge) = survivor.merges.iter().find(|merge| merge.id == archive.merge) else {
            return Ok(());
        };
        let before = &archive.survivor_before;
        let mut ours = OtherAlone {
            sources: before.provenances().map(|of| of.source.clone()).collect(),
            callers: BTreeSet::new(),
        };
        for member in before.members() {
            let members = request(MergeAction::ReadSources, *member);
            add(&mut ours, alone(&self.call_merge(*member, members, deadline).await?)?);
        }
        let decided = state.history.iter().filter(|entry| entry.sequence < before.ledger_entries);
        ours.callers.extend(decided.map(|entry| entry.recorded_by.name.clone()));
        let is_before = |event: &StoredEvent| event.provenance.recorded_at < merge.merged_at;
        self.each_event(state.location, |event| {
            if is_before(&event) {
                ours.sources.insert(event.provenance.source);
            }
            Ok(())
        })
        .await?;
        other.alone.sources.retain(|source| !ours.sources.contains(source));
        other.alone.callers.retain(|caller| !ours.callers.contains(caller));
        if other.alone.sources.is_empty() {
            return Ok(());
        }
        let mut since = Vec::new();
        self.each_event(state.location, |event| {
            if !is_before(&event) && other.alone.sources.contains(&event.provenance.source) {
                since.push(event);
            }
            if since.len() > MOVED_EVENTS_MAX {
                return Err(ServiceError::TooManyEventsToMove);
            }
            Ok(())
        })
        .await?;
        other.events = since;
        Ok(())
    }

    /// Goes through a customer's events, newest first. One that cannot be read is left out.
    pub(super) async fn each_event(
        &self,
        location: CustomerLocation,
        mut seen: impl FnMut(StoredEvent) -> Result<(), ServiceError> + Send,
    ) -> Result<(), ServiceError> {
        let prefix = KeyPrefix::customer(location.group(), KeyKind::Event, &location.customer);
        let mut stored = Scan::new(self.engine(), prefix, None, CHUNK);
        let mut count = 0_usize;
        while let Some((key, value)) = stored.next_stored()? {
            match self.open(location, &Key::parse(key)?, value) {
                Ok(Some(Loaded { value, .. })) => seen(value)?,
                Ok(None) | Err(ServiceError::Unreadable) => {}
                Err(error) => return Err(error),
            }
            count += 1;
            if count.is_multiple_of(CHUNK) {
                tokio::task::yield_now().await;
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
        let mut key_epochs = Vec::new();
        if let Some(restored) = restored.filter(|restored| !restored.record.identifiers.is_empty()) {
            let keys = self.blinding_keys(KeyEpoch::FIRST, deadline).await?;
            for key in keys.all() {
                for identifier in restored.record.identifiers.keys() {
                    self.point(&Blinded::by(key, identifier), customer, deadline).await?;
                }
                key_epochs.push(key.epoch().as_u32());
            }
        }
        let put = MergeRequest {
            revision: other.revision,
            record: change.record.encode().into(),
            key_epochs,
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

/// The sources and callers in an answer.
fn alone(answer: &MergeAnswer) -> Result<OtherAlone, ServiceError> {
    Ok(OtherAlone {
        sources: answer.sources.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
        callers: answer.callers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
    })
}

fn add(all: &mut OtherAlone, more: OtherAlone) {
    all.sources.extend(more.sources);
    all.callers.extend(more.callers);
}
