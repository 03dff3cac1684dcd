//! The model: who may do what next, and what must hold.

use stateright::{Model, Property};

use crate::merge::{Action, Merge};
use crate::process::{Answer, Frame, Process, Rules};
use crate::state::{Committed, Customer, Customers, MergeId, Safeguards};
use crate::write::{Change, Write};

pub(crate) const ONE_HOLDER: &str = "X is in one live record at most";
pub(crate) const IN_THE_INDEX: &str = "the entry leads to the holder";
pub(crate) const NAMED: &str = "a customer whose merge is in force names it";
pub(crate) const NO_CIRCLE: &str = "no merges lead in a circle";
pub(crate) const NOTHING_LOST: &str = "what was acknowledged about a customer is where its merges lead";
pub(crate) const LOOKUP_TRUE: &str = "what a lookup answers was true while it ran";
pub(crate) const CLAIMABLE: &str = "whoever has died, a claim gains X or finds its holder";
pub(crate) const WRITABLE: &str = "whoever has died, a customer can be written";
pub(crate) const MERGEABLE: &str = "whoever has died, two customers can be merged";

/// What is there at first, and who does what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) begin: Committed,
    pub(crate) processes: &'static [Frame],
    pub(crate) tries_max: u8,
    pub(crate) descending: bool,
    /// What must be possible.
    pub(crate) goals: fn() -> Vec<Property<Merges>>,
}

/// A scope and what the protocol relies on in it.
#[derive(Debug, Clone)]
pub(crate) struct Merges {
    pub(crate) scope: Scope,
    pub(crate) safeguards: Safeguards,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) committed: Committed,
    pub(crate) processes: Vec<Process>,
    /// Who held X at some moment of the lookup, and whether nobody did; nothing before it begins.
    seen: Option<(Customers, bool)>,
}

impl Merges {
    fn rules(&self) -> Rules {
        let Scope { tries_max, descending, .. } = self.scope;
        Rules { safeguards: self.safeguards, tries_max, descending }
    }

    /// The rules of a call that nobody disturbs.
    fn alone(&self) -> Rules {
        Rules { tries_max: 4, ..self.rules() }
    }

    fn is_claimable(&self, state: &State, customer: Customer) -> bool {
        let mut committed = state.committed;
        match Process::run(Write::begin(customer, Change::ClaimX), &mut committed, &self.alone()) {
            Answer::Done => committed.end(customer).is_some_and(|end| committed.live(end).x.is_some()),
            Answer::Held(holder) => committed.holders().contains(holder),
            Answer::Free | Answer::Own | Answer::GaveUp => false,
        }
    }

    fn is_writable(&self, state: &State, customer: Customer) -> bool {
        let mut committed = state.committed;
        Process::run(Write::begin(customer, Change::Note), &mut committed, &self.alone()) == Answer::Done
    }

    fn is_mergeable(&self, state: &State) -> bool {
        let mut committed = state.committed;
        let [l, s] = [Customer::L, Customer::S];
        if committed.end(l) != Some(l) || committed.end(s) != Some(s) {
            return true;
        }
        Process::run(Merge::begin(Action::Merge, s, l), &mut committed, &self.alone());
        committed.end(l) == Some(s)
    }
}

impl State {
    /// Notes who holds X now, while a lookup runs.
    fn note(&mut self) {
        let holders = self.committed.holders();
        if let Some((held, free)) = &mut self.seen {
            *held = held.and(holders);
            *free |= holders.is_empty();
        }
    }

    fn is_lookup_true(&self) -> bool {
        let (Some((held, free)), Some(lookup)) = (self.seen, self.processes.last()) else { return true };
        match lookup.answer {
            Some(Answer::Held(holder)) => held.contains(holder),
            Some(Answer::Free) => free,
            None | Some(Answer::Done | Answer::Own | Answer::GaveUp) => true,
        }
    }
}

impl Model for Merges {
    type State = State;
    type Action = usize;

    fn init_states(&self) -> Vec<State> {
        let processes = self.scope.processes.iter().copied().map(Process::new).collect();
        vec![State { committed: self.scope.begin, processes, seen: None }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<usize>) {
        let running = state.processes.iter().enumerate().filter(|(_, process)| process.answer.is_none());
        steps.extend(running.map(|(at, _)| at));
    }

    fn next_state(&self, last: &State, step: usize) -> Option<State> {
        let mut state = last.clone();
        let is_lookup = matches!(self.scope.processes.get(step), Some(Frame::Lookup(_)));
        if is_lookup && state.seen.is_none() {
            state.seen = Some((Customers::NONE, false));
            state.note();
        }
        state.processes.get_mut(step)?.step(&mut state.committed, &self.rules());
        state.note();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = (self.scope.goals)();
        properties.extend([
            Property::always(ONE_HOLDER, |_, state: &State| state.committed.holders().iter().count() <= 1),
            Property::always(IN_THE_INDEX, |_, state: &State| {
                let committed = &state.committed;
                let led_to = |holder| {
                    committed.entry.pointers.iter().any(|pointer| committed.end(pointer) == Some(holder))
                };
                committed.holders().iter().all(led_to)
            }),
            Property::always(NAMED, |_, state: &State| {
                let committed = &state.committed;
                let mut listed =
                    committed.records.iter().flat_map(|record| record.lists.into_iter().flatten());
                let named = |merge: MergeId| {
                    committed.record(merge.other).names.is_some_and(|names| names.merge == merge)
                };
                listed.all(named)
            }),
            Property::always(NO_CIRCLE, |_, state: &State| {
                Customer::ALL.into_iter().all(|customer| state.committed.end(customer).is_some())
            }),
            Property::always(NOTHING_LOST, |_, state: &State| {
                let committed = &state.committed;
                let is_there = |customer| {
                    let end = committed.end(customer);
                    end.is_none_or(|end| committed.live(end).notes.contains(customer))
                };
                committed.acknowledged.iter().all(is_there)
            }),
            Property::always(LOOKUP_TRUE, |_, state: &State| state.is_lookup_true()),
            Property::always(CLAIMABLE, |model: &Self, state: &State| {
                Customer::ALL.into_iter().all(|customer| model.is_claimable(state, customer))
            }),
            Property::always(WRITABLE, |model: &Self, state: &State| {
                Customer::ALL.into_iter().all(|customer| model.is_writable(state, customer))
            }),
            Property::always(MERGEABLE, |model: &Self, state: &State| model.is_mergeable(state)),
        ]);
        properties
    }
}
