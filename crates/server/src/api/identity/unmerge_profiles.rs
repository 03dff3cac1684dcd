//! UnmergeProfiles: undoes the last merge of a customer.

use custodia_profile::{
    CustomerId, CustomerRecord, MergedInto, PurposeNumber, Revision, UnmergedProfiles, unmerge_profiles,
};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerState, CustomerWrite, Mutation, Need, Origin, OtherChange, OtherCustomer, WriteAccess,
        merged_customer,
    },
    wire::{ServiceError, etag, parse, parse_etag},
};

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Unmerge {
    purpose: PurposeNumber,
    other: CustomerId,
    etag: Option<Revision>,
}

impl CustomerWrite for v1::UnmergeProfilesRequest {
    type Input = Unmerge;

    fn merged_customer_id(&self) -> Option<&str> {
        Some(&self.merged_customer_id)
    }

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Unmerge, ServiceError> {
        Ok(Unmerge {
            purpose: view.purpose(&parse::purpose(&self.purpose, "purpose")?, "purpose")?.number,
            other: merged_customer(&self.merged_customer_id)?,
            etag: parse_etag(&self.etag)?,
        })
    }

    fn access(unmerge: &Unmerge) -> WriteAccess {
        WriteAccess::Collect(vec![unmerge.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::UnmergeProfilesResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn etag(unmerge: &Unmerge) -> Option<Revision> {
        unmerge.etag
    }

    fn other(unmerge: &Unmerge) -> Option<OtherCustomer> {
        Some(OtherCustomer { customer: unmerge.other, need: Need::Sources })
    }

    /// The ledger tells what was decided since the merge.
    fn comes_late(_unmerge: &Unmerge, _record: &CustomerRecord) -> bool {
        true
    }

    fn evaluate(
        _unmerge: &Unmerge,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let survivor = state.existing()?;
        let missing = ServiceError::Internal { context: "a merge without the other customer" };
        let other = state.other.as_ref().ok_or(missing)?;
        let listed = survivor.merges.iter().position(|merge| merge.customer == other.customer);
        let (Some(at), Some(into)) = (listed, &other.record.merged_into) else {
            return Err(ServiceError::NotMerged("merged_customer_id is not merged into this customer"));
        };
        if at + 1 < survivor.merges.len() {
            return Err(ServiceError::NotMerged(
                "another customer was merged into this one later: undo the last merge first",
            ));
        }
        let of_other = (other.customer, &other.record);
        let UnmergedProfiles { survivor, ledger, other: restored } =
            unmerge_profiles(survivor, of_other, &other.alone, &state.view.catalogue, state.change())?;
        let answer = v1::UnmergeProfilesResponse {
            customer_id: state.location.customer.to_string(),
            etag: etag(state.revision_after(true)),
            merged_customer_id: other.customer.to_string(),
            merge_id: into.merge.to_string(),
            events_moved: i32::try_from(other.events.len()).unwrap_or(i32::MAX),
            sources: other.alone.sources.iter().map(|source| source.as_str().to_owned()).collect(),
        };
        let merged_into = MergedInto {
            survivor_revision: state.revision(),
            restored: Some(restored),
            ..MergedInto::clone(into)
        };
        let record = CustomerRecord { merged_into: Some(Box::new(merged_into)), ..other.record.clone() };
        let other = Some(OtherChange { record, events: other.events.clone() });
        Ok(Mutation { other, ..Mutation::new(Some(survivor), ledger, answer) })
    }
}
