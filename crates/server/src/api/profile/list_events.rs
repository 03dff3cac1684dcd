//! ListEvents: one page of a customer's events, newest first.

use std::collections::BTreeMap;

use bytes::Bytes;
use custodia_profile::{RefusalReason, StoredEvent, Verdict};
use custodia_proto::v1;
use custodia_store::{EventSortKey, Key, KeyKind, KeyParts, KeyPrefix};

use super::convert;
use crate::{
    catalogue::CatalogueView,
    scan::Scan,
    shard::{CustomerRead, Loaded, ProfileView, ReadAccess},
    wire::{Listing, PageSize, Pager, ServiceError, page_start},
};

const PAGE: PageSize = PageSize { default: 50, max: 500 };

/// Events read from the engine at a time, so that memory is bounded even if a page ends early.
const CHUNK: usize = 64;

/// Where a page begins, and its limits.
#[derive(Debug)]
pub(crate) struct Query {
    after: Option<EventSortKey>,
    pager: Pager,
}

impl CustomerRead for v1::ListEventsRequest {
    type Query = Query;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<Query, ServiceError> {
        let key = |bytes: &[u8]| EventSortKey::from_bytes(bytes).ok();
        Ok(Query {
            after: page_start(Listing::Events, &self.page_token, key)?,
            pager: Pager::new(Listing::Events, self.page_size, PAGE)?,
        })
    }

    async fn answer(query: Query, profile: ProfileView<'_>) -> Result<v1::ListEventsResponse, ServiceError> {
        page(query, &profile)
    }
}

/// Fills a page. It ends early if it would exceed half of the maximum response.
fn page(query: Query, profile: &ProfileView<'_>) -> Result<v1::ListEventsResponse, ServiceError> {
    let (group, customer) = (profile.location.group(), &profile.location.customer);
    let mut pager = query.pager.within_bytes(profile.context.limits().response_bytes_max / 2);
    let mut page = Page { profile, events: Vec::new(), withheld: BTreeMap::new() };
    let last = query.after.map(|key| Key::event(group, customer, &key).into_bytes());
    let prefix = KeyPrefix::customer(group, KeyKind::Event, customer);
    let mut stored = Scan::new(profile.context.engine(), prefix, last, pager.entries_wanted().min(CHUNK));
    while let Some((key, value)) = stored.next_stored()? {
        if !pager.admits(KeyParts::parse(&key)?.suffix, value.len()) {
            break;
        }
        page.add(&Key::parse(key)?, value)?;
    }
    Ok(v1::ListEventsResponse {
        events: page.events,
        withheld: convert::withheld_events(page.withheld),
        next_page_token: pager.next_page_token(),
    })
}

/// A page while it is filled.
struct Page<'a> {
    profile: &'a ProfileView<'a>,
    events: Vec<v1::StoredEvent>,
    withheld: BTreeMap<RefusalReason, i32>,
}

impl Page<'_> {
    fn add(&mut self, key: &Key, value: Bytes) -> Result<(), ServiceError> {
        let ProfileView { context, location, permission, view, .. } = self.profile;
        let stored: Loaded<StoredEvent> = match context.open(*location, key, value) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(()),
            Err(ServiceError::Unreadable) => {
                *self.withheld.entry(RefusalReason::Unreadable).or_insert(0) += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match permission.for_event(&stored.value) {
            Verdict::Permit { ground, .. } => {
                self.events.push(convert::stored_event(&stored.value, ground, &view.catalogue));
            }
            Verdict::Refuse(reason) => *self.withheld.entry(reason).or_insert(0) += 1,
        }
        Ok(())
    }
}
