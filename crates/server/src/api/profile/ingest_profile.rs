//! IngestProfile: merges observations, consents and events into one customer's profile, as far as the law permits.

use std::collections::BTreeMap;

use custodia_profile::{
    CustomerId, CustomerRecord, Decision, Event, Observations, PoolId, PurposeId, Recording, RequestId,
    Revision, TimestampMs,
};
use custodia_proto::v1;
use uuid::Uuid;

use super::{convert, parse as ingest_parse};
use crate::{
    catalogue::{CatalogueView, Day},
    counters::count_outcomes,
    identity::Caller,
    routing::CustomerLocation,
    shard::{Answered, CustomerState, CustomerWrite, Mutation, Origin, ShardContext, Sight, WriteAccess},
    wire::{ServiceError, convert::purpose_name, etag, now, parse},
};

impl CustomerWrite for v1::IngestProfileRequest {
    type Input = (Observations, Option<Revision>);

    /// Derives a new customer's id from the request id, so that a retry means the same customer.
    fn complete(&mut self, caller: &Caller) -> Result<(), ServiceError> {
        if self.customer_id.is_empty() {
            let request = match parse::request_id(&self.request_id)? {
                Some(request) => request,
                None => RequestId::new(Uuid::now_v7())?,
            };
            self.customer_id = CustomerId::derive(&caller.name, request, PoolId::default()).to_string();
        }
        Ok(())
    }

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        let numbers = |purpose: &PurposeId| view.purpose_number(purpose, "purpose");
        let (mut observations, etag) = ingest_parse::ingest(self, origin.caller.roles, &numbers)?;
        ingest_parse::date(&mut observations, origin.made_at);
        ingest_parse::check(&observations, view)?;
        Ok((observations, etag))
    }

    /// Whether the catalogue has every observed attribute. An unknown one is refused, but is not an error of the call.
    fn knows((observations, _): &Self::Input, view: &CatalogueView) -> bool {
        let mut attributes = observations.observations.iter().map(|observation| &observation.attribute);
        attributes.all(|attribute| view.catalogue.attribute_by_name(attribute.as_str()).is_some())
    }

    fn access((observations, _): &Self::Input) -> WriteAccess {
        ingest_parse::access(observations)
    }

    fn echo(&self, location: CustomerLocation, answer: Self::Answer) -> Self::Answer {
        v1::IngestProfileResponse {
            customer_id: location.customer.to_string(),
            attributes: convert::echoed_attributes(answer.attributes),
            events: convert::echoed_events(answer.events),
            ..Default::default()
        }
    }

    fn has_no_effect(answer: &Self::Answer) -> bool {
        convert::stored_prevails(&answer.attributes, &answer.events)
    }

    fn etag((_, etag): &Self::Input) -> Option<Revision> {
        *etag
    }

    fn events((observations, _): &Self::Input) -> &[Event] {
        &observations.events
    }

    fn comes_late((observations, _): &Self::Input, record: &CustomerRecord) -> bool {
        observations.grants.iter().any(|grant| grant.comes_late(record))
    }

    fn evaluate(
        (observations, _): &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let before = state.record_or_new();
        let mut ingested = custodia_profile::ingest(
            &before,
            observations,
            &state.view.catalogue,
            &BTreeMap::new(),
            state.change(),
        )?;
        state.events.sift(&observations.events, &mut ingested);
        if state.sight == Sight::Echo && !observations.grants.is_empty() {
            let undated = as_of_arrival(observations, state.now);
            let mut told = custodia_profile::ingest(
                &before,
                &undated,
                &state.view.catalogue,
                &BTreeMap::new(),
                state.change(),
            )?;
            state.events.sift(&observations.events, &mut told);
            (ingested.attribute_outcomes, ingested.event_outcomes) =
                (told.attribute_outcomes, told.event_outcomes);
        }
        let is_new = state.record().is_none();
        // A new customer is not created if everything was refused.
        let changed = ingested.record_changed || (is_new && !ingested.events.is_empty());
        let exists = changed || !is_new;
        let attributes = observations.observations.iter().zip(&ingested.attribute_outcomes);
        let grants = observations.grants.iter().zip(&ingested.grant_outcomes);
        let purpose = |grant: &Decision| purpose_name(grant.purpose, &state.view.catalogue);
        let answer = v1::IngestProfileResponse {
            customer_id: state.location.customer.to_string(),
            etag: if exists { etag(state.revision_after(changed)) } else { String::new() },
            created: is_new && changed,
            attributes: attributes
                .map(|(one, outcome)| convert::attribute_outcome(one.attribute.as_str(), *outcome))
                .collect(),
            events: convert::event_outcomes(&observations.events, &ingested.event_outcomes),
            consents: grants
                .map(|(grant, outcome)| convert::consent_outcome(purpose(grant), *outcome))
                .collect(),
        };
        let record = changed.then_some(ingested.record);
        Ok(Mutation { record, ledger: ingested.ledger, events: ingested.events, answer })
    }

    /// Counts all outcomes, and notes which attributes were collected today (GO-3).
    fn note(answered: Answered, answer: &Self::Answer, context: &ShardContext, view: &CatalogueView) {
        match answered {
            Answered::Now => count_outcomes(&answer.attributes, &answer.events),
            // The first call may have ended before it noted the day. A day never decreases, so noting it again is safe.
            Answered::Before => {}
            Answered::Never => return,
        }
        let today = Day::of(now());
        for outcome in answer.attributes.iter().filter(|outcome| outcome.merged) {
            if let Some(definition) = view.catalogue.attribute_by_name(&outcome.attribute) {
                context.usage().collected(definition.number, today);
            }
        }
    }
}

/// What a caller who may not read is told the outcome of: its consents count from their arrival, and one that has ended by
/// then does not count. By a date of the caller's choice it would find out the age of the customer at that date, and whether
/// a stored consent is newer.
fn as_of_arrival(sent: &Observations, now: TimestampMs) -> Observations {
    let mut sent = sent.clone();
    sent.grants.retain(|grant| grant.expires_at.is_none_or(|end| end > now));
    for grant in &mut sent.grants {
        grant.decided_at = Some(now).filter(|_| grant.recording == Recording::Imported);
    }
    sent
}
