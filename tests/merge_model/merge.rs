//! A merge, its undoing, and the settling of a merge that is not in force.

use crate::process::{Answer, Frame, Next, Rules};
use crate::state::{
    Command, Committed, Customer, Customers, Entry, MergeId, Names, Profile, Purpose, Record,
};

/// What is done with two customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Merge,
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// What is left of an earlier merge of the other customer is settled.
    Begin,
    Load,
    Read {
        survivor: Record,
    },
    /// The other customer is put; then the survivor is committed.
    Put {
        other: Record,
        survivor: Record,
    },
    Commit,
}

/// A merge or an undoing, on the leader of the survivor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Merge {
    action: Action,
    survivor: Customer,
    other: Customer,
    step: Step,
    tries: u8,
}

impl Merge {
    pub(crate) const fn begin(action: Action, survivor: Customer, other: Customer) -> Frame {
        Frame::Merge(Self { action, survivor, other, step: Step::Begin, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        match self.step {
            Step::Begin => {
                self.step = Step::Load;
                Next::Call(Settle::of(self.other))
            }
            Step::Load => self.load(*committed.record(self.survivor), rules),
            Step::Read { survivor } => {
                let other = *committed.record(self.other);
                let changed = match self.action {
                    Action::Merge => self.merged(survivor, other),
                    Action::Undo => undone(survivor, other),
                };
                let Some((survivor, other)) = changed else { return Next::Return(Answer::GaveUp) };
                self.step = Step::Put { other, survivor };
                let gets_x = other.names.and_then(|names| names.restored).is_some_and(|it| it.x.is_some());
                if gets_x && rules.safeguards.undoing_points {
                    return Next::Call(Frame::Point(Point { customer: self.other, tries: 0 }));
                }
                self.put(other)
            }
            Step::Put { .. } | Step::Commit => Next::Stay,
        }
    }

    fn load(&mut self, survivor: Record, rules: &Rules) -> Next {
        if survivor.names.is_some() && rules.safeguards.merged_survivor_refused {
            self.tries += 1;
            let may_be_settled = self.tries < rules.tries_max;
            return if may_be_settled {
                Next::Call(Settle::of(self.survivor))
            } else {
                Next::Return(Answer::GaveUp)
            };
        }
        let is_listed = survivor.lists.iter().flatten().any(|merge| merge.other == self.other);
        match self.action {
            Action::Merge if is_listed => return Next::Return(Answer::Done),
            Action::Undo if survivor.last_merge().is_none_or(|merge| merge.other != self.other) => {
                return Next::Return(Answer::GaveUp);
            }
            Action::Merge | Action::Undo => {}
        }
        self.step = Step::Read { survivor };
        Next::Stay
    }

    /// Both after the merge; none: the other customer names another merge.
    fn merged(&self, survivor: Record, other: Record) -> Option<(Record, Record)> {
        let merge = MergeId { survivor: self.survivor, other: self.other, ledger: other.profile.ledger };
        let is_begun = |names: Names| names.merge == merge && names.restored.is_none();
        if !other.names.is_none_or(is_begun) {
            return None;
        }
        let mut lists = survivor.lists;
        *lists.iter_mut().find(|of| of.is_none())? = Some(merge);
        let before = survivor.profile;
        let names = Names { merge, survivor_revision: survivor.revision, before, restored: None };
        let merged = Record { profile: joined(before, other.profile), lists, ..survivor };
        Some((merged, Record { names: Some(names), ..other }))
    }

    fn put(&self, record: Record) -> Next {
        Next::Propose(Command::Record { customer: self.other, record, purpose: Purpose::Put })
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        match (self.step, applied) {
            (Step::Put { survivor, .. }, true) => {
                self.step = Step::Commit;
                let (customer, purpose) = (self.survivor, Purpose::Commit);
                Next::Propose(Command::Record { customer, record: survivor, purpose })
            }
            (Step::Commit, true) => Next::Return(Answer::Done),
            _ => {
                self.tries += 1;
                self.step = Step::Load;
                if self.tries < rules.tries_max { Next::Stay } else { Next::Return(Answer::GaveUp) }
            }
        }
    }

    pub(crate) fn answered(&mut self, answer: Answer) -> Next {
        match (self.step, answer) {
            (Step::Put { .. }, Answer::GaveUp) => Next::Return(Answer::GaveUp),
            (Step::Put { other, .. }, _) => self.put(other),
            _ => Next::Stay,
        }
    }
}

/// A survivor with what the other customer has.
fn joined(survivor: Profile, other: Profile) -> Profile {
    let notes = survivor.notes.and(other.notes);
    Profile { x: survivor.x.or(other.x), notes, ledger: survivor.ledger + 1 }
}

/// Both after the last merge is undone; none: the other customer names another merge.
fn undone(survivor: Record, other: Record) -> Option<(Record, Record)> {
    let names = other.names.filter(|names| Some(names.merge) == survivor.last_merge())?;
    let (now, before) = (survivor.profile, names.before);
    let merged = joined(before, other.profile);
    let since = now.notes.without(merged.notes);
    // Sources of the other customer, and of those who were merged into it.
    let theirs = other.lists.iter().flatten().map(|merge| merge.other);
    let theirs = theirs.fold(Customers::of(names.merge.other), |all, one| all.and(Customers::of(one)));
    let side = |had: Profile, is_other: bool| {
        let is_mine = |source: Customer| theirs.contains(source) == is_other;
        let x = now.x.filter(|source| if merged.x.is_some() { had.x.is_some() } else { is_mine(*source) });
        let mine = since.iter().filter(|note| is_mine(*note));
        let notes = mine.fold(had.notes, |all, one| all.and(Customers::of(one)));
        Profile { x, notes, ledger: had.ledger + 1 }
    };
    let (kept, restored) = (side(before, false), side(other.profile, true));
    let mut lists = survivor.lists;
    *lists.iter_mut().rev().find(|of| of.is_some())? = None;
    let profile = Profile { ledger: now.ledger + 1, ..kept };
    let names = Names { survivor_revision: survivor.revision, restored: Some(restored), ..names };
    Some((Record { profile, lists, ..survivor }, Record { names: Some(names), ..other }))
}

/// The step of an undoing by which the entry leads to the other customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    customer: Customer,
    tries: u8,
}

impl Point {
    pub(crate) fn step(&self, committed: &Committed) -> Next {
        let Entry { revision, pointers } = committed.entry;
        if pointers.contains(self.customer) {
            return Next::Return(Answer::Done);
        }
        Next::Propose(Command::Entry(Entry {
            revision,
            pointers: pointers.and(Customers::of(self.customer)),
        }))
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        Next::after_proposal(&mut self.tries, applied, rules)
    }
}

/// The settling of what a customer's record names, on the leader of the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Settle {
    customer: Customer,
    /// The record as it was read, once it names a merge.
    read: Option<(Record, MergeId)>,
    fenced: bool,
    tries: u8,
}

impl Settle {
    pub(crate) const fn of(customer: Customer) -> Frame {
        Frame::Settle(Self { customer, read: None, fenced: false, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        let Some((_, merge)) = self.read else {
            let record = *committed.record(self.customer);
            self.read = record.names.map(|names| (record, names.merge));
            return if self.read.is_none() { Next::Return(Answer::Done) } else { Next::Stay };
        };
        let survivor = *committed.record(merge.survivor);
        if survivor.has_merge(merge) {
            return Next::Return(Answer::Done);
        }
        if !rules.safeguards.settle_fences {
            return self.unpoint();
        }
        Next::Propose(Command::Record { customer: merge.survivor, record: survivor, purpose: Purpose::Fence })
    }

    fn unpoint(&mut self) -> Next {
        self.fenced = true;
        let Some((read, _)) = self.read else { return Next::Stay };
        let (customer, purpose) = (self.customer, Purpose::Unpoint);
        Next::Propose(Command::Record { customer, record: read.unmerged(), purpose })
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        if self.fenced {
            return Next::Return(Answer::Done);
        }
        if applied {
            return self.unpoint();
        }
        self.tries += 1;
        if self.tries < rules.tries_max { Next::Stay } else { Next::Return(Answer::GaveUp) }
    }
}
