//! What the leader of a customer's shard answers in a merge.

use std::collections::BTreeSet;

use custodia_consensus::ReadMode;
use custodia_profile::{
    CustomerRecord, Event, EventId, MergeId, Revision, SourceId, Stored as _, StoredEvent,
};
use custodia_proto::internal::v1::{MergeAction, MergeAnswer, MergeOutcome, MergeRequest, MergedEvent};
use custodia_store::{EventSortKey, Key, KeyKind, KeyParts, KeyPrefix};
use tokio::time::Instant;

use crate::{
    routing::CustomerLocation,
    scan::Scan,
    shard::{
        Loaded, ShardContext,
        claims::Settled,
        failpoint::failpoint,
        index_call::customer_in,
        write::{CustomerState, Mutation},
    },
    wire::ServiceError,
};

/// Events, and bytes of events, in one answer.
const EVENTS_MAX: usize = 64;
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Answers the leader of another customer's shard.
///
/// # Errors
/// This node does not lead the customer's shard; why the state cannot be read or changed.
pub(crate) async fn answer_merge_call(
    context: &ShardContext,
    request: &MergeRequest,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let location = context.routing().locate(customer_in(&request.customer)?)?;
    match request.action() {
        MergeAction::Unspecified => Err(ServiceError::RequestMalformed),
        MergeAction::Read => read(context, location, Sources::No, deadline).await,
        MergeAction::ReadSources => read(context, location, Sources::Yes, deadline).await,
        MergeAction::Put => put(context, location, request, deadline).await,
        MergeAction::Check => {
            let merge = MergeId::from_bytes(&request.merge)?;
            check(context, location, merge, deadline).await.map(outcome)
        }
        MergeAction::Settle => settle(context, location, deadline).await.map(outcome),
        MergeAction::ListEvents => list_events(context, location, request, deadline).await,
        MergeAction::FindEvents => find_events(context, location, request, deadline).await,
        MergeAction::PutEvents => put_events(context, location, request, deadline).await,
    }
}

fn outcome(outcome: MergeOutcome) -> MergeAnswer {
    MergeAnswer { outcome: outcome.into(), ..MergeAnswer::default() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sources {
    Yes,
    No,
}

async fn read(
    context: &ShardContext,
    location: CustomerLocation,
    with: Sources,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let read = async || {
        let Some(stored) = context.core(location)? else { return Ok(outcome(MergeOutcome::Done)) };
        let (sources, callers) = match with {
            Sources::Yes => sources_and_callers(context, location, &stored.value).await?,
            Sources::No => (Vec::new(), Vec::new()),
        };
        Ok(MergeAnswer {
            record: stored.value.encode().into(),
            revision: stored.header.revision,
            sources,
            callers,
            ..outcome(MergeOutcome::Done)
        })
    };
    context.read_led(location.group(), ReadMode::Lease, deadline, read).await
}

/// The sources of a customer's data and events, and the callers who recorded its decisions.
async fn sources_and_callers(
    context: &ShardContext,
    location: CustomerLocation,
    record: &CustomerRecord,
) -> Result<(Vec<String>, Vec<String>), ServiceError> {
    let mut sources: BTreeSet<SourceId> = record.provenances().map(|of| of.source.clone()).collect();
    context
        .each_event(location, |event| {
            sources.insert(event.provenance.source);
            Ok(())
        })
        .await?;
    let ledger = context.ledger(location)?;
    let callers: BTreeSet<_> = ledger.iter().map(|entry| entry.recorded_by.name.as_str()).collect();
    let sources = sources.iter().map(|source| source.as_str().to_owned());
    Ok((sources.collect(), callers.into_iter().map(str::to_owned).collect()))
}

/// Replaces the record, if it still has the revision that was read, and if what the customer is to have once its merge is undone leads to it
/// under every key by which the shard's customers claim.
async fn put(
    context: &ShardContext,
    location: CustomerLocation,
    request: &MergeRequest,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let record = &CustomerRecord::decode(&request.record)?;
    let revision = Revision::from_u64(request.revision);
    let evaluate = |state: &CustomerState<'_>| {
        // An archive of an older survivor would not fit the merge that is committed.
        let is_older =
            match (state.record().and_then(|record| record.merged_into.as_ref()), &record.merged_into) {
                (Some(stored), Some(new)) => {
                    new.survivor_revision < stored.survivor_revision && new.merge == stored.merge
                }
                (None | Some(_), None) | (None, Some(_)) => false,
            };
        let restored = record.merged_into.as_ref().and_then(|into| into.restored.as_ref());
        let gains = restored.is_some_and(|restored| !restored.record.identifiers.is_empty());
        let mut claimed_under = state.blinding.stage.claimed_under();
        let leads_here = !gains || claimed_under.all(|epoch| request.key_epochs.contains(&epoch.as_u32()));
        let fits = state.revision() == revision && !is_older && leads_here;
        Ok(Mutation::new(fits.then(|| record.clone()), Vec::new(), vec![u8::from(fits)]))
    };
    let put = context.mutate_merged(location, &[], &evaluate, deadline).await?;
    Ok(outcome(if put == [1] { MergeOutcome::Done } else { MergeOutcome::Conflict }))
}

/// Whether a merge into the customer is in force; if not, no write that has loaded the record before will bring it into force.
async fn check(
    context: &ShardContext,
    location: CustomerLocation,
    merge: MergeId,
    deadline: Instant,
) -> Result<MergeOutcome, ServiceError> {
    let stored = context.led_core(location, deadline).await?;
    if stored.as_ref().is_some_and(|stored| stored.value.has_merge(merge)) {
        return Ok(MergeOutcome::Done);
    }
    let unless = |record: &CustomerRecord| Ok(record.has_merge(merge));
    Ok(match context.fence(location, &unless, stored.is_some(), deadline).await? {
        Settled::Held(_) => MergeOutcome::Done,
        Settled::Free => MergeOutcome::NotInForce,
        Settled::Busy | Settled::Own => MergeOutcome::Busy,
    })
}

/// Ends a merge of the customer that is not in force.
async fn settle(
    context: &ShardContext,
    location: CustomerLocation,
    deadline: Instant,
) -> Result<MergeOutcome, ServiceError> {
    let stored = context.led_core(location, deadline).await?;
    let Some(Loaded { header, value }) = &stored else { return Ok(MergeOutcome::Done) };
    let Some(into) = &value.merged_into else { return Ok(MergeOutcome::Done) };
    match context.is_in_force(into.survivor, into.merge, deadline).await? {
        Some(true) => return Ok(MergeOutcome::Done),
        Some(false) => {}
        None => return Ok(MergeOutcome::Busy),
    }
    failpoint("merge-settled");
    let revision = Revision::from_u64(header.revision);
    let evaluate = |state: &CustomerState<'_>| {
        let merged = state.record().filter(|_| state.revision() == revision);
        let settled = merged.map(|record| record.clone().unmerged());
        let (record, ledger) = settled.map_or((None, Vec::new()), |(record, ledger)| (Some(record), ledger));
        Ok(Mutation::new(record, ledger, Vec::new()))
    };
    context.mutate_merged(location, &[], &evaluate, deadline).await?;
    Ok(MergeOutcome::Done)
}

async fn list_events(
    context: &ShardContext,
    location: CustomerLocation,
    request: &MergeRequest,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let mode = if request.quorum_read { ReadMode::Quorum } else { ReadMode::Lease };
    let read = async || next_events(context, location, &request.after);
    context.read_led(location.group(), mode, deadline, read).await
}

fn next_events(
    context: &ShardContext,
    location: CustomerLocation,
    after: &[u8],
) -> Result<MergeAnswer, ServiceError> {
    let (group, customer) = (location.group(), &location.customer);
    let after = match after {
        [] => None,
        after => Some(Key::event(group, customer, &EventSortKey::from_bytes(after)?).into_bytes()),
    };
    let prefix = KeyPrefix::customer(group, KeyKind::Event, customer);
    let mut stored = Scan::new(context.engine(), prefix, after, EVENTS_MAX);
    let mut answer = outcome(MergeOutcome::Done);
    let mut bytes = 0;
    while let Some((key, value)) = stored.next_stored()? {
        if answer.events.len() == EVENTS_MAX || bytes > EVENT_BYTES_MAX {
            answer.has_more = true;
            break;
        }
        bytes += value.len();
        let sort_key = KeyParts::parse(&key)?.suffix.to_vec().into();
        let event = match context.open::<StoredEvent>(location, &Key::parse(key)?, value) {
            Ok(Some(event)) => event.value.encode(),
            Ok(None) => continue,
            Err(ServiceError::Unreadable) => Vec::new(),
            Err(error) => return Err(error),
        };
        answer.events.push(MergedEvent { sort_key, event: event.into() });
    }
    Ok(answer)
}

async fn find_events(
    context: &ShardContext,
    location: CustomerLocation,
    request: &MergeRequest,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let read = async || {
        let mut answer = outcome(MergeOutcome::Done);
        for id in &request.event_ids {
            let Some(event) = context.event_of_id(location, &EventId::new("id", id)?)? else { continue };
            let event = event.map(|event| event.encode()).unwrap_or_default().into();
            answer.events.push(MergedEvent { sort_key: id.clone().into_bytes().into(), event });
        }
        Ok(answer)
    };
    context.read_led(location.group(), ReadMode::Lease, deadline, read).await
}

/// Stores events of the customer, unless events with their ids are stored.
async fn put_events(
    context: &ShardContext,
    location: CustomerLocation,
    request: &MergeRequest,
    deadline: Instant,
) -> Result<MergeAnswer, ServiceError> {
    let events =
        request.events.iter().map(|bytes| StoredEvent::decode(bytes)).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Event> = events.iter().map(|event| event.event.clone()).collect();
    let evaluate = |state: &CustomerState<'_>| {
        let new = events.iter().filter(|event| !state.events.has(&event.event.id)).cloned();
        Ok(Mutation { events: new.collect(), ..Mutation::new(None, Vec::new(), Vec::new()) })
    };
    context.mutate_merged(location, &ids, &evaluate, deadline).await?;
    Ok(outcome(MergeOutcome::Done))
}
