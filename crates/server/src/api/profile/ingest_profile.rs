//! IngestProfile: merges observations, consents and events into one customer's profile, as far as the law permits.

use std::collections::{BTreeMap, BTreeSet};

use custodia_profile::{
    CustomerId, CustomerRecord, Decision, Event, Identifier, Ingested, LinkPolicy, NamespaceId, Observations,
    Outcome, PoolId, PurposeId, Recording, RefusalReason, RequestId, Revision, TimestampMs,
};
use custodia_proto::v1;
use uuid::Uuid;

use super::{convert, find_holder, parse as ingest_parse};
use crate::{
    catalogue::{CatalogueView, Day},
    counters::count_outcomes,
    routing::{Call, CustomerLocation, Hop},
    shard::{
        Answered, CustomerState, CustomerWrite, Mutation, Origin, Remembered, ShardContext, Sight,
        WriteAccess, fingerprint, with_content,
    },
    wire::{ServiceError, convert::purpose_name, etag, now, parse},
};

impl CustomerWrite for v1::IngestProfileRequest {
    type Input = Input;

    fn is_complete(&self, hop: Hop) -> bool {
        !self.customer_id.is_empty() && (hop == Hop::Forwarded || self.found_by == 0)
    }

    /// Names the customer who holds one of the identifiers, or a new one. A new customer's id is derived from the request id, so that
    /// a retry means the same customer.
    async fn complete(
        &mut self,
        context: &ShardContext,
        call: &Call,
        moved: &[CustomerId],
    ) -> Result<(), ServiceError> {
        // Only another node may say it.
        self.found_by = 0;
        if !moved.is_empty() {
            // It was filled in before.
            self.customer_id.clear();
        }
        if !self.customer_id.is_empty() {
            return Ok(());
        }
        let found = Box::pin(find_holder::find(context, call, self, moved)).await?;
        let mut request = match parse::request_id(&self.request_id)? {
            Some(request) => request,
            None => RequestId::new(Uuid::now_v7())?,
        };
        if found.by_identifier {
            // Whether a request id was used for other content must not tell where that went.
            request = with_content(request, fingerprint(self))?;
            let found_by =
                if found.holder.is_some() { v1::FoundBy::Identifier } else { v1::FoundBy::Request };
            self.found_by = found_by.into();
        }
        let derived = || CustomerId::derive(&call.caller.name, request, PoolId::default());
        self.customer_id = found.holder.unwrap_or_else(derived).to_string();
        Ok(())
    }

    fn remembered_as(&self, id: RequestId) -> Result<Remembered, ServiceError> {
        if self.found_by == 0 {
            return Ok(Remembered { id, fingerprint: fingerprint(self) });
        }
        let fingerprint = fingerprint(&Self { customer_id: String::new(), found_by: 0, ..self.clone() });
        Ok(Remembered { id: with_content(id, fingerprint)?, fingerprint })
    }

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        let numbers = |purpose: &PurposeId| view.purpose_number(purpose, "purpose");
        let (mut observations, etag) = ingest_parse::ingest(self, origin.caller.roles, &numbers)?;
        ingest_parse::date(&mut observations, origin.made_at);
        ingest_parse::check(&observations, view)?;
        let found_by = self.found_by();
        let by = match found_by {
            v1::FoundBy::Unspecified => Vec::new(),
            v1::FoundBy::Identifier | v1::FoundBy::Request => find_holder::of_one_person(&observations, view),
        };
        let by = by.into_iter().map(|(_, identifier)| identifier).collect();
        let has_key = self.has_key;
        if has_key {
            check_key(&observations, view)?;
        }
        Ok(Input { observations, etag, found_by, by, has_key })
    }

    fn knows(Input { observations, .. }: &Input, view: &CatalogueView) -> bool {
        find_holder::knows(observations, view)
    }

    fn access(Input { observations, .. }: &Input) -> WriteAccess {
        ingest_parse::access(observations)
    }

    fn echo(&self, location: CustomerLocation, answer: Self::Answer) -> Self::Answer {
        v1::IngestProfileResponse {
            customer_id: if self.found_by == 0 { location.customer.to_string() } else { String::new() },
            attributes: convert::echoed_attributes(answer.attributes),
            events: convert::echoed_events(answer.events),
            identifiers: convert::echoed_identifiers(answer.identifiers),
            ..Default::default()
        }
    }

    fn has_no_effect(answer: &Self::Answer) -> bool {
        convert::stored_prevails(&answer.attributes, &answer.events)
            || convert::others_prevail(&answer.identifiers)
    }

    fn etag(input: &Input) -> Option<Revision> {
        input.etag
    }

    fn events(Input { observations, .. }: &Input) -> &[Event] {
        &observations.events
    }

    fn comes_late(Input { observations, .. }: &Input, record: &CustomerRecord) -> bool {
        observations.grants.iter().any(|grant| grant.comes_late(record))
    }

    fn evaluate(input: &Input, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        check_found(input, state)?;
        let observations = &input.observations;
        let before = state.record_or_new();
        let taken = &state.taken.iter().map(|(identifier, of)| (identifier.clone(), of.reason)).collect();
        let mut ingested =
            custodia_profile::ingest(&before, observations, &state.view.catalogue, taken, state.change())?;
        state.events.sift(&observations.events, &mut ingested);
        let (disputed, refused) = (disputed(input, &ingested), key_refusal(input, &ingested));
        if state.sight == Sight::Echo && !observations.grants.is_empty() {
            let undated = as_of_arrival(observations, state.now);
            let mut told =
                custodia_profile::ingest(&before, &undated, &state.view.catalogue, taken, state.change())?;
            state.events.sift(&observations.events, &mut told);
            (ingested.attribute_outcomes, ingested.event_outcomes) =
                (told.attribute_outcomes, told.event_outcomes);
            ingested.identifier_outcomes = told.identifier_outcomes;
        }
        if let Some(reason) = key_refusal(input, &ingested) {
            return Err(ServiceError::KeyRefused { reason });
        }
        let is_new = state.record().is_none();
        if refused.is_some() {
            // By a verdict that this caller may not know.
            (ingested.events, ingested.ledger, ingested.record_changed) = (Vec::new(), Vec::new(), false);
        }
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
            identifiers: ingested
                .identifier_outcomes
                .iter()
                .map(|outcome| convert::identifier_outcome(outcome, &state.taken))
                .collect(),
            merged_customer_ids: Vec::new(),
        };
        let record = changed.then_some(ingested.record);
        let mutation = Mutation::new(record, ingested.ledger, answer);
        Ok(Mutation { events: ingested.events, disputed, ..mutation })
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

    /// Of a customer who was found by an identifier: a request that names the customer may be mistaken about the identifier.
    fn merges(
        &self,
        answer: &Self::Answer,
        view: &CatalogueView,
    ) -> Vec<(v1::MergeProfilesRequest, BTreeSet<NamespaceId>)> {
        if self.found_by() != v1::FoundBy::Identifier {
            return Vec::new();
        }
        let mut others: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (other, namespace) in held_by_others(answer, view) {
            others.entry(other).or_default().insert(namespace.clone());
        }
        let merge = |(other, namespaces): (&str, _)| {
            let request = v1::MergeProfilesRequest {
                customer_id: answer.customer_id.clone(),
                merged_customer_id: other.to_owned(),
                purpose: self.purpose.clone(),
                ..Default::default()
            };
            (request, namespaces)
        };
        others.into_iter().map(merge).collect()
    }

    fn note_merged(answer: &mut Self::Answer, merged: &str, etag: String) {
        for outcome in answer.identifiers.iter_mut().filter(|outcome| outcome.held_by == merged) {
            *outcome = v1::IdentifierOutcome {
                namespace: outcome.namespace.clone(),
                attribute: outcome.attribute.clone(),
                merged: true,
                ..Default::default()
            };
        }
        answer.merged_customer_ids.push(merged.to_owned());
        answer.etag = etag;
    }
}

/// The other customers who hold identifiers of a request though the policy of the namespace wants the two to be one, and the namespaces.
fn held_by_others<'a>(
    answer: &'a v1::IngestProfileResponse,
    view: &'a CatalogueView,
) -> impl Iterator<Item = (&'a str, &'a NamespaceId)> {
    let held = answer.identifiers.iter().filter(|outcome| !outcome.held_by.is_empty());
    held.filter_map(|outcome| {
        let namespace = view.catalogue.namespace(&outcome.namespace)?;
        let to_merge = namespace.on_conflict == LinkPolicy::Merge;
        to_merge.then_some((outcome.held_by.as_str(), &namespace.id))
    })
}

/// The identifiers that another customer may hold: refused because one does, or because this one can have no more.
fn disputed(input: &Input, ingested: &Ingested) -> Vec<Identifier> {
    if input.found_by != v1::FoundBy::Identifier {
        return Vec::new();
    }
    let refused = ingested.identifier_outcomes.iter().filter(|outcome| {
        use RefusalReason::{IdentifierLimit, IdentifierTaken};
        matches!(outcome.outcome, Outcome::Refused(IdentifierTaken | IdentifierLimit))
    });
    let of_one_person = |identifier: &Identifier| input.by.contains(identifier);
    refused.filter_map(|outcome| outcome.identifier.clone()).filter(of_one_person).collect()
}

/// Why the customer cannot be known by the key of the record, so that nothing may be stored.
fn key_refusal(input: &Input, ingested: &Ingested) -> Option<RefusalReason> {
    let key = ingested.identifier_outcomes.first().filter(|_| input.has_key)?;
    match key.outcome {
        Outcome::Merged => None,
        // Somebody else is meant, whom another identifier has found.
        Outcome::Refused(RefusalReason::IdentifierTaken | RefusalReason::IdentifierLimit) => None,
        Outcome::Refused(reason) => Some(reason),
    }
}

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Input {
    observations: Observations,
    etag: Option<Revision>,
    found_by: v1::FoundBy,
    /// The identifiers by which the customer was found; none if the request named the customer.
    by: Vec<Identifier>,
    /// The first identifier is the record's key.
    has_key: bool,
}

/// Refuses a key by which several people may be known, and a request that has none.
fn check_key(observations: &Observations, view: &CatalogueView) -> Result<(), ServiceError> {
    let key = observations.identifiers.first().ok_or_else(|| ServiceError::missing("identifiers"))?;
    let namespace = view.catalogue.namespace(key.namespace.as_str());
    if namespace.is_some_and(|namespace| !namespace.unique) {
        let reason = "the namespace of a key must not be shared";
        return Err(ServiceError::invalid("identifiers[0].namespace", reason));
    }
    Ok(())
}

/// Refuses a customer who was found by identifiers and does not hold one of them, and a new one if another customer holds one.
fn check_found(Input { by, found_by, .. }: &Input, state: &CustomerState<'_>) -> Result<(), ServiceError> {
    let is_found = match (found_by, state.record()) {
        (v1::FoundBy::Unspecified, _) => true,
        (_, Some(record)) => by.iter().any(|one| record.identifiers.contains_key(one)),
        (v1::FoundBy::Identifier, None) => false,
        (v1::FoundBy::Request, None) => !by.iter().any(|one| state.taken.contains_key(one)),
    };
    if is_found { Ok(()) } else { Err(ServiceError::IdentifierMoved) }
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
