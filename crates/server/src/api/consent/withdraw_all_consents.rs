//! WithdrawAllConsents: "unsubscribe from everything", in one commit.
//!
//! Invariant: the call covers every purpose. The node catches up with the catalogue first, so no purpose acknowledged
//! before the call is missed.

use custodia_profile::{Channel, withdraw_all};
use custodia_proto::v1;

use super::{
    convert::{ConsentAsOf, consent_state},
    record_consent::still_permitted_by,
};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess},
    wire::{ServiceError, convert::purpose_name},
};

impl CustomerWrite for v1::WithdrawAllConsentsRequest {
    type Input = Option<Channel>;
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Current;

    fn parse(&self, _origin: Origin<'_>, _view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        Ok(Channel::optional("channel", &self.channel)?)
    }

    fn access(_channel: &Option<Channel>) -> WriteAccess {
        WriteAccess::No(Vec::new())
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::WithdrawAllConsentsResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn evaluate(
        channel: &Option<Channel>,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let catalogue = &state.view.catalogue;
        let withdrawn = withdraw_all(&state.record_or_new(), channel.as_ref(), catalogue, state.change());
        let applied = !withdrawn.ledger.is_empty();
        let of = ConsentAsOf::after(state, applied, &withdrawn.ledger);
        let states = withdrawn.states.iter().map(|(purpose, basis, found)| v1::ConsentState {
            still_permitted_by: still_permitted_by(&withdrawn.record, *purpose, found, (catalogue, of.now)),
            ..consent_state(of, (&purpose_name(*purpose, catalogue), *basis), found)
        });
        let answer = v1::WithdrawAllConsentsResponse {
            customer_id: state.location.customer.to_string(),
            etag: of.etag(),
            consents: states.collect(),
        };
        let record = applied.then_some(withdrawn.record);
        Ok(Mutation::new(record, withdrawn.ledger, answer))
    }
}
