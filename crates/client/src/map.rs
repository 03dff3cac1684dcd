//! The shard map as the client last saw it: which node leads the shard of a customer.
//!
//! It may be stale at any time; a node that does not lead forwards the call or names the leader.

use std::collections::BTreeMap;

use custodia_profile::{CustomerId, ShardId};
use custodia_proto::v1;

/// Leaders by shard, and the nodes' addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShardMap {
    /// By shard number; `None` if the answering node knew no leader.
    leaders: Vec<Option<u32>>,
    nodes: BTreeMap<u32, String>,
}

impl ShardMap {
    /// `None` if the answers are not a whole map (a cluster that is not initialised lists no shards).
    pub(crate) fn new(shards: &[v1::Shard], nodes: &[v1::Node]) -> Option<Self> {
        if !shards.len().is_power_of_two() || u16::try_from(shards.len()).is_err() {
            return None;
        }
        let mut leaders = vec![None; shards.len()];
        for shard in shards {
            let leader = leaders.get_mut(usize::try_from(shard.shard_id).ok()?)?;
            *leader = (shard.leader_node_id != 0).then_some(shard.leader_node_id);
        }
        let nodes = nodes.iter().map(|node| (node.node_id, node.address.clone())).collect();
        Some(Self { leaders, nodes })
    }

    /// The address of the node that leads the customer's shard.
    pub(crate) fn leader_of(&self, customer: CustomerId) -> Option<&str> {
        let node = (*self.leaders.get(self.index_of(customer)?)?)?;
        self.nodes.get(&node).map(String::as_str)
    }

    /// The map with the leader that a node named; `None` if nothing changes.
    pub(crate) fn with_leader(&self, customer: CustomerId, hint: &Hint) -> Option<Self> {
        let index = self.index_of(customer)?;
        if self.leaders.get(index) == Some(&Some(hint.node))
            && self.nodes.get(&hint.node) == Some(&hint.address)
        {
            return None;
        }
        let mut changed = self.clone();
        *changed.leaders.get_mut(index)? = Some(hint.node);
        changed.nodes.insert(hint.node, hint.address.clone());
        Some(changed)
    }

    /// The addresses of all nodes.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.nodes.values().map(String::as_str)
    }

    fn index_of(&self, customer: CustomerId) -> Option<usize> {
        let shards = u16::try_from(self.leaders.len()).ok()?;
        Some(usize::from(ShardId::of(customer.slot(), shards).as_u16()))
    }
}

/// The leader that a node named: `<node id>@<host:port>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    node: u32,
    pub(crate) address: String,
}

impl Hint {
    /// `None` if the text is not a hint.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (node, address) = text.split_once('@')?;
        Some(Self { node: node.parse().ok()?, address: address.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> ShardMap {
        let shards: Vec<_> = (0..16)
            .map(|shard_id| v1::Shard { shard_id, leader_node_id: shard_id % 3 + 1, ..v1::Shard::default() })
            .collect();
        let nodes: Vec<_> = (1..4)
            .map(|node_id| v1::Node { node_id, address: format!("h{node_id}:1"), ..v1::Node::default() })
            .collect();
        ShardMap::new(&shards, &nodes).unwrap()
    }

    fn customer() -> CustomerId {
        CustomerId::from_parts(1_700_000_000_000, [7; 10], custodia_profile::PoolId::default())
    }

    #[test]
    fn a_leader_hint_moves_one_shard() {
        let map = map();
        let other = if map.leader_of(customer()) == Some("h1:1") { "2@h2:1" } else { "1@h1:1" };
        let hint = Hint::parse(other).unwrap();
        let changed = map.with_leader(customer(), &hint).unwrap();
        assert_eq!(changed.leader_of(customer()), Some(hint.address.as_str()));
        assert!(changed.with_leader(customer(), &hint).is_none());
        let same = changed.leaders.iter().zip(&map.leaders).filter(|(new, old)| new == old).count();
        assert_eq!(same, 15);
    }

    #[test]
    fn a_node_that_the_map_did_not_know_is_learned_from_its_hint() {
        let changed = map().with_leader(customer(), &Hint::parse("9@new:1").unwrap()).unwrap();
        assert_eq!(changed.leader_of(customer()), Some("new:1"));
        assert!(Hint::parse("new:1").is_none());
    }

    #[test]
    fn a_list_that_is_no_map_is_refused() {
        assert!(ShardMap::new(&[], &[]).is_none());
        let shard = |shard_id| v1::Shard { shard_id, ..v1::Shard::default() };
        assert!(ShardMap::new(&[shard(0), shard(1), shard(2)], &[]).is_none());
        assert!(ShardMap::new(&[shard(0), shard(5)], &[]).is_none());
    }
}
