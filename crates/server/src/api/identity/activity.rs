//! What the events of an agent's context add up to: open matters and traits.
//!
//! Invariant: nothing is computed where the catalogue declares nothing for the purpose, or the law refuses it.

use std::sync::Arc;

use custodia_profile::{
    Channel, ComputedTrait, MatterState, OpenMatter, OpenMatters, StoredEvent, TimestampMs, Traits,
};
use custodia_proto::v1;

use crate::{
    shard::ProfileView,
    wire::{
        convert::{purpose_name, text, value},
        timestamp,
    },
};

/// Open matters that are listed.
const OPEN_MATTERS_MAX: usize = 20;

/// Open matters and traits while the events are read, the newest first.
pub(super) struct Activity<'a> {
    profile: &'a ProfileView<'a>,
    is_declared: bool,
    matters: OpenMatters<'a>,
    traits: Traits<'a>,
    oldest: Option<TimestampMs>,
}

/// What is shown of it.
pub(super) struct ShownActivity {
    pub(super) open_matters: Vec<v1::OpenMatter>,
    pub(super) has_more_open_matters: bool,
    pub(super) traits: Vec<v1::Trait>,
}

impl<'a> Activity<'a> {
    pub(super) fn new(profile: &'a ProfileView<'a>) -> Self {
        let (catalogue, purpose) = (&profile.view.catalogue, profile.purpose.number);
        let is_permitted = profile.permission.verdict().ground().is_some();
        let types: Vec<_> = catalogue
            .matter_types()
            .filter(|of| is_permitted && of.allows(purpose))
            .map(Arc::as_ref)
            .collect();
        let traits: Vec<_> =
            catalogue.traits().filter(|of| is_permitted && of.allows(purpose)).map(Arc::as_ref).collect();
        Self {
            profile,
            is_declared: !types.is_empty() || !traits.is_empty(),
            matters: OpenMatters::new(types),
            traits: Traits::new(traits, profile.now),
            oldest: None,
        }
    }

    /// Whether events add up to anything here.
    pub(super) const fn is_declared(&self) -> bool {
        self.is_declared
    }

    /// Takes the next event, which the law permits.
    pub(super) fn add(&mut self, event: &StoredEvent) {
        self.oldest = Some(event.event.occurred_at);
        self.matters.add(&event.event);
        self.traits.add(event);
    }

    /// Takes the next event, which is withheld; none: it cannot be read.
    pub(super) fn add_withheld(&mut self, event: Option<&StoredEvent>) {
        if let Some(event) = event {
            self.oldest = Some(event.event.occurred_at);
        }
        self.matters.add_withheld(event.map(|event| &event.event));
    }

    /// What is shown after the last event. `has_older`: there are events that were not taken.
    pub(super) fn shown(self, has_older: bool) -> ShownActivity {
        let (catalogue, now) = (&self.profile.view.catalogue, self.profile.now);
        let mut open = self.matters.open(now);
        let has_more_open_matters = open.len() > OPEN_MATTERS_MAX;
        open.truncate(OPEN_MATTERS_MAX);
        let newest = TimestampMs::from_ms(i64::MAX);
        let oldest_taken = has_older.then(|| self.oldest.unwrap_or(newest));
        let traits = self.traits.computed(oldest_taken).into_iter().map(|computed| {
            let purposes =
                computed.purposes.iter().map(|purpose| purpose_name(*purpose, catalogue)).collect();
            trait_wire(&computed, purposes, now)
        });
        ShownActivity {
            traits: traits.collect(),
            open_matters: open.into_iter().map(open_matter).collect(),
            has_more_open_matters,
        }
    }
}

fn open_matter(matter: OpenMatter<'_>) -> v1::OpenMatter {
    let state = match matter.state {
        MatterState::Open => v1::MatterState::Open,
        MatterState::Unknown => v1::MatterState::Unknown,
    };
    let last = matter.last_event;
    v1::OpenMatter {
        matter_type: matter.matter_type.id.as_str().to_owned(),
        display_name: matter.matter_type.display_name.clone(),
        key: matter.key.as_str().to_owned(),
        state: state.into(),
        opened_at: Some(timestamp(matter.opened_at)),
        channel: text(matter.channel.as_ref().map(Channel::as_str)),
        last_event: Some(v1::EventSummary {
            name: last.name.as_str().to_owned(),
            occurred_at: Some(timestamp(last.occurred_at)),
            channel: text(last.channel.as_ref().map(Channel::as_str)),
        }),
        is_stale: matter.is_stale,
    }
}

fn count(events: u32) -> i32 {
    i32::try_from(events).unwrap_or(i32::MAX)
}

fn trait_wire(computed: &ComputedTrait<'_>, purposes: Vec<String>, as_of: TimestampMs) -> v1::Trait {
    v1::Trait {
        id: computed.definition.id.as_str().to_owned(),
        display_name: computed.definition.display_name.clone(),
        value: computed.value.as_ref().map(value),
        unit: computed.definition.unit.clone(),
        event_count: count(computed.event_count),
        skipped_event_count: count(computed.skipped_event_count),
        is_partial: computed.is_partial,
        purposes,
        as_of: Some(timestamp(as_of)),
    }
}
