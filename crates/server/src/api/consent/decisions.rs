//! RecordConsent, WithdrawConsent and GetConsents on the leader.

use std::sync::Arc;

use custodia_profile::{
    Catalogue, Channel, CustomerRecord, DecisionEffect, LawfulBasis, Permission, PurposeId, PurposeNumber,
    Reader, Recorded, Verdict, Withdrawal, record_decision, withdraw,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    consent_convert::{ConsentAsOf, consent_state, consent_states},
    consent_parse,
    convert::{RecordVersion, purpose_name},
    error::ServiceError,
    forward::{Call, Target},
    opaque::etag,
    parse,
    profiles::remembered,
    record::{CustomerLocation, Loaded},
    context::ShardContext,
    time::{made_at, now},
    write::{Change, Commit, State, WriteOptions},
};
use crate::identity::Caller;

impl Call for v1::RecordConsentRequest {
    type Answer = v1::ConsentState;
    const METHOD: &'static str = "/custodia.v1.ConsentService/RecordConsent";

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
        let mut consent = consent_parse::record_consent(&self)?;
        consent.decided_at = consent.decided_at.or_else(|| made_at(consent.request_id, now()));
        let remembered = remembered(Self::METHOD, consent.request_id, &mut self);
        let (shard, customer) = target.place()?;
        let view = purpose_view(context, &consent.purpose, deadline).await?;
        let options = WriteOptions { remembered, etag: consent.etag, commit: Commit::Yes };
        let purpose = view.purpose_number(&consent.purpose, "purpose")?;
        let decision = consent.decision(purpose);
        let evaluate = |state: &State| {
            let new = CustomerRecord::new(state.now);
            let record = state.record().unwrap_or(&new);
            let recorded = record_decision(record, &customer, &decision, &view.catalogue, state.now)?;
            Ok(decided(state, (purpose, decision.basis), recorded, &view.catalogue))
        };
        Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await
    }
}

impl Call for v1::WithdrawConsentRequest {
    type Answer = v1::ConsentState;
    const METHOD: &'static str = "/custodia.v1.ConsentService/WithdrawConsent";

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
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let basis = parse::lawful_basis(self.lawful_basis)?.unwrap_or(LawfulBasis::Consent);
        let channel = Channel::optional("channel", &self.channel)?;
        let (shard, customer) = target.place()?;
        let view = purpose_view(context, &purpose, deadline).await?;
        let withdrawal = Withdrawal { purpose: view.purpose_number(&purpose, "purpose")?, basis, channel };
        let options = WriteOptions { remembered, etag: None, commit: Commit::Yes };
        let evaluate = |state: &State| {
            let record = state.record().ok_or(ServiceError::CustomerNotFound)?;
            let recorded = withdraw(record, &customer, &withdrawal, &view.catalogue, state.now)?;
            Ok(decided(state, (withdrawal.purpose, basis), recorded, &view.catalogue))
        };
        Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await
    }
}

impl Call for v1::GetConsentsRequest {
    type Answer = v1::GetConsentsResponse;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetConsents";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let (location, core) = record_for(context, caller, &self.purpose, target, deadline).await?;
        let (customer, grounds) = (location.customer, &core.value.grounds);
        let view = naming_view(context, grounds.keys().map(|(purpose, _)| *purpose), deadline).await?;
        let of = ConsentAsOf {
            at: RecordVersion { customer, revision: core.revision() },
            consent_revision: core.header.guard,
            now: now(),
        };
        Ok(v1::GetConsentsResponse {
            customer_id: customer.to_string(),
            etag: etag(core.revision()),
            consents: consent_states(of, grounds, &view.catalogue),
        })
    }
}

/// The customer's record as it is now, for a caller who may have it for the purpose that it states. The controller may
/// always: the privacy office answers for what is restricted, too.
pub(crate) async fn record_for(
    context: &ShardContext,
    caller: &Caller,
    purpose: &str,
    target: Target,
    deadline: Instant,
) -> Result<(CustomerLocation, Loaded<CustomerRecord>), ServiceError> {
    let (location, core) = record_asked(context, caller, purpose, target, deadline).await?;
    let view = context.view()?;
    let purpose = view.purpose(&parse::purpose(purpose, "purpose")?, "purpose")?;
    let reader = context.reader_for(caller, &view, purpose)?;
    let permission = Permission::for_purpose(purpose, reader, &core.value, &view.catalogue, now());
    match permission.verdict() {
        Verdict::Refuse(reason) if reader != Reader::Controller => {
            Err(ServiceError::PurposeRefused { reason, purpose: purpose.id.clone() })
        }
        Verdict::Refuse(_) | Verdict::Permit { .. } => Ok((location, core)),
    }
}

/// The same for an answer that is itself no more than what the law says: whatever that is.
pub(crate) async fn record_asked(
    context: &ShardContext,
    caller: &Caller,
    purpose: &str,
    target: Target,
    deadline: Instant,
) -> Result<(CustomerLocation, Loaded<CustomerRecord>), ServiceError> {
    let purpose = parse::purpose(purpose, "purpose")?;
    let (shard, customer) = target.place()?;
    let location = CustomerLocation { shard, customer };
    context.view_as(caller, &purpose, deadline).await?;
    context.read_barrier(target.group, deadline).await?;
    let core = context.core(location)?.ok_or(ServiceError::CustomerNotFound)?;
    Ok((location, core))
}

/// The catalogue, once it has a purpose that a caller names.
async fn purpose_view(
    context: &ShardContext,
    purpose: &PurposeId,
    deadline: Instant,
) -> Result<Arc<CatalogueView>, ServiceError> {
    context.view_with(deadline, |view| view.catalogue.purpose_by_id(purpose.as_str()).is_some()).await
}

/// The catalogue, once it has the purposes that a record names.
pub(crate) async fn naming_view(
    context: &ShardContext,
    purposes: impl Iterator<Item = PurposeNumber> + Clone + Send + Sync,
    deadline: Instant,
) -> Result<Arc<CatalogueView>, ServiceError> {
    let named =
        |view: &CatalogueView| purposes.clone().all(|number| view.catalogue.purpose(number).is_some());
    context.view_with(deadline, named).await
}

fn decided(
    state: &State,
    (purpose, basis): (PurposeNumber, LawfulBasis),
    recorded: Recorded,
    catalogue: &Catalogue,
) -> Change<v1::ConsentState> {
    let applied = recorded.effect == DecisionEffect::Applied;
    let ledger: Vec<_> = recorded.ledger.into_iter().collect();
    let of = ConsentAsOf {
        at: RecordVersion { customer: state.location.customer, revision: state.revision_after(applied) },
        consent_revision: state.consent_revision_after(&ledger),
        now: state.now,
    };
    let answer = consent_state(of, (&purpose_name(purpose, catalogue), basis), &recorded.state);
    Change { record: applied.then_some(recorded.record), ledger, events: Vec::new(), answer }
}
