//! Which matters are open (PR-5).

use std::collections::BTreeMap;

use custodia_profile::{
    Event, LastEvent, MatterState, MatterType, MatterTypeFields, OpenMatter, OpenMatters, StoredEvent, Value,
};
use proptest::{collection, prelude::*, sample::select};

use super::{case_fields, case_type, event, text};
use crate::{
    generated::DAY_MS,
    world::{NOW, at, label},
};

const OPENED: &str = "Case Opened";
const CLOSED: &str = "Case Closed";

fn step(id: &str, name: &str, ms: i64, key: Value) -> Event {
    event(id, name, at(ms), &[("case_id", key)]).event
}

fn of_case(id: &str, name: &str, ms: i64) -> Event {
    step(id, name, ms, text("C-1"))
}

fn open<'a>(of: &'a MatterType, given: &[Event], withheld: &[Event]) -> Vec<OpenMatter<'a>> {
    let mut matters = OpenMatters::new([of]);
    given.iter().for_each(|event| matters.add(event));
    withheld.iter().for_each(|event| matters.add_withheld(Some(event)));
    matters.open(NOW)
}

/// Key, state and when it was opened, in milliseconds after now.
fn brief<'a>(open: &'a [OpenMatter<'_>]) -> Vec<(&'a str, MatterState, i64)> {
    let ms = |matter: &OpenMatter<'_>| matter.opened_at.as_ms() - NOW.as_ms();
    open.iter().map(|matter| (matter.key.as_str(), matter.state, ms(matter))).collect()
}

#[test]
fn a_matter_is_open_from_its_opening_until_it_is_closed() {
    let case = case_type();
    let opened = of_case("1", OPENED, -9);
    let seen = |given: &[Event]| -> Vec<i64> {
        brief(&open(&case, given, &[])).into_iter().map(|(_, _, ms)| ms).collect()
    };
    assert_eq!(seen(&[]), [0; 0]);
    assert_eq!(seen(std::slice::from_ref(&opened)), [-9]);
    assert_eq!(seen(&[opened.clone(), of_case("2", OPENED, -5)]), [-9], "opened twice: since the first");
    assert_eq!(seen(&[opened.clone(), of_case("2", CLOSED, -5)]), [0; 0]);
    assert_eq!(seen(&[of_case("2", CLOSED, -5), opened.clone()]), [0; 0], "the closing arrived first");
    assert_eq!(seen(&[opened.clone(), of_case("2", CLOSED, -9)]), [0; 0], "at one moment the closing counts");
    assert_eq!(seen(&[opened.clone(), of_case("2", CLOSED, -10)]), [-9], "it closed what was before");
    let reopened = of_case("3", "Case Reopened", -2);
    assert_eq!(seen(&[opened.clone(), of_case("2", CLOSED, -5), reopened.clone()]), [-2]);
    assert_eq!(seen(&[opened, of_case("2", CLOSED, -5), reopened, of_case("4", CLOSED, -1)]), [0; 0]);
    assert_eq!(seen(&[of_case("1", "Case Updated", -5)]), [0; 0], "what was never opened is not open");
}

#[test]
fn the_last_event_is_any_that_names_the_matter() {
    let case = case_type();
    let given = [
        of_case("1", OPENED, -9),
        of_case("2", "Case Updated", -4),
        step("3", "Refund Issued", -3, text("C-1")),
        step("4", "Refund Issued", -1, text("C-2")),
    ];
    let found = open(&case, &given, &[]);
    let last = LastEvent { name: label("Refund Issued"), occurred_at: at(-3), channel: Some(label("phone")) };
    assert_eq!((found.len(), &found[0].last_event), (1, &last));
}

#[test]
fn a_number_and_its_text_are_one_key_and_other_values_are_none() {
    let case = case_type();
    let open_by = |key: Value| {
        let found = open(&case, &[step("1", OPENED, -9, key)], &[]);
        found.first().map(|matter| matter.key.as_str().to_owned())
    };
    for key in [text("42"), Value::Integer(42), Value::decimal(42.0).unwrap()] {
        assert_eq!(open_by(key.clone()).as_deref(), Some("42"));
        let closed = [step("1", OPENED, -9, Value::Integer(42)), step("2", CLOSED, -1, key)];
        assert!(open(&case, &closed, &[]).is_empty());
    }
    assert_eq!(open_by(text(&"k".repeat(256))).map(|key| key.len()), Some(256));
    for none in [text(""), text("C\n1"), text(&"k".repeat(257)), Value::Boolean(true), Value::Timestamp(NOW)]
    {
        assert_eq!(open_by(none), None);
    }
    let without_key = event("1", OPENED, at(-9), &[("other", text("C-1"))]).event;
    assert!(open(&case, &[without_key], &[]).is_empty());
}

#[test]
fn a_withheld_event_opens_and_closes_nothing_but_casts_doubt() {
    use MatterState::{Open, Unknown};
    let case = case_type();
    let (opened, closed) = (of_case("1", OPENED, -9), of_case("2", CLOSED, -5));
    let seen = |given: &[&Event], withheld: &[&Event]| {
        let cloned = |events: &[&Event]| events.iter().map(|event| (*event).clone()).collect::<Vec<_>>();
        let found = open(&case, &cloned(given), &cloned(withheld));
        brief(&found).into_iter().map(|(_, state, ms)| (state, ms)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&[], &[&opened]), [], "what is withheld opens nothing");
    assert_eq!(seen(&[&opened], &[&closed]), [(Unknown, -9)]);
    assert_eq!(seen(&[&closed], &[&opened]), []);
    assert_eq!(seen(&[&opened], &[&of_case("2", CLOSED, -9)]), [(Unknown, -9)], "at one moment it may count");
    assert_eq!(seen(&[&opened], &[&of_case("2", CLOSED, -10)]), [(Open, -9)]);
    assert_eq!(seen(&[&opened], &[&step("2", CLOSED, -5, text("C-2"))]), [(Open, -9)], "another case");
    assert_eq!(seen(&[&opened], &[&of_case("2", "Case Updated", -5)]), [(Open, -9)]);
    let reopened = of_case("3", "Case Reopened", -2);
    assert_eq!(seen(&[&opened, &reopened], &[&closed]), [(Open, -9)], "surely open again");
    assert_eq!(seen(&[&opened, &closed], &[&reopened]), [], "what is withheld opens nothing again");
    let mut matters = OpenMatters::new([&case]);
    matters.add(&opened);
    matters.add_withheld(None);
    assert_eq!(brief(&matters.open(NOW)), [("C-1", Unknown, -9)], "what cannot be read may be the closing");
}

#[test]
fn a_matter_is_stale_when_nothing_has_happened_for_its_days() {
    let is_stale = |days, ms| {
        let case = MatterType::new(MatterTypeFields { stale_after_days: days, ..case_fields() }).unwrap();
        let given = [of_case("1", OPENED, -400 * DAY_MS), of_case("2", "Case Updated", ms)];
        open(&case, &given, &[])[0].is_stale
    };
    assert!(is_stale(30, -30 * DAY_MS) && !is_stale(30, -30 * DAY_MS + 1));
    assert!(!is_stale(0, -300 * DAY_MS), "none is");
}

#[test]
fn matters_of_all_types_come_by_when_they_were_opened() {
    let case = case_type();
    let order = MatterType::new(MatterTypeFields {
        id: "order".parse().unwrap(),
        opening_events: vec![label("Order Completed")],
        closing_events: vec![label("Order Delivered"), label("Order Cancelled")],
        key_property: label("order_id"),
        ..case_fields()
    })
    .unwrap();
    let mut matters = OpenMatters::new([&case, &order]);
    for (id, name, ms, property, key) in [
        ("1", OPENED, -9, "case_id", "C-1"),
        ("2", "Order Completed", -7, "order_id", "O-1"),
        ("3", "Order Completed", -5, "order_id", "O-2"),
        ("4", "Order Cancelled", -3, "order_id", "O-1"),
    ] {
        matters.add(&event(id, name, at(ms), &[(property, text(key))]).event);
    }
    let found = matters.open(NOW);
    assert_eq!(brief(&found), [("O-2", MatterState::Open, -5), ("C-1", MatterState::Open, -9)]);
    assert_eq!(found[0].matter_type, &order);
}

/// An event of a few names, moments and keys, so that they meet; and whether it is withheld.
fn events() -> impl Strategy<Value = Vec<(StoredEvent, bool)>> {
    let names = select(vec![OPENED, "Case Reopened", CLOSED, "Case Updated"]);
    let keys = select(vec![text("7"), Value::Integer(7), text("8"), Value::Boolean(true)]);
    let one = (names, 0_i64..8, keys, prop::bool::weighted(0.2));
    collection::vec(one, 0..20).prop_map(|all| {
        let stored = |(number, (name, ms, key, is_withheld)): (usize, (&str, i64, Value, bool))| {
            (event(&number.to_string(), name, at(ms - 100), &[("case_id", key)]), is_withheld)
        };
        all.into_iter().enumerate().map(stored).collect()
    })
}

fn told<'a>(of: &'a MatterType, events: &[(StoredEvent, bool)]) -> Vec<OpenMatter<'a>> {
    let mut matters = OpenMatters::new([of]);
    for (event, is_withheld) in events {
        if *is_withheld { matters.add_withheld(Some(&event.event)) } else { matters.add(&event.event) }
    }
    matters.open(NOW)
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_matters(events in events(), shuffled in any::<prop::sample::Index>()) {
        let case = case_type();
        let mut other = events.clone();
        other.rotate_left(if events.is_empty() { 0 } else { shuffled.index(events.len()) });
        prop_assert_eq!(told(&case, &other), told(&case, &events));
        other.reverse();
        prop_assert_eq!(told(&case, &other), told(&case, &events));
    }

    #[test]
    fn a_matter_whose_newest_step_closed_it_is_never_open_and_any_other_is(events in events()) {
        let case = case_type();
        // By key: the newest step, a closing after an opening of the same moment.
        let mut newest: BTreeMap<&str, (i64, bool)> = BTreeMap::new();
        for (stored, _) in events.iter().filter(|(_, is_withheld)| !is_withheld) {
            let is_closing = stored.event.name.as_str() == CLOSED;
            let key = match stored.event.properties.as_map().values().next() {
                Some(Value::Text(text)) if text.as_str() == "8" => "8",
                Some(Value::Boolean(_)) => continue,
                _ => "7",
            };
            if stored.event.name.as_str() != "Case Updated" {
                let step = (stored.event.occurred_at.as_ms(), is_closing);
                let known = newest.entry(key).or_insert(step);
                *known = step.max(*known);
            }
        }
        let expected: Vec<_> =
            newest.iter().filter(|(_, (_, is_closing))| !is_closing).map(|(key, _)| *key).collect();
        let found = told(&case, &events);
        let mut keys: Vec<_> = found.iter().map(|matter| matter.key.as_str()).collect();
        keys.sort_unstable();
        prop_assert_eq!(keys, expected);
    }

    #[test]
    fn withheld_events_change_nothing_but_whether_it_is_sure(events in events()) {
        let case = case_type();
        let given: Vec<_> = events.iter().filter(|(_, is_withheld)| !is_withheld).cloned().collect();
        let without = told(&case, &given);
        prop_assert!(without.iter().all(|matter| matter.state == MatterState::Open));
        let sure = |matter| OpenMatter { state: MatterState::Open, ..matter };
        prop_assert_eq!(told(&case, &events).into_iter().map(sure).collect::<Vec<_>>(), without);
    }
}
