//! Where this node last found the holders of identifiers of one person, so that a lookup may ask the holder's leader at once.
//!
//! Invariant: a hint only says who is asked first. The customer who is asked answers from the record, behind a read barrier. Of a
//! namespace whose identifiers one person has, the record that has one is the only one; and where it is not there, the index is asked. So an
//! old hint costs time, and never a wrong answer.

use std::{fmt, hash::BuildHasher as _, hash::RandomState};

use custodia_profile::{CustomerId, Identifier};
use quick_cache::sync::Cache;

/// Hints that are kept: about 4 MB.
const HINTS_MAX: usize = 65_536;

/// The hints of a node.
pub(crate) struct HolderHints {
    /// By a hash of the identifier, under a key of this process: values of customers who are long gone do not stay in memory.
    holders: Cache<u64, CustomerId>,
    hasher: RandomState,
}

impl Default for HolderHints {
    fn default() -> Self {
        Self { holders: Cache::new(HINTS_MAX), hasher: RandomState::new() }
    }
}

impl fmt::Debug for HolderHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderHints").field("count", &self.holders.len()).finish_non_exhaustive()
    }
}

impl HolderHints {
    /// Who was last found to hold this identifier.
    pub(crate) fn get(&self, identifier: &Identifier) -> Option<CustomerId> {
        self.holders.get(&self.place(identifier))
    }

    /// Remembers who holds an identifier of one person.
    pub(crate) fn remember(&self, identifier: &Identifier, holder: CustomerId) {
        self.holders.insert(self.place(identifier), holder);
    }

    /// Forgets who held it.
    pub(crate) fn forget(&self, identifier: &Identifier) {
        self.holders.remove(&self.place(identifier));
    }

    fn place(&self, identifier: &Identifier) -> u64 {
        self.hasher.hash_one((identifier.namespace.as_str(), identifier.value.as_str()))
    }
}
