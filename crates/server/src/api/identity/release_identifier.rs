//! ReleaseIdentifier: takes an identifier away from a customer.

use custodia_profile::{Identifier, ProfileError, PurposeNumber, RefusalReason, release_identifier};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess, held_identifier, refused_value},
    wire::{ServiceError, etag, parse},
};

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Release {
    purpose: PurposeNumber,
    identifier: Identifier,
    /// Why today's rules refuse it.
    refused: Option<RefusalReason>,
}

impl CustomerWrite for v1::ReleaseIdentifierRequest {
    type Input = Release;

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Release, ServiceError> {
        let purpose = view.purpose(&parse::purpose(&self.purpose, "purpose")?, "purpose")?;
        let (identifier, refused) = held_identifier(origin.caller, self.identifier.as_ref(), purpose, view)?;
        Ok(Release { purpose: purpose.number, identifier, refused })
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
            Err(ProfileError::IdentifierNotFound) => match release.refused {
                Some(reason) => return Err(refused_value(reason)),
                None => None,
            },
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
