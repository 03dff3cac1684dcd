//! Owns the traits of a customer (PR-4): what the catalogue's definitions make of the events that the law permits. Always: the
//! same events in any order give the same value; a number is exact, and what is no number is skipped and counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalogue::{TraitAggregate, TraitDefinition},
    event::StoredEvent,
    id::{DAY_MS, PurposeNumber, TimestampMs},
    label::EventId,
    value::{Exact, Value},
};

/// A trait of one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedTrait<'a> {
    /// Its definition.
    pub definition: &'a TraitDefinition,
    /// Its value; none if there is nothing to make it of.
    pub value: Option<Value>,
    /// Events that it is made of.
    pub event_count: u32,
    /// Events that lack the property, or have no number there.
    pub skipped_event_count: u32,
    /// Whether it could be another if older events had been taken too.
    pub is_partial: bool,
    /// The purposes for which its events were collected.
    pub purposes: BTreeSet<PurposeNumber>,
}

/// Computes the traits of a customer from events in any order.
#[derive(Debug)]
pub struct Traits<'a> {
    now: TimestampMs,
    tallies: Vec<Tally<'a>>,
    /// Which tallies count an event of a name.
    by_event: BTreeMap<&'a str, Vec<usize>>,
}

/// What one trait is made of so far.
#[derive(Debug)]
struct Tally<'a> {
    definition: &'a TraitDefinition,
    /// Only events after it count.
    from: Option<TimestampMs>,
    event_count: u32,
    skipped_event_count: u32,
    purposes: BTreeSet<PurposeNumber>,
    sum: Exact,
    has_decimal: bool,
    /// The value that is kept, by what decides between two.
    kept: Option<(Rank, Value)>,
}

/// What decides which of two values is kept: the number, or the moment; then what makes the choice the same in any order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(Exact, Value),
    Moment(TimestampMs, EventId),
}

impl<'a> Traits<'a> {
    /// Computes these traits as of a moment.
    #[must_use]
    pub fn new(definitions: impl IntoIterator<Item = &'a TraitDefinition>, now: TimestampMs) -> Self {
        let tallies: Vec<_> = definitions.into_iter().map(|definition| Tally::new(definition, now)).collect();
        let mut by_event: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, tally) in tallies.iter().enumerate() {
            for name in &tally.definition.events {
                by_event.entry(name.as_str()).or_default().push(at);
            }
        }
        Self { now, tallies, by_event }
    }

    /// Takes an event that the law permits.
    pub fn add(&mut self, event: &StoredEvent) {
        let Some(counting) = self.by_event.get(event.event.name.as_str()) else { return };
        for at in counting {
            if let Some(tally) = self.tallies.get_mut(*at) {
                tally.add(event);
            }
        }
    }

    /// The traits, in the order of their definitions. If there are events that were not taken, all of them are as old as
    /// `oldest_taken` or older.
    #[must_use]
    pub fn computed(self, oldest_taken: Option<TimestampMs>) -> Vec<ComputedTrait<'a>> {
        let now = self.now;
        self.tallies.into_iter().map(|tally| tally.computed(oldest_taken, now)).collect()
    }
}

impl<'a> Tally<'a> {
    fn new(definition: &'a TraitDefinition, now: TimestampMs) -> Self {
        let window = i64::from(definition.window_days).saturating_mul(DAY_MS);
        Self {
            definition,
            from: (window > 0).then(|| now.plus_ms(-window)),
            event_count: 0,
            skipped_event_count: 0,
            purposes: BTreeSet::new(),
            sum: Exact::default(),
            has_decimal: false,
            kept: None,
        }
    }

    fn add(&mut self, stored: &StoredEvent) {
        let event = &stored.event;
        if self.from.is_some_and(|from| event.occurred_at <= from) {
            return;
        }
        let property = self.definition.property.as_ref();
        let value = match property.map(|name| event.properties.as_map().get(name)) {
            Some(Some(value)) => value.clone(),
            Some(None) => return self.skip(),
            None => Value::Timestamp(event.occurred_at),
        };
        let rank = match self.definition.aggregate {
            TraitAggregate::Count => None,
            TraitAggregate::Sum | TraitAggregate::Min | TraitAggregate::Max => {
                let Some(number) = Exact::of(&value) else { return self.skip() };
                self.sum = self.sum.plus(number);
                self.has_decimal |= matches!(value, Value::Decimal(_));
                Some(Rank::Number(number, value.clone()))
            }
            TraitAggregate::First | TraitAggregate::Last | TraitAggregate::DaysSinceLast => {
                Some(Rank::Moment(event.occurred_at, event.id.clone()))
            }
        };
        self.event_count += 1;
        self.purposes.insert(stored.provenance.purpose);
        let Some(rank) = rank else { return };
        let keeps_smaller = matches!(self.definition.aggregate, TraitAggregate::Min | TraitAggregate::First);
        let is_kept = self.kept.as_ref().is_none_or(|(kept, _)| (rank < *kept) == keeps_smaller);
        if is_kept {
            self.kept = Some((rank, value));
        }
    }

    fn skip(&mut self) {
        self.skipped_event_count += 1;
    }

    fn computed(self, oldest_taken: Option<TimestampMs>, now: TimestampMs) -> ComputedTrait<'a> {
        let is_partial = oldest_taken.is_some_and(|oldest| self.could_change_before(oldest));
        let newest = match &self.kept {
            Some((Rank::Moment(at, _), _)) => Some(*at),
            Some((Rank::Number(..), _)) | None => None,
        };
        let value = match self.definition.aggregate {
            TraitAggregate::Count => Some(Value::Integer(self.event_count.into())),
            TraitAggregate::Sum => {
                let integer = if self.has_decimal { None } else { self.sum.integer() };
                integer.or_else(|| self.sum.decimal())
            }
            TraitAggregate::Min | TraitAggregate::Max | TraitAggregate::First | TraitAggregate::Last => {
                self.kept.map(|(_, value)| value)
            }
            TraitAggregate::DaysSinceLast => newest.map(|at| Value::Integer(days_between(at, now))),
        };
        ComputedTrait {
            definition: self.definition,
            value,
            event_count: self.event_count,
            skipped_event_count: self.skipped_event_count,
            is_partial,
            purposes: self.purposes,
        }
    }

    /// Whether an event as old as this, or older, could change the value.
    fn could_change_before(&self, oldest: TimestampMs) -> bool {
        let is_in_window = self.from.is_none_or(|from| oldest > from);
        let is_settled = match (self.definition.aggregate, &self.kept) {
            (TraitAggregate::Last, Some((Rank::Moment(at, _), _))) => *at > oldest,
            (TraitAggregate::DaysSinceLast, Some(_)) => true,
            _ => false,
        };
        is_in_window && !is_settled
    }
}

/// Full days of 24 hours from one moment to another; none are negative.
fn days_between(from: TimestampMs, to: TimestampMs) -> i64 {
    (to.as_ms().saturating_sub(from.as_ms()) / DAY_MS).max(0)
}
