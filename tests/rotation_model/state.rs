//! What is committed: the stages of the shards, the records of the customers, and the two entries of the identifier.

/// A customer. Its record, and its claims, are on the shard of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Customer {
    A,
    B,
}

/// A blinding key. The identifier has an entry under each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Old,
    New,
}

/// How far a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    Before,
    Filling,
    Filled,
    Switched,
    Dropping,
    Dropped,
}

impl Customer {
    pub(crate) const ALL: [Self; 2] = [Self::A, Self::B];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// As a set.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Stage {
    /// The keys under which the shard's customers claim, in one order.
    pub(crate) const fn claimed_under(self, safeguards: &Safeguards) -> &'static [Key] {
        match self {
            Self::Before => &[Key::Old],
            Self::Filling | Self::Filled | Self::Switched => {
                if !safeguards.claims_under_new {
                    &[Key::Old]
                } else if !safeguards.claims_under_old {
                    &[Key::New]
                } else {
                    &[Key::Old, Key::New]
                }
            }
            Self::Dropping | Self::Dropped => &[Key::New],
        }
    }

    /// Whether entries under a key are put here.
    pub(crate) fn keeps(self, key: Key) -> bool {
        key == Key::New || self < Self::Dropping
    }

    /// Whether a lookup under a key is answered here.
    pub(crate) fn answers(self, key: Key, safeguards: &Safeguards) -> bool {
        key == Key::New || self < Self::Switched || !safeguards.refuses_old_lookups
    }
}

/// A customer's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) revision: u8,
    pub(crate) has: bool,
}

/// An entry of the index: those who claimed the identifier under a key, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// 0: there is none.
    pub(crate) revision: u8,
    pub(crate) pointers: u8,
}

/// What the rotation relies on. A model without one of them must find a counterexample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safeguards {
    /// While a shard is filled, and until it drops, claims are under the old key.
    pub(crate) claims_under_old: bool,
    /// And under the new one.
    pub(crate) claims_under_new: bool,
    /// A record is put only in the stage that its claims were made in.
    pub(crate) record_names_stage: bool,
    /// An entry is put only in the stage that it was read in.
    pub(crate) entry_names_stage: bool,
    /// A shard is filled before it says so.
    pub(crate) fills: bool,
    /// Records are read for that only after the stage was raised.
    pub(crate) fills_after_raise: bool,
    /// A shard switches after all are filled.
    pub(crate) switch_waits: bool,
    /// A shard drops after all have switched.
    pub(crate) drop_waits: bool,
    /// A shard that has switched answers no lookup under the old key.
    pub(crate) refuses_old_lookups: bool,
    /// A lookup reads the stage after the entry.
    pub(crate) stage_after_entry: bool,
}

impl Safeguards {
    /// The rotation as it is.
    pub(crate) const ALL: Self = Self {
        claims_under_old: true,
        claims_under_new: true,
        record_names_stage: true,
        entry_names_stage: true,
        fills: true,
        fills_after_raise: true,
        switch_waits: true,
        drop_waits: true,
        refuses_old_lookups: true,
        stage_after_entry: true,
    };
}

/// What has been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Committed {
    pub(crate) stages: [Stage; 2],
    pub(crate) records: [Record; 2],
    pub(crate) entries: [Entry; 2],
    /// The shard of each entry.
    pub(crate) placed: [usize; 2],
}

impl Committed {
    pub(crate) const fn record(&self, customer: Customer) -> &Record {
        &self.records[customer as usize]
    }

    pub(crate) const fn entry(&self, key: Key) -> &Entry {
        &self.entries[key as usize]
    }

    /// The stage of the shard that has an entry.
    pub(crate) const fn stage_of(&self, key: Key) -> Stage {
        self.stages[self.placed[key as usize]]
    }

    pub(crate) fn all_at_least(&self, stage: Stage) -> bool {
        self.stages.iter().all(|at| *at >= stage)
    }

    /// Those whose records have the identifier, as a set.
    pub(crate) fn holders(&self) -> u8 {
        Customer::ALL.iter().filter(|one| self.record(**one).has).map(|one| one.bit()).sum()
    }

    /// Puts an entry if it is as it was read, in the stage that was read; whether it did.
    pub(crate) fn put_entry(
        &mut self,
        key: Key,
        read: (Entry, Stage),
        pointers: u8,
        safeguards: &Safeguards,
    ) -> bool {
        let (entry, stage) = read;
        let in_stage = !safeguards.entry_names_stage || self.stage_of(key) == stage;
        let as_read = self.entry(key).revision == entry.revision && in_stage;
        if as_read {
            self.entries[key as usize] = Entry { revision: entry.revision + 1, pointers };
        }
        as_read
    }
}
