//! Owns which matters are open (PR-5). Always: the newest opening or closing of a matter decides by when it occurred, and of
//! two at one moment the closing, so a matter that was closed is never shown as open.
//!
//! ```text
//!            opening                      closing
//!   nothing ─────────▶ open ◀───────────────────────▶ closed      opening, later: open again
//!                       │ a closing that is withheld, at that moment or later;
//!                       │ or any event that cannot be read
//!                       ▼
//!                    unknown
//! ```
//! An event that is withheld opens nothing, closes nothing and is not the last one. It can only cast doubt: the customer's
//! matter is not called open if the store knows better (GDPR Art. 5(1)(d)).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    catalogue::MatterType,
    event::Event,
    id::{DAY_MS, TimestampMs},
    label::{Channel, EventId, EventName, MatterKey},
    value::Value,
};

/// What is known of a matter that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatterState {
    /// It is open.
    Open,
    /// It was opened, and an event since then that could close it is withheld or cannot be read.
    Unknown,
}

/// The newest event about a matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEvent {
    /// Its name.
    pub name: EventName,
    /// When it occurred.
    pub occurred_at: TimestampMs,
    /// Through which channel.
    pub channel: Option<Channel>,
}

/// A matter that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMatter<'a> {
    /// Its type.
    pub matter_type: &'a MatterType,
    /// Which one it is.
    pub key: MatterKey,
    /// Whether it is surely open.
    pub state: MatterState,
    /// When it was opened: the oldest opening since it was last closed.
    pub opened_at: TimestampMs,
    /// Through which channel it was opened.
    pub channel: Option<Channel>,
    /// The newest event that names it.
    pub last_event: LastEvent,
    /// Whether nothing has happened for as long as its type says.
    pub is_stale: bool,
}

/// Finds the open matters of a customer among events in any order.
#[derive(Debug)]
pub struct OpenMatters<'a> {
    types: Vec<&'a MatterType>,
    /// By the position of the type, and the key.
    found: BTreeMap<(usize, MatterKey), Found>,
    has_unreadable: bool,
}

/// What the events say of one matter.
#[derive(Debug, Default)]
struct Found {
    openings: BTreeSet<(TimestampMs, EventId, Option<Channel>)>,
    closed_at: Option<TimestampMs>,
    withheld_closing_at: Option<TimestampMs>,
    last: Option<(EventId, LastEvent)>,
}

impl<'a> OpenMatters<'a> {
    /// Looks for matters of these types.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = &'a MatterType>) -> Self {
        Self { types: types.into_iter().collect(), found: BTreeMap::new(), has_unreadable: false }
    }

    /// Takes an event that the law permits.
    pub fn add(&mut self, event: &Event) {
        for (at, of) in self.types.iter().enumerate() {
            let Some(key) = key_of(event, of) else { continue };
            let found = self.found.entry((at, key)).or_default();
            if of.opening_events.contains(&event.name) {
                found.openings.insert((event.occurred_at, event.id.clone(), event.channel.clone()));
            } else if of.closing_events.contains(&event.name) {
                found.closed_at = found.closed_at.max(Some(event.occurred_at));
            }
            let is_newer =
                |(id, last): &(EventId, LastEvent)| (event.occurred_at, &event.id) > (last.occurred_at, id);
            if found.last.as_ref().is_none_or(is_newer) {
                found.last = Some((event.id.clone(), last_event(event)));
            }
        }
    }

    /// Takes an event that is withheld; none: it cannot be read, and may be any event.
    pub fn add_withheld(&mut self, event: Option<&Event>) {
        let Some(event) = event else {
            self.has_unreadable = true;
            return;
        };
        for (at, of) in self.types.iter().enumerate() {
            if of.closing_events.contains(&event.name)
                && let Some(key) = key_of(event, of)
            {
                let found = self.found.entry((at, key)).or_default();
                found.withheld_closing_at = found.withheld_closing_at.max(Some(event.occurred_at));
            }
        }
    }

    /// The matters that are not closed, the one that was opened last first.
    #[must_use]
    pub fn open(self, now: TimestampMs) -> Vec<OpenMatter<'a>> {
        let Self { types, found, has_unreadable } = self;
        let open = |((at, key), found): ((usize, MatterKey), Found)| {
            let matter_type = *types.get(at)?;
            found.open(matter_type, key, has_unreadable, now)
        };
        let mut open: Vec<_> = found.into_iter().filter_map(open).collect();
        // Stable: of two that were opened at one moment, the types and keys are in order.
        open.sort_by_key(|matter| std::cmp::Reverse(matter.opened_at));
        open
    }
}

impl Found {
    fn open(
        self,
        matter_type: &MatterType,
        key: MatterKey,
        has_unreadable: bool,
        now: TimestampMs,
    ) -> Option<OpenMatter<'_>> {
        let is_since = |(at, ..): &&(TimestampMs, EventId, Option<Channel>)| Some(*at) > self.closed_at;
        let (opened_at, _, channel) = self.openings.iter().find(is_since)?;
        let (newest_opening, ..) = self.openings.last()?;
        let (_, last_event) = self.last?;
        let is_doubtful = has_unreadable || self.withheld_closing_at >= Some(*newest_opening);
        let state = if is_doubtful { MatterState::Unknown } else { MatterState::Open };
        let stale_after = i64::from(matter_type.stale_after_days).saturating_mul(DAY_MS);
        let is_stale = stale_after > 0 && last_event.occurred_at.plus_ms(stale_after) <= now;
        let (opened_at, channel) = (*opened_at, channel.clone());
        Some(OpenMatter { matter_type, key, state, opened_at, channel, last_event, is_stale })
    }
}

fn last_event(event: &Event) -> LastEvent {
    LastEvent { name: event.name.clone(), occurred_at: event.occurred_at, channel: event.channel.clone() }
}

/// Which matter of a type an event names, if any. One source writes a number as a text and another as a number.
fn key_of(event: &Event, of: &MatterType) -> Option<MatterKey> {
    let key = match event.properties.as_map().get(&of.key_property)? {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => Cow::from(number.to_string()),
        Value::Decimal(number) => number.as_f64().to_string().into(),
        Value::Boolean(_) | Value::Date(_) | Value::Timestamp(_) => return None,
    };
    MatterKey::new("key", &key).ok()
}
