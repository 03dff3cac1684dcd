//! AppendEvents and ListEvents on the leader.

use std::collections::BTreeMap;

use bytes::Bytes;
use custodia_profile::{Catalogue, Observations, Permission, RefusalReason, StoredEvent, Verdict};
use custodia_proto::v1;
use custodia_store::{EventSortKey, Key, KeyKind, KeyParts, KeyPrefix};
use tokio::time::Instant;

use super::{
    convert,
    error::{FieldFault, ServiceError},
    forward::{Call, Target},
    meters::count_outcomes,
    opaque::{Listing, page_token, parse_page_token},
    parse,
    profiles::{knows, names_of, observations, remembered},
    record::{Home, Loaded},
    room::Room,
    time::now,
    write::{Change, Commit, State, Terms},
};
use crate::identity::Caller;

/// Events of a page where the caller does not say.
const PAGE_DEFAULT: usize = 50;
/// The most events of a page.
const PAGE_MAX: usize = 500;

impl Call for v1::AppendEventsRequest {
    type Answer = v1::AppendEventsResponse;
    const METHOD: &'static str = "/custodia.v1.ProfileService/AppendEvents";

    fn prepare(&mut self, room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        room.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        room: &Room,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let append = parse::append_events(self)?;
        let (shard, customer) = target.place()?;
        let view = room.view_with(deadline, |view| knows(view, &append.collected)).await?;
        let names = names_of(&append.collected);
        let input = observations(append.collected, &view)?;
        let terms = Terms { remembered, etag: None, commit: Commit::Yes };
        let evaluate = |state: &State| appended(room, state, &input, &view.catalogue, &names.events);
        Box::pin(room.change(Home { shard, customer }, terms, deadline, evaluate)).await
    }
}

fn appended(
    room: &Room,
    state: &State,
    input: &Observations,
    catalogue: &Catalogue,
    ids: &[String],
) -> Result<Change<v1::AppendEventsResponse>, ServiceError> {
    let record = state.record().ok_or(ServiceError::CustomerNotFound)?;
    let mut ingested = custodia_profile::ingest(record, &state.home.customer, input, catalogue, state.now)?;
    room.sift_events(state.home, &input.events, &mut ingested)?;
    count_outcomes(&[], &ingested.event_outcomes);
    let outcomes = ids.iter().zip(&ingested.event_outcomes);
    let answer = v1::AppendEventsResponse {
        customer_id: state.home.customer.to_string(),
        events: outcomes.map(|(id, outcome)| convert::event_outcome(id, *outcome)).collect(),
    };
    Ok(Change { record: None, ledger: Vec::new(), events: ingested.events, answer })
}

impl Call for v1::ListEventsRequest {
    type Answer = v1::ListEventsResponse;
    const METHOD: &'static str = "/custodia.v1.ProfileService/ListEvents";

    fn prepare(&mut self, room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        room.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        room: &Room,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let limit = page_size(self.page_size, PAGE_DEFAULT, PAGE_MAX)?;
        let after = page_start(&self.page_token)?;
        let (shard, customer) = target.place()?;
        let home = Home { shard, customer };
        let view = room.view_as(caller, &purpose, deadline).await?;
        let purpose = view.purpose(&purpose, "purpose")?;
        let reader = room.reader_for(caller, &view, purpose)?;
        room.read_barrier(target.group, deadline).await?;
        let core = room.core(home)?.ok_or(ServiceError::CustomerNotFound)?;
        let permission = Permission::for_purpose(purpose, reader, &core.value, &view.catalogue, now());
        let page = Page {
            home,
            permission: &permission,
            catalogue: &view.catalogue,
            events: Vec::new(),
            withheld: BTreeMap::new(),
            room_left: (limit, room.limits().response_bytes_max / 2),
        };
        filled(room, page, after)
    }
}

fn page_start(token: &str) -> Result<Option<EventSortKey>, ServiceError> {
    let Some(place) = parse_page_token(Listing::Events, token)? else { return Ok(None) };
    let malformed = |_length| ServiceError::invalid("page_token", "is not a token of this list");
    EventSortKey::from_bytes(&place).map(Some).map_err(malformed)
}

/// The size of a page that the field `page_size` asks for.
pub(super) fn page_size(asked: i32, default: usize, most: usize) -> Result<usize, ServiceError> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) if size <= most => Ok(size),
        Ok(_) => Err(ServiceError::field("page_size", FieldFault::TooMany(most))),
        Err(_negative) => Err(ServiceError::invalid("page_size", "is negative")),
    }
}

/// Events that are read from the engine at a time, so that a page is not in memory as a whole before its end is known.
const CHUNK: usize = 64;

/// A page in the making.
struct Page<'a> {
    home: Home,
    permission: &'a Permission<'a>,
    catalogue: &'a Catalogue,
    events: Vec<v1::StoredEvent>,
    withheld: BTreeMap<RefusalReason, i32>,
    /// Events that may still come onto it, and their bytes as they are stored.
    room_left: (usize, usize),
}

impl Page<'_> {
    /// Has it room for one more event of so many bytes? The first always has.
    fn takes(&mut self, bytes: usize) -> bool {
        let (events, bytes_left) = self.room_left;
        let is_first = self.events.is_empty() && self.withheld.is_empty();
        if events == 0 || (bytes > bytes_left && !is_first) {
            return false;
        }
        self.room_left = (events.saturating_sub(1), bytes_left.saturating_sub(bytes));
        true
    }

    fn add(&mut self, room: &Room, key: &Key, value: Bytes) -> Result<(), ServiceError> {
        let stored: Loaded<StoredEvent> = match room.open(self.home, key, value) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(()),
            Err(ServiceError::Unreadable) => {
                *self.withheld.entry(RefusalReason::Unreadable).or_insert(0) += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match self.permission.for_event(&stored.value) {
            Verdict::Permit { ground, .. } => {
                self.events.push(convert::stored_event(&stored.value, ground, self.catalogue));
            }
            Verdict::Refuse(reason) => *self.withheld.entry(reason).or_insert(0) += 1,
        }
        Ok(())
    }

    fn answer(self, next_page_token: String) -> v1::ListEventsResponse {
        let withheld = convert::withheld_events(self.withheld);
        v1::ListEventsResponse { events: self.events, next_page_token, withheld }
    }
}

/// Fills a page from behind `after`. It ends early where it would grow beyond half of a response.
fn filled(
    room: &Room,
    mut page: Page<'_>,
    after: Option<EventSortKey>,
) -> Result<v1::ListEventsResponse, ServiceError> {
    let home = page.home;
    let prefix = KeyPrefix::customer(home.group(), KeyKind::Event, &home.customer);
    let mut last = after.map(|place| Key::event(home.group(), &home.customer, &place).into_bytes());
    loop {
        // One more than fits, to know whether there are more.
        let limit = page.room_left.0.saturating_add(1).min(CHUNK);
        let chunk = room.consensus().engine().scan(prefix.as_bytes(), last.as_deref(), limit)?;
        let ended = chunk.len() < limit;
        for (key, value) in chunk {
            if !page.takes(value.len()) {
                let token = match &last {
                    Some(last) => page_token(Listing::Events, KeyParts::parse(last)?.suffix),
                    None => String::new(),
                };
                return Ok(page.answer(token));
            }
            page.add(room, &Key::parse(key.clone())?, value)?;
            last = Some(key);
        }
        if ended {
            return Ok(page.answer(String::new()));
        }
    }
}
