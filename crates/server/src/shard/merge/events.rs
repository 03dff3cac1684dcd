//! The events of a customer and of all who were merged into it, as one list, newest first. The events of a customer who was merged
//! stay where they are: merging moves nothing, and undoing a merge needs only move what came since.
//!
//! Invariant: an event that both sides have is shown once, as the survivor has it.

use std::collections::VecDeque;

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_profile::{CustomerId, CustomerRecord, Event, EventId, Stored as _, StoredEvent};
use custodia_proto::internal::v1::{MergeAction, MergeRequest, MergedEvent};
use custodia_store::{EventSortKey, Key, KeyKind, KeyParts, KeyPrefix};
use futures::future::try_join_all;
use tokio::time::Instant;

use super::request;
use crate::{routing::CustomerLocation, scan::Scan, shard::ShardContext, wire::ServiceError};

/// An event before it is opened and judged.
#[derive(Debug)]
pub(crate) enum EventSource {
    /// It is stored here.
    Stored { key: Key, value: Bytes },
    /// It came from the leader of a member's shard; none: it cannot be read there.
    Sent { event: Option<Box<StoredEvent>>, bytes: usize },
}

impl EventSource {
    /// Its size, in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stored { value, .. } => value.len(),
            Self::Sent { bytes, .. } => *bytes,
        }
    }
}

/// Iterator over the events of a customer and its members.
pub(crate) struct MemberEvents<'a> {
    context: &'a ShardContext,
    own: Scan<'a>,
    next_own: Option<(EventSortKey, EventSource)>,
    members: Vec<Member>,
    mode: ReadMode,
    deadline: Instant,
}

/// The events of one member that were fetched and not yet given.
struct Member {
    customer: CustomerId,
    fetched: VecDeque<MergedEvent>,
    after: Bytes,
    has_more: bool,
}

impl<'a> MemberEvents<'a> {
    /// All events, or those after a position. Of the own ones `chunk` are read at a time.
    pub(crate) fn after(
        context: &'a ShardContext,
        location: CustomerLocation,
        record: &CustomerRecord,
        (after, chunk): (Option<&EventSortKey>, usize),
        (mode, deadline): (ReadMode, Instant),
    ) -> Self {
        let (group, customer) = (location.group(), &location.customer);
        let last = after.map(|after| Key::event(group, customer, after).into_bytes());
        let prefix = KeyPrefix::customer(group, KeyKind::Event, customer);
        let position = after.map(|after| Bytes::copy_from_slice(after.as_bytes())).unwrap_or_default();
        let member = |customer: &CustomerId| Member {
            customer: *customer,
            fetched: VecDeque::new(),
            after: position.clone(),
            has_more: true,
        };
        Self {
            context,
            own: Scan::new(context.engine(), prefix, last, chunk),
            next_own: None,
            members: record.members().map(member).collect(),
            mode,
            deadline,
        }
    }

    /// The next event with its position.
    pub(crate) async fn next(&mut self) -> Result<Option<(EventSortKey, EventSource)>, ServiceError> {
        if self.next_own.is_none() {
            self.next_own = self.own.next_stored()?.map(stored).transpose()?;
        }
        if self.members.is_empty() {
            return Ok(self.next_own.take());
        }
        // The own events first: one that moves to a member is there before it is gone here.
        if self.members.iter().any(Member::is_empty) {
            let empty = self.members.iter_mut().filter(|member| member.is_empty());
            try_join_all(empty.map(|member| member.fetch(self.context, self.mode, self.deadline))).await?;
        }
        let sent = self.members.iter().filter_map(Member::position).min();
        let own = self.next_own.as_ref().map(|(position, _)| Bytes::copy_from_slice(position.as_bytes()));
        let Some(first) = own.iter().chain(&sent).min().cloned() else { return Ok(None) };
        let mut sent = None;
        for member in self.members.iter_mut().filter(|member| member.position().as_ref() == Some(&first)) {
            sent = sent.or(member.take());
        }
        if own.as_ref() == Some(&first) {
            return Ok(self.next_own.take());
        }
        let Some(MergedEvent { sort_key, event: bytes }) = sent else { return Ok(None) };
        let event = if bytes.is_empty() { None } else { Some(Box::new(StoredEvent::decode(&bytes)?)) };
        let position = EventSortKey::from_bytes(&sort_key)?;
        Ok(Some((position, EventSource::Sent { event, bytes: bytes.len() })))
    }
}

fn stored((key, value): (Bytes, Bytes)) -> Result<(EventSortKey, EventSource), ServiceError> {
    let position = EventSortKey::from_bytes(KeyParts::parse(&key)?.suffix)?;
    Ok((position, EventSource::Stored { key: Key::parse(key)?, value }))
}

impl Member {
    /// The position of the next event.
    fn position(&self) -> Option<Bytes> {
        self.fetched.front().map(|event| event.sort_key.clone())
    }

    fn take(&mut self) -> Option<MergedEvent> {
        self.fetched.pop_front()
    }

    /// Whether more must be fetched before the next event is known.
    fn is_empty(&self) -> bool {
        self.fetched.is_empty() && self.has_more
    }

    /// Fetches the next events.
    async fn fetch(
        &mut self,
        context: &ShardContext,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let list = MergeRequest {
            after: self.after.clone(),
            quorum_read: mode == ReadMode::Quorum,
            ..request(MergeAction::ListEvents, self.customer)
        };
        let answer = context.call_merge(self.customer, list, deadline).await?;
        self.has_more = answer.has_more;
        self.fetched = answer.events.into();
        if let Some(last) = self.fetched.back() {
            self.after = last.sort_key.clone();
        }
        Ok(())
    }
}

impl ShardContext {
    /// The events with the ids of these that members have; none for one that cannot be read.
    pub(in crate::shard) async fn events_of_members(
        &self,
        record: &CustomerRecord,
        events: &[Event],
        deadline: Instant,
    ) -> Result<Vec<(EventId, Option<StoredEvent>)>, ServiceError> {
        let event_ids: Vec<_> = events.iter().map(|event| event.id.as_str().to_owned()).collect();
        let answers = record.members().map(|member| {
            let find =
                MergeRequest { event_ids: event_ids.clone(), ..request(MergeAction::FindEvents, *member) };
            self.call_merge(*member, find, deadline)
        });
        let answers = try_join_all(answers).await?;
        let mut found = Vec::new();
        for MergedEvent { sort_key: id, event } in answers.into_iter().flat_map(|answer| answer.events) {
            let of = events.iter().find(|sent| sent.id.as_str().as_bytes() == id);
            let event = if event.is_empty() { None } else { Some(StoredEvent::decode(&event)?) };
            found.extend(of.map(|sent| (sent.id.clone(), event)));
        }
        Ok(found)
    }
}
