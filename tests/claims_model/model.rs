//! The model: who may do what next, which faults may happen, and what must hold.

use stateright::{Model, Property};

use crate::lookup::Lookup;
use crate::process::{Ended, Process, Progress, Request, Rules};
use crate::state::{Command, Committed, Customer, Identifier, Identifiers, Safeguards};

pub(crate) const ONE_HOLDER: &str = "an identifier is in one record at most";
pub(crate) const IN_THE_INDEX: &str = "the index has every identifier of every record";
pub(crate) const LOOKUP_TRUE: &str = "what a lookup answers was true while it ran";
pub(crate) const NEVER_STUCK: &str = "an identifier that nobody holds can be gained, whoever has died";
pub(crate) const NO_DEADLOCK: &str = "where nothing can happen any more, every write has ended";

/// Whether the writes of one customer wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locks {
    /// They do not, as if every lock were lost at once. Who waits for a lock too long has then ended by a fault.
    None,
    /// They wait for as long as it takes.
    Patient,
    /// A claim or a release may end its wait for another write.
    Impatient,
}

/// What is there at first, who writes what, and what may go wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) begin: Committed,
    /// The requests of each customer, one after another.
    pub(crate) requests: [&'static [Request]; 2],
    pub(crate) locks: Locks,
    /// Faults: each ends the first members of a chain of calls.
    pub(crate) faults: u8,
    pub(crate) tries_max: u8,
    pub(crate) lookup: bool,
    /// What must be possible, and what else must hold.
    pub(crate) goals: fn() -> Vec<Property<Claims>>,
}

/// A scope and what the protocol relies on in it.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    pub(crate) scope: Scope,
    pub(crate) safeguards: Safeguards,
}

/// A customer's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    /// The write in progress.
    pub(crate) process: Option<Process>,
    /// How many requests have begun.
    begun: usize,
    /// How the last one ended.
    pub(crate) ended: Option<Ended>,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) committed: Committed,
    pub(crate) writers: [Writer; 2],
    /// Releases, and calls whose callers are gone. Sorted.
    pub(crate) others: Vec<Process>,
    /// Proposals whose proposers are gone. Sorted.
    pub(crate) late: Vec<Command>,
    pub(crate) lookup: Lookup,
    faults_left: u8,
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Writer(Customer),
    Other(usize),
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Step(Who),
    /// It waits no longer for a lock.
    LosePatience(Who),
    /// The first members of its chain of calls end.
    Fault(Who, usize),
    /// A proposal is applied whose proposer is gone.
    ApplyLate(usize),
    StepLookup,
}

impl State {
    fn process(&self, who: Who) -> Option<&Process> {
        match who {
            Who::Writer(customer) => self.writers[customer as usize].process.as_ref(),
            Who::Other(index) => self.others.get(index),
        }
    }

    /// Takes a process out.
    fn take(&mut self, who: Who) -> Option<Process> {
        match who {
            Who::Writer(customer) => self.writers[customer as usize].process.take(),
            Who::Other(index) => (index < self.others.len()).then(|| self.others.remove(index)),
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.writers.iter().filter_map(|writer| writer.process.as_ref()).chain(&self.others)
    }

    fn who(&self) -> impl Iterator<Item = Who> {
        Customer::ALL.into_iter().map(Who::Writer).chain((0..self.others.len()).map(Who::Other))
    }

    /// Whether a process waits for a lock that another has.
    fn is_blocked(&self, process: &Process) -> bool {
        process.needs_lock().is_some_and(|customer| self.processes().any(|other| other.has_locked(customer)))
    }

    /// Whether nothing is going on any more.
    pub(crate) fn is_over(&self) -> bool {
        self.processes().next().is_none()
    }
}

impl Claims {
    const fn rules(&self) -> Rules {
        let locks = !matches!(self.scope.locks, Locks::None);
        Rules { safeguards: self.safeguards, locks, tries_max: self.scope.tries_max }
    }

    /// Puts a process back after an event.
    fn put_back(&self, state: &mut State, who: Who, process: Process, progress: Progress) {
        match (who, progress) {
            (Who::Writer(customer), Progress::Running) => {
                state.writers[customer as usize].process = Some(process);
            }
            (Who::Writer(customer), Progress::Ended(ended)) => self.end(state, customer, ended),
            (Who::Other(_), Progress::Running) => state.others.push(process),
            (Who::Other(_), Progress::Ended(_)) | (_, Progress::Over) => {}
        }
    }

    /// Ends a customer's write, and begins the next.
    fn end(&self, state: &mut State, customer: Customer, ended: Ended) {
        if let Ended::Committed { lost } = ended {
            state.others.extend(lost.iter().map(|identifier| Process::release(customer, identifier)));
        }
        let writer = &mut state.writers[customer as usize];
        writer.ended = Some(ended);
        self.begin(writer, customer);
    }

    fn begin(&self, writer: &mut Writer, customer: Customer) {
        let request = self.scope.requests[customer as usize].get(writer.begun);
        writer.process = request.map(|request| Process::write(customer, *request));
        writer.begun += usize::from(request.is_some());
    }

    fn fault(&self, state: &mut State, who: Who, process: Process, members: usize) {
        let granted = process.granted();
        let (left, proposed) = process.cut(members);
        state.others.extend(left);
        state.late.extend(proposed);
        if let Who::Writer(customer) = who {
            self.end(state, customer, Ended::Cut { granted });
        }
        state.faults_left -= 1;
    }

    /// Whether a customer gets X, or another one holds it, if its next write runs alone after everything else has died.
    fn is_free(&self, state: &State, customer: Customer) -> bool {
        let mut committed = state.committed;
        let mut process =
            Process::write(customer, Request { add: Identifiers::X, remove: Identifiers::NONE });
        while process.step(&mut committed, &self.rules()) == Progress::Running {}
        committed.holders(Identifier::X).next().is_some()
    }
}

impl Model for Claims {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let writer = |customer| {
            let mut writer = Writer { process: None, begun: 0, ended: None };
            self.begin(&mut writer, customer);
            writer
        };
        vec![State {
            committed: self.scope.begin,
            writers: Customer::ALL.map(writer),
            others: Vec::new(),
            late: Vec::new(),
            lookup: if self.scope.lookup { Lookup::NotBegun } else { Lookup::Nobody },
            faults_left: self.scope.faults,
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        for who in state.who() {
            let Some(process) = state.process(who) else { continue };
            if !state.is_blocked(process) {
                events.push(Event::Step(who));
            } else if self.scope.locks == Locks::Impatient && !process.is_new() {
                events.push(Event::LosePatience(who));
            }
            if state.faults_left > 0 && !process.is_new() {
                events.extend((1..=process.members()).map(|members| Event::Fault(who, members)));
            }
        }
        events.extend((0..state.late.len()).map(Event::ApplyLate));
        if !state.lookup.is_over() {
            events.push(Event::StepLookup);
        }
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let (mut state, rules) = (last.clone(), &self.rules());
        match event {
            Event::Step(who) => {
                let mut process = state.take(who)?;
                let progress = process.step(&mut state.committed, rules);
                self.put_back(&mut state, who, process, progress);
            }
            Event::LosePatience(who) => {
                let mut process = state.take(who)?;
                let progress = process.lose_patience(rules);
                self.put_back(&mut state, who, process, progress);
            }
            Event::Fault(who, members) => {
                let process = state.take(who)?;
                self.fault(&mut state, who, process, members);
            }
            Event::ApplyLate(index) => {
                let command = state.late.remove(index);
                state.committed.apply(&command, &self.safeguards);
            }
            Event::StepLookup => state.lookup.step(&state.committed, &self.safeguards),
        }
        state.lookup.note(&state.committed);
        if self.safeguards.emptied_keeps_revision {
            // Revisions only grow: what is not accepted now never will be.
            state.late.retain(|command| state.committed.accepts(command, &self.safeguards));
        }
        state.others.sort_unstable();
        state.late.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = (self.scope.goals)();
        if self.scope.lookup {
            properties.extend([
                Property::sometimes("a lookup finds A", |_, state: &State| {
                    state.lookup == Lookup::Found(Customer::A)
                }),
                Property::sometimes("a lookup finds B", |_, state: &State| {
                    state.lookup == Lookup::Found(Customer::B)
                }),
                Property::sometimes("a lookup finds nobody", |_, state: &State| {
                    state.lookup == Lookup::Nobody
                }),
            ]);
        }
        properties.extend([
            Property::always(ONE_HOLDER, |_, state: &State| {
                Identifier::ALL.iter().all(|one| state.committed.holders(*one).count() <= 1)
            }),
            Property::always(IN_THE_INDEX, |_, state: &State| {
                let committed = &state.committed;
                let found = |one: Identifier| {
                    committed.holders(one).all(|holder| committed.entry(one).holder == Some(holder))
                };
                Identifier::ALL.into_iter().all(found)
            }),
            Property::always(LOOKUP_TRUE, |_, state: &State| state.lookup != Lookup::Wrong),
            Property::always(NEVER_STUCK, |model: &Self, state: &State| {
                Customer::ALL.iter().all(|customer| model.is_free(state, *customer))
            }),
            Property::always(NO_DEADLOCK, |model: &Self, state: &State| {
                let mut events = Vec::new();
                model.actions(state, &mut events);
                !events.is_empty() || state.is_over()
            }),
        ]);
        properties
    }
}
