//! RecordConsent: records a consent, a refusal or another ground for one purpose.

use custodia_profile::{
    Decision, DecisionEffect, LawfulBasis, PurposeNumber, Recorded, Revision, record_decision,
};
use custodia_proto::v1;

use super::{
    convert::{ConsentAsOf, consent_state},
    parse,
};
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerState, CustomerWrite, Mutation, Origin},
    wire::{ServiceError, convert::purpose_name, parse_etag},
};

impl CustomerWrite for v1::RecordConsentRequest {
    type Input = (Decision, Option<Revision>);

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        let etag = parse_etag(&self.etag)?;
        let mut decision = parse::record_consent(self, |purpose| view.purpose_number(purpose, "purpose"))?;
        decision.decided_at = decision.decided_at.or(origin.made_at);
        Ok((decision, etag))
    }

    fn etag((_, etag): &Self::Input) -> Option<Revision> {
        *etag
    }

    fn evaluate(
        (decision, _): &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = state.record_or_new();
        let recorded = record_decision(&record, decision, &state.view.catalogue, state.change())?;
        Ok(decided(state, (decision.purpose, decision.basis), recorded))
    }
}

/// The mutation of a decision about one ground.
pub(super) fn decided(
    state: &CustomerState<'_>,
    (purpose, basis): (PurposeNumber, LawfulBasis),
    recorded: Recorded,
) -> Mutation<v1::ConsentState> {
    let applied = recorded.effect == DecisionEffect::Applied;
    let ledger: Vec<_> = recorded.ledger.into_iter().collect();
    let of = ConsentAsOf::after(state, applied, &ledger);
    let answer = consent_state(of, (&purpose_name(purpose, &state.view.catalogue), basis), &recorded.state);
    Mutation { record: applied.then_some(recorded.record), ledger, events: Vec::new(), answer }
}
