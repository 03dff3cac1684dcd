//! The way of a call from the customer whom it names to the one whom it is about.

use crate::process::Rules;
use crate::state::{Committed, Customer, MergeId, Record};

/// Which merges were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    named: Customer,
    followed: [Option<MergeId>; 2],
}

/// What was found at the end of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Met {
    /// A customer who names no merge.
    Customer(Record),
    /// A customer who names a merge. The path does not follow it yet.
    Merged(MergeId),
    /// A survivor who does not list the merge that led there. The path leads to the other customer again, who is settled.
    NotInForce(Customer),
}

impl Path {
    pub(crate) const fn of(named: Customer) -> Self {
        Self { named, followed: [None; 2] }
    }

    fn last(&self) -> Option<MergeId> {
        self.followed.iter().rev().flatten().copied().next()
    }

    pub(crate) fn at(&self) -> Customer {
        self.last().map_or(self.named, |merge| merge.survivor)
    }

    /// Reads the record at the end.
    pub(crate) fn look(&mut self, committed: &Committed, rules: &Rules) -> Met {
        let record = *committed.record(self.at());
        let is_listed = self.last().is_none_or(|merge| record.has_merge(merge));
        if !is_listed && rules.safeguards.survivor_is_checked {
            if let Some(last) = self.followed.iter_mut().rev().find(|of| of.is_some()) {
                *last = None;
            }
            return Met::NotInForce(self.at());
        }
        record.names.map_or(Met::Customer(record), |names| Met::Merged(names.merge))
    }

    /// Follows a merge; whether it could.
    pub(crate) fn follow(&mut self, merge: MergeId) -> bool {
        let free = self.followed.iter_mut().find(|of| of.is_none());
        free.map(|of| *of = Some(merge)).is_some()
    }
}
