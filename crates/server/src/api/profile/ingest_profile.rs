//! GetProfile and IngestProfile on the leader.

use custodia_profile::{
    Catalogue, CustomerRecord, Decision, GroundStatus, LawfulBasis, Observations, ProfileError,
    PurposeNumber, RequestId, record_decision,
};
use custodia_proto::v1;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    catalogue_view::CatalogueView,
    convert,
    error::ServiceError,
    fingerprint::{Fingerprinted, fingerprint},
    forward::{Call, Target},
    meters::count_outcomes,
    opaque::etag,
    parse::{self, Collected, Grant},
    read::ReadRequest,
    record::CustomerLocation,
    context::ShardContext,
    time::{made_at, now},
    usage::Day,
    write::{Change, Commit, Remembered, State, WriteOptions, derived_customer},
};
use crate::identity::Caller;

impl Call for v1::GetProfileRequest {
    type Answer = v1::Profile;
    const METHOD: &'static str = "/custodia.v1.ProfileService/GetProfile";

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
        let question = ReadRequest::parse(&self.purpose, self.read_mask.as_ref(), self.verdicts)?;
        let place = target.place()?;
        let view = context.view_for(&question, caller, deadline).await?;
        context.read_barrier(target.group, deadline).await?;
        context.profile(place, &question, caller, &view, deadline).await
    }
}

impl Call for v1::IngestProfileRequest {
    type Answer = v1::IngestProfileResponse;
    const METHOD: &'static str = "/custodia.v1.ProfileService/IngestProfile";

    fn prepare(&mut self, context: &ShardContext, caller: &Caller) -> Result<Target, ServiceError> {
        if self.customer_id.is_empty() {
            let request = match parse::request_id(&self.request_id)? {
                Some(request) => request,
                None => RequestId::new(Uuid::now_v7())?,
            };
            self.customer_id = derived_customer(&caller.name, request).to_string();
        }
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        context: &ShardContext,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let commit = if self.validate_only { Commit::ValidateOnly } else { Commit::Yes };
        let request_id = parse::request_id(&self.request_id)?;
        let remembered = remembered(Self::METHOD, request_id.filter(|_| commit == Commit::Yes), &mut self);
        let mut ingest = parse::ingest(self)?;
        ingest.collected.date(made_at(request_id, now()));
        let (shard, customer) = target.place()?;
        let view = context.view_with(deadline, |view| knows(view, &ingest.collected)).await?;
        let names = names_of(&ingest.collected);
        let input = observations(ingest.collected, &view)?;
        let options = WriteOptions { remembered, etag: ingest.etag, commit };
        let location = CustomerLocation { shard, customer };
        let evaluate = |state: &State| merged(context, state, &input, &view.catalogue, &names);
        let answer = Box::pin(context.change(location, options, deadline, evaluate)).await?;
        if commit == Commit::Yes {
            note_collected(context, &answer, &view);
        }
        Ok(answer)
    }
}

/// Of which attributes values are collected today (GO-3).
fn note_collected(context: &ShardContext, answer: &v1::IngestProfileResponse, view: &CatalogueView) {
    let today = Day::of(now());
    for outcome in answer.attributes.iter().filter(|outcome| outcome.merged) {
        if let Some(definition) = view.catalogue.attribute_by_name(&outcome.attribute) {
            context.usage().collected(definition.number, today);
        }
    }
}

/// The request, where it is to be remembered.
pub(crate) fn remembered<R: Fingerprinted>(
    method: &str,
    request_id: Option<RequestId>,
    request: &mut R,
) -> Option<Remembered> {
    request_id.map(|id| Remembered { id, fingerprint: fingerprint(method, request) })
}

/// The names that an answer repeats.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) attributes: Vec<String>,
    pub(crate) events: Vec<String>,
}

pub(crate) fn names_of(collected: &Collected) -> Names {
    Names {
        attributes: collected.observations.iter().map(|one| one.attribute.as_str().to_owned()).collect(),
        events: collected.events.iter().map(|event| event.id.as_str().to_owned()).collect(),
    }
}

/// Does the catalogue have every name of an ingest?
pub(crate) fn knows(view: &CatalogueView, collected: &Collected) -> bool {
    let mut purposes =
        std::iter::once(&collected.purpose).chain(collected.grants.iter().map(|grant| &grant.purpose));
    let mut attributes = collected.observations.iter().map(|observation| &observation.attribute);
    purposes.all(|purpose| view.catalogue.purpose_by_id(purpose.as_str()).is_some())
        && attributes.all(|attribute| view.catalogue.attribute_by_name(attribute.as_str()).is_some())
}

/// An ingest with the catalogue's numbers.
pub(crate) fn observations(collected: Collected, view: &CatalogueView) -> Result<Observations, ServiceError> {
    let grants = collected.grants.into_iter().enumerate().map(|(at, grant)| {
        let number = view.purpose_number(&grant.purpose, &format!("consents[{at}].purpose"))?;
        Ok(given(grant, number))
    });
    Ok(Observations {
        purpose: view.purpose_number(&collected.purpose, "purpose")?,
        source: collected.source,
        party: collected.party,
        basis: collected.basis,
        grants: grants.collect::<Result<_, ServiceError>>()?,
        observations: collected.observations,
        events: collected.events,
    })
}

fn given(grant: Grant, purpose: PurposeNumber) -> Decision {
    Decision {
        purpose,
        basis: LawfulBasis::Consent,
        status: GroundStatus::Given,
        notice: Some(grant.notice),
        method: Some(grant.method),
        collector: grant.collector,
        reference: None,
        channel: grant.channel,
        evidence: grant.proof.evidence,
        bundled: grant.proof.bundled,
        decided_at: grant.given_at,
        valid_from: None,
        expires_at: grant.expires_at,
    }
}

fn merged(
    context: &ShardContext,
    state: &State,
    input: &Observations,
    catalogue: &Catalogue,
    names: &Names,
) -> Result<Change<v1::IngestProfileResponse>, ServiceError> {
    let new = CustomerRecord::new(state.now);
    let before = state.record().unwrap_or(&new);
    let mut ingested = custodia_profile::ingest(before, &state.location.customer, input, catalogue, state.now)
        .map_err(|error| grant_at_fault(before, input, catalogue, state, error))?;
    context.sift_events(state.location, &input.events, &mut ingested)?;
    let is_new = state.record().is_none();
    // A customer of whom everything was refused does not come into being.
    let changed = ingested.record_changed || (is_new && !ingested.events.is_empty());
    let revision = state.revision_after(changed);
    let exists = changed || !is_new;
    let attributes = names.attributes.iter().zip(&ingested.attribute_outcomes);
    let event_outcomes = names.events.iter().zip(&ingested.event_outcomes);
    let answer = v1::IngestProfileResponse {
        customer_id: state.location.customer.to_string(),
        etag: if exists { etag(revision) } else { String::new() },
        created: is_new && changed,
        attributes: attributes.map(|(name, outcome)| convert::attribute_outcome(name, *outcome)).collect(),
        events: event_outcomes.map(|(id, outcome)| convert::event_outcome(id, *outcome)).collect(),
    };
    count_outcomes(&ingested.attribute_outcomes, &ingested.event_outcomes);
    let record = changed.then_some(ingested.record);
    Ok(Change { record, ledger: ingested.ledger, events: ingested.events, answer })
}

/// Names the consent that makes an ingest impossible: the first that cannot be recorded after those before it.
fn grant_at_fault(
    before: &CustomerRecord,
    input: &Observations,
    catalogue: &Catalogue,
    state: &State,
    error: ProfileError,
) -> ServiceError {
    let mut record = before.clone();
    for (at, grant) in input.grants.iter().enumerate() {
        match record_decision(&record, &state.location.customer, grant, catalogue, state.now) {
            Ok(recorded) => record = recorded.record,
            Err(error) => {
                let named = |field: &str| (field == "decided_at").then(|| "given_at".to_owned());
                return ServiceError::from(error).renamed(named).within(&format!("consents[{at}]"));
            }
        }
    }
    error.into()
}
