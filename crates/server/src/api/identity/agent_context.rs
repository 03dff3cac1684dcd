//! GetAgentContext: what an agent needs to know when a customer calls.
//!
//! Invariant: all parts of an answer are of one version of the record. The events are read after it; if the record, or the newest
//! event, is another after that, everything is read again. Where events add up to something, so it is if any event was added that
//! should have been among them: an event that comes late changes neither the record nor the newest one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use custodia_profile::{CustomerRecord, DuplicatePair, Identifier, Permission, RefusalReason, Verdict};
use custodia_proto::v1;
use custodia_store::{EventSortKey, Key, KeyKind, KeyPrefix, ValueHeader};

use super::{
    activity::Activity,
    convert::Shown,
    list_identifiers::{given, knows_namespaces},
    lookup_profile::check_holder,
};
use crate::{
    api::{
        handler::HolderRead,
        preference::{channel_permissions, knows_purposes, preferences_for},
        profile::{ReadRequest, SeenEvent, seen_event, stored_event, withheld_events},
    },
    catalogue::CatalogueView,
    propose::TRIES_MAX,
    scan::Scan,
    shard::{CustomerRead, EventSource, MemberEvents, ProfileView, ReadAccess, check_merges, identifier},
    wire::ServiceError,
};

/// How many of the newest events are looked at.
const EVENTS_MAX: usize = 1_000;
/// Events read from the engine at a time.
const CHUNK: usize = 64;
/// Suspected duplicates that are named.
const SUSPECTED_MAX: usize = 5;
/// Interactions on each channel: if the caller does not say, and at most.
const INTERACTIONS_DEFAULT: usize = 3;
const INTERACTIONS_MAX: usize = 20;

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Query {
    identifier: Option<Identifier>,
    read: ReadRequest,
    interactions_max: usize,
}

impl CustomerRead for v1::GetAgentContextRequest {
    type Query = Query;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, view: &CatalogueView) -> Result<Query, ServiceError> {
        let interactions_max = match usize::try_from(self.interactions_max) {
            Ok(0) => INTERACTIONS_DEFAULT,
            Ok(stated) if stated <= INTERACTIONS_MAX => stated,
            Ok(_) | Err(_) => {
                return Err(ServiceError::invalid("interactions_max", "expected a number from 0 to 20"));
            }
        };
        Ok(Query {
            identifier: self.identifier.as_ref().map(|wire| identifier(wire, view)).transpose()?,
            read: ReadRequest::parse(None, v1::VerdictDetail::Full.into(), view)?,
            interactions_max,
        })
    }

    fn knows(query: &Query, record: &CustomerRecord, view: &CatalogueView) -> bool {
        query.read.knows(record, view)
            && knows_namespaces(record, view)
            && knows_purposes(view, &record.preferences)
    }

    async fn answer(query: Query, profile: ProfileView<'_>) -> Result<v1::AgentContext, ServiceError> {
        if let Some(identifier) = &query.identifier {
            check_holder(identifier, &profile)?;
        }
        if let Some(answer) = context(&query, &profile).await? {
            return Ok(answer);
        }
        for _ in 1..TRIES_MAX {
            let again = profile.context.core(profile.location)?.ok_or(ServiceError::CustomerNotFound)?;
            let (purpose, catalogue) = (profile.purpose, &profile.view.catalogue);
            let permission =
                Permission::for_purpose(purpose, profile.reader, &again.value, catalogue, profile.now);
            check_merges(profile.redirects, profile.location, Some(&again.value))?;
            let again = ProfileView { stored: &again, permission, ..profile };
            if let Some(answer) = context(&query, &again).await? {
                return Ok(answer);
            }
        }
        Err(ServiceError::Contended { tries: TRIES_MAX })
    }
}

impl HolderRead for v1::GetAgentContextRequest {
    fn identifier(&self) -> Option<&v1::Identifier> {
        self.identifier.as_ref()
    }

    fn holder(answer: &v1::AgentContext) -> Option<&str> {
        answer.profile.as_ref().map(|profile| profile.customer_id.as_str())
    }

    fn joined(answers: Vec<v1::AgentContext>) -> v1::AgentContext {
        let candidates = answers.into_iter().filter_map(|answer| answer.profile).collect();
        v1::AgentContext { candidates, ..Default::default() }
    }
}

/// The whole context; nothing if the customer has changed while it was read.
async fn context(query: &Query, profile: &ProfileView<'_>) -> Result<Option<v1::AgentContext>, ServiceError> {
    let newest = newest_event(profile)?;
    let events = Interactions::read(query.interactions_max, profile).await?;
    let is_whole = events.is_whole(profile)?;
    let activity = events.activity.shown(events.next.is_some());
    let (identifiers, _withheld) = given(profile, Shown::Masked);
    let answer = v1::AgentContext {
        profile: Some(query.read.answer(profile)?),
        interactions: events.shown,
        withheld_events: withheld_events(events.withheld),
        has_older_events: events.next.is_some(),
        channels: channel_permissions(profile),
        preferences: Some(preferences_for(profile)),
        identifiers,
        candidates: Vec::new(),
        suspected_duplicates: suspected_duplicates(profile)?,
        open_matters: activity.open_matters,
        has_more_open_matters: activity.has_more_open_matters,
        traits: activity.traits,
    };
    let is_same = header(profile)? == Some(profile.stored.header) && newest_event(profile)? == newest;
    Ok((is_whole && is_same).then_some(answer))
}

/// Who may be the same person, as far as a scan or an ingest found and nobody has decided.
fn suspected_duplicates(profile: &ProfileView<'_>) -> Result<Vec<v1::SuspectedDuplicate>, ServiceError> {
    if !matches!(profile.permission.verdict(), Verdict::Permit { .. }) {
        return Ok(Vec::new());
    }
    let mut open = profile.context.open_pairs_of(profile.location)?;
    let probability = |pair: &DuplicatePair| pair.score.as_ref().map_or(0.0, |score| score.probability);
    open.sort_by(|(_, one), (_, other)| probability(other).total_cmp(&probability(one)));
    let suspected = open.into_iter().take(SUSPECTED_MAX).map(|(customer, pair)| {
        let namespaces: BTreeSet<_> = pair.conflicts.iter().map(|conflict| &conflict.namespace).collect();
        v1::SuspectedDuplicate {
            customer_id: customer.to_string(),
            probability: probability(&pair),
            namespaces: namespaces.into_iter().map(|namespace| namespace.as_str().to_owned()).collect(),
        }
    });
    Ok(suspected.collect())
}

/// The header of the record as it is stored now. A change of the record changes it, so the record itself need not be opened.
fn header(profile: &ProfileView<'_>) -> Result<Option<ValueHeader>, ServiceError> {
    let key = Key::core(profile.location.group(), &profile.location.customer);
    let stored = profile.context.engine().get(key.as_ref())?;
    Ok(stored.map(|value| ValueHeader::decode(&value)).transpose()?.map(|(header, _)| header))
}

/// The newest of the customer's own events: those of members stay as they are.
fn newest_event(profile: &ProfileView<'_>) -> Result<Option<Bytes>, ServiceError> {
    let events = KeyPrefix::customer(profile.location.group(), KeyKind::Event, &profile.location.customer);
    let first = profile.context.engine().scan(events.as_bytes(), None, 1)?;
    Ok(first.into_iter().next().map(|(key, _)| key))
}

/// The last interactions on each channel, and what all events that were looked at add up to.
struct Interactions<'a> {
    shown: Vec<v1::ChannelInteractions>,
    withheld: BTreeMap<RefusalReason, i32>,
    activity: Activity<'a>,
    /// How many of them are the customer's own.
    own: usize,
    /// The first event that was not looked at; none: all were.
    next: Option<EventSortKey>,
}

impl<'a> Interactions<'a> {
    async fn read(per_channel: usize, profile: &'a ProfileView<'a>) -> Result<Self, ServiceError> {
        let activity = Activity::new(profile);
        let mut found = Self { shown: Vec::new(), withheld: BTreeMap::new(), activity, own: 0, next: None };
        let (context, location) = (profile.context, profile.location);
        let mut stored =
            MemberEvents::after(context, location, profile.record(), (None, CHUNK), profile.reading);
        let mut bytes_left = profile.context.limits().response_bytes_max / 2;
        let mut seen = 0;
        while let Some((position, event)) = stored.next().await? {
            let fits = bytes_left.checked_sub(event.len());
            let Some(left) = fits.filter(|_| seen < EVENTS_MAX) else {
                found.next = Some(position);
                break;
            };
            seen += 1;
            found.own += usize::from(matches!(event, EventSource::Stored { .. }));
            if found.add(per_channel, profile, event)? {
                bytes_left = left;
            }
        }
        Ok(found)
    }

    /// Whether the event is shown.
    fn add(
        &mut self,
        per_channel: usize,
        profile: &ProfileView<'_>,
        event: EventSource,
    ) -> Result<bool, ServiceError> {
        let (event, ground) = match seen_event(profile, event)? {
            SeenEvent::Given(event, ground) => (event, ground),
            SeenEvent::Withheld(reason, event) => {
                self.activity.add_withheld(event.as_ref());
                *self.withheld.entry(reason).or_insert(0) += 1;
                return Ok(false);
            }
            SeenEvent::Gone => return Ok(false),
        };
        self.activity.add(&event);
        let name = event.event.channel.as_ref().map(|channel| channel.as_str()).unwrap_or_default();
        let at = self.shown.iter().position(|of| of.channel == name).unwrap_or(self.shown.len());
        if at == self.shown.len() {
            self.shown.push(v1::ChannelInteractions { channel: name.to_owned(), events: Vec::new() });
        }
        let Some(channel) = self.shown.get_mut(at).filter(|of| of.events.len() < per_channel) else {
            return Ok(false);
        };
        channel.events.push(stored_event(&event, ground, &profile.view.catalogue));
        Ok(true)
    }

    /// Whether nothing was added meanwhile that events should have been added up with. An event is never removed but with a
    /// change of the record, and those of members stay as they are, so it is enough to count.
    fn is_whole(&self, profile: &ProfileView<'_>) -> Result<bool, ServiceError> {
        if !self.activity.is_declared() {
            return Ok(true);
        }
        let (group, customer) = (profile.location.group(), &profile.location.customer);
        let end = self.next.as_ref().map(|next| Key::event(group, customer, next).into_bytes());
        let prefix = KeyPrefix::customer(group, KeyKind::Event, customer);
        let mut stored = Scan::new(profile.context.engine(), prefix, None, CHUNK);
        let mut count = 0;
        while let Some((key, _)) = stored.next_stored()? {
            if end.as_ref().is_some_and(|end| key >= *end) {
                break;
            }
            count += 1;
        }
        Ok(count == self.own)
    }
}
