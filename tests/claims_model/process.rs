//! The steps of a write, of the calls that it makes, and of a release.
//!
//! ```text
//! write   lock, load ─▶ claim each gained ─▶ propose the record ─▶ applied: ended, its lost identifiers released
//!             ▲               │  ▲                │ conflict
//!             └───────────────┼──┼────────────────┘
//! claim       read the entry ◀┘  │ granted, refused
//! release         ├─ settle the holder: held, free, busy
//!                 └─ put the entry; on a conflict read it again
//! settle      look at the record ─▶ lock, load ─▶ fence; on a conflict load again
//! ```
//!
//! A step reads or changes one record or one entry, or locks a customer and reads its record. A process stands for a chain of
//! calls, of which only the last one runs. A fault ends the callers and leaves the others, which go on by themselves.

use crate::state::{Command, Committed, Customer, Entry, Identifier, Identifiers, Record, Safeguards};

/// What a write changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) add: Identifiers,
    pub(crate) remove: Identifiers,
}

/// A write, on the leader of its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Write {
    customer: Customer,
    request: Request,
    /// The record as it was loaded; none before that.
    loaded: Option<Record>,
    /// What this evaluation has been granted.
    granted: Identifiers,
    /// What it has been refused.
    refused: Identifiers,
    /// What earlier evaluations of the same record were refused.
    taken: Identifiers,
    locked: bool,
    tries: u8,
}

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Action {
    Claim,
    Release,
}

/// A claim or a release, on the leader of its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct IndexCall {
    action: Action,
    identifier: Identifier,
    customer: Customer,
    /// The entry as it was read; none before that.
    read: Option<Entry>,
    tries: u8,
}

/// A settling, on the leader of the customer in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Settle {
    customer: Customer,
    identifier: Identifier,
    /// Whether the record was looked at: the lock is next.
    looked: bool,
    locked: bool,
    tries: u8,
}

/// A chain of calls. Its last member runs; the others wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Process {
    write: Option<Write>,
    index: Option<IndexCall>,
    settle: Option<Settle>,
    /// A proposal of the last member. It may be applied at any moment.
    proposed: Option<Command>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Ended {
    Committed {
        /// What is to be released.
        lost: Identifiers,
    },
    /// There was nothing to commit.
    Unchanged,
    /// Another write was busy for too long, or there were too many conflicts.
    GaveUp,
    /// A fault ended it.
    Cut {
        /// What it had been granted.
        granted: Identifiers,
    },
}

/// What became of a process by a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    /// The write ended.
    Ended(Ended),
    /// A call ended whose caller is gone, or a release.
    Over,
}

/// What was found out about a customer in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Held,
    Free,
    Busy,
}

/// What all steps go by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) safeguards: Safeguards,
    /// Whether a write and a fence of one customer wait for each other.
    pub(crate) locks: bool,
    /// How often a member of a chain proposes.
    pub(crate) tries_max: u8,
}

impl Process {
    pub(crate) const fn write(customer: Customer, request: Request) -> Self {
        let write = Write {
            customer,
            request,
            loaded: None,
            granted: Identifiers::NONE,
            refused: Identifiers::NONE,
            taken: Identifiers::NONE,
            locked: false,
            tries: 0,
        };
        Self { write: Some(write), index: None, settle: None, proposed: None }
    }

    pub(crate) const fn release(customer: Customer, identifier: Identifier) -> Self {
        let index = IndexCall { action: Action::Release, identifier, customer, read: None, tries: 0 };
        Self { write: None, index: Some(index), settle: None, proposed: None }
    }

    /// Whether nothing has happened yet.
    pub(crate) fn is_new(&self) -> bool {
        self.write.is_some_and(|write| write.loaded.is_none())
    }

    /// What its write has been granted.
    pub(crate) fn granted(&self) -> Identifiers {
        self.write.map(|write| write.granted).unwrap_or_default()
    }

    /// Whether it has the lock of a customer.
    pub(crate) fn has_locked(&self, customer: Customer) -> bool {
        self.write.is_some_and(|write| write.locked && write.customer == customer)
            || self.settle.is_some_and(|settle| settle.locked && settle.customer == customer)
    }

    /// The customer whose lock its next step takes.
    pub(crate) fn needs_lock(&self) -> Option<Customer> {
        match (&self.proposed, &self.settle, &self.index, &self.write) {
            (None, Some(settle), _, _) => (settle.looked && !settle.locked).then_some(settle.customer),
            (None, None, None, Some(write)) => (!write.locked).then_some(write.customer),
            _ => None,
        }
    }

    /// What is left of a chain when a fault ends its first members, and the proposal that may still be applied if nothing is.
    pub(crate) fn cut(mut self, members: usize) -> (Option<Self>, Option<Command>) {
        for _ in 0..members {
            if self.write.take().is_none() && self.index.take().is_none() {
                self.settle = None;
            }
        }
        if self.members() > 0 { (Some(self), None) } else { (None, self.proposed) }
    }

    /// How many members the chain has.
    pub(crate) fn members(&self) -> usize {
        let members = [self.write.is_some(), self.index.is_some(), self.settle.is_some()];
        members.into_iter().filter(|is_there| *is_there).count()
    }

    /// Makes the next step. Nobody else has the lock that it needs.
    pub(crate) fn step(&mut self, committed: &mut Committed, rules: &Rules) -> Progress {
        if let Some(command) = self.proposed.take() {
            let applied = committed.apply(&command, &rules.safeguards);
            return if applied { self.applied(&command, rules) } else { self.conflict(rules) };
        }
        if let Some(settle) = self.settle {
            return self.step_settle(settle, committed, rules);
        }
        if let Some(index) = self.index {
            return self.step_index(index, committed, rules);
        }
        let Some(write) = &mut self.write else { return Progress::Over };
        write.locked = rules.locks;
        write.loaded = Some(*committed.record(write.customer));
        (write.granted, write.refused, write.taken) = Default::default();
        self.evaluate(rules)
    }

    /// Ends the wait for a lock.
    pub(crate) fn lose_patience(&mut self, rules: &Rules) -> Progress {
        self.settled(Settled::Busy, rules)
    }

    /// Claims the next identifier that the record gains, or proposes the record if there is none.
    fn evaluate(&mut self, rules: &Rules) -> Progress {
        let Some(write) = &mut self.write else { return Progress::Over };
        let Some(loaded) = write.loaded else { return Progress::Running };
        if !write.refused.is_empty() && write.unasked(loaded).is_empty() {
            // Evaluated again without them, so what was granted is claimed again.
            write.taken = write.taken.and(write.refused);
            (write.granted, write.refused) = Default::default();
        }
        let customer = write.customer;
        let mut unasked = write.unasked(loaded).iter();
        let is_reversed = customer == Customer::B && !rules.safeguards.claim_in_order;
        let next = if is_reversed { unasked.next_back() } else { unasked.next() };
        if let Some(identifier) = next.filter(|_| rules.safeguards.claim_before_propose) {
            self.index =
                Some(IndexCall { action: Action::Claim, identifier, customer, read: None, tries: 0 });
            return Progress::Running;
        }
        let identifiers = loaded.identifiers.and(write.gained(loaded)).without(write.request.remove);
        if identifiers == loaded.identifiers {
            return Progress::Ended(Ended::Unchanged);
        }
        self.proposed = Some(Command::Record { customer, read: loaded, identifiers });
        Progress::Running
    }

    fn step_index(&mut self, mut index: IndexCall, committed: &Committed, rules: &Rules) -> Progress {
        let entry = *committed.entry(index.identifier);
        index.read = Some(entry);
        self.index = Some(index);
        let is_holder = entry.holder == Some(index.customer);
        let safeguards = &rules.safeguards;
        match (index.action, entry.holder) {
            (Action::Claim, _) if is_holder && !safeguards.claim_rewrites => {
                self.answered(|write| &mut write.granted, rules)
            }
            (Action::Claim, holder) if is_holder || holder.is_none() => self.put(Some(index.customer)),
            (Action::Claim, _) if !safeguards.claim_asks_record => {
                self.answered(|write| &mut write.refused, rules)
            }
            (Action::Release, _) if !is_holder => Progress::Over,
            (Action::Release, _) if !safeguards.release_settles => self.put(None),
            (_, holder) => {
                let identifier = index.identifier;
                let settle =
                    |customer| Settle { customer, identifier, looked: false, locked: false, tries: 0 };
                self.settle = holder.map(settle);
                Progress::Running
            }
        }
    }

    fn put(&mut self, holder: Option<Customer>) -> Progress {
        let read = self.index.and_then(|index| Some((index.identifier, index.read?)));
        self.proposed = read.map(|(identifier, read)| Command::Entry { identifier, read, holder });
        Progress::Running
    }

    fn step_settle(&mut self, mut settle: Settle, committed: &Committed, rules: &Rules) -> Progress {
        let (record, safeguards) = (committed.record(settle.customer), &rules.safeguards);
        let held = record.identifiers.contains(settle.identifier);
        if held && (!settle.looked || safeguards.fence_checks_again) {
            return self.settled(Settled::Held, rules);
        }
        if !settle.looked {
            settle.looked = true;
            self.settle = Some(settle);
            return Progress::Running;
        }
        if !safeguards.fence || (record.revision == 0 && !safeguards.fence_without_record) {
            return self.settled(Settled::Free, rules);
        }
        settle.locked = rules.locks;
        self.settle = Some(settle);
        self.proposed = Some(Command::Fence { customer: settle.customer, read: *record });
        Progress::Running
    }

    /// Goes on with what asked for the settling, if that still waits.
    fn settled(&mut self, settled: Settled, rules: &Rules) -> Progress {
        self.settle = None;
        let Some(index) = self.index else { return Progress::Over };
        match (index.action, settled) {
            (Action::Claim, Settled::Free) => self.put(Some(index.customer)),
            (Action::Claim, Settled::Held) => self.answered(|write| &mut write.refused, rules),
            (Action::Claim, Settled::Busy) => self.give_up(),
            (Action::Release, Settled::Free) => self.put(None),
            (Action::Release, Settled::Held | Settled::Busy) => Progress::Over,
        }
    }

    /// Goes on with the write that claimed, if that still waits.
    fn answered(&mut self, to: fn(&mut Write) -> &mut Identifiers, rules: &Rules) -> Progress {
        let (Some(index), Some(write)) = (self.index.take(), &mut self.write) else { return Progress::Over };
        let identifiers = to(write);
        *identifiers = identifiers.and(Identifiers::of(index.identifier));
        self.evaluate(rules)
    }

    fn applied(&mut self, command: &Command, rules: &Rules) -> Progress {
        match *command {
            Command::Fence { .. } => self.settled(Settled::Free, rules),
            Command::Entry { .. } => self.answered(|write| &mut write.granted, rules),
            Command::Record { read, identifiers, .. } => {
                Progress::Ended(Ended::Committed { lost: read.identifiers.without(identifiers) })
            }
        }
    }

    /// Begins again after a conflict: with a fence, with a call, or with a write, whichever proposed.
    fn conflict(&mut self, rules: &Rules) -> Progress {
        let tries = match (&mut self.settle, &mut self.index, &mut self.write) {
            (Some(settle), _, _) => &mut settle.tries,
            (None, Some(index), _) => &mut index.tries,
            (None, None, Some(write)) => &mut write.tries,
            (None, None, None) => return Progress::Over,
        };
        *tries += 1;
        if *tries < rules.tries_max {
            return Progress::Running;
        }
        if self.settle.is_some() { self.settled(Settled::Busy, rules) } else { self.give_up() }
    }

    /// Ends the write with an error, if there is one.
    fn give_up(&self) -> Progress {
        if self.write.is_some() { Progress::Ended(Ended::GaveUp) } else { Progress::Over }
    }
}

impl Write {
    /// What the record gains.
    fn gained(&self, loaded: Record) -> Identifiers {
        self.request.add.without(loaded.identifiers).without(self.taken)
    }

    /// What of it has not been claimed yet.
    fn unasked(&self, loaded: Record) -> Identifiers {
        self.gained(loaded).without(self.granted).without(self.refused)
    }
}
