//! A write that gains or loses the identifier.
//!
//! ```text
//! load ─▶ for each key of the stage: read the entry ─ another ─▶ its record has it? ─▶ held: over
//!                                         │                          no ─▶ fence ─┐
//!                                         └─ nobody, or itself ──────────────────▶ put ─▶ propose the record
//! ```
//! A write that has died makes no more steps; a proposal that nobody waits for is one that is slow.

use crate::state::{Committed, Customer, Entry, Key, Record, Safeguards, Stage};

/// What a write wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    Gain,
    Lose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Load,
    /// Reads the entry under the key of this number.
    Read(usize),
    /// Asks the record of the other customer.
    Ask(usize, (Entry, Stage)),
    /// Raises its revision, unless it has the identifier by now.
    Fence(usize, (Entry, Stage)),
    Put(usize, (Entry, Stage)),
    Propose,
    Over,
}

/// A write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    customer: Customer,
    wish: Wish,
    step: Step,
    loaded: (Record, Stage),
    tries_left: u8,
}

impl Write {
    pub(crate) const fn new(customer: Customer, wish: Wish, tries: u8) -> Self {
        let loaded = (Record { revision: 0, has: false }, Stage::Before);
        Self { customer, wish, step: Step::Load, loaded, tries_left: tries }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// Makes the next step.
    pub(crate) fn step(&mut self, committed: &mut Committed, safeguards: &Safeguards) {
        let keys = self.loaded.1.claimed_under(safeguards);
        let (mine, others) = (self.customer.bit(), self.customer.other());
        self.step = match self.step {
            Step::Load => {
                let stage = committed.stages[self.customer as usize];
                self.loaded = (*committed.record(self.customer), stage);
                if self.loaded.0.has == (self.wish == Wish::Gain) {
                    Step::Over
                } else if self.wish == Wish::Gain {
                    Step::Read(0)
                } else {
                    Step::Propose
                }
            }
            Step::Read(number) => match keys.get(number) {
                None => Step::Propose,
                Some(key) => {
                    let read = (*committed.entry(*key), committed.stage_of(*key));
                    if !read.1.keeps(*key) {
                        Step::Read(number + 1)
                    } else if read.0.pointers & others.bit() != 0 {
                        Step::Ask(number, read)
                    } else {
                        Step::Put(number, read)
                    }
                }
            },
            Step::Ask(number, read) => {
                if committed.record(others).has {
                    Step::Over
                } else {
                    Step::Fence(number, read)
                }
            }
            Step::Fence(number, read) => {
                if committed.record(others).has {
                    Step::Over
                } else {
                    committed.records[others as usize].revision += 1;
                    Step::Put(number, (Entry { pointers: read.0.pointers & !others.bit(), ..read.0 }, read.1))
                }
            }
            Step::Put(number, read) => {
                let key = keys[number];
                if committed.put_entry(key, read, read.0.pointers | mine, safeguards) {
                    Step::Read(number + 1)
                } else {
                    self.again(Step::Read(number))
                }
            }
            Step::Propose => {
                let (record, stage) = self.loaded;
                let in_stage =
                    !safeguards.record_names_stage || committed.stages[self.customer as usize] == stage;
                if committed.record(self.customer).revision == record.revision && in_stage {
                    let has = self.wish == Wish::Gain;
                    committed.records[self.customer as usize] = Record { revision: record.revision + 1, has };
                    Step::Over
                } else {
                    self.again(Step::Load)
                }
            }
            Step::Over => Step::Over,
        };
    }

    /// After a conflict: another try, if one is left.
    const fn again(&mut self, from: Step) -> Step {
        if self.tries_left == 0 {
            return Step::Over;
        }
        self.tries_left -= 1;
        from
    }
}

/// Fills a shard, of which it has read the record: leads to its customer under the new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fill {
    /// Nothing was read yet.
    Idle,
    /// The record has the identifier, or has it not.
    Walked(bool),
    /// The entry was read.
    Read(Entry, Stage),
    /// All that leads to the customer is there.
    Pointed,
}

impl Fill {
    /// Makes the next step on a shard.
    pub(crate) fn step(self, committed: &mut Committed, shard: usize, safeguards: &Safeguards) -> Self {
        let customer = Customer::ALL[shard];
        match self {
            Self::Idle => Self::Walked(committed.record(customer).has && safeguards.fills),
            Self::Walked(false) => Self::Pointed,
            Self::Walked(true) => Self::Read(*committed.entry(Key::New), committed.stage_of(Key::New)),
            Self::Read(entry, stage) => {
                let pointers = entry.pointers | customer.bit();
                let done = entry.pointers == pointers
                    || committed.put_entry(Key::New, (entry, stage), pointers, safeguards);
                if done { Self::Pointed } else { Self::Walked(true) }
            }
            Self::Pointed => {
                if committed.stages[shard] == Stage::Filling {
                    committed.stages[shard] = Stage::Filled;
                }
                Self::Idle
            }
        }
    }
}
