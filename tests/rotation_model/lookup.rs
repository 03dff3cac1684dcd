//! A lookup of the identifier, and what was true while it ran.
//!
//! ```text
//! under the old key: read the entry ─▶ read the stage ── refuses ──▶ the same under the new key
//!                                         │ answers
//!                                         ▼
//!                    ask who is named ── has it ──▶ found
//!                         │ none has it
//!                         └─▶ read again ── the same ──▶ nobody
//! ```
//! It begins under the old key at any moment, as on a node that has not heard of a rotation; and under the new one as soon as a shard
//! has switched, as on a node that has been refused.

use crate::state::{Committed, Customer, Key, Safeguards, Stage};

/// The lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lookup {
    NotBegun,
    Running(Running),
    Found(Customer),
    Nobody,
    /// What it answered was at no moment true.
    Wrong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    ReadEntry,
    /// The stage is read apart from the entry: after it, or where that safeguard is missing before it.
    ReadStage(u8),
    /// Who is named and was not asked yet, of whom are named.
    Ask(u8, u8),
    EntryAfterStage,
}

/// A lookup between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    key: Key,
    step: Step,
    /// Who was named when the entry was read before; at first nobody.
    before: u8,
    /// Who held the identifier at some moment.
    held: u8,
    /// Whether nobody did at some moment.
    free: bool,
}

impl Lookup {
    /// Begins under a key.
    pub(crate) fn begin(key: Key, committed: &Committed) -> Self {
        let mut running = Running { key, step: Step::ReadEntry, before: 0, held: 0, free: false };
        running.note(committed);
        Self::Running(running)
    }

    /// Under which keys it may begin now.
    pub(crate) fn begins_under(committed: &Committed) -> impl Iterator<Item = Key> {
        let switched = committed.stages.iter().any(|stage| *stage >= Stage::Switched);
        [Key::Old].into_iter().chain(switched.then_some(Key::New))
    }

    /// Makes the next step.
    pub(crate) fn step(&mut self, committed: &Committed, safeguards: &Safeguards) {
        let Self::Running(mut running) = *self else { return };
        running.note(committed);
        let answers = committed.stage_of(running.key).answers(running.key, safeguards);
        let pointers = committed.entry(running.key).pointers;
        *self = match running.step {
            Step::ReadEntry if safeguards.stage_after_entry => running.goes_on(Step::ReadStage(pointers)),
            Step::ReadEntry if !answers => running.refused(),
            Step::ReadEntry => running.goes_on(Step::EntryAfterStage),
            Step::ReadStage(_) if !answers => running.refused(),
            Step::ReadStage(read) => running.named(read),
            Step::EntryAfterStage => running.named(pointers),
            Step::Ask(left, all) => {
                let next = Customer::ALL.into_iter().find(|one| left & one.bit() != 0);
                match next {
                    Some(one) if committed.record(one).has => running.found(one),
                    Some(one) => running.goes_on(Step::Ask(left & !one.bit(), all)),
                    None => {
                        running.before = all;
                        running.goes_on(Step::ReadEntry)
                    }
                }
            }
        };
    }

    /// Notes who holds the identifier now, while it runs.
    pub(crate) fn note(&mut self, committed: &Committed) {
        if let Self::Running(running) = self {
            running.note(committed);
        }
    }
}

impl Running {
    fn note(&mut self, committed: &Committed) {
        self.held |= committed.holders();
        self.free |= committed.holders() == 0;
    }

    const fn goes_on(self, step: Step) -> Lookup {
        Lookup::Running(Self { step, ..self })
    }

    const fn refused(self) -> Lookup {
        Lookup::Running(Self { key: Key::New, step: Step::ReadEntry, ..self })
    }

    fn named(self, all: u8) -> Lookup {
        if self.before == all {
            return if self.free { Lookup::Nobody } else { Lookup::Wrong };
        }
        self.goes_on(Step::Ask(all, all))
    }

    const fn found(&self, customer: Customer) -> Lookup {
        if self.held & customer.bit() != 0 { Lookup::Found(customer) } else { Lookup::Wrong }
    }
}
