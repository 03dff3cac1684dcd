//! Owns the hash chain of a customer's ledger (CO-8): appending an entry and checking a whole ledger. Always: an entry
//! is appended here alone.
//!
//! ```text
//!   hash(n) = SHA-256( "custodia.ledger.v1" ‖ customer, 16 bytes ‖ bytes of entry n )
//!   entry n holds hash(n − 1); entry 0 holds 32 zero bytes; the customer's record holds the number of entries
//!   and the head, which is the hash of the last one
//! ```
//! So whoever changes, removes, adds or moves an entry, or shows one of another customer, must change every later
//! entry and the record's head.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::{
    codec::Stored,
    id::{CustomerId, TimestampMs},
    ledger::{LedgerBody, LedgerEntry, NO_HASH},
    record::CustomerRecord,
    recorder::Recorder,
};

const HASH_PREFIX: &[u8] = b"custodia.ledger.v1";

/// What every ledger entry needs besides its body: whose record changes, who records it, and when; and what a decision
/// that comes late is sorted into.
#[derive(Debug, Clone, Copy)]
pub struct ChangeContext<'a> {
    /// Whose record changes.
    pub customer: &'a CustomerId,
    /// Who records the change.
    pub recorded_by: &'a Recorder,
    /// When.
    pub now: TimestampMs,
    /// The customer's ledger so far. It may be left out where no decision comes late ([`Decision::comes_late`]).
    ///
    /// [`Decision::comes_late`]: crate::Decision::comes_late
    pub history: &'a [LedgerEntry],
}

impl LedgerEntry {
    /// The hash that the next entry holds.
    #[must_use]
    pub fn hash(&self, customer: &CustomerId) -> [u8; 32] {
        ledger_hash(customer, &self.encode())
    }
}

/// The hash of an entry's bytes, as stored before sealing.
#[must_use]
pub fn ledger_hash(customer: &CustomerId, canonical: &[u8]) -> [u8; 32] {
    let hash =
        Sha256::new().chain_update(HASH_PREFIX).chain_update(customer.as_bytes()).chain_update(canonical);
    hash.finalize().into()
}

impl CustomerRecord {
    /// Numbers and chains an entry. The caller stores it together with this record.
    pub fn append_ledger(&mut self, body: LedgerBody, context: ChangeContext<'_>) -> LedgerEntry {
        // `updated_at` is never before the last entry's moment. So a clock that was set back, or another node's
        // clock, cannot put entries out of order.
        let recorded_at = self.updated_at.max(context.now);
        let entry = LedgerEntry {
            sequence: self.ledger_entries,
            previous: self.ledger_head,
            recorded_at,
            recorded_by: context.recorded_by.clone(),
            body,
        };
        self.ledger_entries += 1;
        self.ledger_head = entry.hash(context.customer);
        self.updated_at = recorded_at;
        entry
    }
}

/// One entry as a file or an answer shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLink<'a> {
    /// The entry's bytes, as stored before sealing.
    pub canonical: &'a [u8],
    /// The hash that is claimed for them.
    pub hash: [u8; 32],
}

/// Why entries are not the whole ledger of a customer. `sequence` is the position in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The bytes are not a ledger entry.
    #[error("entry {sequence} cannot be read")]
    Unreadable {
        /// The position.
        sequence: u64,
    },
    /// The bytes do not have the hash that the chain requires.
    #[error("entry {sequence} does not match its hash: it was changed, or belongs to another customer")]
    Changed {
        /// The position.
        sequence: u64,
    },
    /// No entry has this position.
    #[error("entry {sequence} is missing")]
    Missing {
        /// The position.
        sequence: u64,
    },
    /// Another entry has this position, and the one that belongs here is elsewhere.
    #[error("entry {sequence} is out of order")]
    Reordered {
        /// The position.
        sequence: u64,
    },
    /// The ledger has fewer entries.
    #[error("entry {sequence} is not part of this ledger, which has fewer entries")]
    Surplus {
        /// The position of the first entry too many.
        sequence: u64,
    },
}

/// Checks that `entries` are the whole ledger of the customer, in order and unchanged, given the head and the number
/// of entries that the customer's record holds.
///
/// Why a fault cannot hide: every entry is hashed with the customer's id. Walking back from the head, which is
/// trusted, each hash is compared with the one that the entry after it holds. So an entry that passes is the very one
/// that was appended before it, down to the first. The hashes claimed in a file only name the fault sooner.
///
/// # Errors
/// The first fault found.
pub fn verify_chain(
    customer: &CustomerId,
    entries: &[ChainLink<'_>],
    head: [u8; 32],
    total: u64,
) -> Result<(), ChainFault> {
    let mut read = Vec::with_capacity(entries.len());
    for (link, sequence) in entries.iter().zip(0..) {
        let hash = ledger_hash(customer, link.canonical);
        if hash != link.hash {
            return Err(ChainFault::Changed { sequence });
        }
        let entry =
            LedgerEntry::decode(link.canonical).map_err(|_unreadable| ChainFault::Unreadable { sequence })?;
        read.push((entry, hash));
    }
    check_positions(&read, total)?;
    let mut expected = head;
    for (entry, hash) in read.iter().rev() {
        if *hash != expected {
            return Err(ChainFault::Changed { sequence: entry.sequence });
        }
        expected = entry.previous;
    }
    // Nothing comes before the first entry, and a ledger without entries has no head.
    if expected == NO_HASH { Ok(()) } else { Err(ChainFault::Missing { sequence: 0 }) }
}

/// Whether each entry has the position of its number, and the last one is the ledger's last.
fn check_positions(read: &[(LedgerEntry, [u8; 32])], total: u64) -> Result<(), ChainFault> {
    let present: BTreeSet<u64> = read.iter().map(|(entry, _)| entry.sequence).collect();
    for ((entry, _), sequence) in read.iter().zip(0..) {
        if sequence >= total {
            return Err(ChainFault::Surplus { sequence });
        }
        if entry.sequence != sequence {
            return Err(if present.contains(&sequence) {
                ChainFault::Reordered { sequence }
            } else {
                ChainFault::Missing { sequence }
            });
        }
    }
    let count = read.len() as u64;
    if count < total { Err(ChainFault::Missing { sequence: count }) } else { Ok(()) }
}
