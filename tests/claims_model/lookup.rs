//! A lookup of X, and what was true while it ran.
//!
//! ```text
//! begin ─▶ read the entry ── the same holder as before ──▶ nobody
//!               ▲   └─ another ─▶ read its record ── has it ──▶ found
//!               └─────────────────────┘ has it not
//! ```

use crate::state::{Committed, Customer, Identifier, Safeguards};

/// What is looked up.
const IDENTIFIER: Identifier = Identifier::X;

/// The lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lookup {
    /// It may begin at any moment.
    NotBegun,
    Running(Running),
    Found(Customer),
    Nobody,
    /// What it answered was at no moment true.
    Wrong,
}

/// A lookup between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    /// The holder whose record is read next.
    asks: Option<Customer>,
    /// The holder in the entry when it was read before.
    before: Option<Customer>,
    /// Whether each customer held the identifier at some moment.
    held: [bool; 2],
    /// Whether nobody did at some moment.
    free: bool,
}

impl Lookup {
    pub(crate) const fn is_over(&self) -> bool {
        !matches!(self, Self::NotBegun | Self::Running(_))
    }

    /// Makes the next step.
    pub(crate) fn step(&mut self, committed: &Committed, safeguards: &Safeguards) {
        let mut running = match self {
            Self::NotBegun => Running { asks: None, before: None, held: [false; 2], free: false },
            Self::Running(running) => *running,
            Self::Found(_) | Self::Nobody | Self::Wrong => return,
        };
        running.note(committed);
        *self = match (running.asks, committed.entry(IDENTIFIER).holder) {
            (Some(asked), _) if committed.holds(asked, IDENTIFIER) => running.found(asked),
            (Some(_), _) => Self::Running(Running { asks: None, ..running }),
            (None, holder) if holder == running.before => running.nobody(),
            (None, Some(holder)) if !safeguards.lookup_asks_record => running.found(holder),
            (None, holder) => Self::Running(Running { asks: holder, before: holder, ..running }),
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
        for customer in committed.holders(IDENTIFIER) {
            self.held[customer as usize] = true;
        }
        self.free |= committed.holders(IDENTIFIER).next().is_none();
    }

    const fn found(&self, customer: Customer) -> Lookup {
        if self.held[customer as usize] { Lookup::Found(customer) } else { Lookup::Wrong }
    }

    const fn nobody(&self) -> Lookup {
        if self.free { Lookup::Nobody } else { Lookup::Wrong }
    }
}
