//! The one path by which a customer's data changes.
//!
//! ```text
//! parse on the catalogue ─▶ lock the customer ─▶ read barrier ─▶ record, remembered requests, events of the same ids,
//!                                                               and the ledger if a decision comes late
//!        ┌────────────────────────────────────────▲      │
//!        │                                               ├─ answered before? ── yes ──▶ first answer
//!        │ conflict                                      ├─ etag as expected?
//!        └──────────── propose ◀── seal ◀── evaluate (pure)
//!                          │ applied
//!                          ▼
//!                        answer, counted once
//! ```
//!
//! Invariant: no data slips past a withdrawal, and no request takes effect twice. Everything that was read is a
//! condition of the command: revision and guard of the core, revision of the request memory, absence of each new event id,
//! the customer's key, and with a new record the shard's stage of the blinding keys. If any of it changed in between, even
//! by an earlier proposal whose outcome nobody knows, the whole command fails and everything is evaluated again on the new
//! state. The lock only saves that work.
//!
//! A caller who may not read is answered as `writer` says: an echo, whatever the evaluation found.
//!
//! Invariant: nothing is proposed, and nothing answered, by a catalogue that is no longer in force: after every evaluation it
//! is looked at again, and if another is in force by then, all begins anew with the parsing.

mod claimed;
mod give;
mod handler;
mod own;
mod state;

use custodia_profile::{
    CallerName, CallerRole, CustomerId, CustomerRecord, Event, Identifier, LedgerEntry, Precondition,
    Recorder, RequestId, RequestMemory, Revision, StoredEvent, TimestampMs,
};
use custodia_proto::rpc::Method;
use prost::Message;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Loaded, ShardContext, StoredEvents,
    claims::TakenIdentifiers,
    command,
    duplicate::HeldByOthers,
    failpoint::failpoint,
    fingerprint::Fingerprint,
    other::{OtherChange, OtherCustomer, check_merges},
    writer::{self, Sight},
};
use crate::{
    catalogue::CatalogueView,
    counters::BlindWrite,
    identity::{Caller, Role},
    propose::{Attempt, TRIES_MAX},
    routing::{Call, CustomerLocation, Redirect},
    wire::{FieldFault, ServiceError, made_at, now, parse},
};

pub(crate) use give::Given;
pub(crate) use handler::{CustomerWrite, Origin, merged_customer};
pub(crate) use state::CustomerState;

/// Whether a mutation is committed or only validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    Yes,
    ValidateOnly,
}

impl Commit {
    pub(crate) const fn of(validate_only: bool) -> Self {
        if validate_only { Self::ValidateOnly } else { Self::Yes }
    }
}

/// The id and fingerprint under which a request is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembered {
    pub(crate) id: RequestId,
    pub(crate) fingerprint: Fingerprint,
}

/// The options of a write, apart from the mutation itself.
#[derive(Debug, Clone, Copy)]
struct WriteOptions<'a> {
    recorded_by: &'a Recorder,
    sight: Sight,
    remembered: Option<Remembered>,
    etag: Option<Revision>,
    made_at: Option<TimestampMs>,
    commit: Commit,
}

/// What a request with this etag, made then, says about the value that it replaces.
fn precondition(etag: Option<Revision>, made_at: Option<TimestampMs>, now: TimestampMs) -> Precondition {
    let made_at = made_at.unwrap_or(now).min(now);
    match etag {
        Some(_) => Precondition::Version { made_at },
        None => Precondition::Date { made_at },
    }
}

/// The result of an evaluation.
#[derive(Debug)]
pub(crate) struct Mutation<A> {
    /// The new record, if it changes.
    pub(crate) record: Option<CustomerRecord>,
    /// Ledger entries to append; each raises the consent revision.
    pub(crate) ledger: Vec<LedgerEntry>,
    /// Events to append, none of them stored yet.
    pub(crate) events: Vec<StoredEvent>,
    /// What becomes of the other customer of a merge.
    pub(crate) other: Option<OtherChange>,
    /// The identifiers that another customer holds, though the request found this one by others: a merge is proposed.
    pub(crate) disputed: Vec<Identifier>,
    pub(crate) answer: A,
}

impl<A> Mutation<A> {
    /// A mutation without events and another customer.
    pub(crate) const fn new(record: Option<CustomerRecord>, ledger: Vec<LedgerEntry>, answer: A) -> Self {
        Self { record, ledger, events: Vec::new(), other: None, disputed: Vec::new(), answer }
    }
}

/// The call that caused an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// This call.
    Now,
    /// An earlier call, which this one repeats.
    Before,
    /// None: the call was only validated.
    Never,
}

/// The answer of a write, encoded as it is remembered.
struct Written {
    answer: Vec<u8>,
    masked: Masked,
    answered: Answered,
}

/// What is loaded for a write besides the record and the remembered requests.
#[derive(Clone, Copy)]
struct Needs<'a> {
    /// Another customer.
    other: Option<OtherCustomer>,
    /// Whether identifiers that the record gains are claimed.
    claims: bool,
    /// The stored events with the ids of these.
    events: &'a [Event],
    /// The ledger, if this says so of the record.
    ledger: &'a (dyn Fn(&CustomerRecord) -> bool + Send + Sync),
}

/// Evaluates the loaded state. The answer is encoded, so that one function serves all methods.
type Evaluate<'a> =
    dyn Fn(&CustomerState<'_>) -> Result<(Mutation<Vec<u8>>, Masked), ServiceError> + Send + Sync + 'a;

impl ShardContext {
    /// Executes a write on the leader of the customer's shard, or returns the remembered answer of a repeated request.
    pub(crate) async fn write<R: CustomerWrite>(
        &self,
        call: &Call,
        location: CustomerLocation,
        request: &R,
    ) -> Result<R::Answer, ServiceError> {
        let request_id = parse::request_id(request.request_id())?;
        for _ in 0..TRIES_MAX {
            let judged = self.write_on_catalogue(call, location, request, request_id);
            if let Some(answer) = judged.await? {
                return Ok(answer);
            }
        }
        Err(ServiceError::CatalogueUnavailable)
    }

    /// The same by the catalogue of this moment; nothing if another was in force before anything was proposed.
    async fn write_on_catalogue<R: CustomerWrite>(
        &self,
        call: &Call,
        location: CustomerLocation,
        request: &R,
        request_id: Option<RequestId>,
    ) -> Result<Option<R::Answer>, ServiceError> {
        let Call { caller, redirects, deadline, .. } = call;
        let deadline = *deadline;
        let commit = Commit::of(request.validate_only());
        let origin = Origin { caller, made_at: made_at(request_id, now()) };
        let parsed = |view: &CatalogueView| {
            let input = request.parse(origin, view)?;
            let sight = writer::check(caller, view, &R::access(&input))?;
            Ok((input, sight))
        };
        let knows = |(input, _): &(R::Input, Sight), view: &CatalogueView| R::knows(input, view);
        let parsed = self.catalogue().parse_on(R::CATALOGUE, deadline, parsed, knows).await;
        let (view, (input, sight)) = parsed.inspect_err(|error| self.count_refused(caller, error))?;
        let count = |what| writer::count(caller, &view.catalogue, what);
        writer::check_version(sight, R::version_field(&input))
            .inspect_err(|_refused| count(BlindWrite::VersionNamed))?;
        let id = match request_id {
            // Remembered or not, its call is then committed like any other, and takes as long.
            None if sight == Sight::Echo => Some(RequestId::new(Uuid::now_v7())?),
            stated => stated,
        };
        let remembered = id.filter(|_| commit == Commit::Yes);
        let remembered = remembered.map(|id| request.remembered_as(id)).transpose()?;
        let recorded_by = &recorder(caller, R::METHOD)?;
        let etag = R::etag(&input);
        let options = WriteOptions { recorded_by, sight, remembered, etag, made_at: origin.made_at, commit };
        let named = CustomerLocation { customer: named_customer(redirects, location), ..location };
        let evaluate = |state: &CustomerState<'_>| {
            check_merges(redirects, location, state.record())?;
            let (judged, masked) = judge(request, &input, state, named)?;
            let Mutation { record, ledger, events, other, disputed, answer } = judged;
            let answer = answer.encode_to_vec();
            Ok((Mutation { record, ledger, events, other, disputed, answer }, masked))
        };
        let comes_late = |record: &CustomerRecord| R::comes_late(&input, record);
        let other = R::other(&input);
        let claims = other.is_none();
        let needs = Needs { events: R::events(&input), ledger: &comes_late, other, claims };
        let written = self.mutate(location, options, &view, needs, deadline, &evaluate);
        let Some(Written { answer, masked, answered }) = Box::pin(written).await? else { return Ok(None) };
        failpoint("write-committed");
        let mut answer = R::Answer::decode(&*answer).map_err(|_error| ServiceError::Unreadable)?;
        R::note(answered, &answer, self, &view);
        if commit == Commit::Yes {
            Box::pin(request.follow(&input, &mut answer, self, call)).await?;
            for (merge, namespaces) in request.merges(&answer, &view) {
                if let Some(merged) = self.merge_by_policy(location, &merge, deadline).await {
                    R::note_merged(&mut answer, &merge.merged_customer_id, merged.etag);
                } else {
                    // If this fails, the request is repeated: it is answered from memory, and comes here again.
                    let held =
                        HeldByOthers::from([(merged_customer(&merge.merged_customer_id)?, namespaces)]);
                    Box::pin(self.propose_pairs(location.customer, held, deadline)).await?;
                }
            }
        }
        if sight == Sight::Full {
            return R::present(location, answer).map(Some);
        }
        if commit == Commit::ValidateOnly {
            count(BlindWrite::ValidateOnly);
        }
        if masked == Masked::Yes || R::has_no_effect(&answer) {
            count(BlindWrite::WithoutEffect);
        }
        Ok(Some(request.echo(named, answer)))
    }

    /// Counts a writer that is not registered for what it sent.
    fn count_refused(&self, caller: &Caller, error: &ServiceError) {
        if let (ServiceError::WriterRefused { .. }, Ok(view)) = (error, self.catalogue().view()) {
            writer::count(caller, &view.catalogue, BlindWrite::Refused);
        }
    }

    async fn mutate(
        &self,
        location: CustomerLocation,
        options: WriteOptions<'_>,
        view: &CatalogueView,
        needs: Needs<'_>,
        deadline: Instant,
        evaluate: &Evaluate<'_>,
    ) -> Result<Option<Written>, ServiceError> {
        let _locked = self.locks().lock(location.customer, deadline).await?;
        let attempt = || async move {
            let attempt = self.attempt(location, options, view, needs, deadline, evaluate).await;
            if self.catalogue().is_in_force(view) {
                attempt.map(|attempt| attempt.map(Some))
            } else {
                Ok(Attempt::Done(None))
            }
        };
        self.routing().propose_until_applied(location.group(), deadline, attempt).await
    }

    async fn attempt(
        &self,
        location: CustomerLocation,
        WriteOptions { recorded_by, sight, remembered, etag, made_at, commit }: WriteOptions<'_>,
        view: &CatalogueView,
        needs: Needs<'_>,
        deadline: Instant,
        evaluate: &Evaluate<'_>,
    ) -> Result<Attempt<Written>, ServiceError> {
        let core = self.core(location)?;
        // Also loaded without a request id if there is no record: a memory can exist alone, and it knows the key's bucket.
        let needed = remembered.is_some() || core.is_none();
        let requests = if needed { self.requests(location)? } else { None };
        let now = now();
        if let Some(answer) = answered_before(requests.as_ref(), remembered, now)? {
            let (masked, answered) = (Masked::No, Answered::Before);
            return Ok(Attempt::Done(Written { answer, masked, answered }));
        }
        let mut state = CustomerState {
            location,
            now,
            view,
            sight,
            recorded_by,
            precondition: precondition(etag, made_at, now),
            events: StoredEvents::default(),
            history: Vec::new(),
            taken: TakenIdentifiers::new(),
            blinding: self.stage(location.group())?,
            other: None,
            core,
            requests,
        };
        if etag.is_some_and(|etag| etag != state.revision()) {
            return Err(ServiceError::EtagStale);
        }
        // Without a record there are neither events nor a ledger.
        if let Some(core) = &state.core {
            let needs_ledger = (needs.ledger)(&core.value);
            state.events = self.stored_events(location, needs.events)?;
            state.history = if needs_ledger { self.ledger(location)? } else { Vec::new() };
            if !needs.events.is_empty() && !core.value.merges.is_empty() {
                let members = Box::pin(self.events_of_members(&core.value, needs.events, deadline)).await?;
                state.events.add(members);
            }
        }
        if let Some(other) = needs.other {
            state.other = Some(Box::pin(self.other(&state, other, deadline)).await?);
        }
        let (mutation, masked) = if needs.claims {
            self.evaluate_claimed(&mut state, commit, deadline, evaluate).await?
        } else {
            evaluate(&state)?
        };
        if commit == Commit::Yes && !mutation.disputed.is_empty() {
            // Before the commit, so that no ingest is acknowledged whose proposal is lost.
            Box::pin(self.propose_disputed(&state, &mutation.disputed, deadline)).await?;
            failpoint("merge-proposed");
        }
        let changes = mutation.record.is_some() || !mutation.events.is_empty() || remembered.is_some();
        if commit == Commit::ValidateOnly || !changes {
            let answered = if commit == Commit::Yes { Answered::Now } else { Answered::Never };
            return Ok(Attempt::Done(Written { answer: mutation.answer, masked, answered }));
        }
        if let (Some(other), Some(change)) = (&state.other, &mutation.other)
            && !Box::pin(self.put_other(location.customer, other, change, deadline)).await?
        {
            return Err(ServiceError::Contended { tries: 1 });
        }
        let command = command::build(self, &state, remembered, &mutation, deadline).await?;
        let answer = Written { answer: mutation.answer, masked, answered: Answered::Now };
        Ok(Attempt::Propose { command, answer })
    }
}

/// Whether an evaluation failed for a reason that the caller may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Masked {
    Yes,
    No,
}

/// Evaluates a write as its caller may know of it: where what is stored refuses it, a caller who may not read gets the same
/// answer as if nothing had, and nothing changes.
fn judge<R: CustomerWrite>(
    request: &R,
    input: &R::Input,
    state: &CustomerState<'_>,
    named: CustomerLocation,
) -> Result<(Mutation<R::Answer>, Masked), ServiceError> {
    match R::evaluate(input, state) {
        Ok(mutation) => Ok((mutation, Masked::No)),
        Err(error) if state.sight == Sight::Echo && !writer::may_be_told(&error) => {
            let answer = request.echo(named, R::Answer::default());
            Ok((Mutation::new(None, Vec::new(), answer), Masked::Yes))
        }
        Err(error) => Err(error),
    }
}

/// Whom the caller named: a caller who may not read is not told that the customer was merged.
fn named_customer(redirects: &[Redirect], location: CustomerLocation) -> CustomerId {
    let led_here = redirects.iter().find(|redirect| redirect.survivor == location.customer);
    led_here.map_or(location.customer, |redirect| redirect.named)
}

/// Who records the change: the caller, with a role that allows the call. The role `privacy` comes first, since only the
/// privacy office may change some fields, and `ingest` before `agent`: a program that has both writes as one.
fn recorder(caller: &Caller, method: &Method) -> Result<Recorder, ServiceError> {
    let allows = |role: &Role| caller.roles.contains(*role) && method.roles.contains(&role.on_the_wire());
    let role = [Role::Privacy, Role::Ingest].into_iter().chain(Role::ALL).find(allows);
    let role = role.ok_or(ServiceError::Internal { context: "no role of the caller allows this write" })?;
    Ok(Recorder { name: CallerName::new(&caller.name)?, role: role.name().parse::<CallerRole>()? })
}

/// The remembered answer to a request that was answered within the last 24 hours.
fn answered_before(
    memory: Option<&Loaded<RequestMemory>>,
    request: Option<Remembered>,
    now: TimestampMs,
) -> Result<Option<Vec<u8>>, ServiceError> {
    let Some((request, memory)) = request.zip(memory) else { return Ok(None) };
    let Some(known) = memory.value.answer(&request.id, now) else { return Ok(None) };
    let split = known.split_first_chunk::<{ size_of::<Fingerprint>() }>();
    let (fingerprint, answer) = split.ok_or(ServiceError::Unreadable)?;
    if *fingerprint != request.fingerprint {
        return Err(ServiceError::field("request_id", FieldFault::RequestIdReused));
    }
    Ok(Some(answer.to_vec()))
}

#[cfg(test)]
mod tests;
