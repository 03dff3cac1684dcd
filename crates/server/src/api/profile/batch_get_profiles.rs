//! BatchGetProfiles: the ids go to the leaders of their shards at the same time, one call per node, and the answers
//! stand in the order of the ids. What fails for one id is said for that id.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use custodia_consensus::ConsensusError;
use custodia_profile::{CustomerId, GroupId, NodeId, ShardId};
use custodia_proto::v1::{self, batch_profile::Result as Item};
use futures::future::join_all;
use prost::Message as _;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    error::{LeaderHint, ServiceError},
    forward::forward_message,
    parse::{self, within_limit},
    read::ReadRequest,
    context::ShardContext,
    status::row_error,
};
use crate::identity::Caller;

pub(crate) const METHOD: &str = "/custodia.v1.ProfileService/BatchGetProfiles";

/// A customer and its place among the ids.
type Asked = (usize, ShardId, CustomerId);
type Answered = Vec<(usize, Item)>;

/// What a response may still hold: beyond it an id is answered with the limit instead of the profile.
struct Budget(AtomicUsize);

impl Budget {
    fn of(context: &ShardContext) -> Self {
        // Some is left for ids, errors and framing.
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

/// What is the same for every id of a batch.
struct Reading<'a> {
    question: &'a ReadRequest,
    caller: &'a Caller,
    view: &'a CatalogueView,
}

/// Answers a caller's batch.
pub(crate) async fn batch_get(
    context: &ShardContext,
    caller: &Caller,
    request: v1::BatchGetProfilesRequest,
    deadline: Instant,
) -> Result<v1::BatchGetProfilesResponse, ServiceError> {
    within_limit("customer_ids", request.customer_ids.len(), context.limits().batch_ids_max)?;
    let question = ReadRequest::parse(&request.purpose, request.read_mask.as_ref(), request.verdicts)?;
    let view = context.view_for(&question, caller, deadline).await?;
    let (asked, mut answered) = sorted_out(context, &request)?;
    let mut here = Vec::new();
    let mut elsewhere: BTreeMap<NodeId, (LeaderHint, Vec<Asked>)> = BTreeMap::new();
    for one in asked {
        let group = GroupId::Shard(one.1);
        if context.leads(group) {
            here.push(one);
        } else if let Some(leader) = context.leader_hint(group) {
            elsewhere.entry(leader.node).or_insert_with(|| (leader, Vec::new())).1.push(one);
        } else {
            answered.push((one.0, failed(ServiceError::NotLeader { leader: None })));
        }
    }
    let forwarded =
        elsewhere.into_values().map(|(leader, asked)| ask(context, caller, &request, leader, asked, deadline));
    let budget = Budget::of(context);
    let reading = Reading { question: &question, caller, view: &view };
    let (local, remote) = futures::join!(local(context, here, &reading, &budget, deadline), join_all(forwarded));
    answered.extend(local);
    answered.extend(remote.into_iter().flatten().map(|(at, item)| (at, budget.spend(item))));
    Ok(in_order(&request, answered))
}

/// Answers the part of a batch that another node sent here; what this node does not lead is not passed on.
pub(crate) async fn batch_get_here(
    context: &ShardContext,
    caller: &Caller,
    request: v1::BatchGetProfilesRequest,
    deadline: Instant,
) -> Result<v1::BatchGetProfilesResponse, ServiceError> {
    within_limit("customer_ids", request.customer_ids.len(), context.limits().batch_ids_max)?;
    let question = ReadRequest::parse(&request.purpose, request.read_mask.as_ref(), request.verdicts)?;
    let view = context.view_for(&question, caller, deadline).await?;
    let (asked, mut answered) = sorted_out(context, &request)?;
    let reading = Reading { question: &question, caller, view: &view };
    answered.extend(local(context, asked, &reading, &Budget::of(context), deadline).await);
    Ok(in_order(&request, answered))
}

/// The ids that can be asked for, and what is said about the others.
fn sorted_out(
    context: &ShardContext,
    request: &v1::BatchGetProfilesRequest,
) -> Result<(Vec<Asked>, Answered), ServiceError> {
    let mut asked = Vec::with_capacity(request.customer_ids.len());
    let mut answered = Vec::new();
    for (at, text) in request.customer_ids.iter().enumerate() {
        match parse::customer_id(text) {
            Ok(customer) => asked.push((at, context.shard_of(customer)?, customer)),
            Err(error) => answered.push((at, failed(error.named(&format!("customer_ids[{at}]"))))),
        }
    }
    Ok((asked, answered))
}

fn failed(error: ServiceError) -> Item {
    Item::Error(row_error(error))
}

/// Reads on this node: one barrier per shard, then all its customers.
async fn local(
    context: &ShardContext,
    asked: Vec<Asked>,
    reading: &Reading<'_>,
    budget: &Budget,
    deadline: Instant,
) -> Answered {
    let mut by_shard: BTreeMap<ShardId, Vec<Asked>> = BTreeMap::new();
    for one in asked {
        by_shard.entry(one.1).or_default().push(one);
    }
    let shards = by_shard.into_iter().map(|(shard, asked)| async move {
        if !context.leads(GroupId::Shard(shard)) {
            let row = row_error(ConsensusError::NotLeader { leader: None }.into());
            return asked.into_iter().map(|(at, _, _)| (at, Item::Error(row.clone()))).collect();
        }
        // One barrier serves the whole shard: every id of the call was asked for before it.
        if let Err(error) = context.read_barrier(GroupId::Shard(shard), deadline).await {
            let row = row_error(error);
            return asked.into_iter().map(|(at, _, _)| (at, Item::Error(row.clone()))).collect();
        }
        let mut answered = Vec::with_capacity(asked.len());
        for (at, _, customer) in asked {
            let Reading { question, caller, view } = *reading;
            let profile = context.profile((shard, customer), question, caller, view, deadline).await;
            answered.push((at, profile.map_or_else(failed, |profile| budget.spend(Item::Profile(profile)))));
        }
        answered
    });
    let answered: Vec<Answered> = join_all(shards).await;
    answered.into_iter().flatten().collect()
}

/// Asks the node that leads the shards of these customers.
async fn ask(
    context: &ShardContext,
    caller: &Caller,
    request: &v1::BatchGetProfilesRequest,
    leader: LeaderHint,
    asked: Vec<Asked>,
    deadline: Instant,
) -> Answered {
    let part = v1::BatchGetProfilesRequest {
        customer_ids: asked.iter().map(|(_, _, customer)| customer.to_string()).collect(),
        purpose: request.purpose.clone(),
        read_mask: request.read_mask.clone(),
        verdicts: request.verdicts,
    };
    let answer: Result<v1::BatchGetProfilesResponse, _> =
        forward_message(context, &leader, caller, METHOD, &part, deadline).await;
    match answer {
        Ok(answer) => {
            let missing = || failed(ServiceError::Internal { context: "a batch came back short" });
            let mut items = answer.profiles.into_iter().map(|profile| profile.result);
            asked.into_iter().map(|(at, _, _)| (at, items.next().flatten().unwrap_or_else(missing))).collect()
        }
        Err(error) => {
            let row = row_error(error);
            asked.into_iter().map(|(at, _, _)| (at, Item::Error(row.clone()))).collect()
        }
    }
}

fn in_order(request: &v1::BatchGetProfilesRequest, mut answered: Answered) -> v1::BatchGetProfilesResponse {
    answered.sort_by_key(|(at, _)| *at);
    let items = request.customer_ids.iter().zip(answered);
    let profiles = items
        .map(|(id, (_, item))| v1::BatchProfile { customer_id: id.clone(), result: Some(item) })
        .collect();
    v1::BatchGetProfilesResponse { profiles }
}
