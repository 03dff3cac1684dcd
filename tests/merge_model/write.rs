//! A write, on the leader of its customer.

use crate::claim::Claim;
use crate::merge::Settle;
use crate::path::{Met, Path};
use crate::process::{Answer, Frame, Next, Rules};
use crate::state::{Command, Committed, Customer, Customers, Profile, Purpose, Record};

/// What a write changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// Something is noted that must never be lost.
    Note,
    ClaimX,
    ReleaseX,
}

/// A write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    named: Customer,
    change: Change,
    path: Path,
    /// The record as it was loaded, while X is claimed for it.
    loaded: Option<Record>,
    tries: u8,
}

impl Write {
    pub(crate) const fn begin(named: Customer, change: Change) -> Frame {
        Frame::Write(Self { named, change, path: Path::of(named), loaded: None, tries: 0 })
    }

    pub(crate) fn step(&mut self, committed: &Committed, rules: &Rules) -> Next {
        match self.path.look(committed, rules) {
            Met::NotInForce(other) => {
                self.tries += 1;
                let goes_on = self.tries < rules.tries_max;
                if goes_on { Next::Call(Settle::of(other)) } else { Next::Return(Answer::GaveUp) }
            }
            Met::Merged(merge) if self.path.follow(merge) => Next::Stay,
            Met::Merged(_) => Next::Return(Answer::GaveUp),
            Met::Customer(record) => {
                let has_x = record.profile.x.is_some();
                match self.change {
                    Change::ClaimX if !has_x => {
                        self.loaded = Some(record);
                        Next::Call(Claim::of(self.path.at()))
                    }
                    Change::ReleaseX if has_x => self.propose(record),
                    Change::Note => self.propose(record),
                    Change::ClaimX | Change::ReleaseX => Next::Return(Answer::Done),
                }
            }
        }
    }

    fn propose(&self, record: Record) -> Next {
        let Profile { x, notes, ledger } = record.profile;
        let (x, notes, noted) = match self.change {
            Change::Note => (x, notes.and(Customers::of(self.named)), Some(self.named)),
            Change::ClaimX => (Some(self.named), notes, None),
            Change::ReleaseX => (None, notes, None),
        };
        let record = Record { profile: Profile { x, notes, ledger }, ..record };
        let (customer, purpose) = (self.path.at(), Purpose::Write(noted));
        Next::Propose(Command::Record { customer, record, purpose })
    }

    pub(crate) fn proposed(&mut self, applied: bool, rules: &Rules) -> Next {
        Next::after_proposal(&mut self.tries, applied, rules)
    }

    pub(crate) fn answered(&mut self, answer: Answer) -> Next {
        match (self.loaded.take(), answer) {
            (None, _) => Next::Stay,
            (Some(loaded), Answer::Done) => self.propose(loaded),
            (Some(_), refused) => Next::Return(refused),
        }
    }
}
