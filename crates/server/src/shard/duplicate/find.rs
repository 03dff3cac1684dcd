//! Who may be the same person as one customer.

use std::{collections::BTreeMap, sync::Arc};

use custodia_linkage::{BLOCK_RECORDS_MAX, Edge, Features, clusters};
use custodia_profile::{
    BlockingSet, Catalogue, CustomerId, CustomerRecord, DuplicatePair, KeyEpoch, MatchVerdict, PairScore,
    ReviewDecision,
};
use custodia_proto::internal::v1::{BlockEntry, BlockLookup};
use custodia_store::Key;
use tokio::time::Instant;

use super::{
    blocking::blocking_set,
    features::{features, values},
    lookup::share_refinement,
    message::customer_in,
    model::TrainedModel,
};
use crate::{
    routing::CustomerLocation,
    shard::{Loaded, ShardContext},
    wire::{ServiceError, now},
};

/// Customers who are compared with one: those who share the most blocks.
const CANDIDATES_MAX: usize = 256;
/// Customers who are judged together, the one asked about included.
const CLUSTER_MAX: usize = 32;

/// A customer who may be the same person.
#[derive(Debug)]
pub(crate) struct Similar {
    pub(crate) customer: CustomerId,
    pub(crate) score: PairScore,
    /// What was decided about the two, if they were found before.
    pub(crate) decision: Option<ReviewDecision>,
}

/// Who was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The most probable first.
    pub(crate) similar: Vec<Similar>,
    /// The customers who are one person with the one asked about, if all pairs are judged together; this one included.
    pub(crate) cluster: Vec<CustomerId>,
    pub(crate) model: Arc<TrainedModel>,
}

impl ShardContext {
    /// Who may be the same person as this customer, among all who are compared.
    pub(crate) async fn find_duplicates(
        &self,
        location: CustomerLocation,
        record: &CustomerRecord,
        catalogue: &Catalogue,
        deadline: Instant,
    ) -> Result<Found, ServiceError> {
        if !catalogue.compares() {
            return Err(ServiceError::NothingCompared);
        }
        let customer = location.customer;
        let asked = features(customer, &values(record, catalogue));
        let model = self.model(deadline).await?;
        let candidates = self.candidates(customer, &asked, deadline).await?;
        let others = self.features_of(candidates, deadline).await?;
        let now = now();
        let mut similar = Vec::new();
        for (other, features) in &others {
            if let Some(score) = model.judge(&asked, features, now) {
                similar.extend(self.undecided(location, *other, score)?);
            }
        }
        similar.sort_by(|one, other| {
            other.score.probability.total_cmp(&one.score.probability).then(one.customer.cmp(&other.customer))
        });
        let members = similar.iter().filter(|similar| similar.score.verdict == MatchVerdict::Same);
        let members = members.filter_map(|similar| Some((similar.customer, others.get(&similar.customer)?)));
        let members: Vec<_> = [(customer, &asked)].into_iter().chain(members).take(CLUSTER_MAX).collect();
        let cluster = cluster_of_first(&members, &model);
        Ok(Found { similar, cluster, model })
    }
}

impl ShardContext {
    /// The customers who are in the same blocks.
    ///
    /// While the blinding key is rotated, some are in the index under one key, and the others under the other. The older is asked first: who
    /// moves in between is found under the newer. A shard may know of a newer one than this node; then it is asked again.
    async fn candidates(
        &self,
        customer: CustomerId,
        asked: &Features,
        deadline: Instant,
    ) -> Result<Vec<CustomerId>, ServiceError> {
        let mut from = KeyEpoch::FIRST;
        loop {
            let keys = self.blinding_keys(from, deadline).await?;
            let sets: Vec<_> = keys.all().iter().map(|key| blocking_set(asked, key)).collect();
            let (mut entries, mut newest) = (Vec::new(), 0);
            for set in &sets {
                let (keys, refinements) = (set.keys().to_vec(), set.refinements().to_vec());
                let (found, epoch) = self.blocks(&BlockLookup { keys, refinements }, deadline).await?;
                entries.extend(found);
                newest = newest.max(epoch);
            }
            if keys.all().last().is_some_and(|key| newest <= key.epoch().as_u32()) {
                return candidates(customer, &sets, &entries);
            }
            from = KeyEpoch::new(newest)?;
        }
    }

    /// The other customer, unless a person decided that the two are different and their records still agree as then.
    fn undecided(
        &self,
        location: CustomerLocation,
        other: CustomerId,
        score: PairScore,
    ) -> Result<Option<Similar>, ServiceError> {
        let key = Key::duplicate(location.group(), &location.customer, &other);
        let stored: Option<Loaded<DuplicatePair>> = self.load(location, &key)?;
        let pair = stored.map(|stored| stored.value);
        let decision = pair.as_ref().and_then(|pair| pair.review.as_ref()).map(|review| review.decision);
        if decision == Some(ReviewDecision::Different) {
            let known = pair.and_then(|pair| pair.score);
            let agrees_as_then = known.is_some_and(|known| known.agrees_with(&score));
            return Ok((!agrees_as_then).then_some(Similar { customer: other, score, decision: None }));
        }
        Ok(Some(Similar { customer: other, score, decision }))
    }
}

/// The customers who share the most blocks with one. In an over-full block only those count who share a refining value.
fn candidates(
    customer: CustomerId,
    sets: &[BlockingSet],
    entries: &[BlockEntry],
) -> Result<Vec<CustomerId>, ServiceError> {
    let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
    for entry in entries {
        *sizes.entry(entry.key).or_default() += 1;
    }
    let mut shared: BTreeMap<CustomerId, usize> = BTreeMap::new();
    for entry in entries {
        let is_over_full = sizes.get(&entry.key).is_some_and(|size| *size > BLOCK_RECORDS_MAX);
        let asked = sets.iter().find(|set| set.keys().binary_search(&entry.key).is_ok());
        let refined = asked.is_some_and(|set| share_refinement(&entry.refinements, set.refinements()));
        if !is_over_full || refined {
            *shared.entry(customer_in(&entry.customer)?).or_default() += 1;
        }
    }
    shared.remove(&customer);
    let mut candidates: Vec<_> = shared.into_iter().map(|(customer, count)| (count, customer)).collect();
    candidates.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    Ok(candidates.into_iter().take(CANDIDATES_MAX).map(|(_, customer)| customer).collect())
}

/// The members that are one person with the first.
fn cluster_of_first(members: &[(CustomerId, &Features)], model: &TrainedModel) -> Vec<CustomerId> {
    let least = model.thresholds().same_min_log_odds();
    let log_odds = |left: u32, right: u32| {
        let of = |number: u32| members.get(number as usize).map(|(_, features)| *features);
        of(left).zip(of(right)).map_or(f64::MIN, |(left, right)| model.log_odds(left, right))
    };
    let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let pairs = (0..count).flat_map(|left| (left + 1..count).map(move |right| (left, right)));
    let edges = pairs.map(|(left, right)| Edge { left, right, log_odds: log_odds(left, right) });
    let edges: Vec<_> = edges.filter(|edge| edge.log_odds >= least).collect();
    let clusters = clusters(count, &edges, log_odds);
    let first = clusters.first().copied();
    let mut together: Vec<_> = members
        .iter()
        .zip(&clusters)
        .filter(|(_, cluster)| Some(**cluster) == first)
        .map(|((customer, _), _)| *customer)
        .collect();
    together.sort_unstable();
    together
}
