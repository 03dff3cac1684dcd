//! ListEvents: one page of a customer's events, newest first.
//!
//! Invariant: of an event that is withheld, a caller learns its reason. A page may end with one, and its position is its time:
//! so the position in a page token is sealed with the customer's key, which also keeps a caller from making up positions and
//! counting what lies behind them. After a rotation of that key, a token from before is refused.

use std::collections::BTreeMap;

use custodia_profile::RefusalReason;
use custodia_proto::v1;
use custodia_seal::BucketId;
use custodia_store::EventSortKey;

use super::{
    convert,
    seen_event::{SeenEvent, seen_event},
};
use crate::{
    catalogue::CatalogueView,
    keys::KeysError,
    shard::{CustomerRead, EventSource, MemberEvents, ProfileView, ReadAccess},
    wire::{Listing, PageSize, Pager, ServiceError, foreign_page_token, page_start, page_token},
};

const PAGE: PageSize = PageSize { default: 50, max: 500 };

/// Events read from the engine at a time, so that memory is bounded even if a page ends early.
const CHUNK: usize = 64;

/// Where a page begins, and its limits.
#[derive(Debug)]
pub(crate) struct Query {
    /// The sealed position of the last entry of the page before.
    after: Option<Vec<u8>>,
    pager: Pager,
}

impl CustomerRead for v1::ListEventsRequest {
    type Query = Query;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<Query, ServiceError> {
        let sealed = |bytes: &[u8]| Some(bytes.to_vec());
        Ok(Query {
            after: page_start(Listing::Events, &self.page_token, sealed)?,
            pager: Pager::new(Listing::Events, self.page_size, PAGE)?,
        })
    }

    async fn answer(query: Query, profile: ProfileView<'_>) -> Result<v1::ListEventsResponse, ServiceError> {
        page(query, &profile).await
    }
}

/// Fills a page. It ends early if it would exceed half of the maximum response.
async fn page(query: Query, profile: &ProfileView<'_>) -> Result<v1::ListEventsResponse, ServiceError> {
    let mut pager = query.pager.within_bytes(profile.context.limits().response_bytes_max / 2);
    let mut page = Page { profile, events: Vec::new(), withheld: BTreeMap::new() };
    let after = query.after.map(|sealed| opened(profile, &sealed)).transpose()?;
    let from = (after.as_ref(), pager.entries_wanted().min(CHUNK));
    let (context, location) = (profile.context, profile.location);
    let mut stored = MemberEvents::after(context, location, profile.record(), from, profile.reading);
    while let Some((position, event)) = stored.next().await? {
        if !pager.admits(position.as_bytes(), event.len()) {
            break;
        }
        page.add(event)?;
    }
    let next = pager.next_position().map(|position| sealed(profile, &position)).transpose()?;
    Ok(v1::ListEventsResponse {
        events: page.events,
        withheld: convert::withheld_events(page.withheld),
        next_page_token: next.map(|sealed| page_token(Listing::Events, &sealed)).unwrap_or_default(),
    })
}

fn sealed(profile: &ProfileView<'_>, position: &[u8]) -> Result<Vec<u8>, ServiceError> {
    let ProfileView { context, location, stored, .. } = profile;
    let bucket = BucketId::new(stored.header.bucket);
    let sealed = context.keys_of(location.shard)?.seal_position(location.customer, bucket, position);
    sealed.map_err(|error| context.key_failure(location.group(), error))
}

fn opened(profile: &ProfileView<'_>, sealed: &[u8]) -> Result<EventSortKey, ServiceError> {
    let ProfileView { context, location, stored, .. } = profile;
    let bucket = BucketId::new(stored.header.bucket);
    match context.keys_of(location.shard)?.open_position(location.customer, bucket, sealed) {
        Ok(position) => EventSortKey::from_bytes(&position).map_err(|_error| foreign_page_token()),
        Err(KeysError::Seal(_) | KeysError::EpochGone { .. }) => Err(foreign_page_token()),
        Err(error) => Err(context.key_failure(location.group(), error)),
    }
}

/// A page while it is filled.
struct Page<'a> {
    profile: &'a ProfileView<'a>,
    events: Vec<v1::StoredEvent>,
    withheld: BTreeMap<RefusalReason, i32>,
}

impl Page<'_> {
    fn add(&mut self, event: EventSource) -> Result<(), ServiceError> {
        match seen_event(self.profile, event)? {
            SeenEvent::Given(event, ground) => {
                self.events.push(convert::stored_event(&event, ground, &self.profile.view.catalogue));
            }
            SeenEvent::Withheld(reason, _) => *self.withheld.entry(reason).or_insert(0) += 1,
            SeenEvent::Gone => {}
        }
        Ok(())
    }
}
