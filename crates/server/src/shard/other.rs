//! The other customer of a merge, as a write of the survivor knows it; and whether a call may go on with a record at all.

use custodia_profile::{CustomerId, CustomerRecord, OtherAlone, StoredEvent};

use crate::{
    routing::{CustomerLocation, Redirect},
    wire::ServiceError,
};

/// What is needed of another customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The record, to merge it.
    Record,
    /// Also what tells to which of the two belongs what came since the merge, to undo it.
    Sources,
}

/// Another customer whom a write needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OtherCustomer {
    pub(crate) customer: CustomerId,
    pub(crate) need: Need,
}

/// The other customer of a merge, as it was read.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) customer: CustomerId,
    pub(crate) record: CustomerRecord,
    pub(in crate::shard) revision: u64,
    pub(crate) alone: OtherAlone,
    /// The survivor's events that are the other customer's.
    pub(crate) events: Vec<StoredEvent>,
}

/// What becomes of the other customer.
#[derive(Debug)]
pub(crate) struct OtherChange {
    /// Its record, if the merge is in force then, or while it may be.
    pub(crate) record: CustomerRecord,
    /// Events that move from the survivor to the other customer.
    pub(crate) events: Vec<StoredEvent>,
}

/// Refuses to go on with the record of a customer who was merged into another, and to answer about the survivor by a merge that is not
/// in force.
///
/// # Errors
/// [`ServiceError::CustomerMerged`], [`ServiceError::MergeNotInForce`].
pub(crate) fn check_merges(
    redirects: &[Redirect],
    location: CustomerLocation,
    record: Option<&CustomerRecord>,
) -> Result<(), ServiceError> {
    let mut followed = redirects.iter().filter(|redirect| redirect.survivor == location.customer);
    if !followed.all(|redirect| record.is_some_and(|record| record.has_merge(redirect.merge))) {
        return Err(ServiceError::MergeNotInForce);
    }
    match record.and_then(|record| record.merged_into.as_ref()) {
        None => Ok(()),
        Some(into) => Err(ServiceError::CustomerMerged { survivor: into.survivor, merge: into.merge }),
    }
}

/// A failure of another customer's shard.
pub(super) fn of_other_shard(error: ServiceError) -> ServiceError {
    if error.is_of_shard() { ServiceError::OtherShardUnavailable } else { error }
}
