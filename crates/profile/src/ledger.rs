//! Owns the entry of a customer's consent ledger (CO-8). Always: append-only, numbered from 0 without a gap, stored
//! in the same batch as the state that it changed.

use crate::{GroundState, LawfulBasis, PurposeNumber};

/// One decision that changed the state of a ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Counts the customer's entries from 0.
    pub sequence: u64,
    /// Room for the hash of the entry before this one. All zero in entries that no chain covers.
    pub previous: [u8; 32],
    /// The purpose decided upon.
    pub purpose: PurposeNumber,
    /// The basis decided upon.
    pub basis: LawfulBasis,
    /// The state after the decision; its `recorded_at` is the entry's moment.
    pub state: GroundState,
}
