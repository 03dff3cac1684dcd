//! Owns how incoming data is judged and merged (CO-3). Always: every ground, observation, identifier and event has an outcome,
//! nothing is dropped silently; the same data in any order gives the same record, unless a legal hold keeps what is
//! stored first, or a limit the identifiers that came first; no ground that comes with data lifts a no that was said live, since it names no consent revision that it
//! answers; one that is imported is sorted in by its date (CO-8).

mod given;
mod identifiers;
mod normal_form;

use std::{borrow::Cow, collections::BTreeMap};

pub use given::give_identifier;
pub use identifiers::{IdentifierObservation, IdentifierOutcome, named_identifiers};

use crate::{
    catalogue::{AttributeDefinition, Catalogue, Purpose},
    chain::ChangeContext,
    consent::{self, Decision, DecisionEffect, Recording},
    error::ProfileError,
    event::{Event, StoredEvent},
    ground::{GroundStatus, LawfulBasis},
    id::{AttributeName, PurposeNumber, SourceId, TimestampMs},
    identifier::Identifier,
    ledger::LedgerEntry,
    limits::{EVENTS_MAX, FUTURE_MAX_MS, GRANTS_MAX, IDENTIFIERS_MAX, OBSERVATIONS_MAX},
    permission::{Permission, Reader, Verdict},
    provenance::{Party, Provenance},
    reason::RefusalReason,
    record::{AttributeValue, CustomerRecord},
    value::Value,
};

/// One value observed at a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The attribute's name.
    pub attribute: AttributeName,
    /// The value.
    pub value: Value,
    /// When it was observed; none: now.
    pub observed_at: Option<TimestampMs>,
}

/// What a source sends about one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observations {
    /// Under which purpose it was collected.
    pub purpose: PurposeNumber,
    /// The source system.
    pub source: SourceId,
    /// Who collected it.
    pub party: Party,
    /// The basis that the source states; none: the purpose's first basis that holds.
    pub basis: Option<LawfulBasis>,
    /// Grounds given together with the data, by any basis: each with status `Given`.
    pub grants: Vec<Decision>,
    /// The values.
    pub observations: Vec<Observation>,
    /// The identifiers.
    pub identifiers: Vec<IdentifierObservation>,
    /// The interactions.
    pub events: Vec<Event>,
}

/// The outcome of one observation or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored now, or was before.
    Merged,
    /// It is not stored.
    Refused(RefusalReason),
}

/// The result of an ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// The record after it.
    pub record: CustomerRecord,
    /// Whether the record changed. If not, and there are no events to append, nothing needs to be written.
    pub record_changed: bool,
    /// Whether a ground changed, so that the consent revision must change.
    pub consent_changed: bool,
    /// The entries to append to the ledger.
    pub ledger: Vec<LedgerEntry>,
    /// The events to append. The caller must keep an event that is already stored under the same id, and refuse the
    /// new one if they differ.
    pub events: Vec<StoredEvent>,
    /// What the grants did, or why they are not recorded, in their order.
    pub grant_outcomes: Vec<Result<DecisionEffect, RefusalReason>>,
    /// The outcomes of the observations, in their order.
    pub attribute_outcomes: Vec<Outcome>,
    /// The outcomes of the identifiers, in their order, then those of merged values that are identifiers.
    pub identifier_outcomes: Vec<IdentifierOutcome>,
    /// The outcomes of the events, in their order.
    pub event_outcomes: Vec<Outcome>,
}

/// Checks what does not depend on a record: the numbers of items, and each grant.
///
/// # Errors
/// `TooMany`, or the fault of the first grant that can never be recorded, with its position.
pub fn check_observations(
    input: &Observations,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> Result<(), (Option<usize>, ProfileError)> {
    check_limits(input).map_err(|error| (None, error))?;
    for (at, grant) in input.grants.iter().enumerate() {
        check_grant(grant, catalogue, now).map_err(|error| (Some(at), error))?;
    }
    Ok(())
}

fn check_grant(grant: &Decision, catalogue: &Catalogue, now: TimestampMs) -> Result<(), ProfileError> {
    let answers = matches!(grant.recording, Recording::Live { answers: Some(_) });
    if grant.status != GroundStatus::Given || answers {
        return Err(ProfileError::Malformed { field: "consents", expected: "given grounds" });
    }
    consent::check_decision(grant, catalogue, now)
}

/// Records the grants that can be recorded, then judges each observation, identifier and event, and merges what is allowed.
///
/// `taken` are the identifiers that the customer may not have because of other customers, and why: `IdentifierTaken` or
/// `IdentifierSharedLimit`. One that the customer has already is not looked for there.
///
/// # Errors
/// The whole input is refused if it names an unknown purpose, or for what [`check_observations`] finds.
pub fn ingest(
    record: &CustomerRecord,
    input: &Observations,
    catalogue: &Catalogue,
    taken: &BTreeMap<Identifier, RefusalReason>,
    context: ChangeContext<'_>,
) -> Result<Ingested, ProfileError> {
    check_observations(input, catalogue, context.now).map_err(|(_, error)| error)?;
    let purpose = catalogue.purpose(input.purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let mut after = record.clone();
    let mut ledger = Vec::new();
    let mut grant_outcomes = Vec::with_capacity(input.grants.len());
    // Each is sorted in among those before it, too.
    let mut history = Cow::Borrowed(context.history);
    for grant in &input.grants {
        let context = ChangeContext { history: &history, ..context };
        let outcome = match consent::apply(&mut after, grant, catalogue, context) {
            Ok(done) => {
                if !done.ledger.is_empty() {
                    history.to_mut().extend(done.ledger.iter().cloned());
                }
                ledger.extend(done.ledger);
                Ok(done.effect)
            }
            // What is recorded of this customer is no reason to refuse the data.
            Err(
                ProfileError::NotRecordable { reason }
                | ProfileError::NoStands { reason }
                | ProfileError::NewerStands { reason },
            ) => Err(reason),
            Err(ProfileError::ObjectionStands) => Err(RefusalReason::Objected),
            Err(other) => return Err(other),
        };
        grant_outcomes.push(outcome);
    }
    let collection = Collection::new(input, purpose, &after, catalogue, context.now);
    let attribute_outcomes = input
        .observations
        .iter()
        .map(|observation| collection.merge(observation, catalogue, &mut after))
        .collect::<Vec<_>>();
    let identifier_outcomes = collection.identifiers(&attribute_outcomes, catalogue, taken, &mut after);
    let (events, event_outcomes) = collection.events(&input.events);
    let record_changed = after != *record;
    Ok(Ingested {
        record: after,
        record_changed,
        consent_changed: !ledger.is_empty(),
        ledger,
        events,
        grant_outcomes,
        attribute_outcomes,
        identifier_outcomes,
        event_outcomes,
    })
}

fn check_limits(input: &Observations) -> Result<(), ProfileError> {
    let limits = [
        ("observations", input.observations.len(), OBSERVATIONS_MAX),
        ("identifiers", input.identifiers.len(), IDENTIFIERS_MAX),
        ("consents", input.grants.len(), GRANTS_MAX),
        ("events", input.events.len(), EVENTS_MAX),
    ];
    for (field, count, count_max) in limits {
        if count > count_max {
            return Err(ProfileError::TooMany { field, count_max });
        }
    }
    Ok(())
}

/// What all data of one input has in common.
struct Collection<'a> {
    input: &'a Observations,
    permission: Permission<'a>,
    now: TimestampMs,
}

impl<'a> Collection<'a> {
    fn new(
        input: &'a Observations,
        purpose: &'a Purpose,
        record: &CustomerRecord,
        catalogue: &'a Catalogue,
        now: TimestampMs,
    ) -> Self {
        let permission = match input.basis {
            Some(basis) => Permission::for_basis(purpose, basis, Reader::Controller, record, catalogue, now),
            None => Permission::for_purpose(purpose, Reader::Controller, record, catalogue, now),
        };
        Self { input, permission, now }
    }

    fn provenance(&self, observed_at: TimestampMs, basis: LawfulBasis) -> Provenance {
        Provenance {
            source: self.input.source.clone(),
            observed_at,
            recorded_at: self.now,
            purpose: self.input.purpose,
            basis,
            party: self.input.party,
        }
    }

    fn is_in_future(&self, moment: TimestampMs) -> bool {
        moment > self.now.plus_ms(FUTURE_MAX_MS)
    }

    fn merge(
        &self,
        observation: &Observation,
        catalogue: &Catalogue,
        record: &mut CustomerRecord,
    ) -> Outcome {
        let Some(definition) = catalogue.attribute_by_name(observation.attribute.as_str()) else {
            return Outcome::Refused(RefusalReason::UnknownAttribute);
        };
        let observed_at = observation.observed_at.unwrap_or(self.now);
        let basis = match self.judge(definition, &observation.value, observed_at) {
            Ok(basis) => basis,
            Err(reason) => return Outcome::Refused(reason),
        };
        let (value, original) = match self.normal_form(observation, definition, catalogue) {
            Ok(stored) => stored,
            Err(reason) => return Outcome::Refused(reason),
        };
        let incoming = AttributeValue { value, original, provenance: self.provenance(observed_at, basis) };
        match record.attributes.get(&definition.number) {
            Some(stored) if !incoming.is_newer_than(stored) => {
                return if incoming.is_same_observation(stored) {
                    Outcome::Merged
                } else {
                    Outcome::Refused(RefusalReason::ObservedBeforeStored)
                };
            }
            // What is held stays as it is. The same value is stored already.
            Some(stored) if record.subject.legal_hold.is_some() => {
                let is_same = stored.value == incoming.value;
                return if is_same { Outcome::Merged } else { Outcome::Refused(RefusalReason::LegalHold) };
            }
            Some(_) | None => {}
        }
        record.attributes.insert(definition.number, incoming);
        record.updated_at = record.updated_at.max(self.now);
        Outcome::Merged
    }

    /// The ground on which a value may be stored, or why it may not. The law comes first: nothing else is said about
    /// data that may not be stored.
    fn judge(
        &self,
        definition: &AttributeDefinition,
        value: &Value,
        observed_at: TimestampMs,
    ) -> Result<LawfulBasis, RefusalReason> {
        let ground = match self.permission.for_attribute(definition, Some(observed_at)) {
            Verdict::Permit { ground, .. } => ground,
            Verdict::Refuse(reason) => return Err(reason),
        };
        if value.value_type() != definition.value_type {
            return Err(RefusalReason::WrongType);
        }
        if let Value::Text(text) = value
            && text.as_str().len() > definition.bytes_max
        {
            return Err(RefusalReason::ValueTooLong);
        }
        if self.is_in_future(observed_at) {
            return Err(RefusalReason::ObservedInFuture);
        }
        Ok(ground)
    }

    /// The events to append, each id once, and the outcome of each.
    fn events(&self, events: &[Event]) -> (Vec<StoredEvent>, Vec<Outcome>) {
        let mut first_by_id = BTreeMap::new();
        let mut stored = Vec::new();
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            let outcome = match self.permission.for_event_of(self.input.purpose, event.occurred_at) {
                Verdict::Refuse(reason) => Outcome::Refused(reason),
                Verdict::Permit { .. } if self.is_in_future(event.occurred_at) => {
                    Outcome::Refused(RefusalReason::ObservedInFuture)
                }
                Verdict::Permit { ground, .. } => {
                    let first = *first_by_id.entry(&event.id).or_insert_with(|| {
                        let provenance = self.provenance(event.occurred_at, ground);
                        stored.push(StoredEvent { event: event.clone(), provenance });
                        event
                    });
                    if first == event {
                        Outcome::Merged
                    } else {
                        Outcome::Refused(RefusalReason::EventIdReused)
                    }
                }
            };
            outcomes.push(outcome);
        }
        (stored, outcomes)
    }
}
