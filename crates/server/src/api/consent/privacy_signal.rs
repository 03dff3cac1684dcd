//! RecordPrivacySignal: a signal from the data subject's browser.
//!
//! Invariant: a signal covers every purpose of sale or sharing. The node catches up with the catalogue first, so no
//! purpose acknowledged before the call is missed.

use custodia_profile::{Channel, LawfulBasis, PrivacySignal, record_signal};
use custodia_proto::v1;

use super::{
    convert::{ConsentAsOf, consent_state},
    parse::privacy_signal,
};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess},
    wire::{ServiceError, convert::purpose_name},
};

impl CustomerWrite for v1::RecordPrivacySignalRequest {
    type Input = (PrivacySignal, Option<Channel>);
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Current;

    fn parse(&self, _origin: Origin<'_>, _view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        Ok((privacy_signal(self.signal)?, Channel::optional("channel", &self.channel)?))
    }

    fn access(_input: &Self::Input) -> WriteAccess {
        WriteAccess::No(Vec::new())
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::RecordPrivacySignalResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn evaluate(
        (signal, channel): &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let (record, catalogue) = (state.record_or_new(), &state.view.catalogue);
        let recorded = record_signal(&record, *signal, channel.as_ref(), catalogue, state.change());
        let applied = !recorded.ledger.is_empty();
        let of = ConsentAsOf::after(state, applied, &recorded.ledger);
        let consents = recorded.states.iter().map(|(purpose, found)| {
            consent_state(of, (&purpose_name(*purpose, catalogue), LawfulBasis::Consent), found)
        });
        let answer = v1::RecordPrivacySignalResponse {
            customer_id: state.location.customer.to_string(),
            honoured: recorded.honoured,
            consents: consents.collect(),
        };
        let record = applied.then_some(recorded.record);
        Ok(Mutation::new(record, recorded.ledger, answer))
    }
}
