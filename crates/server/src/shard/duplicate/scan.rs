//! The scan of all customers, in steps of bounded work.
//!
//! ```text
//! index    shard by shard, customer by customer: blocking keys as the catalogue says now
//! compare  key by key: the index of every shard is sorted by blinded key, so a range of keys of all shards has whole blocks
//!          ─▶ pairs ─▶ their records ─▶ scores ─▶ queue
//! recheck  shard by shard, pair by pair: an open pair is compared again, and taken back if it no longer agrees, nor is in conflict
//! ```
//! Must always hold: a step depends on its position alone, and repeating it changes nothing. So a scan survives the death of any
//! node: its caller repeats the step. A node does one step at a time, and what computes longer than reads do runs apart from the
//! threads that serve calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use custodia_linkage::{BlockingDigests, CandidatePair, Features, PairIndex};
use custodia_profile::{BLOCK_REFINEMENTS, CustomerId, KeyEpoch, PairScore, ShardId};
use custodia_proto::internal::v1::{BlockEntry, BlockRange, IndexStep, PairWalk, duplicate_request::Action};
use futures::future::try_join_all;
use tokio::{
    sync::MutexGuard,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    message::{customer_in, customers_in, pair_bytes, pair_in_bytes},
    model::{TrainedModel, share_below},
};
use crate::{
    shard::ShardContext,
    wire::{ServiceError, now},
};

/// Entries of the index that a step of COMPARE reads, of all shards together.
const ENTRIES_MAX: usize = 4_096;
/// Entries that it reads of a shard at least.
const SHARD_ENTRIES_MIN: usize = 64;
/// Records that a step of INDEX reads.
const RECORDS_MAX: u32 = 256;
/// Pairs that a step of RECHECK compares.
const PAIRS_MAX: u32 = 128;

/// Where a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanPosition {
    /// After a customer of a shard.
    Index(ShardId, Option<CustomerId>),
    /// At a blocking key, blinded by the key of an epoch; 0: not begun.
    Compare { epoch: u32, from: u64 },
    /// After a pair of a shard.
    Recheck(ShardId, Option<[CustomerId; 2]>),
}

/// What a step did.
#[derive(Debug, Default)]
pub(crate) struct ScanStep {
    /// How much of the phase is done, 0 to 1.
    pub(crate) done: f64,
    pub(crate) records_read: u64,
    pub(crate) records_indexed: u64,
    pub(crate) pairs_compared: u64,
    pub(crate) pairs_found: u64,
    pub(crate) pairs_removed: u64,
    pub(crate) model: Option<Arc<TrainedModel>>,
    /// Where the next step goes on; none: the scan is complete.
    pub(crate) next: Option<ScanPosition>,
}

/// Two customers, and the score if they are not taken for two people.
pub(super) type Judged = ([CustomerId; 2], Option<PairScore>);

/// Whole blocks: all customers under the keys of a range.
pub(super) struct Blocks {
    pub(super) entries: Vec<BlockEntry>,
    /// The key after the range; none: it was the last.
    pub(super) next: Option<u64>,
    /// Of the blinding key that all blocking keys of all shards are under; none while they change.
    pub(super) epoch: Option<KeyEpoch>,
}

impl ShardContext {
    /// Does one step; none: a scan begins.
    pub(crate) async fn scan_step(
        &self,
        at: Option<ScanPosition>,
        deadline: Instant,
    ) -> Result<ScanStep, ServiceError> {
        let _scanning = self.scan_turn(deadline).await?;
        if !self.catalogue().leased_view(deadline).await?.catalogue.compares() {
            return Err(ServiceError::NothingCompared);
        }
        let at = match at {
            Some(at) => at,
            None => ScanPosition::Index(self.shard_after(None)?.ok_or(ServiceError::IndexUnavailable)?, None),
        };
        match at {
            ScanPosition::Index(shard, after) => self.index_step(shard, after, deadline).await,
            ScanPosition::Compare { epoch, from } => self.compare_step(epoch, from, deadline).await,
            ScanPosition::Recheck(shard, after) => self.recheck_step(shard, after, deadline).await,
        }
    }

    /// Held by the one step that this node does, of a scan or of a report.
    pub(in crate::shard) async fn scan_turn(
        &self,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, ()>, ServiceError> {
        let scanning = timeout_at(deadline, self.duplicates().scanning.lock()).await;
        scanning.map_err(|_elapsed| ServiceError::DeadlinePassed)
    }

    async fn index_step(
        &self,
        shard: ShardId,
        after: Option<CustomerId>,
        deadline: Instant,
    ) -> Result<ScanStep, ServiceError> {
        let after = after.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default().into();
        let step = Action::Index(IndexStep { after, records_max: RECORDS_MAX });
        let answer = self.ask(&self.leader_of_shard(shard)?, step, deadline).await?;
        let next = if answer.at_end {
            self.shard_after(Some(shard))?.map(|shard| ScanPosition::Index(shard, None))
        } else {
            Some(ScanPosition::Index(shard, Some(customer_in(&answer.last)?)))
        };
        Ok(ScanStep {
            done: self.share_done(next.and_then(shard_of)),
            records_read: answer.records_read,
            records_indexed: answer.records_indexed,
            next: next.or(Some(ScanPosition::Compare { epoch: 0, from: 0 })),
            ..ScanStep::default()
        })
    }

    /// A scan that the blinding key was rotated under compares anew: a block under one key is none under another.
    async fn compare_step(&self, epoch: u32, from: u64, deadline: Instant) -> Result<ScanStep, ServiceError> {
        if from == 0 {
            self.forget_models(deadline).await?;
        }
        let model = self.model(deadline).await?;
        let blocks = self.block_range(from, deadline).await?;
        let under = blocks.epoch.ok_or(ServiceError::BlindingKeyRotating)?.as_u32();
        if epoch != 0 && epoch != under {
            let next = Some(ScanPosition::Compare { epoch: under, from: 0 });
            return Ok(ScanStep { model: Some(model), next, ..ScanStep::default() });
        }
        let (customers, pairs) = pairs_of(&blocks.entries)?;
        let pair = |pair: &CandidatePair| {
            let of = |number: u32| customers.get(number as usize).copied();
            Some([of(pair.left)?, of(pair.right)?])
        };
        let pairs: Vec<_> = pairs.iter().filter_map(pair).collect();
        let compared = pairs.len();
        let mut judged = self.judged(pairs, &model, deadline).await?;
        judged.retain(|(_, score)| score.is_some());
        let (found, _removed) = self.queue(judged, deadline).await?;
        let next = match blocks.next {
            Some(next) => Some(ScanPosition::Compare { epoch: under, from: next }),
            None => self.shard_after(None)?.map(|shard| ScanPosition::Recheck(shard, None)),
        };
        Ok(ScanStep {
            done: blocks.next.map_or(1.0, share_below),
            pairs_compared: u64::try_from(compared).unwrap_or(u64::MAX),
            pairs_found: found,
            model: Some(model),
            next,
            ..ScanStep::default()
        })
    }

    async fn recheck_step(
        &self,
        shard: ShardId,
        after: Option<[CustomerId; 2]>,
        deadline: Instant,
    ) -> Result<ScanStep, ServiceError> {
        let model = self.model(deadline).await?;
        let after = after.map(pair_bytes).unwrap_or_default().into();
        let walk = Action::Pairs(PairWalk { after, pairs_max: PAIRS_MAX });
        let answer = self.ask(&self.leader_of_shard(shard)?, walk, deadline).await?;
        let pairs = answer.pairs.iter().map(customers_in).collect::<Result<Vec<_>, _>>()?;
        let compared = pairs.len();
        let judged = self.judged(pairs, &model, deadline).await?;
        // What was decided while the node of the copy did not answer; before the pairs change, or their copies would come back.
        let decided = answer.pairs.iter().filter(|pair| pair.decision != 0);
        self.copy_pairs(decided.cloned().collect::<Vec<_>>(), deadline).await?;
        let (found, mut removed) = self.queue(judged, deadline).await?;
        removed += self.retain_standing(&answer.pairs, deadline).await?;
        let next = if answer.at_end {
            self.shard_after(Some(shard))?.map(|shard| ScanPosition::Recheck(shard, None))
        } else {
            Some(ScanPosition::Recheck(
                shard,
                Some(pair_in_bytes(&answer.last).ok_or(ServiceError::Unreadable)?),
            ))
        };
        Ok(ScanStep {
            done: self.share_done(next.and_then(shard_of)),
            pairs_compared: u64::try_from(compared).unwrap_or(u64::MAX),
            pairs_found: found,
            pairs_removed: removed,
            model: Some(model),
            next,
            ..ScanStep::default()
        })
    }

    /// The blocks from a key on: as many as all shards together have read.
    pub(super) async fn block_range(&self, from: u64, deadline: Instant) -> Result<Blocks, ServiceError> {
        let leaders = self.every_leader()?;
        let shards: usize = leaders.iter().map(|part| part.shards.len()).sum();
        let entries_max = (ENTRIES_MAX / shards.max(1)).max(SHARD_ENTRIES_MIN);
        let range = BlockRange { from, entries_max: u32::try_from(entries_max).unwrap_or(u32::MAX) };
        let asked = leaders.iter().map(|part| self.ask(part, Action::Range(range), deadline));
        let answers = try_join_all(asked).await?;
        let (mut entries, mut next) = (Vec::new(), None);
        let mut epochs = BTreeSet::new();
        for blocks in answers.into_iter().flat_map(|answer| answer.blocks) {
            // Behind its last entry a shard may have more: only what is before is complete in all shards.
            let last = blocks.entries.last().map(|entry| entry.key).filter(|_| !blocks.at_end);
            next = [next, last].into_iter().flatten().min();
            epochs.insert(blocks.key_epoch);
            entries.extend(blocks.entries);
        }
        if let Some(end) = next {
            // One block that fills the range is cut off, or the scan would not come past it.
            let is_one_block = end == from;
            entries.retain(|entry| if is_one_block { entry.key == from } else { entry.key < end });
            next = if is_one_block { from.checked_add(1) } else { next };
        }
        let one_epoch = epochs.first().filter(|_| epochs.len() == 1);
        Ok(Blocks { entries, next, epoch: one_epoch.and_then(|epoch| KeyEpoch::new(*epoch).ok()) })
    }

    /// Compares pairs.
    async fn judged(
        &self,
        pairs: Vec<[CustomerId; 2]>,
        model: &Arc<TrainedModel>,
        deadline: Instant,
    ) -> Result<Vec<Judged>, ServiceError> {
        let mut customers: Vec<_> = pairs.iter().flatten().copied().collect();
        customers.sort_unstable();
        customers.dedup();
        let features = self.features_of(customers, deadline).await?;
        let (model, now) = (Arc::clone(model), now());
        let judge = move |[one, other]: [CustomerId; 2]| {
            let of = |customer: CustomerId| -> Option<&Features> { features.get(&customer) };
            let score = of(one).zip(of(other)).and_then(|(left, right)| model.judge(left, right, now));
            ([one.min(other), one.max(other)], score)
        };
        let judged = spawn_blocking(move || pairs.into_iter().map(judge).collect());
        judged
            .await
            .map_err(|_panicked| ServiceError::Internal { context: "a comparison ended without a result" })
    }

    /// The shard after another; after none the first.
    pub(crate) fn shard_after(&self, shard: Option<ShardId>) -> Result<Option<ShardId>, ServiceError> {
        self.routing().cluster()?;
        let directory = self.routing().consensus().directory();
        let shards = directory.shards().map(|placement| placement.shard);
        Ok(shards.filter(|next| shard.is_none_or(|shard| *next > shard)).min())
    }

    /// The share of the shards before this one; without one all.
    pub(in crate::shard) fn share_done(&self, shard: Option<ShardId>) -> f64 {
        let directory = self.routing().consensus().directory();
        let (mut before, mut all) = (0_u32, 0_u32);
        for placement in directory.shards() {
            all += 1;
            before += u32::from(shard.is_none_or(|shard| placement.shard < shard));
        }
        f64::from(before) / f64::from(all.max(1))
    }
}

const fn shard_of(at: ScanPosition) -> Option<ShardId> {
    match at {
        ScanPosition::Index(shard, _) | ScanPosition::Recheck(shard, _) => Some(shard),
        ScanPosition::Compare { .. } => None,
    }
}

/// The customers in these blocks, and the pairs of those who share one, by their place in the list.
fn pairs_of(entries: &[BlockEntry]) -> Result<(Vec<CustomerId>, Vec<CandidatePair>), ServiceError> {
    let mut records: BTreeMap<CustomerId, BlockingDigests> = BTreeMap::new();
    for entry in entries {
        let mut refinements = [0; BLOCK_REFINEMENTS];
        refinements.iter_mut().zip(&entry.refinements).for_each(|(place, value)| *place = *value);
        let new = || BlockingDigests { keys: Vec::new(), refinements };
        records.entry(customer_in(&entry.customer)?).or_insert_with(new).keys.push(entry.key);
    }
    let customers = records.keys().copied().collect();
    let mut pairs = Vec::new();
    PairIndex::new(records.into_values()).for_each(|pair| pairs.push(pair));
    pairs.sort_unstable();
    pairs.dedup();
    Ok((customers, pairs))
}

const INDEX: u8 = 1;
const COMPARE: u8 = 2;
const RECHECK: u8 = 3;

impl ScanPosition {
    /// As it stands in a token.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let shard_bytes = |shard: ShardId| shard.as_u16().to_be_bytes();
        match self {
            Self::Index(shard, after) => {
                let after = after.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default();
                [&[INDEX], &shard_bytes(shard)[..], &after].concat()
            }
            Self::Compare { epoch, from } => {
                [&[COMPARE], &epoch.to_be_bytes()[..], &from.to_be_bytes()].concat()
            }
            Self::Recheck(shard, after) => {
                [&[RECHECK], &shard_bytes(shard)[..], &after.map(pair_bytes).unwrap_or_default()].concat()
            }
        }
    }

    /// From a token.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (phase, rest) = bytes.split_first()?;
        if *phase == COMPARE {
            let (epoch, from) = rest.split_first_chunk::<4>()?;
            let from = u64::from_be_bytes(from.try_into().ok()?);
            return Some(Self::Compare { epoch: u32::from_be_bytes(*epoch), from });
        }
        let (shard, after) = rest.split_first_chunk::<2>()?;
        let shard = ShardId::new(u16::from_be_bytes(*shard)).ok()?;
        match (*phase, after) {
            (INDEX, []) => Some(Self::Index(shard, None)),
            (INDEX, after) => Some(Self::Index(shard, Some(customer_in(after).ok()?))),
            (RECHECK, []) => Some(Self::Recheck(shard, None)),
            (RECHECK, after) => Some(Self::Recheck(shard, Some(pair_in_bytes(after)?))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::PoolId;
    use proptest::prelude::*;

    use super::*;

    fn customer(tag: u8) -> CustomerId {
        CustomerId::from_parts(1_700_000_000_000, [tag; 10], PoolId::default())
    }

    proptest! {
        #[test]
        fn a_position_survives_its_token(shard in 0..4_096_u16, epoch: u32, key: u64, tags: Option<(u8, u8)>) {
            let shard = ShardId::new(shard).expect("a shard");
            let one = tags.map(|(tag, _)| customer(tag));
            let pair = tags.map(|(one, other)| [customer(one), customer(other)]);
            for at in [
                ScanPosition::Index(shard, one),
                ScanPosition::Compare { epoch, from: key },
                ScanPosition::Recheck(shard, pair),
            ] {
                prop_assert_eq!(ScanPosition::from_bytes(&at.to_bytes()), Some(at));
            }
        }

        #[test]
        fn no_bytes_make_a_position_panic(bytes: Vec<u8>) {
            if let Some(at) = ScanPosition::from_bytes(&bytes) {
                prop_assert_eq!(at.to_bytes(), bytes);
            }
        }
    }

    fn entry(key: u64, tag: u8, refinement: u32) -> BlockEntry {
        let customer = customer(tag).as_bytes().to_vec().into();
        BlockEntry { key, customer, refinements: vec![refinement, 0, 0, 0, 0] }
    }

    #[test]
    fn those_who_share_a_block_are_paired_and_an_over_full_block_is_refined() {
        let few: Vec<_> = (1..=3).map(|tag| entry(7, tag, 0)).collect();
        assert_eq!(pairs_of(&few).expect("well-formed").1.len(), 3);
        let apart: Vec<_> = (1..=3).map(|tag| entry(tag.into(), tag, 0)).collect();
        assert!(pairs_of(&apart).expect("well-formed").1.is_empty());
        let many: Vec<_> = (1..=40).map(|tag| entry(7, tag, u32::from(tag / 2) + 1)).collect();
        let (customers, pairs) = pairs_of(&many).expect("well-formed");
        let number = |tag: u8| (0..).zip(&customers).find(|(_, of)| **of == customer(tag)).expect("there").0;
        for tag in (2..40).step_by(2) {
            let (one, other) = (number(tag), number(tag + 1));
            let pair = CandidatePair { left: one.min(other), right: one.max(other) };
            assert!(pairs.contains(&pair), "{tag}: {pairs:?}");
        }
        assert!(pairs.len() < 60);
    }
}
