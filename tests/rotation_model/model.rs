//! The model: who may do what next, and what must hold.

use stateright::{Model, Property};

use crate::lookup::Lookup;
use crate::state::{Committed, Customer, Entry, Key, Record, Safeguards, Stage};
use crate::write::{Fill, Wish, Write};

pub(crate) const ONE_HOLDER: &str = "the identifier is in one record at most";
pub(crate) const OLD_COMPLETE: &str = "until a shard drops, the old entry names every holder";
pub(crate) const NEW_COMPLETE: &str = "once all shards are filled, the new entry names every holder";
pub(crate) const LOOKUP_TRUE: &str = "what a lookup answers was true while it ran";
pub(crate) const OLD_GONE: &str = "once a shard has dropped, it has no old entry";
pub(crate) const NEVER_STUCK: &str = "the identifier is held, or can be gained";
pub(crate) const FINISHES: &str = "the rotation can be finished, whoever has died";

/// What is there at first, who writes what, and where the entries are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// Whether A has the identifier.
    pub(crate) held: bool,
    pub(crate) writes: &'static [(Customer, Wish)],
    /// The shards of the old and of the new entry.
    pub(crate) placed: [usize; 2],
    /// How often a write is tried again after a conflict.
    pub(crate) tries: u8,
    /// Whether somebody looks the identifier up.
    pub(crate) lookup: bool,
}

/// A scope and what the rotation relies on in it.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    pub(crate) scope: Scope,
    pub(crate) safeguards: Safeguards,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) committed: Committed,
    writes: Vec<Write>,
    /// Whoever fills each shard.
    fills: [Fill; 2],
    pub(crate) lookup: Lookup,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Write(usize),
    /// The stage of a shard is raised.
    Raise(usize),
    Fill(usize),
    /// Whoever fills a shard dies; the next begins anew.
    FillerDies(usize),
    /// A shard that drops removes its entries.
    Remove(usize),
    Lookup,
    BeginLookup(Key),
}

impl Rotation {
    /// Whether a shard may go on to its next stage now, apart from those that its own steps lead to.
    fn may_raise(&self, committed: &Committed, shard: usize) -> bool {
        match committed.stages[shard] {
            Stage::Before => true,
            Stage::Filled => !self.safeguards.switch_waits || committed.all_at_least(Stage::Filled),
            Stage::Switched => !self.safeguards.drop_waits || committed.all_at_least(Stage::Switched),
            Stage::Filling | Stage::Dropping | Stage::Dropped => false,
        }
    }

    fn may_fill(&self, committed: &Committed, shard: usize) -> bool {
        match committed.stages[shard] {
            Stage::Before => !self.safeguards.fills_after_raise,
            Stage::Filling => true,
            Stage::Filled | Stage::Switched | Stage::Dropping | Stage::Dropped => false,
        }
    }

    fn apply(&self, state: &mut State, event: Event) {
        let State { committed, writes, fills, lookup } = state;
        match event {
            Event::Write(number) => writes[number].step(committed, &self.safeguards),
            Event::Raise(shard) => {
                committed.stages[shard] = match committed.stages[shard] {
                    Stage::Before => Stage::Filling,
                    Stage::Filled => Stage::Switched,
                    Stage::Switched => Stage::Dropping,
                    same @ (Stage::Filling | Stage::Dropping | Stage::Dropped) => same,
                };
            }
            Event::Fill(shard) => fills[shard] = fills[shard].step(committed, shard, &self.safeguards),
            Event::FillerDies(shard) => fills[shard] = Fill::Idle,
            Event::Remove(shard) => {
                if committed.placed[Key::Old as usize] == shard {
                    committed.entries[Key::Old as usize] = Entry { revision: 0, pointers: 0 };
                }
                committed.stages[shard] = Stage::Dropped;
            }
            Event::BeginLookup(key) => *lookup = Lookup::begin(key, committed),
            Event::Lookup => lookup.step(committed, &self.safeguards),
        }
        state.lookup.note(&state.committed);
    }

    /// Whether a customer gains the identifier, or finds it held, if its write runs alone after everything else has died.
    fn is_free(&self, state: &State, customer: Customer) -> bool {
        let mut committed = state.committed;
        let mut write = Write::new(customer, Wish::Gain, 1);
        while !write.is_over() {
            write.step(&mut committed, &self.safeguards);
        }
        committed.holders() != 0
    }

    /// Whether whoever goes on with the rotation alone comes to its end.
    fn finishes(&self, state: &State) -> bool {
        let mut state = State { writes: Vec::new(), fills: [Fill::Idle; 2], ..state.clone() };
        for _ in 0..40 {
            let mut events = Vec::new();
            self.actions(&state, &mut events);
            let next = events
                .into_iter()
                .find(|event| matches!(event, Event::Raise(_) | Event::Fill(_) | Event::Remove(_)));
            let Some(event) = next else { break };
            self.apply(&mut state, event);
        }
        state.committed.all_at_least(Stage::Dropped)
    }
}

impl Model for Rotation {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let has = self.scope.held;
        let nobody = Record { revision: 0, has: false };
        let old = Entry { revision: has.into(), pointers: if has { Customer::A.bit() } else { 0 } };
        vec![State {
            committed: Committed {
                stages: [Stage::Before; 2],
                records: [Record { revision: has.into(), has }, nobody],
                entries: [old, Entry { revision: 0, pointers: 0 }],
                placed: self.scope.placed,
            },
            writes: self
                .scope
                .writes
                .iter()
                .map(|(one, wish)| Write::new(*one, *wish, self.scope.tries))
                .collect(),
            fills: [Fill::Idle; 2],
            lookup: Lookup::NotBegun,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        let committed = &state.committed;
        events.extend((0..state.writes.len()).filter(|one| !state.writes[*one].is_over()).map(Event::Write));
        for shard in 0..2 {
            if self.may_raise(committed, shard) {
                events.push(Event::Raise(shard));
            }
            let begun = state.fills[shard] != Fill::Idle;
            if begun || self.may_fill(committed, shard) {
                events.push(Event::Fill(shard));
            }
            if begun {
                events.push(Event::FillerDies(shard));
            }
            if committed.stages[shard] == Stage::Dropping {
                events.push(Event::Remove(shard));
            }
        }
        match state.lookup {
            Lookup::NotBegun if self.scope.lookup => {
                events.extend(Lookup::begins_under(committed).map(Event::BeginLookup));
            }
            Lookup::Running(_) => events.push(Event::Lookup),
            Lookup::NotBegun | Lookup::Found(_) | Lookup::Nobody | Lookup::Wrong => {}
        }
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, event);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = Vec::new();
        if self.scope.lookup {
            properties.extend([
                Property::sometimes("a lookup finds A", |_, state: &State| {
                    state.lookup == Lookup::Found(Customer::A)
                }),
                Property::sometimes("a lookup finds nobody", |_, state: &State| {
                    state.lookup == Lookup::Nobody
                }),
            ]);
        }
        properties.extend([
            Property::sometimes("the rotation is finished", |_, state: &State| {
                state.committed.all_at_least(Stage::Dropped)
            }),
            Property::always(ONE_HOLDER, |_, state: &State| state.committed.holders().count_ones() <= 1),
            Property::always(OLD_COMPLETE, |_, state: &State| {
                state.committed.stages.iter().any(|stage| *stage >= Stage::Dropping)
                    || names_every_holder(&state.committed, Key::Old)
            }),
            Property::always(NEW_COMPLETE, |_, state: &State| {
                !state.committed.all_at_least(Stage::Filled) || names_every_holder(&state.committed, Key::New)
            }),
            Property::always(LOOKUP_TRUE, |_, state: &State| state.lookup != Lookup::Wrong),
            Property::always(OLD_GONE, |_, state: &State| {
                state.committed.stage_of(Key::Old) != Stage::Dropped
                    || state.committed.entry(Key::Old).revision == 0
            }),
            Property::always(NEVER_STUCK, |model: &Self, state: &State| {
                Customer::ALL.iter().all(|customer| model.is_free(state, *customer))
            }),
            Property::always(FINISHES, |model: &Self, state: &State| model.finishes(state)),
        ]);
        properties
    }
}

fn names_every_holder(committed: &Committed, key: Key) -> bool {
    committed.holders() & !committed.entry(key).pointers == 0
}
