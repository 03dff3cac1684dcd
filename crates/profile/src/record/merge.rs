//! Owns what two records say about their merge (ID-4). Always: a merge is in force exactly while the survivor's record lists it, and
//! the other customer's record, which only names the survivor, is then left as it was.

use std::collections::BTreeSet;

use super::CustomerRecord;
use crate::{
    id::{CustomerId, MergeId, Revision, TimestampMs},
    ledger::LedgerEntry,
};

/// A merge in the survivor's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Its id.
    pub id: MergeId,
    /// The customer who was merged.
    pub customer: CustomerId,
    /// This customer, and all who had been merged into it.
    pub members: BTreeSet<CustomerId>,
    /// When.
    pub merged_at: TimestampMs,
}

/// A merge in the record of the customer who was merged, and what is needed to undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedInto {
    /// The customer who goes on.
    pub survivor: CustomerId,
    /// The merge.
    pub merge: MergeId,
    /// When.
    pub merged_at: TimestampMs,
    /// The revision of the survivor's record that was merged.
    pub survivor_revision: Revision,
    /// The survivor's record before the merge.
    pub survivor_before: CustomerRecord,
    /// The survivor's record after it.
    pub merged: CustomerRecord,
    /// What this customer is once the merge is undone; none: what the record says.
    pub restored: Option<Restored>,
}

/// A customer after a merge was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The record.
    pub record: CustomerRecord,
    /// The ledger entries that belong to it.
    pub ledger: Vec<LedgerEntry>,
}

impl CustomerRecord {
    /// The record of a customer whose merge into another is not in force, with the ledger entries that it gains: what it is once the merge
    /// was undone, or what it was if the merge never came into force.
    #[must_use]
    pub fn unmerged(mut self) -> (Self, Vec<LedgerEntry>) {
        match self.merged_into.take().and_then(|into| into.restored) {
            Some(Restored { record, ledger }) => (record, ledger),
            None => (self, Vec::new()),
        }
    }
}
