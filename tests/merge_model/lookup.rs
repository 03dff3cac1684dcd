//! A lookup of X.
//!
//! ```text
//! read the entry ── the same as before ──▶ nobody
//!      ▲   └─ another ─▶ go where each leads ── has X ──▶ found
//!      └────────────────────┘ none has it
//! ```

use crate::merge::Settle;
use crate::path::{Met, Path};
use crate::process::{Answer, Frame, Next, Rules};
use crate::state::{Committed, Customers};

/// The lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lookup {
    /// Who was in the entry when it was read before.
    before: Customers,
    unasked: Customers,
    path: Option<Path>,
    tries: u8,
}

impl Lookup {
    pub(crate) const fn begin() -> Frame {
        let (before, unasked) = (Customers::NONE, Customers::NONE);
        Frame::Lookup(Self { before, unasked, path: None, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        let Some(path) = &mut self.path else {
            let pointers = committed.entry.pointers;
            if pointers == self.before {
                return Next::Return(Answer::Free);
            }
            (self.before, self.unasked) = (pointers, pointers);
            self.ask_next(rules);
            return Next::Stay;
        };
        match path.look(committed, rules) {
            Met::NotInForce(other) => {
                self.tries += 1;
                let goes_on = self.tries < rules.tries_max;
                if goes_on { Next::Call(Settle::of(other)) } else { Next::Return(Answer::GaveUp) }
            }
            Met::Merged(merge) if path.follow(merge) => Next::Stay,
            Met::Merged(_) => Next::Return(Answer::GaveUp),
            Met::Customer(record) if record.profile.x.is_some() => Next::Return(Answer::Held(path.at())),
            Met::Customer(_) => {
                self.ask_next(rules);
                Next::Stay
            }
        }
    }

    fn ask_next(&mut self, rules: &Rules) {
        let next = rules.first(self.unasked);
        self.unasked = next.map_or(self.unasked, |next| self.unasked.without(Customers::of(next)));
        self.path = next.map(Path::of);
    }
}
