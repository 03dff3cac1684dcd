//! What a write is evaluated on.

use custodia_profile::{
    ChangeContext, CustomerRecord, LedgerEntry, Precondition, Recorder, RequestMemory, Revision, TimestampMs,
};

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        Loaded, StoredEvents, claims::TakenIdentifiers, other::Other, rotation::StoredStage, writer::Sight,
    },
    wire::ServiceError,
};

/// The state that a write is evaluated on.
#[derive(Debug)]
pub(crate) struct CustomerState<'a> {
    pub(crate) location: CustomerLocation,
    pub(crate) now: TimestampMs,
    pub(crate) view: &'a CatalogueView,
    /// What the caller may see.
    pub(crate) sight: Sight,
    pub(super) recorded_by: &'a Recorder,
    /// What the request says about the value that it replaces. Its etag was compared before.
    pub(crate) precondition: Precondition,
    pub(crate) events: StoredEvents,
    /// The ledger so far, if a decision comes late.
    pub(in crate::shard) history: Vec<LedgerEntry>,
    /// The identifiers that the record cannot gain, as far as they are known.
    pub(crate) taken: TakenIdentifiers,
    /// How far the customer's shard is with the blinding keys: says under which of them the record's identifiers are claimed, and its
    /// blocking keys blinded.
    pub(in crate::shard) blinding: StoredStage,
    /// The other customer of a merge.
    pub(crate) other: Option<Other>,
    pub(in crate::shard) core: Option<Loaded<CustomerRecord>>,
    pub(in crate::shard) requests: Option<Loaded<RequestMemory>>,
}

impl CustomerState<'_> {
    /// The record, if the customer has one.
    pub(crate) fn record(&self) -> Option<&CustomerRecord> {
        self.core.as_ref().map(|core| &core.value)
    }

    /// The record, or an empty one if the customer has none.
    pub(crate) fn record_or_new(&self) -> std::borrow::Cow<'_, CustomerRecord> {
        match self.record() {
            Some(record) => std::borrow::Cow::Borrowed(record),
            None => std::borrow::Cow::Owned(CustomerRecord::new(self.now)),
        }
    }

    /// The record of a customer that must exist.
    pub(crate) fn existing(&self) -> Result<&CustomerRecord, ServiceError> {
        self.record().ok_or(ServiceError::CustomerNotFound)
    }

    /// The context that every ledger entry needs.
    pub(crate) const fn change(&self) -> ChangeContext<'_> {
        ChangeContext {
            customer: &self.location.customer,
            recorded_by: self.recorded_by,
            now: self.now,
            history: self.history.as_slice(),
        }
    }

    /// The record's current revision.
    pub(crate) fn revision(&self) -> Revision {
        self.core.as_ref().map_or(Revision::NONE, Loaded::revision)
    }

    /// The record's revision after this write.
    pub(crate) fn revision_after(&self, changes: bool) -> Revision {
        let revision = self.revision();
        if !changes {
            return revision;
        }
        // After a merge no etag of the other customer fits the survivor, nor after its undoing one of the survivor the other.
        let other = self.other.as_ref().map_or(Revision::NONE, |other| Revision::from_u64(other.revision));
        let merged_into = self.record().and_then(|record| record.merged_into.as_ref());
        let survivor = merged_into.map_or(Revision::NONE, |into| into.survivor_revision.next());
        revision.max(other).max(survivor).next()
    }

    /// The customer's consent revision after these decisions; each raises it by one.
    pub(crate) fn consent_revision_after(&self, decisions: &[LedgerEntry]) -> u64 {
        let before = self.core.as_ref().map_or(0, |core| core.header.guard);
        before.saturating_add(u64::try_from(decisions.len()).unwrap_or(u64::MAX))
    }
}
