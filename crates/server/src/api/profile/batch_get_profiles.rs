//! BatchGetProfiles: asks the leaders of all shards in parallel, with one call for each node.
//!
//! Invariant: the results are in the order of the ids, and an error for one id is that id's result only.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use custodia_profile::{GroupId, NodeId, PurposeId, ShardId};
use custodia_proto::v1::{self, batch_profile::Result as Item};
use futures::future::join_all;
use prost::Message as _;

use super::get_profile::ReadRequest;
use crate::{
    api::handler::ShardLeadersCall,
    catalogue::{CatalogueNeed, CatalogueView},
    propose::TRIES_MAX,
    routing::{Call, CustomerLocation, Route},
    shard::{ProfileView, ShardContext, reader_for},
    wire::{
        LeaderHint, ServiceError,
        parse::{self, within_limit},
        row_error,
    },
};

/// An index in the ids, and the customer there.
type Asked = (usize, CustomerLocation);
type Answered = Vec<(usize, Item)>;

/// The bytes that are left in the response. Beyond them, an id's result is an error instead of the profile.
struct Budget(AtomicUsize);

impl Budget {
    fn of(context: &ShardContext) -> Self {
        // An eighth is left for ids, errors and framing.
        Self(AtomicUsize::new(context.limits().response_bytes_max / 8 * 7))
    }

    fn spend(&self, item: Item) -> Item {
        let Item::Profile(profile) = &item else { return item };
        let bytes = profile.encoded_len();
        let rest = |left: usize| left.checked_sub(bytes);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest) {
            Ok(_left) => item,
            Err(_left) => failed(ServiceError::ResponseTooLarge { limit: "response_bytes_max" }),
        }
    }
}

/// What all ids of a batch share.
struct Batch<'a> {
    context: &'a ShardContext,
    call: &'a Call,
    request: &'a v1::BatchGetProfilesRequest,
    purpose: &'a PurposeId,
    query: ReadRequest,
    view: &'a CatalogueView,
    need: CatalogueNeed,
    /// Whether an answer would name something that the catalogue lacks and a newer one may have.
    lacks_names: AtomicBool,
    budget: Budget,
}

impl ShardLeadersCall for v1::BatchGetProfilesRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        within_limit("customer_ids", self.customer_ids.len(), context.limits().batch_ids_max)?;
        let stated = parse::purpose(&self.purpose, "purpose")?;
        let parsed = |view: &CatalogueView| {
            reader_for(&call.caller, view, view.purpose(&stated, "purpose")?)?;
            ReadRequest::parse(self.read_mask.as_ref(), self.verdicts, view)
        };
        let mut need = CatalogueNeed::Names;
        for _ in 0..TRIES_MAX {
            let (view, query) =
                context.catalogue().parse_on(need, call.deadline, parsed, |_, _| true).await?;
            let (purpose, budget) = (&stated, Budget::of(context));
            let lacks_names = AtomicBool::new(false);
            let (request, view) = (&self, &*view);
            let batch = Batch { context, call, request, purpose, query, view, need, lacks_names, budget };
            let answered = batch.answer().await?;
            if batch.lacks_names.into_inner() {
                need = CatalogueNeed::Current;
            } else if context.catalogue().is_in_force(view) {
                return Ok(in_order(&self, answered));
            }
        }
        Err(ServiceError::CatalogueUnavailable)
    }
}

impl Batch<'_> {
    async fn answer(&self) -> Result<Answered, ServiceError> {
        let mut answered = Vec::new();
        let mut here: BTreeMap<ShardId, Vec<Asked>> = BTreeMap::new();
        let mut elsewhere: BTreeMap<NodeId, (LeaderHint, Vec<Asked>)> = BTreeMap::new();
        for (at, text) in self.request.customer_ids.iter().enumerate() {
            let location = match parse::customer_id(text) {
                Ok(customer) => self.context.routing().locate(customer)?,
                Err(error) => {
                    answered.push((at, failed(error.named(&format!("customer_ids[{at}]")))));
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
                Err(error) => answered.push((at, failed(error))),
            }
        }
        let local = here.into_iter().map(|(shard, asked)| self.read_shard(shard, asked));
        let remote = elsewhere.into_values().map(|(leader, asked)| self.ask(leader, asked));
        let (local, remote) = futures::join!(join_all(local), join_all(remote));
        answered.extend(local.into_iter().flatten());
        answered.extend(remote.into_iter().flatten().map(|(at, item)| (at, self.budget.spend(item))));
        Ok(answered)
    }

    /// Reads on this node. One barrier serves the whole shard, since the call came before it.
    async fn read_shard(&self, shard: ShardId, asked: Vec<Asked>) -> Answered {
        let Call { read_mode, deadline, .. } = *self.call;
        let barrier = self.context.routing().read_barrier(GroupId::Shard(shard), read_mode, deadline).await;
        let barrier = match barrier {
            Ok(barrier) => barrier,
            Err(error) => return failed_alike(&asked, error),
        };
        let mut answered = Vec::with_capacity(asked.len());
        for (at, location) in asked {
            let profile = self.read(location);
            let valid = self.context.routing().still_valid(GroupId::Shard(shard), &barrier);
            let profile = valid.and(profile);
            answered
                .push((at, profile.map_or_else(failed, |profile| self.budget.spend(Item::Profile(profile)))));
        }
        answered
    }

    fn read(&self, location: CustomerLocation) -> Result<v1::Profile, ServiceError> {
        let stored = self.context.core(location)?.ok_or(ServiceError::CustomerNotFound)?;
        if self.need == CatalogueNeed::Names && !self.query.knows(&stored.value, self.view) {
            self.lacks_names.store(true, Ordering::Relaxed);
        }
        let (caller, purpose) = (&self.call.caller, self.view.purpose(self.purpose, "purpose")?);
        self.query.answer(&ProfileView::new(self.context, caller, location, &stored, self.view, purpose)?)
    }

    /// Asks the node that leads these customers' shards.
    async fn ask(&self, leader: LeaderHint, asked: Vec<Asked>) -> Answered {
        let part = v1::BatchGetProfilesRequest {
            customer_ids: asked.iter().map(|(_, location)| location.customer.to_string()).collect(),
            ..self.request.clone()
        };
        match self.context.forward(&leader, self.call, &part).await {
            Ok(answer) => {
                let missing = || {
                    failed(ServiceError::Internal {
                        context: "another node returned too few results of a batch",
                    })
                };
                let mut items = answer.profiles.into_iter().map(|profile| profile.result);
                let item = |(at, _)| (at, items.next().flatten().unwrap_or_else(missing));
                asked.into_iter().map(item).collect()
            }
            Err(error) => failed_alike(&asked, error),
        }
    }
}

fn failed(error: ServiceError) -> Item {
    Item::Error(row_error(error))
}

fn failed_alike(asked: &[Asked], error: ServiceError) -> Answered {
    let row = row_error(error);
    asked.iter().map(|(at, _)| (*at, Item::Error(row.clone()))).collect()
}

fn in_order(request: &v1::BatchGetProfilesRequest, mut answered: Answered) -> v1::BatchGetProfilesResponse {
    answered.sort_by_key(|(at, _)| *at);
    let items = request.customer_ids.iter().zip(answered);
    let profiles = items
        .map(|(id, (_, item))| v1::BatchProfile { customer_id: id.clone(), result: Some(item) })
        .collect();
    v1::BatchGetProfilesResponse { profiles }
}
