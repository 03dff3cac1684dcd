//! Asks the leaders of shards, this node among them, with one call for each node.
//!
//! Invariant: a failure of one is a failure of the whole. A part of the customers would pass for all of them.

use std::collections::BTreeMap;

use custodia_linkage::Features;
use custodia_profile::{CustomerId, GroupId, NodeId, ShardId};
use custodia_proto::internal::v1::{
    BlockEntry, BlockLookup, DuplicateAnswer, DuplicateRequest, ForgetModel, MatchRecord, RecordBatch,
    duplicate_request::Action,
};
use futures::future::{BoxFuture, try_join_all};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{
    features::features,
    leader::answer_duplicate_call,
    message::{customer_in, values_in},
};
use crate::{
    routing::{Hop, Route},
    shard::{ShardContext, claims::of_index},
    wire::{LeaderHint, ServiceError},
};

/// Records that one call asks for.
const RECORDS_AT_ONCE: usize = 512;

/// A node, and what is asked of it. None: this node.
pub(in crate::shard) struct Part<T> {
    pub(in crate::shard) leader: Option<LeaderHint>,
    pub(in crate::shard) shards: Vec<ShardId>,
    pub(super) of: Vec<T>,
}

/// What it means that another node does not answer a call to the leaders of shards.
pub(in crate::shard) fn no_answer(leader: &LeaderHint, about: &str, status: Status) -> ServiceError {
    let code = status.code();
    tracing::debug!(node = %leader.node, ?code, "no answer about {about}");
    if code == Code::DeadlineExceeded {
        ServiceError::DeadlinePassed
    } else if matches!(code, Code::Unavailable | Code::Cancelled | Code::Unknown) {
        ServiceError::IndexUnavailable
    } else {
        ServiceError::Forwarded(Box::new(status))
    }
}

impl ShardContext {
    /// All shards, by the node that leads them.
    pub(in crate::shard) fn every_leader(&self) -> Result<Vec<Part<()>>, ServiceError> {
        let directory = self.routing().consensus().directory();
        self.by_leader(directory.shards().map(|placement| (placement.shard, ())))
    }

    /// The leader of one shard.
    pub(in crate::shard) fn leader_of_shard(&self, shard: ShardId) -> Result<Part<()>, ServiceError> {
        self.by_leader([(shard, ())])?.pop().ok_or(ServiceError::IndexUnavailable)
    }

    /// What belongs to shards, by the node that leads them.
    pub(super) fn by_leader<T>(
        &self,
        all: impl IntoIterator<Item = (ShardId, T)>,
    ) -> Result<Vec<Part<T>>, ServiceError> {
        let mut parts: BTreeMap<Option<NodeId>, Part<T>> = BTreeMap::new();
        for (shard, one) in all {
            let route = self.routing().route(GroupId::Shard(shard), Hop::First);
            let leader = match route.map_err(|_error| ServiceError::IndexUnavailable)? {
                Route::Here => None,
                Route::Forward(leader) => Some(leader),
            };
            let node = leader.as_ref().map(|leader| leader.node);
            let part =
                parts.entry(node).or_insert_with(|| Part { leader, shards: Vec::new(), of: Vec::new() });
            if part.shards.last() != Some(&shard) && !part.shards.contains(&shard) {
                part.shards.push(shard);
            }
            part.of.push(one);
        }
        Ok(parts.into_values().collect())
    }

    /// Asks one node.
    pub(super) async fn ask<T>(
        &self,
        part: &Part<T>,
        action: Action,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let shards = part.shards.iter().map(|shard| shard.as_u16().into()).collect();
        let request = DuplicateRequest { shards, action: Some(action) };
        let Some(leader) = &part.leader else {
            return Box::pin(answer_duplicate_call(self, &request, deadline)).await.map_err(of_index);
        };
        let answer = self.routing().peers().call_duplicates(leader, request, deadline).await;
        answer.map_err(|status| no_answer(leader, "duplicates", status))
    }

    /// The entries of these blocks in all shards, and the epoch of the newest blinding key that some may be under.
    pub(super) async fn blocks(
        &self,
        lookup: &BlockLookup,
        deadline: Instant,
    ) -> Result<(Vec<BlockEntry>, u32), ServiceError> {
        let leaders = self.every_leader()?;
        let asked = leaders.iter().map(|part| self.ask(part, Action::Lookup(lookup.clone()), deadline));
        let answers = try_join_all(asked).await?;
        let blocks = || answers.iter().flat_map(|answer| &answer.blocks);
        let newest = blocks().map(|of| of.key_epoch).max().unwrap_or_default();
        Ok((blocks().flat_map(|of| &of.entries).cloned().collect(), newest))
    }

    /// Makes every node learn anew before it judges the next pair.
    pub(super) async fn forget_models(&self, deadline: Instant) -> Result<(), ServiceError> {
        let leaders = self.every_leader()?;
        try_join_all(leaders.iter().map(|part| self.ask(part, Action::ForgetModel(ForgetModel {}), deadline)))
            .await
            .map(drop)
    }

    /// The records of these customers as the model sees them; none of a customer who is not compared.
    pub(super) async fn features_of(
        &self,
        customers: impl IntoIterator<Item = CustomerId>,
        deadline: Instant,
    ) -> Result<BTreeMap<CustomerId, Features>, ServiceError> {
        let mut found = BTreeMap::new();
        for record in self.records_of(customers.into_iter().collect(), deadline).await? {
            let customer = customer_in(&record.customer)?;
            found.insert(customer, features(customer, &values_in(record)?));
        }
        Ok(found)
    }

    /// What is compared of these customers, and the namespaces of their identifiers; nothing of a customer who is not compared.
    ///
    /// Of a named type, because writes call it too, and it is deep.
    pub(super) fn records_of(
        &self,
        customers: Vec<CustomerId>,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Vec<MatchRecord>, ServiceError>> {
        Box::pin(async move {
            let located =
                customers.into_iter().map(|customer| Ok((self.routing().locate(customer)?.shard, customer)));
            let parts = self.by_leader(located.collect::<Result<Vec<_>, ServiceError>>()?)?;
            let answers = try_join_all(parts.iter().map(|part| self.records_in(part, deadline))).await?;
            Ok(answers.into_iter().flatten().flat_map(|answer| answer.records).collect())
        })
    }

    async fn records_in(
        &self,
        part: &Part<CustomerId>,
        deadline: Instant,
    ) -> Result<Vec<DuplicateAnswer>, ServiceError> {
        let mut answers = Vec::new();
        for batch in part.of.chunks(RECORDS_AT_ONCE) {
            let customers = batch.iter().map(|customer| customer.as_bytes().to_vec().into()).collect();
            answers.push(self.ask(part, Action::Records(RecordBatch { customers }), deadline).await?);
        }
        Ok(answers)
    }
}
