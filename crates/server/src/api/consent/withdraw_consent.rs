//! WithdrawConsent: a withdrawal or an objection for one purpose.

use custodia_profile::{Channel, LawfulBasis, Withdrawal, withdraw};
use custodia_proto::v1;

use super::record_consent::decided;
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerState, CustomerWrite, Mutation, Origin},
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

    fn evaluate(
        withdrawal: &Withdrawal,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let recorded = withdraw(state.existing()?, withdrawal, &state.view.catalogue, state.change())?;
        Ok(decided(state, (withdrawal.purpose, withdrawal.basis), recorded))
    }
}
