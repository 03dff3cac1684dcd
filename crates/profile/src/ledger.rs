//! Owns a customer's ledger (CO-8): every change of what the law rests on. Always: append-only, numbered from 0 without
//! a gap, stored in the same batch as the state that it changed, and chained.
//!
//! ```text
//!   hash(n) = SHA-256( "custodia.ledger.v1" ‖ customer, 16 bytes ‖ bytes of entry n )
//!   entry n holds hash(n − 1); entry 0 holds 32 zero bytes; the customer's record holds the number of entries
//!   and the head, which is the hash of the last one
//! ```
//! So whoever changes, takes out, adds or moves an entry, or shows one of another customer, must change every later
//! entry and the record's head. Entries of the release before the chain hold 32 zero bytes: no chain covers them.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::{
    CustomerId, CustomerRecord, DataSubject, GroundState, LawfulBasis, PurposeId, PurposeNumber, Stored,
    StoredTcString, TimestampMs,
};

const HASH_PREFIX: &[u8] = b"custodia.ledger.v1";

/// The hash of no entry.
pub const NO_HASH: [u8; 32] = [0; 32];

/// One change of what the law rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Counts the customer's entries from 0.
    pub sequence: u64,
    /// The hash of the entry before this one; all zero in the first, and in entries that no chain covers.
    pub previous: [u8; 32],
    /// When it was appended; never before the entry before it.
    pub recorded_at: TimestampMs,
    /// What changed.
    pub body: LedgerBody,
}

/// What a ledger entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerBody {
    /// The state of a ground.
    Ground {
        /// The purpose decided upon.
        purpose: PurposeNumber,
        /// Its name, so that the entry can be read without the catalogue; nothing in entries of the first release.
        purpose_id: Option<PurposeId>,
        /// The basis decided upon.
        basis: LawfulBasis,
        /// The state after the decision.
        state: GroundState,
    },
    /// The data subject after a change.
    Subject(DataSubject),
    /// The TC string that came in.
    TcString(StoredTcString),
}

impl LedgerBody {
    /// The moment that the body itself carries.
    pub(crate) const fn moment(&self) -> Option<TimestampMs> {
        match self {
            Self::Ground { state, .. } => Some(state.recorded_at),
            Self::Subject(subject) => subject.updated_at,
            Self::TcString(stored) => Some(stored.recorded_at),
        }
    }
}

impl LedgerEntry {
    /// The hash by which the next entry holds on to this one.
    #[must_use]
    pub fn hash(&self, customer: &CustomerId) -> [u8; 32] {
        ledger_hash(customer, &self.encode())
    }
}

/// The hash of an entry's bytes, as they are stored before sealing.
#[must_use]
pub fn ledger_hash(customer: &CustomerId, canonical: &[u8]) -> [u8; 32] {
    let hash =
        Sha256::new().chain_update(HASH_PREFIX).chain_update(customer.as_bytes()).chain_update(canonical);
    hash.finalize().into()
}

impl CustomerRecord {
    /// Numbers and chains an entry: the one place that does. The caller stores it together with this record.
    pub fn append_ledger(
        &mut self,
        customer: &CustomerId,
        body: LedgerBody,
        now: TimestampMs,
    ) -> LedgerEntry {
        // `updated_at` is never before the last entry's moment, so that a clock that was set back, or that of another
        // node, does not put the entries out of order.
        let recorded_at = self.updated_at.max(now);
        let entry =
            LedgerEntry { sequence: self.ledger_entries, previous: self.ledger_head, recorded_at, body };
        self.ledger_entries += 1;
        self.ledger_head = entry.hash(customer);
        self.updated_at = recorded_at;
        entry
    }
}

/// One entry as a file or an answer shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLink<'a> {
    /// The entry's bytes, as they are stored before sealing.
    pub canonical: &'a [u8],
    /// The hash that is claimed for them.
    pub hash: [u8; 32],
}

/// Why entries are not the whole ledger of a customer. `sequence` is the place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The bytes are no entry.
    #[error("entry {sequence} cannot be read")]
    Unreadable {
        /// The place.
        sequence: u64,
    },
    /// The bytes do not have the hash that they must have: they were changed, or belong to another customer.
    #[error("entry {sequence} does not have its hash: it was changed, or belongs to another customer")]
    Changed {
        /// The place.
        sequence: u64,
    },
    /// The entry of this place is not there.
    #[error("entry {sequence} is missing")]
    Missing {
        /// The place.
        sequence: u64,
    },
    /// At this place stands the entry of another place, and the one that belongs here stands elsewhere.
    #[error("entry {sequence} is not in its place")]
    Reordered {
        /// The place.
        sequence: u64,
    },
    /// More entries than the ledger has.
    #[error("entry {sequence} is not one of this ledger: it has fewer entries")]
    Surplus {
        /// The place of the first that is too much.
        sequence: u64,
    },
    /// This entry and those before it are of the release before the chain.
    #[error("entry {sequence} and those before it are covered by no chain")]
    Unchained {
        /// The place of the last such entry.
        sequence: u64,
    },
}

/// Checks that `entries` are the whole ledger of the customer, in order and unchanged, given the head and the number
/// of entries that the customer's record holds.
///
/// Why a fault cannot hide: every entry is hashed with the customer's id. Walking back from the head, which is
/// trusted, each hash is compared with the one that the entry after it holds; so an entry that passes is the very one
/// that was appended before it, down to the first. Hashes claimed in a file only serve to name the fault sooner.
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
    check_places(&read, total)?;
    let mut expected = head;
    for (entry, hash) in read.iter().rev() {
        if expected == NO_HASH {
            return Err(ChainFault::Unchained { sequence: entry.sequence });
        }
        if *hash != expected {
            return Err(ChainFault::Changed { sequence: entry.sequence });
        }
        expected = entry.previous;
    }
    // The first entry holds on to nothing, and a ledger without entries has no head.
    if expected == NO_HASH { Ok(()) } else { Err(ChainFault::Missing { sequence: 0 }) }
}

/// Whether each entry stands at the place of its number, and the last place is the ledger's last.
fn check_places(read: &[(LedgerEntry, [u8; 32])], total: u64) -> Result<(), ChainFault> {
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

/// What the law rested on at a past moment, as it was recorded by then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LawAsOf {
    /// The grounds.
    pub grounds: BTreeMap<(PurposeNumber, LawfulBasis), GroundState>,
    /// The data subject.
    pub subject: DataSubject,
    /// The TC string.
    pub tc_string: Option<StoredTcString>,
    /// The entry that brought each ground to its state.
    pub ground_sequences: BTreeMap<(PurposeNumber, LawfulBasis), u64>,
    /// The entry that changed the data subject last.
    pub subject_sequence: Option<u64>,
}

impl LawAsOf {
    /// Replays the next entry.
    pub fn apply(&mut self, entry: &LedgerEntry) {
        match &entry.body {
            LedgerBody::Ground { purpose, basis, state, .. } => {
                self.grounds.insert((*purpose, *basis), state.clone());
                self.ground_sequences.insert((*purpose, *basis), entry.sequence);
            }
            LedgerBody::Subject(subject) => {
                self.subject = subject.clone();
                self.subject_sequence = Some(entry.sequence);
            }
            LedgerBody::TcString(stored) => self.tc_string = Some(stored.clone()),
        }
    }
}

/// Replays the entries, in the order of their sequence, that were appended at or before a moment.
#[must_use]
pub fn as_of<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>, moment: TimestampMs) -> LawAsOf {
    let mut law = LawAsOf::default();
    entries.into_iter().filter(|entry| entry.recorded_at <= moment).for_each(|entry| law.apply(entry));
    law
}
