//! What traits are made of, and what they come to (PR-4).

use std::collections::BTreeSet;

use custodia_profile::{
    ComputedTrait, StoredEvent, TimestampMs, TraitAggregate, TraitDefinition, TraitFields, Traits, Value,
};
use proptest::{collection, prelude::*, sample::select};

use super::{event, text, trait_fields};
use crate::{
    generated::DAY_MS,
    world::{MARKETING, NOW, SERVICE, at, purpose, values},
};

fn definition(aggregate: TraitAggregate, property: Option<&str>) -> TraitDefinition {
    TraitDefinition::new(trait_fields(aggregate, property)).unwrap()
}

fn order(id: &str, ms: i64, total: Value) -> StoredEvent {
    event(id, "Order Completed", at(ms), &[("total", total)])
}

fn decimal(number: f64) -> Value {
    Value::decimal(number).unwrap()
}

fn computed<'a>(
    definition: &'a TraitDefinition,
    events: &[StoredEvent],
    oldest_taken: Option<TimestampMs>,
) -> ComputedTrait<'a> {
    let mut traits = Traits::new([definition], NOW);
    events.iter().for_each(|event| traits.add(event));
    traits.computed(oldest_taken).remove(0)
}

/// The value of an aggregate of the property `total`, where it has one.
fn value(aggregate: TraitAggregate, events: &[StoredEvent]) -> Option<Value> {
    let has_none = matches!(aggregate, TraitAggregate::Count | TraitAggregate::DaysSinceLast);
    let property = (!has_none).then_some("total");
    computed(&definition(aggregate, property), events, None).value
}

#[test]
fn each_aggregate_is_made_of_the_events_it_names() {
    let mut events = vec![
        order("1", -9 * DAY_MS, decimal(19.9)),
        order("2", -5 * DAY_MS, decimal(0.1)),
        order("3", -2 * DAY_MS, Value::Integer(5)),
        event("4", "Order Refunded", at(-3 * DAY_MS), &[("total", decimal(-19.9))]),
    ];
    events.push(event("5", "Order Shipped", at(-DAY_MS), &[("total", Value::Integer(100))]));
    let expected = [
        (TraitAggregate::Count, Value::Integer(4)),
        (TraitAggregate::Sum, decimal(5.1)),
        (TraitAggregate::Min, decimal(-19.9)),
        (TraitAggregate::Max, decimal(19.9)),
        (TraitAggregate::First, decimal(19.9)),
        (TraitAggregate::Last, Value::Integer(5)),
        (TraitAggregate::DaysSinceLast, Value::Integer(2)),
    ];
    for (aggregate, expected) in expected {
        assert!(value(aggregate, &events) == Some(expected), "{aggregate:?}");
    }
    let moment = |aggregate| computed(&definition(aggregate, None), &events, None).value;
    assert_eq!(moment(TraitAggregate::First), Some(Value::Timestamp(at(-9 * DAY_MS))));
    assert_eq!(moment(TraitAggregate::Last), Some(Value::Timestamp(at(-2 * DAY_MS))));
}

#[test]
fn nothing_adds_up_to_zero_and_has_no_smallest() {
    let zero = Some(Value::Integer(0));
    assert_eq!((value(TraitAggregate::Count, &[]), value(TraitAggregate::Sum, &[])), (zero.clone(), zero));
    for aggregate in [
        TraitAggregate::Min,
        TraitAggregate::Max,
        TraitAggregate::First,
        TraitAggregate::Last,
        TraitAggregate::DaysSinceLast,
    ] {
        assert_eq!(value(aggregate, &[]), None, "{aggregate:?}");
    }
}

#[test]
fn what_is_no_number_or_missing_is_skipped_and_counted() {
    let events = [
        order("1", -9, Value::Integer(7)),
        order("2", -8, text("7")),
        order("3", -7, Value::Boolean(true)),
        event("4", "Order Completed", at(-6), &[]),
        order("5", -5, decimal(1e40)),
    ];
    let sum = definition(TraitAggregate::Sum, Some("total"));
    let sum = computed(&sum, &events, None);
    assert_eq!((sum.event_count, sum.skipped_event_count, sum.value), (1, 4, Some(Value::Integer(7))));
    let last = definition(TraitAggregate::Last, Some("total"));
    let last = computed(&last, &events[..4], None);
    let value = Some(Value::Boolean(true));
    assert_eq!((last.event_count, last.skipped_event_count, last.value), (3, 1, value), "of any type");
}

#[test]
fn only_events_of_the_window_count() {
    let windowed = |aggregate, property: Option<&str>| {
        let fields = TraitFields { window_days: 30, ..trait_fields(aggregate, property) };
        TraitDefinition::new(fields).unwrap()
    };
    let events = [
        order("1", -30 * DAY_MS, Value::Integer(1)),
        order("2", -30 * DAY_MS + 1, Value::Integer(2)),
        order("3", 60_000, Value::Integer(4)),
    ];
    let sum = windowed(TraitAggregate::Sum, Some("total"));
    assert_eq!(computed(&sum, &events, None).value, Some(Value::Integer(6)));
    let days = windowed(TraitAggregate::DaysSinceLast, None);
    assert_eq!(computed(&days, &events[..1], None).value, None);
    assert_eq!(computed(&days, &events, None).value, Some(Value::Integer(0)), "a clock that is ahead");
}

#[test]
fn a_trait_is_partial_only_if_older_events_could_change_it() {
    let fields = |aggregate, window_days| TraitFields { window_days, ..trait_fields(aggregate, None) };
    let events = [order("1", -20 * DAY_MS, Value::Integer(1)), order("2", -DAY_MS, Value::Integer(1))];
    let is_partial = |aggregate, window_days, events: &[StoredEvent], oldest: Option<i64>| {
        let definition = TraitDefinition::new(fields(aggregate, window_days)).unwrap();
        computed(&definition, events, oldest.map(|days| at(days * DAY_MS))).is_partial
    };
    use TraitAggregate::{Count, DaysSinceLast, First, Last};
    for aggregate in [Count, First, Last, DaysSinceLast] {
        assert!(!is_partial(aggregate, 0, &events, None), "all were taken");
        assert!(is_partial(aggregate, 0, &[], Some(-20)), "{aggregate:?} of nothing so far");
        assert!(!is_partial(aggregate, 10, &[], Some(-20)), "the window was taken as a whole");
        assert!(is_partial(aggregate, 30, &[], Some(-20)), "the window was not");
    }
    assert!(is_partial(Count, 0, &events, Some(-20)) && is_partial(First, 0, &events, Some(-20)));
    assert!(!is_partial(Last, 0, &events, Some(-20)) && !is_partial(DaysSinceLast, 0, &events, Some(-20)));
    assert!(is_partial(Last, 0, &events[..1], Some(-20)), "another of the same moment could be the last");
}

#[test]
fn a_trait_names_the_purposes_for_which_its_events_were_collected() {
    let mut refund = event("2", "Order Refunded", at(-8), &[]);
    refund.provenance.purpose = purpose(MARKETING);
    let count = definition(TraitAggregate::Count, None);
    let both = computed(&count, &[order("1", -9, Value::Integer(1)), refund], None);
    assert_eq!(both.purposes, BTreeSet::from([purpose(SERVICE), purpose(MARKETING)]));
    assert!(computed(&count, &[], None).purposes.is_empty());
}

fn numbers() -> impl Strategy<Value = Value> {
    prop_oneof![
        values(),
        any::<i64>().prop_map(Value::Integer),
        (-1_000_000_i64..1_000_000).prop_map(|cents| decimal(cents as f64 / 100.0)),
    ]
}

fn events() -> impl Strategy<Value = Vec<StoredEvent>> {
    let names = select(vec!["Order Completed", "Order Refunded", "Order Shipped"]);
    collection::vec((names, 0_i64..6, numbers()), 0..20).prop_map(|all| {
        let stored = |(number, (name, days, total)): (usize, (&str, i64, Value))| {
            event(&number.to_string(), name, at(-days * DAY_MS), &[("total", total)])
        };
        all.into_iter().enumerate().map(stored).collect()
    })
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_traits(events in events(), first in any::<prop::sample::Index>()) {
        for aggregate in TraitAggregate::ALL {
            let mut other = events.clone();
            other.rotate_left(if events.is_empty() { 0 } else { first.index(events.len()) });
            prop_assert!(value(aggregate, &other) == value(aggregate, &events), "{aggregate:?}");
            other.reverse();
            prop_assert!(value(aggregate, &other) == value(aggregate, &events), "{aggregate:?}");
        }
    }

    /// To the cent, where adding binary fractions is not.
    #[test]
    fn a_sum_of_amounts_is_exact(cents in collection::vec(-100_000_000_i64..100_000_000, 1..50)) {
        let amount = |cents: i64| format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        let parsed = |cents: i64| decimal(amount(cents).parse().unwrap());
        let events: Vec<_> =
            cents.iter().enumerate().map(|(at, cents)| order(&at.to_string(), -1, parsed(*cents))).collect();
        prop_assert!(value(TraitAggregate::Sum, &events) == Some(parsed(cents.iter().sum())));
    }

    /// Whole numbers stay whole, and beyond what an integer holds the sum is the closest decimal.
    #[test]
    fn a_sum_of_integers_is_an_integer_if_it_fits(numbers in collection::vec(any::<i64>(), 1..9)) {
        let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
        let expected = i64::try_from(sum).map_or_else(|_| decimal(sum as f64), Value::Integer);
        let event = |(at, number): (usize, &i64)| order(&at.to_string(), -1, Value::Integer(*number));
        let events: Vec<_> = numbers.iter().enumerate().map(event).collect();
        prop_assert!(value(TraitAggregate::Sum, &events) == Some(expected));
    }

    #[test]
    fn the_smallest_and_the_largest_are_among_the_numbers(events in events()) {
        let as_f64 = |value: &Value| match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Decimal(number) => Some(number.as_f64()).filter(|number| number.abs() < 1e33),
            Value::Text(_) | Value::Boolean(_) | Value::Date(_) | Value::Timestamp(_) => None,
        };
        let counted = events.iter().filter(|event| event.event.name.as_str() != "Order Shipped");
        let numbers: Vec<_> = counted.filter_map(|event| as_f64(event.event.properties.as_map().values().next()?)).collect();
        let found = |aggregate| value(aggregate, &events).and_then(|value| as_f64(&value));
        prop_assert_eq!(found(TraitAggregate::Min), numbers.iter().copied().reduce(f64::min));
        prop_assert_eq!(found(TraitAggregate::Max), numbers.iter().copied().reduce(f64::max));
    }
}
