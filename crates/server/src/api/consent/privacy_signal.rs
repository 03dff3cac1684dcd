//! RecordPrivacySignal on the leader.
//!
//! A signal means every purpose of sale or sharing, so the catalogue is caught up first: one that was acknowledged
//! before the signal came is not missed.

use custodia_profile::{Channel, CustomerRecord, LawfulBasis, record_signal};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    consent_convert::{ConsentAsOf, consent_state},
    consent_parse::privacy_signal,
    convert::{RecordVersion, purpose_name},
    error::ServiceError,
    forward::{Call, Target},
    parse,
    profiles::remembered,
    record::CustomerLocation,
    context::ShardContext,
    write::{Change, Commit, State, WriteOptions},
};
use crate::identity::Caller;

impl Call for v1::RecordPrivacySignalRequest {
    type Answer = v1::RecordPrivacySignalResponse;
    const METHOD: &'static str = "/custodia.v1.ConsentService/RecordPrivacySignal";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        context: &ShardContext,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let signal = privacy_signal(self.signal)?;
        let channel = Channel::optional("channel", &self.channel)?;
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let (shard, customer) = target.place()?;
        Box::pin(context.catalogue_cache().catch_up(context, deadline)).await?;
        let view = context.view()?;
        let options = WriteOptions { remembered, etag: None, commit: Commit::Yes };
        let evaluate = |state: &State| {
            let new = CustomerRecord::new(state.now);
            let record = state.record().unwrap_or(&new);
            let recorded =
                record_signal(record, &customer, signal, channel.as_ref(), &view.catalogue, state.now);
            let applied = !recorded.ledger.is_empty();
            let of = ConsentAsOf {
                at: RecordVersion { customer, revision: state.revision_after(applied) },
                consent_revision: state.consent_revision_after(&recorded.ledger),
                now: state.now,
            };
            let consents = recorded.states.iter().map(|(purpose, found)| {
                consent_state(of, (&purpose_name(*purpose, &view.catalogue), LawfulBasis::Consent), found)
            });
            let answer = v1::RecordPrivacySignalResponse {
                customer_id: customer.to_string(),
                honoured: recorded.honoured,
                consents: consents.collect(),
            };
            let record = applied.then_some(recorded.record);
            Ok(Change { record, ledger: recorded.ledger, events: Vec::new(), answer })
        };
        Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await
    }
}
