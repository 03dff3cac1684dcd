//! Owns a customer's core record: one sealed value on disk, replaced as a whole. Always: ordered maps, catalogue
//! numbers instead of names.

mod identifier;
mod merge;

use std::collections::BTreeMap;

pub use identifier::{StoredIdentifier, Verification, VerificationMethod};
pub use merge::{Merge, MergedInto, Restored};

use crate::{
    contact_log::ContactLog,
    data_subject::DataSubject,
    ground::{GroundState, LawfulBasis},
    iab::{StoredGppString, StoredTcString},
    id::{AttributeNumber, CustomerId, MergeId, PurposeNumber, TimestampMs},
    identifier::Identifier,
    ledger::NO_HASH,
    preferences::Preferences,
    provenance::Provenance,
    value::{Text, Value},
};

/// One attribute's value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeValue {
    /// The value; of an attribute with a format, in its normal form.
    pub value: Value,
    /// As the source wrote it; none where that is the value.
    pub original: Option<Text>,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl AttributeValue {
    /// Which of two observations of one attribute is kept. Commutative, associative and idempotent, since it is the
    /// maximum of a total order: the newer one, then the larger source and value. If the same observation is stored
    /// twice, the first counts, so that repeating it changes nothing. All nodes settle remaining ties alike.
    #[must_use]
    pub fn newest(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    /// Whether this observation replaces `stored`.
    pub(crate) fn is_newer_than(&self, stored: &Self) -> bool {
        self.rank() > stored.rank()
    }

    /// Whether both say that the same source observed the same value at the same moment.
    pub(crate) fn is_same_observation(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.provenance, &other.provenance);
        ours.observed_at == theirs.observed_at && ours.source == theirs.source && self.value == other.value
    }

    fn rank(&self) -> impl Ord + '_ {
        let Provenance { source, observed_at, recorded_at, purpose, basis, party } = &self.provenance;
        (
            observed_at,
            source,
            &self.value,
            &self.original,
            std::cmp::Reverse(recorded_at),
            party,
            purpose,
            basis,
        )
    }
}

/// When the requests were made that last changed a value which a request replaces as a whole: a later retry of an earlier
/// one must not bring back what it wrote. By the callers' clocks, but no later than the arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestDates {
    /// Of the data subject.
    pub subject: Option<TimestampMs>,
    /// Of the preferences.
    pub preferences: Option<TimestampMs>,
    /// Of the TC string.
    pub tc_string: Option<TimestampMs>,
    /// Of the GPP string.
    pub gpp_string: Option<TimestampMs>,
}

/// A customer's core record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRecord {
    /// The attributes, by the catalogue's number.
    pub attributes: BTreeMap<AttributeNumber, AttributeValue>,
    /// What the customer is found by.
    pub identifiers: BTreeMap<Identifier, StoredIdentifier>,
    /// The grounds, by purpose and basis.
    pub grounds: BTreeMap<(PurposeNumber, LawfulBasis), GroundState>,
    /// What the law needs to know besides the grounds.
    pub subject: DataSubject,
    /// How many ledger entries the customer has: the sequence of the next one.
    pub ledger_entries: u64,
    /// The hash of the last entry; [`NO_HASH`] if there is none.
    pub ledger_head: [u8; 32],
    /// How the customer wants to be contacted.
    pub preferences: Preferences,
    /// The contacts that were made.
    pub contacts: ContactLog,
    /// The last TC string that came in.
    pub tc_string: Option<StoredTcString>,
    /// The last GPP string that came in.
    pub gpp_string: Option<StoredGppString>,
    /// When the last changes of what requests replace were asked for.
    pub requested: RequestDates,
    /// By how much the consent revision is ahead of the number of ledger entries: so that after a merge, or its undoing, none that was
    /// read of the other customer fits.
    pub revision_ahead: u64,
    /// The customers who were merged into this one, in the order of the merges.
    pub merges: Vec<Merge>,
    /// The customer into whom this one was, or is about to be, merged. Until that is undone the record stays as it is.
    pub merged_into: Option<Box<MergedInto>>,
    /// When the customer was stored first.
    pub created_at: TimestampMs,
    /// When the record changed last.
    pub updated_at: TimestampMs,
}

impl CustomerRecord {
    /// The record of a customer about whom nothing is known.
    #[must_use]
    pub fn new(now: TimestampMs) -> Self {
        Self {
            attributes: BTreeMap::new(),
            identifiers: BTreeMap::new(),
            grounds: BTreeMap::new(),
            subject: DataSubject::default(),
            ledger_entries: 0,
            ledger_head: NO_HASH,
            preferences: Preferences::default(),
            contacts: ContactLog::default(),
            tc_string: None,
            gpp_string: None,
            requested: RequestDates::default(),
            revision_ahead: 0,
            merges: Vec::new(),
            merged_into: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The version of the consent state; each ledger entry raises it by one.
    #[must_use]
    pub const fn consent_revision(&self) -> u64 {
        self.ledger_entries.saturating_add(self.revision_ahead)
    }

    /// Whether a merge into this customer is in force.
    #[must_use]
    pub fn has_merge(&self, id: MergeId) -> bool {
        self.merges.iter().any(|merge| merge.id == id)
    }

    /// The customers whose events belong to this one too.
    pub fn members(&self) -> impl Iterator<Item = &CustomerId> {
        self.merges.iter().flat_map(|merge| &merge.members)
    }

    /// Where the attributes and the identifiers come from.
    pub fn provenances(&self) -> impl Iterator<Item = &Provenance> {
        let of_attributes = self.attributes.values().map(|of| &of.provenance);
        of_attributes.chain(self.identifiers.values().map(|of| &of.provenance))
    }

    /// The state of one ground for one purpose.
    #[must_use]
    pub fn ground(&self, purpose: PurposeNumber, basis: LawfulBasis) -> Option<&GroundState> {
        self.grounds.get(&(purpose, basis))
    }
}
