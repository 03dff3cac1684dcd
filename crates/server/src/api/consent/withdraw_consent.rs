//! WithdrawConsent: a withdrawal or an objection for one purpose, also of somebody of whom nothing is known yet.

use custodia_profile::{Channel, LawfulBasis, Withdrawal, withdraw};
use custodia_proto::v1;

use super::record_consent::{decided, stated_basis};
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess},
    wire::{ServiceError, parse},
};

impl CustomerWrite for v1::WithdrawConsentRequest {
    type Input = Withdrawal;

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Withdrawal, ServiceError> {
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let basis = parse::lawful_basis(self.lawful_basis)?.unwrap_or(LawfulBasis::Consent);
        let channel = Channel::optional("channel", &self.channel)?;
        Ok(Withdrawal { purpose: view.purpose_number(&purpose, "purpose")?, basis, channel })
    }

    fn access(withdrawal: &Withdrawal) -> WriteAccess {
        WriteAccess::No(vec![withdrawal.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::ConsentState) -> v1::ConsentState {
        v1::ConsentState {
            customer_id: location.customer.to_string(),
            purpose: self.purpose.clone(),
            lawful_basis: stated_basis(self.lawful_basis),
            status: v1::ConsentStatus::Withdrawn.into(),
            channel: self.channel.clone(),
            ..v1::ConsentState::default()
        }
    }

    fn evaluate(
        withdrawal: &Withdrawal,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let recorded = withdraw(&state.record_or_new(), withdrawal, &state.view.catalogue, state.change())?;
        Ok(decided(state, (withdrawal.purpose, withdrawal.basis), recorded))
    }
}
