//! The scopes that are checked: what is there at first, who writes what, and what must be possible in it.
//!
//! In each, A and B want the same identifier, or one wants what the other releases.

use stateright::Property;

use crate::model::{Claims, Locks, Scope, State};
use crate::process::{Ended, Request};
use crate::state::{Committed, Customer, Entry, Identifier, Identifiers, Record};

const NO_RECORD: Record = Record { revision: 0, memory: 0, identifiers: Identifiers::NONE };
const NO_ENTRY: Entry = Entry { revision: 0, holder: None };

/// A record with an identifier.
const fn record(identifiers: Identifiers) -> Record {
    Record { revision: 1, memory: 0, identifiers }
}

const fn entry(holder: Customer) -> Entry {
    Entry { revision: 1, holder: Some(holder) }
}

const NOTHING: Committed = Committed { records: [NO_RECORD; 2], entries: [NO_ENTRY; 2] };
const A_HOLDS_X: Committed =
    Committed { records: [record(Identifiers::X), NO_RECORD], entries: [entry(Customer::A), NO_ENTRY] };
const A_HOLDS_X_AND_B_HOLDS_Y: Committed = Committed {
    records: [record(Identifiers::X), record(Identifiers::Y)],
    entries: [entry(Customer::A), entry(Customer::B)],
};
/// As earlier writes leave it that claimed and then died.
const A_CLAIMED_X_AND_B_CLAIMED_Y: Committed =
    Committed { records: [NO_RECORD; 2], entries: [entry(Customer::A), entry(Customer::B)] };

const fn add(identifiers: Identifiers) -> Request {
    Request { add: identifiers, remove: Identifiers::NONE }
}

const fn remove(identifiers: Identifiers) -> Request {
    Request { add: Identifiers::NONE, remove: identifiers }
}

const ADD_X: &[Request] = &[add(Identifiers::X)];
const ADD_BOTH: &[Request] = &[add(Identifiers::BOTH)];

/// What the scopes have in common.
const SCOPE: Scope = Scope {
    begin: NOTHING,
    requests: [ADD_X, ADD_X],
    locks: Locks::Impatient,
    faults: 2,
    tries_max: 3,
    lookup: true,
    goals: either_wins,
};

/// Both claim X.
pub(crate) const CLAIM: Scope = Scope { goals: either_wins_whatever_the_other_left, ..SCOPE };
/// Both claim X and Y.
pub(crate) const CLAIM_BOTH: Scope = Scope { requests: [ADD_BOTH, ADD_BOTH], ..SCOPE };
/// A claims X twice, as for a caller who got no answer.
pub(crate) const CLAIM_AGAIN: Scope = Scope {
    requests: [&[add(Identifiers::X), add(Identifiers::X)], ADD_X],
    goals: either_wins_whatever_the_other_left,
    ..SCOPE
};
/// A releases X, which B claims.
pub(crate) const RELEASE: Scope =
    Scope { begin: A_HOLDS_X, requests: [&[remove(Identifiers::X)], ADD_X], goals: it_moves, ..SCOPE };
/// A releases X and claims it again, as B does.
pub(crate) const RELEASE_AND_CLAIM: Scope = Scope {
    begin: A_HOLDS_X,
    requests: [&[remove(Identifiers::X), add(Identifiers::X)], ADD_X],
    goals: it_moves,
    ..SCOPE
};
/// A replaces X by Y, and B Y by X, each in one write.
pub(crate) const REPLACE: Scope = Scope {
    begin: A_HOLDS_X_AND_B_HOLDS_Y,
    requests: [
        &[Request { add: Identifiers::Y, remove: Identifiers::X }],
        &[Request { add: Identifiers::X, remove: Identifiers::Y }],
    ],
    goals: it_moves,
    ..SCOPE
};
/// The same in two writes each.
pub(crate) const EXCHANGE: Scope = Scope {
    begin: A_HOLDS_X_AND_B_HOLDS_Y,
    requests: [
        &[remove(Identifiers::X), add(Identifiers::Y)],
        &[remove(Identifiers::Y), add(Identifiers::X)],
    ],
    // With two there are three times as many states.
    faults: 1,
    goals: it_moves,
    ..SCOPE
};
/// Both claim X and Y, of which each had claimed one before.
pub(crate) const OLD_CLAIMS: Scope =
    Scope { begin: A_CLAIMED_X_AND_B_CLAIMED_Y, requests: [ADD_BOTH, ADD_BOTH], ..SCOPE };

/// The scope as if every lock were lost at once: with more conflicts, so with fewer faults and tries.
pub(crate) const fn without_locks(scope: Scope) -> Scope {
    Scope { locks: Locks::None, faults: 1, tries_max: 2, ..scope }
}

/// The scope without the lookup, which only multiplies the states.
pub(crate) const fn without_lookup(scope: Scope) -> Scope {
    Scope { lookup: false, ..scope }
}

/// The scope without faults, where every wait lasts as long as it takes.
pub(crate) const fn undisturbed(scope: Scope, goals: fn() -> Vec<Property<Claims>>) -> Scope {
    Scope { locks: Locks::Patient, faults: 0, goals, ..scope }
}

fn holds_x(state: &State, customer: Customer) -> bool {
    state.committed.holds(customer, Identifier::X)
}

/// Whether a fault ended a customer's last write after it had been granted X.
fn was_cut(state: &State, customer: Customer) -> bool {
    let granted = |ended| match ended {
        Ended::Cut { granted } => granted.contains(Identifier::X),
        Ended::Committed { .. } | Ended::Unchanged | Ended::GaveUp => false,
    };
    state.writers[customer as usize].ended.is_some_and(granted)
}

fn either_wins() -> Vec<Property<Claims>> {
    vec![
        Property::sometimes("A gains X", |_, state| holds_x(state, Customer::A)),
        Property::sometimes("B gains X", |_, state| holds_x(state, Customer::B)),
    ]
}

fn either_wins_whatever_the_other_left() -> Vec<Property<Claims>> {
    let mut goals = either_wins();
    goals.push(Property::sometimes("B gains X after A was granted it and died", |_, state| {
        was_cut(state, Customer::A) && holds_x(state, Customer::B)
    }));
    goals.push(Property::sometimes("A gains X after B was granted it and died", |_, state| {
        was_cut(state, Customer::B) && holds_x(state, Customer::A)
    }));
    goals.push(Property::sometimes("A has died, and its proposal is applied", |_, state| {
        was_cut(state, Customer::A) && holds_x(state, Customer::A)
    }));
    goals
}

fn it_moves() -> Vec<Property<Claims>> {
    let mut goals = either_wins();
    goals.retain(|goal| goal.name != "A gains X");
    goals.push(Property::sometimes("A died when it was committed, and B gains X", |_, state: &State| {
        let died = matches!(state.writers[0].ended, Some(Ended::Cut { .. }));
        died && holds_x(state, Customer::B)
    }));
    goals
}

/// No write gives up.
pub(crate) fn all_are_answered() -> Vec<Property<Claims>> {
    vec![Property::always("no write gives up", |_, state: &State| {
        state.writers.iter().all(|writer| writer.ended != Some(Ended::GaveUp))
    })]
}

/// No write gives up, and one of both gains all that both claim.
pub(crate) fn one_gains_all() -> Vec<Property<Claims>> {
    let mut goals = all_are_answered();
    goals.push(Property::always("in the end one has what both claim", |model: &Claims, state: &State| {
        let claimed = model.scope.requests[0][0].add;
        let [a, b] = state.committed.records.map(|record| record.identifiers);
        let one_has_all = (a == claimed && b.is_empty()) || (b == claimed && a.is_empty());
        !state.is_over() || one_has_all
    }));
    goals
}
