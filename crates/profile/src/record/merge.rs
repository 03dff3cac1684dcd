//! Owns what two records say about their merge (ID-4). Always: a merge is in force exactly while the survivor's record lists it, and
//! the other customer's record, which only names the survivor, is then left as it was.

use std::collections::BTreeSet;

use uuid::Builder;
use xxhash_rust::xxh3::xxh3_128;

use super::CustomerRecord;
use crate::{
    error::ProfileError,
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
    /// The id of the merge of this customer into a survivor: as long as the record stays as it is, a merge that is begun again is the same
    /// one.
    ///
    /// # Errors
    /// Never in practice: `Malformed` if the hash is zero.
    pub fn merge_id(&self, customer: &CustomerId, survivor: &CustomerId) -> Result<MergeId, ProfileError> {
        let moments = [self.ledger_entries.to_be_bytes(), self.updated_at.as_ms().to_be_bytes()].concat();
        let parts = [&survivor.as_bytes()[..], customer.as_bytes(), &self.ledger_head, &moments].concat();
        MergeId::new(Builder::from_custom_bytes(xxh3_128(&parts).to_be_bytes()).into_uuid())
    }

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
