//! What is committed: the records of the customers and the entry of X, changed only by commands with conditions.

/// A customer. Its record is on the leader of its shard. The ids are in this order, or in the opposite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Customer {
    L,
    S,
    T,
}

impl Customer {
    pub(crate) const ALL: [Self; 3] = [Self::L, Self::S, Self::T];
}

/// A set of customers, one bit each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Customers(u8);

impl Customers {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn of(customer: Customer) -> Self {
        Self(1 << customer as u8)
    }

    pub(crate) const fn contains(self, customer: Customer) -> bool {
        self.0 & Self::of(customer).0 != 0
    }

    pub(crate) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in ascending order of their ids.
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = Customer> {
        Customer::ALL.into_iter().filter(move |customer| self.contains(*customer))
    }
}

/// A merge. Its id is made from the other customer's ledger, so a merge that is begun again is the same one, and one after an undoing is
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MergeId {
    pub(crate) survivor: Customer,
    pub(crate) other: Customer,
    pub(crate) ledger: u8,
}

/// What a record has of its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    /// Whether it has X, and whose source it came from.
    pub(crate) x: Option<Customer>,
    /// What was written about each customer, by its id.
    pub(crate) notes: Customers,
    /// How often its ledger told of a merge.
    pub(crate) ledger: u8,
}

/// What a record says of a merge of its customer into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    pub(crate) merge: MergeId,
    /// The revision of the survivor's record that this was made from.
    pub(crate) survivor_revision: u8,
    /// The survivor before the merge.
    pub(crate) before: Profile,
    /// What the customer is once the merge is undone; none: what the record has.
    pub(crate) restored: Option<Profile>,
}

/// A customer's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) revision: u8,
    pub(crate) profile: Profile,
    /// The merges in force, the last one last.
    pub(crate) lists: [Option<MergeId>; 2],
    pub(crate) names: Option<Names>,
}

/// The entry of X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) revision: u8,
    pub(crate) pointers: Customers,
}

impl Record {
    pub(crate) fn has_merge(&self, merge: MergeId) -> bool {
        self.lists.contains(&Some(merge))
    }

    pub(crate) fn last_merge(&self) -> Option<MergeId> {
        self.lists.iter().rev().flatten().copied().next()
    }

    /// What it is, if the merge that it names is not in force.
    pub(crate) fn unmerged(&self) -> Self {
        let restored = self.names.and_then(|names| names.restored);
        Self { profile: restored.unwrap_or(self.profile), names: None, ..*self }
    }
}

/// Why a command is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// The other customer is put, before the survivor is committed.
    Put,
    /// The survivor is committed.
    Commit,
    /// A customer who names a merge that is not in force is a customer again.
    Unpoint,
    /// The record as it is, under the next revision.
    Fence,
    /// A write; with a note, it is acknowledged to have been written about this customer.
    Write(Option<Customer>),
}

/// A proposal: what is put, if what was read is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// The record has the revision that was read.
    Record { customer: Customer, record: Record, purpose: Purpose },
    /// So has the entry.
    Entry(Entry),
}

/// What the protocol relies on. A model without one of them must find a counterexample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safeguards {
    /// The other customer is put only as it was read.
    pub(crate) put_condition: bool,
    /// The survivor is committed only as it was loaded.
    pub(crate) commit_condition: bool,
    /// A customer is made a customer again only as it was read.
    pub(crate) unpoint_condition: bool,
    /// An entry is put only as it was read.
    pub(crate) entry_condition: bool,
    /// What was made from an older survivor is not put over what was made from a newer one.
    pub(crate) newer_survivor_stays: bool,
    /// The survivor's revision is raised before the other customer is a customer again.
    pub(crate) settle_fences: bool,
    /// Whoever is led to a survivor looks whether it lists the merge.
    pub(crate) survivor_is_checked: bool,
    /// The other customer is added to the entry before it gets X back.
    pub(crate) undoing_points: bool,
    /// A claim asks where a pointer leads.
    pub(crate) claim_follows: bool,
    /// It asks all pointers of the entry.
    pub(crate) claim_settles_all: bool,
    /// A pointer that leads to the claimant stays in the entry: its customer was not fenced.
    pub(crate) claim_keeps_own: bool,
    /// If the claimant does not list the merge that leads to it, the claim asks what the other customer is without it.
    pub(crate) claim_looks_behind: bool,
    /// A survivor is not committed if it names a survivor itself.
    pub(crate) merged_survivor_refused: bool,
}

impl Safeguards {
    /// The protocol as it is.
    pub(crate) const ALL: Self = Self {
        put_condition: true,
        commit_condition: true,
        unpoint_condition: true,
        entry_condition: true,
        newer_survivor_stays: true,
        settle_fences: true,
        survivor_is_checked: true,
        undoing_points: true,
        claim_follows: true,
        claim_settles_all: true,
        claim_keeps_own: true,
        claim_looks_behind: true,
        merged_survivor_refused: true,
    };
}

/// What has been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Committed {
    pub(crate) records: [Record; 3],
    pub(crate) entry: Entry,
    /// About whom a note was acknowledged.
    pub(crate) acknowledged: Customers,
}

impl Committed {
    pub(crate) const fn record(&self, customer: Customer) -> &Record {
        &self.records[customer as usize]
    }

    /// Where the merges in force lead; none: in a circle.
    pub(crate) fn end(&self, customer: Customer) -> Option<Customer> {
        let mut at = customer;
        for _ in Customer::ALL {
            let names = self.record(at).names.map(|names| names.merge);
            match names.filter(|merge| self.record(merge.survivor).has_merge(*merge)) {
                None => return Some(at),
                Some(merge) => at = merge.survivor,
            }
        }
        None
    }

    /// What a customer is, who is at the end of its merges.
    pub(crate) fn live(&self, customer: Customer) -> Profile {
        self.record(customer).unmerged().profile
    }

    /// The customers who hold X.
    pub(crate) fn holders(&self) -> Customers {
        let holds =
            |customer: &Customer| self.end(*customer) == Some(*customer) && self.live(*customer).x.is_some();
        Customer::ALL.into_iter().filter(holds).fold(Customers::NONE, |all, one| all.and(Customers::of(one)))
    }

    /// Applies a command or not; whether it did.
    pub(crate) fn apply(&mut self, command: &Command, safeguards: &Safeguards) -> bool {
        match *command {
            Command::Record { customer, record, purpose } => {
                let now = self.record(customer);
                let is_condition = match purpose {
                    Purpose::Put => safeguards.put_condition,
                    Purpose::Commit => safeguards.commit_condition,
                    Purpose::Unpoint => safeguards.unpoint_condition,
                    Purpose::Fence | Purpose::Write(_) => true,
                };
                let is_older = now.names.zip(record.names).is_some_and(|(now, new)| {
                    now.merge == new.merge && new.survivor_revision < now.survivor_revision
                });
                let is_refused = purpose == Purpose::Put && is_older && safeguards.newer_survivor_stays;
                if is_refused || (is_condition && now.revision != record.revision) {
                    return false;
                }
                let revision = now.revision + 1;
                self.records[customer as usize] = Record { revision, ..record };
                if let Purpose::Write(Some(named)) = purpose {
                    self.acknowledged = self.acknowledged.and(Customers::of(named));
                }
            }
            Command::Entry(entry) => {
                if safeguards.entry_condition && self.entry.revision != entry.revision {
                    return false;
                }
                self.entry = Entry { revision: self.entry.revision + 1, ..entry };
            }
        }
        true
    }
}
