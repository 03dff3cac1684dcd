//! What is committed: the records of the customers and the entries of the index, changed only by commands with conditions.

/// A customer. Its record is on the leader of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Customer {
    A,
    B,
}

/// An identifier of one person. Its entry is on the leader of its shard. X is claimed before Y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Identifier {
    X,
    Y,
}

impl Customer {
    pub(crate) const ALL: [Self; 2] = [Self::A, Self::B];
}

impl Identifier {
    pub(crate) const ALL: [Self; 2] = [Self::X, Self::Y];
}

/// A set of identifiers, one bit each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identifiers(u8);

impl Identifiers {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const X: Self = Self(1);
    pub(crate) const Y: Self = Self(2);
    pub(crate) const BOTH: Self = Self(3);

    pub(crate) const fn of(identifier: Identifier) -> Self {
        Self(1 << identifier as u8)
    }

    pub(crate) const fn contains(self, identifier: Identifier) -> bool {
        self.0 & Self::of(identifier).0 != 0
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

    /// The members, in the order in which they are claimed.
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = Identifier> {
        Identifier::ALL.into_iter().filter(move |identifier| self.contains(*identifier))
    }
}

/// A customer's record, or the place where it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Record {
    /// 0: there is none.
    pub(crate) revision: u8,
    /// The revision of the request memory, which can be there without a record.
    pub(crate) memory: u8,
    pub(crate) identifiers: Identifiers,
}

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) revision: u8,
    pub(crate) holder: Option<Customer>,
}

/// A proposal: what is put, if what was read is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Command {
    /// The record with these identifiers.
    Record { customer: Customer, read: Record, identifiers: Identifiers },
    /// The record as it is, under the next revision; without a record the request memory.
    Fence { customer: Customer, read: Record },
    /// Another holder, or none.
    Entry { identifier: Identifier, read: Entry, holder: Option<Customer> },
}

/// What the protocol relies on. A model without one of them must find a counterexample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safeguards {
    /// A holder without the identifier gets a new revision before its entry is replaced.
    pub(crate) fence: bool,
    /// So does a customer without a record.
    pub(crate) fence_without_record: bool,
    /// The fence looks at the record again.
    pub(crate) fence_checks_again: bool,
    /// A claim of the customer who is in the entry already puts it again.
    pub(crate) claim_rewrites: bool,
    /// An emptied entry keeps its revision.
    pub(crate) emptied_keeps_revision: bool,
    /// A record is put only if its revision is still the one that was loaded.
    pub(crate) record_condition: bool,
    /// An entry is put only if its revision is still the one that was read.
    pub(crate) entry_condition: bool,
    /// Identifiers are claimed before the record is proposed.
    pub(crate) claim_before_propose: bool,
    /// Every write claims in the same order.
    pub(crate) claim_in_order: bool,
    /// A claim asks the record of the holder in the entry.
    pub(crate) claim_asks_record: bool,
    /// A release settles its customer.
    pub(crate) release_settles: bool,
    /// A lookup asks the record of the holder in the entry.
    pub(crate) lookup_asks_record: bool,
}

impl Safeguards {
    /// The protocol as it is.
    pub(crate) const ALL: Self = Self {
        fence: true,
        fence_without_record: true,
        fence_checks_again: true,
        claim_rewrites: true,
        emptied_keeps_revision: true,
        record_condition: true,
        entry_condition: true,
        claim_before_propose: true,
        claim_in_order: true,
        claim_asks_record: true,
        release_settles: true,
        lookup_asks_record: true,
    };
}

/// What has been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Committed {
    pub(crate) records: [Record; 2],
    pub(crate) entries: [Entry; 2],
}

impl Committed {
    pub(crate) const fn record(&self, customer: Customer) -> &Record {
        &self.records[customer as usize]
    }

    pub(crate) const fn entry(&self, identifier: Identifier) -> &Entry {
        &self.entries[identifier as usize]
    }

    pub(crate) const fn holds(&self, customer: Customer, identifier: Identifier) -> bool {
        self.record(customer).identifiers.contains(identifier)
    }

    /// The customers whose records have the identifier.
    pub(crate) fn holders(&self, identifier: Identifier) -> impl Iterator<Item = Customer> {
        Customer::ALL.into_iter().filter(move |customer| self.holds(*customer, identifier))
    }

    /// Whether a command would be applied: its conditions hold.
    pub(crate) fn accepts(&self, command: &Command, safeguards: &Safeguards) -> bool {
        match command {
            Command::Record { customer, read, .. } | Command::Fence { customer, read } => {
                let now = self.record(*customer);
                let memory_is_same = read.revision != 0 || now.memory == read.memory;
                !safeguards.record_condition || (now.revision == read.revision && memory_is_same)
            }
            Command::Entry { identifier, read, .. } => {
                !safeguards.entry_condition || self.entry(*identifier).revision == read.revision
            }
        }
    }

    /// Applies a command or not; whether it did.
    pub(crate) fn apply(&mut self, command: &Command, safeguards: &Safeguards) -> bool {
        if !self.accepts(command, safeguards) {
            return false;
        }
        match *command {
            Command::Record { customer, identifiers, .. } => {
                let record = &mut self.records[customer as usize];
                record.revision += 1;
                record.identifiers = identifiers;
            }
            Command::Fence { customer, read } => {
                let record = &mut self.records[customer as usize];
                let raised = if read.revision == 0 { &mut record.memory } else { &mut record.revision };
                *raised += 1;
            }
            Command::Entry { identifier, holder, .. } => {
                let entry = &mut self.entries[identifier as usize];
                let is_removed = holder.is_none() && !safeguards.emptied_keeps_revision;
                let revision = if is_removed { 0 } else { entry.revision + 1 };
                *entry = Entry { revision, holder };
            }
        }
        true
    }
}
