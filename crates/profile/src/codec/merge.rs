//! Owns the bytes of what records and ledger entries say about a merge. Always: a record in an archive is whole, with its own version.

use prost::Message;

use super::{
    Field, Intact, Stored,
    field::message,
    ledger::{read_hash, write_hash},
};
use crate::{
    error::ProfileError,
    id::{CustomerId, MergeId, Revision, TimestampMs},
    ledger::{LedgerEntry, OtherLedger},
    record::{CustomerRecord, Merge, MergedInto, Restored},
};

message! {
    Merge as WireMerge {
        1 [bytes = "vec"] id: Vec<u8>, "merge";
        2 [bytes = "vec"] customer: Vec<u8>, "merged customer";
        3 [bytes = "vec", repeated] members: Vec<Vec<u8>>, "merged customer";
        4 [sint64] merged_at: i64, "moment of a merge";
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireMergedInto {
    #[prost(bytes = "vec", tag = "1")]
    survivor: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    merge: Vec<u8>,
    #[prost(sint64, tag = "3")]
    merged_at: i64,
    #[prost(uint64, tag = "4")]
    survivor_revision: u64,
    #[prost(bytes = "vec", tag = "5")]
    survivor_before: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    merged: Vec<u8>,
    #[prost(message, optional, tag = "7")]
    restored: Option<WireRestored>,
}

#[derive(Clone, PartialEq, Message)]
struct WireRestored {
    #[prost(bytes = "vec", tag = "1")]
    record: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    ledger: Vec<Vec<u8>>,
}

impl Field for Box<MergedInto> {
    type Wire = WireMergedInto;

    fn to_wire(&self) -> WireMergedInto {
        let restored = self.restored.as_ref();
        WireMergedInto {
            survivor: self.survivor.to_wire(),
            merge: self.merge.to_wire(),
            merged_at: self.merged_at.to_wire(),
            survivor_revision: self.survivor_revision.to_wire(),
            survivor_before: self.survivor_before.encode(),
            merged: self.merged.encode(),
            restored: restored.map(|Restored { record, ledger }| WireRestored {
                record: record.encode(),
                ledger: ledger.iter().map(LedgerEntry::encode).collect(),
            }),
        }
    }

    fn from_wire(
        wire: WireMergedInto,
        kind: &'static str,
        _field: &'static str,
    ) -> Result<Self, ProfileError> {
        let restored = |WireRestored { record, ledger }: WireRestored| {
            let ledger = ledger.iter().map(|entry| LedgerEntry::decode(entry)).collect::<Result<_, _>>()?;
            Ok::<_, ProfileError>(Restored { record: unmerged(&record, kind)?, ledger })
        };
        Ok(Self::new(MergedInto {
            survivor: CustomerId::from_wire(wire.survivor, kind, "survivor")?,
            merge: MergeId::from_wire(wire.merge, kind, "merge")?,
            merged_at: TimestampMs::from_wire(wire.merged_at, kind, "moment of a merge")?,
            survivor_revision: Revision::from_wire(wire.survivor_revision, kind, "revision")?,
            survivor_before: unmerged(&wire.survivor_before, kind)?,
            merged: unmerged(&wire.merged, kind)?,
            restored: wire.restored.map(restored).transpose()?,
        }))
    }
}

/// A record in an archive. It has no archive of its own: who was merged has merged nobody since, and is no survivor.
fn unmerged(bytes: &[u8], kind: &'static str) -> Result<CustomerRecord, ProfileError> {
    let archived = CustomerRecord::decode(bytes)?;
    Some(archived).filter(|record| record.merged_into.is_none()).intact(kind, "archived record")
}

/// A ledger, as a ledger entry names it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WireOtherLedger {
    #[prost(bytes = "vec", tag = "1")]
    merge: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    customer: Vec<u8>,
    #[prost(uint64, tag = "3")]
    entries: u64,
    #[prost(bytes = "vec", tag = "4")]
    head: Vec<u8>,
    #[prost(uint64, tag = "5")]
    restated: u64,
    #[prost(sint64, optional, tag = "6")]
    merged_at: Option<i64>,
}

impl Field for OtherLedger {
    type Wire = WireOtherLedger;

    fn to_wire(&self) -> WireOtherLedger {
        WireOtherLedger {
            merge: self.merge.to_wire(),
            customer: self.customer.to_wire(),
            entries: self.entries,
            head: write_hash(&self.head),
            restated: self.restated,
            merged_at: self.merged_at.to_wire(),
        }
    }

    fn from_wire(
        wire: WireOtherLedger,
        kind: &'static str,
        _field: &'static str,
    ) -> Result<Self, ProfileError> {
        Ok(Self {
            merge: MergeId::from_wire(wire.merge, kind, "merge")?,
            customer: CustomerId::from_wire(wire.customer, kind, "merged customer")?,
            entries: wire.entries,
            head: read_hash(&wire.head, kind)?,
            restated: wire.restated,
            merged_at: Option::from_wire(wire.merged_at, kind, "moment of a merge")?,
        })
    }
}
