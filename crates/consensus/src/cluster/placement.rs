//! Where replicas are placed when a cluster is created. Pure: the same nodes give the same map, so an interrupted creation
//! can be repeated.
//!
//! ```text
//! nodes 1 2 3 4, three replicas:   shard 0 → 1* 2 3    shard 1 → 2* 3 4    shard 2 → 3* 4 1   …   (* preferred leader)
//! replica ids:                     directory: the node's own number; shards: from 2^32 on, in order, never reused
//! ```

use custodia_profile::{NodeId, ReplicaId, ShardId};

use crate::directory::{Placement, ShardPlacement};
use crate::error::ConsensusError;
use crate::transport::Peer;

/// Smaller ids belong to the directory's replicas, whose ids are the numbers of their nodes.
pub(crate) const FIRST_SHARD_REPLICA: u64 = 1 << 32;

/// The version of the first map.
pub(crate) const FIRST_MAP_VERSION: u64 = 1;

const DIRECTORY_VOTERS_MAX: usize = 5;
const INVALID: fn(&'static str) -> ConsensusError = |reason| ConsensusError::InvalidShape { reason };

/// The nodes whose directory replicas vote: the largest possible odd number, at most five.
pub(crate) fn directory_voters(nodes: &[Peer]) -> &[Peer] {
    let voters = nodes.len().min(DIRECTORY_VOTERS_MAX);
    let odd = if voters.is_multiple_of(2) { voters.saturating_sub(1) } else { voters };
    nodes.get(..odd).unwrap_or(nodes)
}

/// The directory's replica on a node.
pub(crate) fn directory_replica(node: NodeId) -> u64 {
    u64::from(node.as_u32())
}

/// Checks the requested shape and sorts the nodes.
pub(crate) fn checked_nodes(
    mut nodes: Vec<Peer>,
    shards: u16,
    replicas: u8,
) -> Result<Vec<Peer>, ConsensusError> {
    nodes.sort();
    let doubled = nodes.windows(2).any(|pair| match pair {
        [first, second] => first.node == second.node || first.address == second.address,
        _ => false,
    });
    if doubled {
        return Err(INVALID("a node or an address appears twice"));
    }
    if ShardId::check_count(shards).is_err() {
        return Err(INVALID("the number of shards must be a power of two, at most 4096"));
    }
    if replicas == 0 || usize::from(replicas) > nodes.len() {
        return Err(INVALID("the number of replicas must be at least one and at most the number of nodes"));
    }
    Ok(nodes)
}

/// The first map, and the id of the next new replica.
pub(crate) fn place(
    nodes: &[Peer],
    shards: u16,
    replicas: u8,
) -> Result<(Vec<ShardPlacement>, u64), ConsensusError> {
    let mut next = FIRST_SHARD_REPLICA;
    let mut map = Vec::with_capacity(usize::from(shards));
    for number in 0..shards {
        let invalid = INVALID("too many shards");
        let Ok(shard) = ShardId::new(number) else { return Err(invalid) };
        let Some(slots) = shard.slots(shards) else { return Err(invalid) };
        let mut placements = Vec::with_capacity(usize::from(replicas));
        for peer in
            nodes.iter().cycle().skip(usize::from(number) % nodes.len().max(1)).take(usize::from(replicas))
        {
            let replica = ReplicaId::new(next).or(Err(INVALID("too many replicas")))?;
            placements.push(Placement { replica, node: peer.node });
            next += 1;
        }
        let preferred = placements.first().ok_or(INVALID("no nodes"))?.node;
        map.push(ShardPlacement { shard, slots, replicas: placements, preferred, since: FIRST_MAP_VERSION });
    }
    Ok((map, next))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn nodes(count: u32) -> Vec<Peer> {
        (1..=count).map(|n| Peer { node: NodeId::new(n).unwrap(), address: format!("n{n}") }).collect()
    }

    #[test]
    fn leaders_and_replicas_are_spread_evenly_and_ids_are_unique() {
        for (count, replicas) in [(1, 1), (3, 3), (4, 3), (5, 5), (7, 3)] {
            let (map, next) = place(&nodes(count), 256, replicas).unwrap();
            let mut leaders: BTreeMap<NodeId, usize> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for placement in &map {
                *leaders.entry(placement.preferred).or_default() += 1;
                let on: BTreeSet<NodeId> = placement.replicas.iter().map(|at| at.node).collect();
                assert_eq!(on.len(), usize::from(replicas), "two replicas on one node");
                assert!(on.contains(&placement.preferred));
                ids.extend(placement.replicas.iter().map(|at| at.replica));
            }
            let (min, max) = (leaders.values().min().unwrap(), leaders.values().max().unwrap());
            assert!(max - min <= 1, "{leaders:?}");
            assert_eq!(ids.len(), 256 * usize::from(replicas));
            assert!(ids.iter().all(|id| id.as_u64() < next));
        }
    }

    #[test]
    fn directory_has_an_odd_number_of_voters() {
        let voters: Vec<usize> = (1..=8).map(|count| directory_voters(&nodes(count)).len()).collect();
        assert_eq!(voters, [1, 1, 3, 3, 5, 5, 5, 5]);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(checked_nodes(nodes(3), 16, 3).is_ok());
        assert!(checked_nodes(nodes(2), 16, 3).is_err());
        assert!(checked_nodes(nodes(3), 17, 3).is_err());
        assert!(checked_nodes(nodes(3), 16, 0).is_err());
        let mut doubled = nodes(3);
        doubled.push(doubled[0].clone());
        assert!(checked_nodes(doubled, 16, 3).is_err());
    }
}
