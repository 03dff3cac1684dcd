//! Reads of many customers in one call: asks the leaders of all shards in parallel, with one call for each node.
//!
//! Invariant: the results are in the order of the ids, and an error for one id is that id's result only.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use custodia_profile::{CustomerRecord, GroupId, NodeId, PurposeId, ShardId};
use custodia_proto::{rpc::Unary, v1};
use futures::future::join_all;
use prost::Message;

use super::handler::ShardLeadersCall;
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    propose::TRIES_MAX,
    routing::{Call, CustomerLocation, Hop, Route},
    shard::{ProfileView, ShardContext, check_merges, reader_for},
    wire::{
        CUSTOMER_MERGED, LeaderHint, MERGE_NOT_IN_FORCE, ServiceError,
        parse::{self, within_limit},
        row_error,
    },
};

/// What is read of one customer, or why it could not be.
pub(super) type Item<R> = Result<<R as BatchRead>::Read, v1::RowError>;

/// A call that reads the same of each of many customers.
pub(super) trait BatchRead: Unary + Clone + Sync {
    /// What the ids share, parsed.
    type Query: Send + Sync;
    /// What is read of one customer.
    type Read: Message;

    /// The customers, and the purpose for which they are read.
    fn asked(&self) -> (&[String], &str);
    /// The same call for other customers.
    fn part(&self, customer_ids: Vec<String>) -> Self;
    fn parse(&self, view: &CatalogueView) -> Result<Self::Query, ServiceError>;

    /// Whether the catalogue has everything of a record that the answer needs.
    fn knows(query: &Self::Query, record: &CustomerRecord, view: &CatalogueView) -> bool;
    fn read(query: &Self::Query, profile: &ProfileView<'_>) -> Result<Self::Read, ServiceError>;

    /// The answer with these results, in the order of the ids.
    fn answer(&self, items: Vec<Item<Self>>) -> Self::Answer;
    /// The results of an answer, in the order of the ids.
    fn items(answer: Self::Answer) -> Vec<Option<Item<Self>>>;
}

/// An index in the ids, and the customer there.
type Asked = (usize, CustomerLocation);
type Answered<R> = Vec<(usize, Item<R>)>;

/// The bytes that are left in the response. Beyond them, an id's result is an error instead of what was read.
struct Budget(AtomicUsize);

impl Budget {
    fn of(context: &ShardContext) -> Self {
        // An eighth is left for ids, errors and framing.
        Self(AtomicUsize::new(context.limits().response_bytes_max / 8 * 7))
    }

    fn spend<M: Message>(&self, item: Result<M, v1::RowError>) -> Result<M, v1::RowError> {
        let read = item?;
        let bytes = read.encoded_len();
        let rest = |left: usize| left.checked_sub(bytes);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest) {
            Ok(_left) => Ok(read),
            Err(_left) => Err(row_error(ServiceError::ResponseTooLarge { limit: "response_bytes_max" })),
        }
    }
}

/// What all ids of a batch share.
struct Batch<'a, R: BatchRead> {
    context: &'a ShardContext,
    call: &'a Call,
    request: &'a R,
    purpose: &'a PurposeId,
    query: R::Query,
    view: &'a CatalogueView,
    need: CatalogueNeed,
    /// Whether an answer would name something that the catalogue lacks and a newer one may have.
    lacks_names: AtomicBool,
    budget: Budget,
}

impl<R: BatchRead> ShardLeadersCall for R {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        let (customer_ids, purpose) = self.asked();
        within_limit("customer_ids", customer_ids.len(), context.limits().batch_ids_max)?;
        let stated = parse::purpose(purpose, "purpose")?;
        let parsed = |view: &CatalogueView| {
            reader_for(&call.caller, view, view.purpose(&stated, "purpose")?)?;
            self.parse(view)
        };
        let mut need = CatalogueNeed::Names;
        for _ in 0..TRIES_MAX {
            let (view, query) =
                context.catalogue().parse_on(need, call.deadline, parsed, |_, _| true).await?;
            let (purpose, budget) = (&stated, Budget::of(context));
            let lacks_names = AtomicBool::new(false);
            let (request, view) = (&self, &*view);
            let batch = Batch { context, call, request, purpose, query, view, need, lacks_names, budget };
            let mut answered = batch.answer().await?;
            if call.hop != Hop::Forwarded {
                Box::pin(batch.follow_merges(&mut answered)).await;
            }
            if batch.lacks_names.into_inner() {
                need = CatalogueNeed::Current;
            } else if context.catalogue().is_in_force(view) {
                answered.sort_by_key(|(at, _)| *at);
                return Ok(BatchRead::answer(&self, answered.into_iter().map(|(_, item)| item).collect()));
            }
        }
        Err(ServiceError::CatalogueUnavailable)
    }
}

impl<R: BatchRead> Batch<'_, R> {
    async fn answer(&self) -> Result<Answered<R>, ServiceError> {
        let mut answered = Vec::new();
        let mut here: BTreeMap<ShardId, Vec<Asked>> = BTreeMap::new();
        let mut elsewhere: BTreeMap<NodeId, (LeaderHint, Vec<Asked>)> = BTreeMap::new();
        for (at, text) in self.request.asked().0.iter().enumerate() {
            let location = match parse::customer_id(text) {
                Ok(customer) => self.context.routing().locate(customer)?,
                Err(error) => {
                    answered.push((at, Err(row_error(error.named(&format!("customer_ids[{at}]"))))));
                    continue;
                }
            };
            match self.context.routing().route(location.group(), self.call.hop) {
                Ok(Route::Here) => here.entry(location.shard).or_default().push((at, location)),
                Ok(Route::Forward(leader)) => {
                    elsewhere
                        .entry(leader.node)
                        .or_insert_with(|| (leader, Vec::new()))
                        .1
                        .push((at, location));
                }
                Err(error) => answered.push((at, Err(row_error(error)))),
            }
        }
        let local = here.into_iter().map(|(shard, asked)| self.read_shard(shard, asked));
        let remote = elsewhere.into_values().map(|(leader, asked)| self.ask(leader, asked));
        let (local, remote) = futures::join!(join_all(local), join_all(remote));
        answered.extend(local.into_iter().flatten());
        answered.extend(remote.into_iter().flatten().map(|(at, item)| (at, self.budget.spend(item))));
        Ok(answered)
    }

    /// Asks again about customers who were merged, for the survivors.
    async fn follow_merges(&self, answered: &mut Answered<R>) {
        for (at, item) in answered.iter_mut() {
            let Some(text) = self.request.asked().0.get(*at) else { continue };
            for _ in 0..TRIES_MAX {
                if !item.as_ref().is_err_and(is_redirection) {
                    break;
                }
                let followed = self.followed(text).await;
                *item = self.budget.spend(followed.unwrap_or_else(|error| Err(row_error(error))));
            }
            if item.as_ref().is_err_and(is_redirection) {
                *item = Err(row_error(ServiceError::Contended { tries: TRIES_MAX }));
            }
        }
    }

    /// The result for the survivor of one customer.
    async fn followed(&self, text: &str) -> Result<Item<R>, ServiceError> {
        let named = parse::customer_id(text)?;
        let redirect = self.context.merged_into(named, self.call.deadline).await?;
        let asked = redirect.map_or(named, |redirect| redirect.survivor).to_string();
        let call = Call { redirects: redirect.into_iter().collect(), ..self.call.clone() };
        let again = Batch {
            request: &self.request.part(vec![asked]),
            call: &call,
            query: self.request.parse(self.view)?,
            lacks_names: AtomicBool::new(false),
            budget: Budget::of(self.context),
            ..*self
        };
        let first = again.answer().await?.pop().map(|(_, item)| item);
        self.lacks_names.fetch_or(again.lacks_names.into_inner(), Ordering::Relaxed);
        let missing = ServiceError::Internal { context: "a batch of one without a result" };
        Ok(first.unwrap_or_else(|| Err(row_error(missing))))
    }

    /// Reads on this node. One barrier serves the whole shard, since the call came before it.
    async fn read_shard(&self, shard: ShardId, asked: Vec<Asked>) -> Answered<R> {
        let Call { read_mode, deadline, .. } = *self.call;
        let barrier = self.context.routing().read_barrier(GroupId::Shard(shard), read_mode, deadline).await;
        let barrier = match barrier {
            Ok(barrier) => barrier,
            Err(error) => return failed_alike::<R>(&asked, error),
        };
        let mut answered = Vec::with_capacity(asked.len());
        for (at, location) in asked {
            let read = self.read(location);
            let valid = self.context.routing().still_valid(GroupId::Shard(shard), &barrier);
            answered.push((at, self.budget.spend(valid.and(read).map_err(row_error))));
        }
        answered
    }

    fn read(&self, location: CustomerLocation) -> Result<R::Read, ServiceError> {
        let stored = self.context.core(location)?.ok_or(ServiceError::CustomerNotFound)?;
        check_merges(&self.call.redirects, location, Some(&stored.value))?;
        if self.need == CatalogueNeed::Names && !R::knows(&self.query, &stored.value, self.view) {
            self.lacks_names.store(true, Ordering::Relaxed);
        }
        let purpose = self.view.purpose(self.purpose, "purpose")?;
        let profile = ProfileView::new(self.context, self.call, location, &stored, self.view, purpose)?;
        R::read(&self.query, &profile)
    }

    /// Asks the node that leads these customers' shards.
    async fn ask(&self, leader: LeaderHint, asked: Vec<Asked>) -> Answered<R> {
        let customer_ids = asked.iter().map(|(_, location)| location.customer.to_string()).collect();
        let part = self.request.part(customer_ids);
        match self.context.forward(&leader, self.call, &part).await {
            Ok(answer) => {
                let missing = || {
                    Err(row_error(ServiceError::Internal {
                        context: "another node returned too few results of a batch",
                    }))
                };
                let mut items = R::items(answer).into_iter();
                let item = |(at, _)| (at, items.next().flatten().unwrap_or_else(missing));
                asked.into_iter().map(item).collect()
            }
            Err(error) => failed_alike::<R>(&asked, error),
        }
    }
}

/// Whether a customer was merged, or not any more.
fn is_redirection(error: &v1::RowError) -> bool {
    error.reason == CUSTOMER_MERGED || error.reason == MERGE_NOT_IN_FORCE
}

fn failed_alike<R: BatchRead>(asked: &[Asked], error: ServiceError) -> Answered<R> {
    let row = row_error(error);
    asked.iter().map(|(at, _)| (*at, Err(row.clone()))).collect()
}
