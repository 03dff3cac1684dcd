//! Runs the whole chain on records with known truth and counts pairs.

use std::collections::HashMap;

use custodia_linkage::{BlockingDigests, Edge, Features, Linkage, Model, PairIndex, clusters};

use crate::process::{CpuTimes, peak_resident_bytes};

/// Pairs below these log-odds are given up at once; the grid of thresholds begins above them.
const LOG_ODDS_MIN: f64 = -5.5;
/// Log-odds of the grid of thresholds: from 0.03 to 0.999 in half bits.
const GRID: std::ops::RangeInclusive<i32> = -10..=20;

/// Records, and what is true of them.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    features: Vec<Features>,
    persons: Vec<u32>,
    households: Vec<u32>,
}

impl Labelled {
    pub(super) fn add(&mut self, features: Features, person: u32, household: u32) {
        self.features.push(features);
        self.persons.push(person);
        self.households.push(household);
    }
}

#[derive(Debug, Clone, Copy)]
struct Quality {
    precision: f64,
    recall: f64,
    false_in_household: u64,
    false_elsewhere: u64,
}

impl Quality {
    fn f1(self) -> f64 {
        2.0 * self.precision * self.recall / (self.precision + self.recall).max(f64::MIN_POSITIVE)
    }
}

/// What came of one set.
#[derive(Debug)]
pub(super) struct Evaluation {
    /// A row of the table.
    pub(super) row: String,
    /// The cluster of each record at the default threshold.
    pub(super) clusters: Vec<u32>,
}

/// The names of the columns.
pub(super) fn header() -> String {
    format!(
        "{:<12}{:>9}{:>11}{:>14}{:>11}{:>11}{:>9}{:>9}{:>9}{:>9}{:>13}{:>13}{:>8}{:>9}",
        "set",
        "records",
        "pairs",
        "completeness",
        "threshold",
        "precision",
        "recall",
        "F1",
        "best F1",
        "gap",
        "false, home",
        "false, other",
        "CPU s",
        "peak MB"
    )
}

/// Trains, blocks, scores and clusters.
pub(super) fn evaluate(name: &str, records: &Labelled, seed: u64) -> Evaluation {
    let before = CpuTimes::of(&[std::process::id()]);
    let features = &records.features;
    let model = Linkage::train(features, seed);
    let index = PairIndex::new(features.iter().map(BlockingDigests::of));
    let (mut pairs, mut edges) = (0_u64, Vec::new());
    let mut found = Vec::new();
    index.for_each(|pair| {
        pairs += 1;
        let (left, right) = (pair.left as usize, pair.right as usize);
        if records.persons[left] == records.persons[right] {
            found.push(pair);
        }
        if let Some(log_odds) = model.log_odds_from(&features[left], &features[right], LOG_ODDS_MIN) {
            edges.push(Edge { left: pair.left, right: pair.right, log_odds });
        }
    });
    edges.sort_by_key(|edge| (edge.left, edge.right));
    edges.dedup_by_key(|edge| (edge.left, edge.right));
    found.sort();
    found.dedup();
    let truth = true_pairs(&records.persons);
    let clusters = clusters_from(records, &model, &edges, model.thresholds().same_min_log_odds());
    let cpu = CpuTimes::of(&[std::process::id()]).since(&before);
    let peak = peak_resident_bytes() / 1_000_000;
    let default = quality(records, &clusters, truth);
    let best = GRID.map(|step| {
        quality(records, &clusters_from(records, &model, &edges, f64::from(step) / 2.0), truth).f1()
    });
    let best = best.fold(default.f1(), f64::max);
    let row = format!(
        "{name:<12}{:>9}{pairs:>11}{:>14.4}{:>11.3}{:>11.4}{:>9.4}{:>9.4}{best:>9.4}{:>9.4}{:>13}{:>13}{:>8.1}{peak:>9}",
        features.len(),
        found.len() as f64 / truth.max(1) as f64,
        model.thresholds().same_min,
        default.precision,
        default.recall,
        default.f1(),
        best - default.f1(),
        default.false_in_household,
        default.false_elsewhere,
        cpu.as_secs_f64(),
    );
    Evaluation { row, clusters }
}

fn true_pairs(persons: &[u32]) -> u64 {
    let mut sizes: HashMap<u32, u64> = HashMap::new();
    for person in persons {
        *sizes.entry(*person).or_default() += 1;
    }
    sizes.into_values().map(|size| size * (size - 1) / 2).sum()
}

/// The clusters that the edges from `min` log-odds on make.
fn clusters_from(records: &Labelled, model: &Model, edges: &[Edge], min: f64) -> Vec<u32> {
    let edges: Vec<Edge> = edges.iter().copied().filter(|edge| edge.log_odds >= min).collect();
    let features = &records.features;
    let count = u32::try_from(features.len()).expect("fewer than 2^32 records");
    clusters(count, &edges, |left, right| model.log_odds(&features[left as usize], &features[right as usize]))
}

/// Counts the pairs of clusters.
fn quality(records: &Labelled, clusters: &[u32], truth: u64) -> Quality {
    let mut members: Vec<(u32, usize)> = clusters.iter().copied().zip(0..).collect();
    members.sort_unstable();
    let (mut right, mut false_in_household, mut false_elsewhere) = (0, 0, 0);
    for cluster in members.chunk_by(|one, other| one.0 == other.0) {
        for (position, (_, one)) in cluster.iter().enumerate() {
            for (_, other) in &cluster[position + 1..] {
                if records.persons[*one] == records.persons[*other] {
                    right += 1;
                } else if records.households[*one] == records.households[*other] {
                    false_in_household += 1;
                } else {
                    false_elsewhere += 1;
                }
            }
        }
    }
    let all: u64 = right + false_in_household + false_elsewhere;
    Quality {
        precision: right as f64 / all.max(1) as f64,
        recall: right as f64 / truth.max(1) as f64,
        false_in_household,
        false_elsewhere,
    }
}
