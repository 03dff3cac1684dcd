//! The pairs of whom one ingest named identifiers: merge proposals (ID-3, ID-4).
//!
//! ```text
//! an ingest finds c by one identifier, and d holds another
//!   c and d live, neither restricted ─▶ conflict to the pair ─▶ to its copy ─▶ the ingest commits
//! ```
//! Must always hold: what an ingest said of two customers is in the queue before the ingest is committed, once. Only a decision, a
//! merge, a restriction or the end of the conflict takes it out: it needs no model.

use std::collections::{BTreeMap, BTreeSet};

use custodia_profile::{CustomerId, DuplicatePair, IdentifierConflict, NamespaceId};
use custodia_proto::internal::v1::{DuplicateAnswer, PairBatch, StoredPair, duplicate_request::Action};
use tokio::time::Instant;

use super::{
    message::{conflict_message, conflicts_in, customer_in, customers_in},
    pairs::{PairUpdate, changed},
};
use crate::{
    shard::{Loaded, ShardContext},
    wire::{ServiceError, now},
};

/// The namespaces of the identifiers that another customer holds, by that customer.
pub(crate) type HeldByOthers = BTreeMap<CustomerId, BTreeSet<NamespaceId>>;

/// From whichever node.
impl ShardContext {
    /// Puts pairs of a customer and others into the queue, because one ingest named identifiers of both. Repeating it changes nothing.
    pub(in crate::shard) async fn propose_pairs(
        &self,
        customer: CustomerId,
        mut held: HeldByOthers,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        held.remove(&customer);
        if held.is_empty() {
            return Ok(());
        }
        let live = self.holdings(held.keys().copied().chain([customer]), deadline).await?;
        held.retain(|holder, _| live.contains_key(holder));
        if held.is_empty() || !live.contains_key(&customer) {
            return Ok(());
        }
        let found_at = now();
        let proposed = held.into_iter().map(|(holder, namespaces)| {
            let conflict = |namespace| IdentifierConflict { namespace, holder, found_at };
            let conflicts: Vec<_> = namespaces.into_iter().map(conflict).collect();
            message_of([customer.min(holder), customer.max(holder)], &conflicts)
        });
        let pairs = self.put(proposed, Action::Propose, deadline).await?;
        self.copy_pairs(pairs, deadline).await
    }

    /// Takes back the conflicts of open pairs that have ended: one of the two was merged, or is restricted; or the holder has no
    /// identifier of that namespace any more. How many pairs left the queue.
    pub(super) async fn retain_standing(
        &self,
        pairs: &[StoredPair],
        deadline: Instant,
    ) -> Result<u64, ServiceError> {
        let mut in_conflict = Vec::new();
        for pair in pairs.iter().filter(|pair| !pair.conflicts.is_empty()) {
            in_conflict.push((customers_in(pair)?, conflicts_in(pair)?));
        }
        if in_conflict.is_empty() {
            return Ok(0);
        }
        let customers: BTreeSet<_> = in_conflict.iter().flat_map(|(customers, _)| *customers).collect();
        let live = self.holdings(customers, deadline).await?;
        let stands = |customers: &[CustomerId; 2], conflict: &IdentifierConflict| {
            let held = live.get(&conflict.holder).is_some_and(|held| held.contains(&conflict.namespace));
            held && customers.iter().all(|customer| live.contains_key(customer))
        };
        let ended = in_conflict.into_iter().filter_map(|(customers, mut conflicts)| {
            let before = conflicts.len();
            conflicts.retain(|conflict| stands(&customers, conflict));
            (conflicts.len() < before).then(|| message_of(customers, &conflicts))
        });
        let changed = self.put(ended.collect::<Vec<_>>(), Action::Retain, deadline).await?;
        let removed = changed.iter().filter(|pair| is_removed(pair)).count();
        self.copy_pairs(changed, deadline).await?;
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }

    /// Takes the pair of a customer who was merged into another out of the queue, unless it was decided.
    pub(in crate::shard) async fn forget_merged_pair(
        &self,
        survivor: CustomerId,
        merged: CustomerId,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        if self.holdings([merged], deadline).await?.contains_key(&merged) {
            return Ok(());
        }
        let customers = [survivor.min(merged), survivor.max(merged)];
        self.queue(vec![(customers, None)], deadline).await?;
        let changed = self.put([message_of(customers, &[])], Action::Retain, deadline).await?;
        self.copy_pairs(changed, deadline).await
    }

    /// The namespaces of which each of these customers has identifiers; none of a customer who was merged or is restricted.
    async fn holdings(
        &self,
        customers: impl IntoIterator<Item = CustomerId>,
        deadline: Instant,
    ) -> Result<BTreeMap<CustomerId, BTreeSet<NamespaceId>>, ServiceError> {
        let mut held = BTreeMap::new();
        for record in self.records_of(customers.into_iter().collect(), deadline).await? {
            let namespaces = record.namespaces.iter().map(|namespace| NamespaceId::new(namespace));
            held.insert(customer_in(&record.customer)?, namespaces.collect::<Result<_, _>>()?);
        }
        Ok(held)
    }
}

/// On the leader of the shard of a pair's first customer.
impl ShardContext {
    /// Adds conflicts to pairs; all of them are returned, so that their copies can be brought up to date.
    pub(super) async fn proposed_pairs(
        &self,
        batch: &PairBatch,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let store = |pair: StoredPair| async move {
            let (customers, conflicts) = (customers_in(&pair)?, conflicts_in(&pair)?);
            let change = |stored: Option<&Loaded<DuplicatePair>>| Ok(proposed(stored, &conflicts));
            match self.change_pair(customers, deadline, change).await? {
                Some(changed) => Ok(Some(changed)),
                None => self.stored_pair(customers),
            }
        };
        self.each_pair(batch, store).await
    }

    /// Takes all conflicts but these from open pairs.
    pub(super) async fn retained_pairs(
        &self,
        batch: &PairBatch,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let store = |pair: StoredPair| async move {
            let (customers, standing) = (customers_in(&pair)?, conflicts_in(&pair)?);
            let change = |stored: Option<&Loaded<DuplicatePair>>| Ok(retained(stored, &standing));
            self.change_pair(customers, deadline, change).await
        };
        self.each_pair(batch, store).await
    }
}

/// Whether a pair that was changed is no more.
pub(super) fn is_removed(pair: &StoredPair) -> bool {
    pair.score.is_none() && pair.conflicts.is_empty()
}

fn proposed(stored: Option<&Loaded<DuplicatePair>>, conflicts: &[IdentifierConflict]) -> PairUpdate {
    let conflicts = conflicts.iter().cloned();
    match stored {
        Some(stored) => changed(&stored.value, stored.value.clone().in_conflict(conflicts)),
        None => PairUpdate::Put(DuplicatePair { score: None, conflicts: conflicts.collect(), review: None }),
    }
}

fn retained(stored: Option<&Loaded<DuplicatePair>>, standing: &[IdentifierConflict]) -> PairUpdate {
    let Some(stored) = stored else { return PairUpdate::None };
    stored
        .value
        .clone()
        .with_standing(standing)
        .map_or(PairUpdate::Remove, |after| changed(&stored.value, after))
}

fn message_of([customer, other]: [CustomerId; 2], conflicts: &[IdentifierConflict]) -> StoredPair {
    StoredPair {
        customer: customer.as_bytes().to_vec().into(),
        other: other.as_bytes().to_vec().into(),
        conflicts: conflicts.iter().map(conflict_message).collect(),
        ..StoredPair::default()
    }
}
