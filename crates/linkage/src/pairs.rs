//! From blocking digests to pairs of records, each pair once, in bounded memory.
//!
//! A pair belongs to the smallest key that both records have, so no set of pairs is kept. Keys are visited in
//! ascending order, one part of the key space at a time. A block with more than [`BLOCK_RECORDS_MAX`] records is
//! refined: only records that also share one of the refining values are paired; where that is still too many, a
//! second value is added. Where nothing refines, each record meets its neighbours in the order of the records: twenty
//! records of one person are a chain at least.

use std::collections::HashSet;

use crate::blocking::{BlockingDigests, REFINEMENTS};
use crate::random::mix;

/// Records that a block may have before it is refined.
pub const BLOCK_RECORDS_MAX: usize = 12;

/// Parts of the key space, which bound the memory for sorting.
const PARTS: u64 = 32;
/// Records that each record of a refined block meets where that is over-full too.
const NEIGHBOURS: usize = 8;
/// Records that each record meets where nothing refines its block.
const CHAIN: usize = 2;

/// The keys of many records, by the number of the record.
#[derive(Debug, Clone, Default)]
pub struct PairIndex {
    /// The keys of record `i` are `keys[ends[i - 1] .. ends[i]]`, sorted.
    keys: Vec<u64>,
    ends: Vec<usize>,
    refinements: Vec<[u32; REFINEMENTS]>,
}

/// Takes a key, and the key with the number of each record that has it.
type BlockVisitor<'a> = dyn FnMut(u64, &[(u64, u32)]) + 'a;

/// The blocks of an index.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// At least as many as [`PairIndex::for_each`] visits: the pairs of all blocks, with repetition.
    pub(crate) pairs_at_most: f64,
    over_full: HashSet<u64>,
}

/// A pair of records that share a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CandidatePair {
    /// Number of the record that was added first.
    pub left: u32,
    /// Number of the other record.
    pub right: u32,
}

impl PairIndex {
    /// An index with the digests of these records.
    pub fn new(records: impl IntoIterator<Item = BlockingDigests>) -> Self {
        let mut index = Self::default();
        for record in records {
            index.add(record);
        }
        index
    }

    /// Adds a record; its number is the count of those before it.
    pub fn add(&mut self, record: BlockingDigests) {
        let mut keys = record.keys;
        keys.sort_unstable();
        keys.dedup();
        self.keys.append(&mut keys);
        self.ends.push(self.keys.len());
        self.refinements.push(record.refinements);
    }

    /// Visits each pair of records that share a key. A pair whose keys are all over-full may come more than once.
    pub fn for_each(&self, mut visitor: impl FnMut(CandidatePair)) {
        self.visit(|_| true, &mut visitor);
    }

    /// Visits the pairs that belong to about `rate` of the keys, chosen by `seed`: each pair with this probability.
    pub(crate) fn sample(&self, rate: f64, seed: u64, mut visitor: impl FnMut(CandidatePair)) {
        let unit = |key: u64| (mix(key ^ seed) >> 11) as f64 / (1_u64 << 53) as f64;
        self.visit(|key| unit(key) < rate, &mut visitor);
    }

    /// What must be known before pairs are sampled.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        self.blocks(&mut |key, block| {
            let records = block.len() as f64;
            survey.pairs_at_most += records * (records - 1.0).min(BLOCK_RECORDS_MAX as f64) / 2.0;
            if block.len() > BLOCK_RECORDS_MAX {
                survey.over_full.insert(key);
            }
        });
        survey
    }

    /// Whether two records share a block that is not over-full, so that [`Self::for_each`] surely visits them.
    pub(crate) fn share_block(&self, left: u32, right: u32, survey: &Survey) -> bool {
        self.belongs_to_smaller(u64::MAX, left, right, &survey.over_full)
    }

    /// How often [`Self::for_each`] visits two records that share a key: once for each over-full block that they have in
    /// common, up to the first one that is not over-full. It is no more than that, because a refined block may leave them out.
    pub(crate) fn visits_at_most(&self, left: u32, right: u32, survey: &Survey) -> u32 {
        let (left, right) = (self.keys_of(left), self.keys_of(right));
        let mut visits = 0;
        for key in left.iter().filter(|key| right.binary_search(key).is_ok()) {
            visits += 1;
            if !survey.over_full.contains(key) {
                break;
            }
        }
        visits
    }

    fn blocks(&self, visitor: &mut BlockVisitor<'_>) {
        let mut entries: Vec<(u64, u32)> = Vec::new();
        for part in 0..PARTS {
            entries.clear();
            for (number, keys) in (0..).zip(self.records()) {
                let mine = |key: &&u64| **key >> (64 - PARTS.trailing_zeros()) == part;
                entries.extend(keys.iter().filter(mine).map(|key| (*key, number)));
            }
            entries.sort_unstable();
            for block in entries.chunk_by(|one, other| one.0 == other.0).filter(|block| block.len() > 1) {
                if let Some((key, _)) = block.first() {
                    visitor(*key, block);
                }
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = &[u64]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| self.keys.get(*start..*end).unwrap_or_default())
    }

    fn keys_of(&self, number: u32) -> &[u64] {
        let number = number as usize;
        let start = if number == 0 { Some(0) } else { self.ends.get(number - 1).copied() };
        match (start, self.ends.get(number)) {
            (Some(start), Some(end)) => self.keys.get(start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    fn visit(&self, chosen: impl Fn(u64) -> bool, visitor: &mut dyn FnMut(CandidatePair)) {
        let mut over_full: HashSet<u64> = HashSet::new();
        self.blocks(&mut |key, block| {
            let full = block.len() > BLOCK_RECORDS_MAX;
            if full {
                over_full.insert(key);
            }
            if !chosen(key) {
                return;
            }
            let mut emit = |left: u32, right: u32| {
                if !self.belongs_to_smaller(key, left, right, &over_full) {
                    let (left, right) = (left.min(right), left.max(right));
                    visitor(CandidatePair { left, right });
                }
            };
            let numbers: Vec<u32> = block.iter().map(|(_, number)| *number).collect();
            if full { self.refine(&numbers, 0, 0, &mut emit) } else { all_pairs(&numbers, &mut emit) }
        });
    }

    /// Whether a smaller key, with a block that is not over-full, already has this pair.
    fn belongs_to_smaller(&self, key: u64, left: u32, right: u32, over_full: &HashSet<u64>) -> bool {
        let (mut left, mut right) = (self.keys_of(left).iter(), self.keys_of(right).iter());
        let (mut one, mut other) = (left.next(), right.next());
        while let (Some(here), Some(there)) = (one, other) {
            if *here >= key || *there >= key {
                return false;
            }
            match here.cmp(there) {
                std::cmp::Ordering::Less => one = left.next(),
                std::cmp::Ordering::Greater => other = right.next(),
                std::cmp::Ordering::Equal => {
                    if over_full.is_empty() || !over_full.contains(here) {
                        return true;
                    }
                    (one, other) = (left.next(), right.next());
                }
            }
        }
        false
    }

    /// Pairs the records of a block that share one of the refining values from `from` on.
    fn refine(&self, numbers: &[u32], from: usize, depth: usize, emit: &mut dyn FnMut(u32, u32)) {
        let mut keyed: Vec<(u32, u32)> = Vec::with_capacity(numbers.len());
        let mut grouped: HashSet<u32> = HashSet::new();
        // values whose records have all been paired already
        let mut complete: HashSet<(usize, u32)> = HashSet::new();
        for refinement in from..REFINEMENTS {
            keyed.clear();
            keyed.extend(numbers.iter().map(|number| (self.refinement(*number, refinement), *number)));
            keyed.retain(|(value, _)| *value != 0);
            keyed.sort_unstable();
            for group in keyed.chunk_by(|one, other| one.0 == other.0) {
                // a value that all of them share refines nothing
                if group.len() < 2 || group.len() == numbers.len() {
                    continue;
                }
                grouped.extend(group.iter().map(|(_, number)| *number));
                let value = group.first().map_or(0, |(value, _)| *value);
                let group: Vec<u32> = group.iter().map(|(_, number)| *number).collect();
                let mut emit_new = |left: u32, right: u32| {
                    let paired = (from..refinement).any(|earlier| {
                        let value = self.refinement(left, earlier);
                        value == self.refinement(right, earlier) && complete.contains(&(earlier, value))
                    });
                    if !paired {
                        emit(left, right);
                    }
                };
                if group.len() <= BLOCK_RECORDS_MAX {
                    all_pairs(&group, &mut emit_new);
                    complete.insert((refinement, value));
                } else if depth == 0 {
                    self.refine(&group, refinement + 1, 1, &mut emit_new);
                } else {
                    neighbours(&group, NEIGHBOURS, &mut emit_new);
                }
            }
        }
        // many records of one person may have nothing that tells them apart
        let rest: Vec<u32> = numbers.iter().copied().filter(|number| !grouped.contains(number)).collect();
        neighbours(&rest, CHAIN, emit);
    }

    fn refinement(&self, number: u32, refinement: usize) -> u32 {
        self.refinements
            .get(number as usize)
            .and_then(|values| values.get(refinement))
            .copied()
            .unwrap_or_default()
    }
}

fn all_pairs(numbers: &[u32], emit: &mut dyn FnMut(u32, u32)) {
    for (position, left) in numbers.iter().enumerate() {
        for right in numbers.iter().skip(position + 1) {
            emit(*left, *right);
        }
    }
}

fn neighbours(numbers: &[u32], most: usize, emit: &mut dyn FnMut(u32, u32)) {
    for (position, left) in numbers.iter().enumerate() {
        for right in numbers.iter().skip(position + 1).take(most) {
            emit(*left, *right);
        }
    }
}
