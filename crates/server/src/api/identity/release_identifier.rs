//! ReleaseIdentifier: takes an identifier away from a customer.

use custodia_profile::{Identifier, ProfileError, PurposeNumber, release_identifier};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess, written_identifier},
    wire::{ServiceError, etag, parse},
};

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Release {
    purpose: PurposeNumber,
    identifier: Identifier,
}

impl CustomerWrite for v1::ReleaseIdentifierRequest {
    type Input = Release;

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Release, ServiceError> {
        let purpose = view.purpose(&parse::purpose(&self.purpose, "purpose")?, "purpose")?;
        Ok(Release {
            purpose: purpose.number,
            identifier: written_identifier(origin.caller, self.identifier.as_ref(), purpose, view)?,
        })
    }

    fn access(release: &Release) -> WriteAccess {
        WriteAccess::Collect(vec![release.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::ReleaseIdentifierResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn evaluate(
        release: &Release,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = match release_identifier(state.existing()?, &release.identifier, state.now) {
            Ok(record) => Some(record),
            Err(ProfileError::IdentifierNotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let answer = v1::ReleaseIdentifierResponse {
            customer_id: state.location.customer.to_string(),
            etag: etag(state.revision_after(record.is_some())),
            released: record.is_some(),
        };
        Ok(Mutation::new(record, Vec::new(), answer))
    }
}
