//! Owns the entries of a customer's ledger (CO-8): every change of what the law rests on, and its replay. Always:
//! append-only, numbered from 0 without a gap, and stored in the same batch as the state that it changed. How entries
//! are chained: see `chain`.

use std::collections::BTreeMap;

use crate::{
    data_subject::DataSubject,
    ground::{GroundState, LawfulBasis},
    iab::{StoredGppString, StoredTcString},
    id::{CustomerId, MergeId, PurposeId, PurposeNumber, TimestampMs},
    recorder::Recorder,
};

/// The hash before the first entry.
pub const NO_HASH: [u8; 32] = [0; 32];

/// One change of what the law rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Counts the customer's entries from 0.
    pub sequence: u64,
    /// The hash of the entry before this one; [`NO_HASH`] in the first.
    pub previous: [u8; 32],
    /// When it was appended; never before the entry before it.
    pub recorded_at: TimestampMs,
    /// Who recorded it. Who decided is in the ground's evidence.
    pub recorded_by: Recorder,
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
        /// Its name, so that the entry can be read without the catalogue.
        purpose_id: PurposeId,
        /// The basis decided upon.
        basis: LawfulBasis,
        /// The state after the decision.
        state: GroundState,
    },
    /// A decision that came late, or from a file, and did not become the state: a newer one stands, or a no. Nothing
    /// that is decided is lost (CO-8), and a later decision is sorted in with it.
    Superseded {
        /// The purpose decided upon.
        purpose: PurposeNumber,
        /// Its name.
        purpose_id: PurposeId,
        /// The basis decided upon.
        basis: LawfulBasis,
        /// What was decided.
        state: GroundState,
    },
    /// The data subject after a change.
    Subject(DataSubject),
    /// The TC string that was recorded.
    TcString(StoredTcString),
    /// The GPP string that was recorded.
    GppString(StoredGppString),
    /// Another customer was merged into this one. The law begins anew: the entries after this one say what it rests on.
    Merged(OtherLedger),
    /// A merge was undone, in which this customer was the survivor or the other one. The law begins anew, as above.
    Unmerged(OtherLedger),
}

/// The ledger of the other customer of a merge, as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherLedger {
    /// The merge.
    pub merge: MergeId,
    /// Whose ledger it is.
    pub customer: CustomerId,
    /// How many entries it had.
    pub entries: u64,
    /// The hash of the last one.
    pub head: [u8; 32],
    /// How many of the entries that follow this one only say what the law rests on from now on.
    pub restated: u64,
    /// In the ledger of a customer who was merged into the other one: since when. From then to this entry, the other ledger counts.
    pub merged_at: Option<TimestampMs>,
}

/// What the law rested on at a past moment, as recorded by then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LawAsOf {
    /// The grounds.
    pub grounds: BTreeMap<(PurposeNumber, LawfulBasis), GroundState>,
    /// The data subject.
    pub subject: DataSubject,
    /// The TC string.
    pub tc_string: Option<StoredTcString>,
    /// The GPP string.
    pub gpp_string: Option<StoredGppString>,
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
            LedgerBody::Superseded { .. } => {}
            LedgerBody::Subject(subject) => {
                self.subject = subject.clone();
                self.subject_sequence = Some(entry.sequence);
            }
            LedgerBody::TcString(stored) => self.tc_string = Some(stored.clone()),
            LedgerBody::GppString(stored) => self.gpp_string = Some(stored.clone()),
            LedgerBody::Merged(_) | LedgerBody::Unmerged(_) => *self = Self::default(),
        }
    }
}

/// Replays the entries that were appended at or before a moment. They must come in the order of their sequence.
#[must_use]
pub fn as_of<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>, moment: TimestampMs) -> LawAsOf {
    let mut law = LawAsOf::default();
    entries.into_iter().filter(|entry| entry.recorded_at <= moment).for_each(|entry| law.apply(entry));
    law
}
