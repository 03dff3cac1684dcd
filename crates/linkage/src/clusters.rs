//! From scored pairs to persons. Connected components would chain a household through one doubtful pair, so clusters
//! grow from the surest pair on, and two of them merge only if their members agree on the whole: the mean evidence of
//! all pairs between them must be for one person (agglomerative clustering by mean linkage).

use std::collections::HashMap;

/// Evidence of one pair that counts at most, in bits either way, so that no single pair outvotes the others.
const EVIDENCE_MAX: f64 = 12.0;
/// Pairs between two clusters that are looked at; larger ones are judged by as many, evenly chosen.
const CROSS_PAIRS_MAX: usize = 256;

/// A scored pair of records, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// One record.
    pub left: u32,
    /// The other record.
    pub right: u32,
    /// Bits for one person, prior included.
    pub log_odds: f64,
}

/// The cluster of each record, named by its smallest member. `edges` are the pairs that are taken for one person;
/// `log_odds` gives the evidence on any other pair. The order of the edges does not matter.
pub fn clusters(records: u32, edges: &[Edge], mut log_odds: impl FnMut(u32, u32) -> f64) -> Vec<u32> {
    let mut edges: Vec<Edge> = edges
        .iter()
        .map(|edge| Edge { left: edge.left.min(edge.right), right: edge.left.max(edge.right), ..*edge })
        .filter(|edge| edge.left != edge.right && edge.right < records)
        .collect();
    edges.sort_by(|one, other| {
        other.log_odds.total_cmp(&one.log_odds).then((one.left, one.right).cmp(&(other.left, other.right)))
    });
    let known: HashMap<(u32, u32), f64> =
        edges.iter().rev().map(|edge| ((edge.left, edge.right), edge.log_odds)).collect();
    let mut cluster_of: Vec<u32> = (0..records).collect();
    let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
    for edge in &edges {
        let of = |number: u32| cluster_of.get(number as usize).copied().unwrap_or(number);
        let (one, other) = (of(edge.left), of(edge.right));
        if one == other {
            continue;
        }
        let (into, from) = (one.min(other), one.max(other));
        let left = members.get(&into).cloned().unwrap_or_else(|| vec![into]);
        let right = members.get(&from).cloned().unwrap_or_else(|| vec![from]);
        let cross = left.len() * right.len();
        let step = cross.div_ceil(CROSS_PAIRS_MAX).max(1);
        let pairs = left.iter().flat_map(|one| right.iter().map(|other| (*one.min(other), *one.max(other))));
        let (mut sum, mut count) = (0.0, 0.0);
        for pair in pairs.step_by(step) {
            let evidence = known.get(&pair).copied().unwrap_or_else(|| log_odds(pair.0, pair.1));
            sum += evidence.clamp(-EVIDENCE_MAX, EVIDENCE_MAX);
            count += 1.0;
        }
        if sum / count < 0.0 {
            continue;
        }
        for number in &right {
            if let Some(slot) = cluster_of.get_mut(*number as usize) {
                *slot = into;
            }
        }
        members.remove(&from);
        let mut all = left;
        all.extend(right);
        all.sort_unstable();
        members.insert(into, all);
    }
    cluster_of
}
