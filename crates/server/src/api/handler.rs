//! Routes each call to its handler, on this node or over the one hop to another.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use custodia_profile::{CustomerId, GroupId, Identifier};
use custodia_proto::{
    rpc::{AboutCustomer, Unary},
    v1,
};
use futures::{future::join_all, stream::BoxStream};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::profile;
use crate::{
    Deadline,
    identity::Caller,
    propose::TRIES_MAX,
    routing::{Call, CustomerLocation, Hop, Route},
    shard::{CustomerRead, CustomerWrite, ShardContext, Trail},
    transport::RequestBytes,
    wire::{LeaderHint, ServiceError, name_leader, parse},
};

/// An answer, and the leader that gave it if that is another node.
#[derive(Debug)]
pub(super) struct Answered<A> {
    pub(super) answer: A,
    leader: Option<LeaderHint>,
    /// Whom a call about one customer was answered about, if that one was merged into another.
    survivor: Option<CustomerId>,
}

impl<A> Answered<A> {
    const fn here(answer: A) -> Self {
        Self { answer, leader: None, survivor: None }
    }

    /// The answer alone.
    pub(super) fn into_answer(self) -> A {
        self.answer
    }

    /// The same with another form of the answer.
    pub(super) fn map<B>(self, form: impl FnOnce(A) -> B) -> Answered<B> {
        Answered { answer: form(self.answer), leader: self.leader, survivor: self.survivor }
    }

    pub(super) fn into_response(self) -> Response<A> {
        let mut response = Response::new(self.answer);
        if let Some(leader) = self.leader {
            name_leader(response.metadata_mut(), &leader);
        }
        response
    }
}

/// A call that the receiving node answers itself, usually from its own copy of the directory.
pub(super) trait AnyNodeCall: Unary {
    fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, ServiceError>> + Send;
}

/// A call that changes the directory, executed on the directory's leader.
pub(super) trait DirectoryWrite: Unary + Send + Sync {
    fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, ServiceError>> + Send;
}

/// A call that the leaders of several shards answer, each for its own part. A forwarded call is such a part.
pub(super) trait ShardLeadersCall: Unary {
    fn answer(
        self,
        context: &ShardContext,
        call: &Call,
    ) -> impl Future<Output = Result<Self::Answer, ServiceError>> + Send;
}

/// A read about the customer who is named, or who holds the identifier that is named. A call without a customer goes to the leader of
/// the identifier's shard, which names each holder in a call of its own.
pub(super) trait HolderRead: CustomerRead + Sync {
    /// The identifier, if the call names one.
    fn identifier(&self) -> Option<&v1::Identifier>;

    /// The id of the holder, if the answer is about one.
    fn holder(answer: &Self::Answer) -> Option<&str>;

    /// One answer from those about several holders, in the order of their ids.
    fn joined(answers: Vec<Self::Answer>) -> Self::Answer;
}

/// The caller, hop and deadline, which admission put into the request's extensions.
pub(super) fn admitted<T>(request: &Request<T>) -> Result<Call, ServiceError> {
    let extensions = request.extensions();
    let (caller, deadline) = (extensions.get::<Caller>(), extensions.get::<Deadline>());
    let missing = ServiceError::Internal { context: "a call that bypassed admission" };
    let (caller, Deadline(deadline)) = caller.zip(deadline).ok_or(missing)?;
    let read_mode = parse::read_mode(request.metadata())?;
    let hop = extensions.get::<Hop>().copied().unwrap_or(Hop::First);
    Ok(Call { caller: caller.clone(), hop, read_mode, deadline: *deadline, redirects: Vec::new() })
}

pub(super) async fn customer_read<R: CustomerRead>(
    context: &ShardContext,
    call: &Call,
    request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    at_leader::<Reading, R>(context, call, locate(context, &request)?, &request).await
}

/// How the leader of a customer's shard executes a call.
trait Execute<R: AboutCustomer> {
    fn execute(
        context: &ShardContext,
        call: &Call,
        location: CustomerLocation,
        request: &R,
    ) -> impl Future<Output = Result<R::Answer, ServiceError>> + Send;
}

struct Reading;

impl<R: CustomerRead> Execute<R> for Reading {
    async fn execute(
        context: &ShardContext,
        call: &Call,
        location: CustomerLocation,
        request: &R,
    ) -> Result<R::Answer, ServiceError> {
        context.read(call, location, request).await
    }
}

struct Writing;

impl<R: CustomerWrite> Execute<R> for Writing {
    async fn execute(
        context: &ShardContext,
        call: &Call,
        location: CustomerLocation,
        request: &R,
    ) -> Result<R::Answer, ServiceError> {
        context.write(call, location, request).await
    }
}

/// Executes a call on the leader of the customer's shard; if the customer was merged into another, on the survivor's.
async fn at_leader<E: Execute<R>, R: AboutCustomer>(
    context: &ShardContext,
    call: &Call,
    location: CustomerLocation,
    request: &R,
) -> Result<Answered<R::Answer>, ServiceError> {
    match once_at_leader::<E, R>(context, call, location, request).await {
        // Boxed, as on every rare path: the future of the common path stays small.
        Err(error) if error.redirection().is_some() && call.hop != Hop::Forwarded => {
            Box::pin(at_survivor::<E, R>(context, call, location.customer, request, error)).await
        }
        answered => answered,
    }
}

async fn once_at_leader<E: Execute<R>, R: AboutCustomer>(
    context: &ShardContext,
    call: &Call,
    location: CustomerLocation,
    request: &R,
) -> Result<Answered<R::Answer>, ServiceError> {
    match context.routing().route(location.group(), call.hop)? {
        Route::Here => E::execute(context, call, location, request).await.map(Answered::here),
        Route::Forward(leader) => Box::pin(forward(context, call, leader, request)).await,
    }
}

async fn at_survivor<E: Execute<R>, R: AboutCustomer>(
    context: &ShardContext,
    call: &Call,
    named: CustomerId,
    request: &R,
    mut error: ServiceError,
) -> Result<Answered<R::Answer>, ServiceError> {
    let mut trail = Trail::of(named);
    loop {
        let (customer, call) = trail.follow(context, call, error).await?;
        let request = request.about(customer.to_string());
        match once_at_leader::<E, R>(context, &call, locate(context, &request)?, &request).await {
            Ok(Answered { answer, .. }) => return redirected(context, named, customer, answer),
            Err(failed) => error = failed,
        }
    }
}

/// An answer about a survivor. The leader that it names is that of the customer who was named, as for any other: it does not tell that the
/// customer was merged.
fn redirected<A>(
    context: &ShardContext,
    named: CustomerId,
    survivor: CustomerId,
    answer: A,
) -> Result<Answered<A>, ServiceError> {
    let location = context.routing().locate(named)?;
    let leader = match context.routing().route(location.group(), Hop::First) {
        Ok(Route::Forward(leader)) => Some(leader),
        Ok(Route::Here) | Err(_) => None,
    };
    Ok(Answered { answer, leader, survivor: Some(survivor) })
}

pub(super) async fn holder_read<R: HolderRead>(
    context: &ShardContext,
    call: &Call,
    request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    if !request.customer_id().map_err(ServiceError::missing)?.is_empty() {
        return customer_read(context, call, request).await;
    }
    let wire = request.identifier().ok_or_else(|| ServiceError::missing("identifier"))?;
    let (identifier, is_unique) = context.looked_up(call, wire, request.purpose()).await?;
    let may_hint = is_unique && call.hop == Hop::First;
    if may_hint && let Some(holder) = context.holder_hints().get(&identifier) {
        match customer_read(context, call, request.about(holder.to_string())).await {
            // As if the index had been asked: the leader of the holder's shard is named to nobody.
            Ok(answered) => return Ok(Answered::here(answered.answer)),
            Err(_error) => context.holder_hints().forget(&identifier),
        }
    }
    let answered = match context.lookup_route(&identifier, call.hop)? {
        Route::Here => find(context, call, &identifier, request).await.map(Answered::here),
        Route::Forward(leader) => Box::pin(forward(context, call, leader, &request)).await,
    }?;
    if may_hint && let Some(Ok(holder)) = R::holder(&answered.answer).map(parse::customer_id) {
        context.holder_hints().remember(&identifier, holder);
    }
    Ok(answered)
}

/// Asks about each holder of an identifier. Where a record has the identifier no longer, the index is read again: it may have moved to
/// another customer.
async fn find<R: HolderRead>(
    context: &ShardContext,
    call: &Call,
    identifier: &Identifier,
    request: R,
) -> Result<R::Answer, ServiceError> {
    // The second hop: a call that names its customer goes no further than to the customer's leader.
    let onward = &Call { hop: Hop::First, ..call.clone() };
    let mut before = Vec::new();
    loop {
        let (_, holders) = context.holders(identifier, call.read_mode, call.deadline).await?;
        if holders == before {
            // By a catalogue that may be a newer one: whoever may no longer ask is not told.
            let wire = request.identifier().ok_or_else(|| ServiceError::missing("identifier"))?;
            context.looked_up(call, wire, request.purpose()).await?;
            return Err(ServiceError::CustomerNotFound);
        }
        let about = |holder: &CustomerId| customer_read(context, onward, request.about(holder.to_string()));
        let mut found = Vec::with_capacity(holders.len());
        let mut seen = BTreeSet::new();
        for (holder, answer) in holders.iter().zip(join_all(holders.iter().map(about)).await) {
            match answer {
                // Several may lead to one customer, where customers were merged.
                Ok(answered) if seen.insert(answered.survivor.unwrap_or(*holder)) => {
                    found.push(answered.answer);
                }
                Ok(_same) => {}
                Err(error) if error.is_customer_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        match found.pop() {
            None => before = holders,
            Some(only) if found.is_empty() => return Ok(only),
            Some(last) => {
                found.push(last);
                return Ok(R::joined(found));
            }
        }
    }
}

pub(super) async fn customer_write<R: CustomerWrite>(
    context: &ShardContext,
    call: &Call,
    mut request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    if request.is_complete(call.hop) {
        let location = locate(context, &request)?;
        return at_leader::<Writing, R>(context, call, location, &request).await;
    }
    let mut moved = Vec::new();
    for _ in 1..TRIES_MAX {
        request.complete(context, call, &moved).await?;
        let location = locate(context, &request)?;
        let written = at_leader::<Writing, R>(context, call, location, &request).await;
        request.finish(context, call).await;
        match written {
            Err(error) if error.is_identifier_moved() => moved.push(location.customer),
            // The leader of a customer whom the caller has not named would tell who it is.
            answered => return answered.map(|answered| Answered::here(answered.answer)),
        }
    }
    Err(ServiceError::IdentifierMoved)
}

pub(super) async fn directory_write<R: DirectoryWrite>(
    context: &ShardContext,
    call: &Call,
    request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    match context.routing().route(GroupId::Directory, call.hop)? {
        Route::Here => request.execute(context, &call.caller, call.deadline).await.map(Answered::here),
        Route::Forward(leader) => {
            let answered = Box::pin(forward(context, call, leader, &request)).await?;
            // The change is acknowledged either way. A later call that needs it here catches up by itself.
            if let Err(error) = Box::pin(context.catalogue().catch_up(call.deadline)).await {
                tracing::debug!(%error, "catalogue change not yet applied on this node");
            }
            Ok(answered)
        }
    }
}

pub(super) async fn shard_leaders<R: ShardLeadersCall>(
    context: &ShardContext,
    call: &Call,
    request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    request.answer(context, call).await.map(Answered::here)
}

pub(super) async fn any_node<R: AnyNodeCall>(
    context: &ShardContext,
    call: &Call,
    request: R,
) -> Result<Answered<R::Answer>, ServiceError> {
    request.answer(context, call.deadline).await.map(Answered::here)
}

/// The shard of the customer that a call is about.
fn locate<R: AboutCustomer>(context: &ShardContext, request: &R) -> Result<CustomerLocation, ServiceError> {
    let text = request.customer_id().map_err(ServiceError::missing)?;
    context.routing().locate(parse::customer_id(text).map_err(|error| error.named(R::CUSTOMER_FIELD))?)
}

async fn forward<R: Unary>(
    context: &ShardContext,
    call: &Call,
    leader: LeaderHint,
    request: &R,
) -> Result<Answered<R::Answer>, ServiceError> {
    let answer = context.forward(&leader, call, request).await?;
    Ok(Answered { answer, leader: Some(leader), survivor: None })
}

pub(super) fn ingest_profiles(
    context: &Arc<ShardContext>,
    request: Request<Streaming<v1::IngestProfileRequest>>,
) -> Result<Response<BoxStream<'static, Result<v1::IngestProfilesResponse, Status>>>, Status> {
    let call = admitted(&request)?;
    let bytes = request.extensions().get::<RequestBytes>().cloned();
    Ok(Response::new(profile::ingest_profiles(Arc::clone(context), call, request.into_inner(), bytes)))
}
