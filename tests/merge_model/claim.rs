//! A claim, on the leader of X, and the question to each of those in the entry.

use crate::merge::Settle;
use crate::path::{Met, Path};
use crate::process::{Answer, Frame, Next, Rules};
use crate::state::{Command, Committed, Customer, Customers, Entry, MergeId, Purpose};

/// A claim of X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    claimant: Customer,
    /// The entry as it was read, with those who stay.
    entry: Option<Entry>,
    /// Who has not been asked yet.
    unasked: Customers,
    asked: Option<Customer>,
    held_by: Option<Customer>,
    tries: u8,
}

impl Claim {
    pub(crate) const fn of(claimant: Customer) -> Frame {
        let (unasked, asked, held_by) = (Customers::NONE, None, None);
        Frame::Claim(Self { claimant, entry: None, unasked, asked, held_by, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        let entry = committed.entry;
        self.unasked = entry.pointers.without(Customers::of(self.claimant));
        self.entry = Some(entry);
        self.go_on(rules)
    }

    /// Asks the next of those in the entry, or puts the claimant there.
    fn go_on(&mut self, rules: &Rules) -> Next {
        self.asked = rules.first(self.unasked);
        if let Some(pointer) = self.asked {
            self.unasked = self.unasked.without(Customers::of(pointer));
            return Next::Call(Ask::of(pointer, self.claimant));
        }
        let Some(Entry { revision, pointers }) = self.entry else { return Next::Stay };
        if let Some(holder) = self.held_by {
            return Next::Return(Answer::Held(holder));
        }
        let pointers = pointers.and(Customers::of(self.claimant));
        Next::Propose(Command::Entry(Entry { revision, pointers }))
    }

    pub(crate) fn answered(&mut self, answer: Answer, rules: &Rules) -> Next {
        let (Some(entry), Some(asked)) = (&mut self.entry, self.asked) else { return Next::Stay };
        match answer {
            Answer::Free if rules.safeguards.claim_settles_all => {
                entry.pointers = entry.pointers.without(Customers::of(asked));
            }
            Answer::Free => {
                entry.pointers = Customers::NONE;
                self.unasked = Customers::NONE;
            }
            Answer::Held(holder) => self.held_by = Some(holder),
            Answer::Own => {}
            Answer::GaveUp | Answer::Done => return Next::Return(Answer::GaveUp),
        }
        self.go_on(rules)
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        Next::after_proposal(&mut self.tries, applied, rules)
    }
}

/// Whether somebody holds X by one of the customers in the entry; if not, nobody will by a write in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    claimant: Customer,
    path: Path,
    own: Own,
    tries: u8,
}

/// How far it is known that a pointer leads to the claimant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Own {
    No,
    /// If this merge is in force.
    IfListed(MergeId),
    /// It is not: what is the other customer without it?
    Behind(MergeId),
}

impl Ask {
    const fn of(pointer: Customer, claimant: Customer) -> Frame {
        Frame::Ask(Self { claimant, path: Path::of(pointer), own: Own::No, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        let (at, safeguards) = (self.path.at(), &rules.safeguards);
        match self.own {
            Own::IfListed(merge) if committed.record(self.claimant).has_merge(merge) => {
                return Next::Return(if safeguards.claim_keeps_own { Answer::Own } else { Answer::Free });
            }
            Own::IfListed(_) if !safeguards.claim_looks_behind => return Next::Return(Answer::Held(at)),
            Own::IfListed(merge) => {
                self.own = Own::Behind(merge);
                return Next::Stay;
            }
            Own::Behind(merge) => {
                let record = committed.record(at);
                if record.names.is_some_and(|names| names.merge == merge) {
                    let is_held = record.unmerged().profile.x.is_some();
                    return Next::Return(if is_held { Answer::Held(at) } else { Answer::Own });
                }
                self.own = Own::No;
                return self.again(rules);
            }
            Own::No => {}
        }
        match self.path.look(committed, rules) {
            Met::NotInForce(other) => {
                let goes_on = matches!(self.again(rules), Next::Stay);
                if goes_on { Next::Call(Settle::of(other)) } else { Next::Return(Answer::GaveUp) }
            }
            Met::Merged(_) if !safeguards.claim_follows => Next::Return(Answer::Free),
            Met::Merged(merge) if merge.survivor == self.claimant => {
                self.own = Own::IfListed(merge);
                Next::Stay
            }
            Met::Merged(merge) if self.path.follow(merge) => Next::Stay,
            Met::Merged(_) => Next::Return(Answer::GaveUp),
            Met::Customer(record) if record.profile.x.is_some() => Next::Return(Answer::Held(at)),
            Met::Customer(record) => {
                Next::Propose(Command::Record { customer: at, record, purpose: Purpose::Fence })
            }
        }
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        if applied { Next::Return(Answer::Free) } else { self.again(rules) }
    }

    fn again(&mut self, rules: &Rules) -> Next {
        self.tries += 1;
        if self.tries < rules.tries_max { Next::Stay } else { Next::Return(Answer::GaveUp) }
    }
}
