//! RecordConsent, WithdrawConsent and GetConsents on the leader.

use custodia_profile::{
    Catalogue, Channel, CustomerRecord, Decision, DecisionEffect, LawfulBasis, PurposeId, PurposeNumber,
    Recorded, Withdrawal, record_decision, withdraw,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    convert::{self, At},
    error::ServiceError,
    forward::{Call, Target},
    opaque::etag,
    parse::{self, Consent},
    profiles::remembered,
    record::Home,
    room::Room,
    time::{made_at, now},
    write::{Change, Commit, State, Terms},
};
use crate::identity::Caller;

impl Call for v1::RecordConsentRequest {
    type Answer = v1::ConsentState;
    const METHOD: &'static str = "/custodia.v1.ConsentService/RecordConsent";

    fn prepare(&mut self, room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        room.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        room: &Room,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let mut consent = parse::record_consent(&self)?;
        consent.decided_at = consent.decided_at.or_else(|| made_at(consent.request_id, now()));
        let remembered = remembered(Self::METHOD, consent.request_id, &mut self);
        let (shard, customer) = target.place()?;
        let view = purpose_view(room, &consent.purpose, deadline).await?;
        let terms = Terms { remembered, etag: consent.etag, commit: Commit::Yes };
        let decision = decision(consent, &view)?;
        let ground = (decision.purpose, decision.basis);
        let evaluate = |state: &State| {
            let new = CustomerRecord::new(state.now);
            let record = state.record().unwrap_or(&new);
            let recorded = record_decision(record, &decision, &view.catalogue, state.now)?;
            Ok(decided(state, ground, recorded, &view.catalogue))
        };
        Box::pin(room.change(Home { shard, customer }, terms, deadline, evaluate)).await
    }
}

impl Call for v1::WithdrawConsentRequest {
    type Answer = v1::ConsentState;
    const METHOD: &'static str = "/custodia.v1.ConsentService/WithdrawConsent";

    fn prepare(&mut self, room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        room.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        room: &Room,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let basis = parse::lawful_basis(self.lawful_basis)?.unwrap_or(LawfulBasis::Consent);
        let channel = Channel::optional("channel", &self.channel)?;
        let (shard, customer) = target.place()?;
        let view = purpose_view(room, &purpose, deadline).await?;
        let withdrawal = Withdrawal { purpose: view.purpose_number(&purpose, "purpose")?, basis, channel };
        let terms = Terms { remembered, etag: None, commit: Commit::Yes };
        let evaluate = |state: &State| {
            let record = state.record().ok_or(ServiceError::CustomerNotFound)?;
            let recorded = withdraw(record, &withdrawal, &view.catalogue, state.now)?;
            Ok(decided(state, (withdrawal.purpose, basis), recorded, &view.catalogue))
        };
        Box::pin(room.change(Home { shard, customer }, terms, deadline, evaluate)).await
    }
}

impl Call for v1::GetConsentsRequest {
    type Answer = v1::GetConsentsResponse;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetConsents";

    fn prepare(&mut self, room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        room.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        room: &Room,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let (shard, customer) = target.place()?;
        purpose_view(room, &purpose, deadline).await?.purpose(&purpose, "purpose")?;
        room.read_barrier(target.group, deadline).await?;
        let core = room.core(Home { shard, customer })?.ok_or(ServiceError::CustomerNotFound)?;
        let grounds = &core.value.grounds;
        let named = |view: &CatalogueView| {
            grounds.keys().all(|(number, _)| view.catalogue.purpose(*number).is_some())
        };
        let view = room.view_with(deadline, named).await?;
        let (at, now) = (At { customer, revision: core.revision() }, now());
        let state = |((purpose, basis), state)| {
            convert::consent_state(
                at,
                core.header.consent_revision,
                (purpose, basis),
                state,
                &view.catalogue,
                now,
            )
        };
        let mut consents: Vec<_> = grounds.iter().map(|(ground, found)| state((*ground, found))).collect();
        consents.sort_by(|one, other| {
            (&one.purpose, one.lawful_basis).cmp(&(&other.purpose, other.lawful_basis))
        });
        Ok(v1::GetConsentsResponse {
            customer_id: customer.to_string(),
            etag: etag(core.revision()),
            consents,
        })
    }
}

async fn purpose_view(
    room: &Room,
    purpose: &PurposeId,
    deadline: Instant,
) -> Result<std::sync::Arc<CatalogueView>, ServiceError> {
    room.view_with(deadline, |view| view.catalogue.purpose_by_id(purpose.as_str()).is_some()).await
}

fn decision(consent: Consent, view: &CatalogueView) -> Result<Decision, ServiceError> {
    Ok(Decision {
        purpose: view.purpose_number(&consent.purpose, "purpose")?,
        basis: consent.basis,
        status: consent.status,
        notice: consent.notice,
        method: consent.method,
        collector: consent.collector,
        reference: consent.reference,
        channel: None,
        decided_at: consent.decided_at,
        expires_at: consent.expires_at,
    })
}

fn decided(
    state: &State,
    ground: (PurposeNumber, LawfulBasis),
    recorded: Recorded,
    catalogue: &Catalogue,
) -> Change<v1::ConsentState> {
    let applied = recorded.effect == DecisionEffect::Applied;
    let ledger: Vec<_> = recorded.ledger.into_iter().collect();
    let revision = if applied { state.next_revision() } else { state.revision() };
    let at = At { customer: state.home.customer, revision };
    let consent_revision = state.consent_revision_after(&ledger);
    let answer = convert::consent_state(at, consent_revision, ground, &recorded.state, catalogue, state.now);
    Change { record: applied.then_some(recorded.record), ledger, events: Vec::new(), answer }
}
