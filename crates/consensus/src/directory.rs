//! The directory as one node sees it: nodes, shard map, and whatever the server keeps beside them.
//!
//! The directory is the state of its own Raft group, ordinary keyed values that are written by ordinary commands. Every
//! node applies it, so every node reads it from its own memory: a [`Directory`] is an immutable copy, replaced as a whole
//! after each entry that is applied, before the proposer hears of it.
//!
//! ```text
//! meta "cluster"   v1 { cluster id, shards, replicas, next replica id, map version }   written last: it ends the creation
//! node  N          v1 { address }
//! shard S          v1 { replicas: [(replica, node)], preferred node, since map version }
//! purpose, attribute, jurisdiction, recipient, usage of attributes, other meta          opaque here
//! change of the catalogue                                                               in the engine alone
//! ```
//! Each value has the store's header in front; its revision is the map version for the first three. The changes of the
//! catalogue grow without bound: they are never in the copy, who wants them reads the engine.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId, ReplicaId, ShardId, SlotId};
use custodia_seal::ClusterId;
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix, StateEngine, ValueHeader};
use prost::Message;

use crate::command::Write;
use crate::error::ConsensusError;
use crate::record::{decode_v1, encode_v1};
use crate::transport::Peer;

const CLUSTER: &str = "cluster";
const PAGE: usize = 1_024;

/// What is in the copy: every kind of the directory but the changes of the catalogue.
const KEPT: [KeyKind; 8] = [
    KeyKind::Node,
    KeyKind::Shard,
    KeyKind::Purpose,
    KeyKind::Attribute,
    KeyKind::Meta,
    KeyKind::Jurisdiction,
    KeyKind::Recipient,
    KeyKind::AttributeUsage,
];

/// One replica of a shard and where it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placement {
    /// The replica; its id is never used again.
    pub replica: ReplicaId,
    /// The node that holds it.
    pub node: NodeId,
}

/// A shard and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlacement {
    /// The shard.
    pub shard: ShardId,
    /// The slots that it owns.
    pub slots: RangeInclusive<SlotId>,
    /// Its replicas.
    pub replicas: Vec<Placement>,
    /// Where its leader should be, when that node is well.
    pub preferred: NodeId,
    /// The map version that placed it so.
    pub since: u64,
}

impl ShardPlacement {
    /// The replica on a node.
    #[must_use]
    pub fn replica_on(&self, node: NodeId) -> Option<ReplicaId> {
        self.replicas.iter().find(|placement| placement.node == node).map(|placement| placement.replica)
    }
}

/// What the cluster as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterShape {
    /// Its id.
    pub cluster: ClusterId,
    /// Number of shards, fixed for ever.
    pub shards: u16,
    /// Replicas of each shard.
    pub replicas: u8,
    /// The id that the next new replica gets.
    pub next_replica: u64,
    /// Rises with every change of nodes or shards.
    pub map_version: u64,
}

/// An immutable copy of the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    shape: Option<ClusterShape>,
    nodes: BTreeMap<NodeId, Peer>,
    shards: BTreeMap<ShardId, ShardPlacement>,
    entries: BTreeMap<Bytes, Bytes>,
}

impl Directory {
    /// What the cluster is; nothing until it is created and this node has heard of it.
    #[must_use]
    pub fn shape(&self) -> Option<&ClusterShape> {
        self.shape.as_ref()
    }

    /// Rises with every change of nodes or shards; 0 before there are any.
    #[must_use]
    pub fn map_version(&self) -> u64 {
        self.shape.map_or(0, |shape| shape.map_version)
    }

    /// All nodes, in the order of their ids.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.nodes.values()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&Peer> {
        self.nodes.get(&node)
    }

    /// All shards, in order.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &ShardPlacement> {
        self.shards.values()
    }

    /// One shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&ShardPlacement> {
        self.shards.get(&shard)
    }

    /// The shard that owns a slot.
    #[must_use]
    pub fn shard_of(&self, slot: SlotId) -> Option<ShardId> {
        self.shape.map(|shape| ShardId::of(slot, shape.shards))
    }

    /// The entries of a kind that only the server understands (purposes, attributes, other meta …), with their whole keys
    /// and their whole values, header included, in key order.
    pub fn entries(&self, kind: KeyKind) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let prefix = KeyPrefix::kind(GroupId::Directory, kind);
        let first = Bytes::copy_from_slice(prefix.as_bytes());
        self.entries.range(first..).take_while(move |(key, _)| key.starts_with(prefix.as_bytes()))
    }

    /// One such entry, header included.
    #[must_use]
    pub fn entry(&self, key: &Key) -> Option<&Bytes> {
        self.entries.get(key.as_bytes())
    }

    /// Reads the whole directory from the engine.
    pub(crate) fn load(engine: &dyn StateEngine) -> Result<Self, ConsensusError> {
        let mut directory = Self::default();
        let mut shards = Vec::new();
        for kind in KEPT {
            let prefix = KeyPrefix::kind(GroupId::Directory, kind);
            let mut after: Option<Bytes> = None;
            loop {
                let page = engine.scan(prefix.as_bytes(), after.as_deref(), PAGE)?;
                let is_last = page.len() < PAGE;
                after = page.last().map(|(last, _)| last.clone());
                for (key, value) in page {
                    directory.take(key, value, &mut shards)?;
                }
                if is_last {
                    break;
                }
            }
        }
        if let Some(shape) = directory.shape {
            for (shard, record) in shards {
                directory.shards.insert(shard, record.placement(shard, shape.shards)?);
            }
        }
        Ok(directory)
    }

    fn take(
        &mut self,
        key: Bytes,
        value: Bytes,
        shards: &mut Vec<(ShardId, ShardRecord)>,
    ) -> Result<(), ConsensusError> {
        let kind = KeyParts::parse(&key)?.kind;
        match kind {
            KeyKind::Node => {
                let node = NodeId::new(number_of(&key)?).or(Err(MALFORMED))?;
                let record: NodeRecord = payload(&value)?;
                self.nodes.insert(node, Peer { node, address: record.address });
            }
            KeyKind::Shard => {
                let number = u16::try_from(number_of(&key)?).or(Err(MALFORMED))?;
                shards.push((ShardId::new(number).or(Err(MALFORMED))?, payload(&value)?));
            }
            KeyKind::Meta if key == Key::meta(CLUSTER).as_bytes() => {
                self.shape = Some(payload::<ClusterRecord>(&value)?.shape()?);
            }
            KeyKind::Purpose
            | KeyKind::Attribute
            | KeyKind::Meta
            | KeyKind::Jurisdiction
            | KeyKind::Recipient
            | KeyKind::AttributeUsage => {
                self.entries.insert(key, value);
            }
            KeyKind::Replica
            | KeyKind::CatalogueChange
            | KeyKind::Core
            | KeyKind::Requests
            | KeyKind::Event
            | KeyKind::Ledger
            | KeyKind::EventId
            | KeyKind::ShardKey
            | KeyKind::BucketKey
            | KeyKind::CustomerKey => return Err(MALFORMED),
        }
        Ok(())
    }
}

const MALFORMED: ConsensusError = ConsensusError::Malformed { what: "a directory entry" };

/// The number that a node's or shard's key ends with.
fn number_of(key: &Bytes) -> Result<u32, ConsensusError> {
    let suffix = KeyParts::parse(key)?.suffix;
    if suffix.len() > 4 {
        return Err(MALFORMED);
    }
    Ok(suffix.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn payload<R: Message + Default>(value: &Bytes) -> Result<R, ConsensusError> {
    let (_, payload) = ValueHeader::decode(value)?;
    decode_v1("a directory entry", &payload)
}

fn write(key: Key, map_version: u64, record: &impl Message) -> Write {
    let header = ValueHeader { revision: map_version, guard: 0, bucket: 0 };
    Write { key: key.into_bytes(), value: Some(header.encode(&encode_v1(record))) }
}

pub(crate) fn write_shape(shape: &ClusterShape) -> Write {
    let record = ClusterRecord {
        cluster: Bytes::copy_from_slice(shape.cluster.as_bytes()),
        shards: u32::from(shape.shards),
        replicas: u32::from(shape.replicas),
        next_replica: shape.next_replica,
        map_version: shape.map_version,
    };
    write(Key::meta(CLUSTER), shape.map_version, &record)
}

pub(crate) fn shape_key() -> Bytes {
    Key::meta(CLUSTER).into_bytes()
}

pub(crate) fn write_node(peer: &Peer, map_version: u64) -> Write {
    write(Key::node(peer.node), map_version, &NodeRecord { address: peer.address.clone() })
}

pub(crate) fn write_shard(placement: &ShardPlacement) -> Write {
    let replicas = placement
        .replicas
        .iter()
        .map(|at| PlacementRecord { replica: at.replica.as_u64(), node: at.node.as_u32() })
        .collect();
    let record = ShardRecord { replicas, preferred: placement.preferred.as_u32(), since: placement.since };
    write(Key::shard(placement.shard), placement.since, &record)
}

#[derive(Clone, PartialEq, Message)]
struct ClusterRecord {
    #[prost(bytes = "bytes", tag = "1")]
    cluster: Bytes,
    #[prost(uint32, tag = "2")]
    shards: u32,
    #[prost(uint32, tag = "3")]
    replicas: u32,
    #[prost(uint64, tag = "4")]
    next_replica: u64,
    #[prost(uint64, tag = "5")]
    map_version: u64,
}

impl ClusterRecord {
    fn shape(&self) -> Result<ClusterShape, ConsensusError> {
        let shards = u16::try_from(self.shards).or(Err(MALFORMED))?;
        ShardId::check_count(shards).or(Err(MALFORMED))?;
        Ok(ClusterShape {
            cluster: ClusterId::from_bytes(self.cluster.as_ref().try_into().or(Err(MALFORMED))?),
            shards,
            replicas: u8::try_from(self.replicas).or(Err(MALFORMED))?,
            next_replica: self.next_replica,
            map_version: self.map_version,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct NodeRecord {
    #[prost(string, tag = "1")]
    address: String,
}

#[derive(Clone, PartialEq, Message)]
struct ShardRecord {
    #[prost(message, repeated, tag = "1")]
    replicas: Vec<PlacementRecord>,
    #[prost(uint32, tag = "2")]
    preferred: u32,
    #[prost(uint64, tag = "3")]
    since: u64,
}

#[derive(Clone, PartialEq, Message)]
struct PlacementRecord {
    #[prost(uint64, tag = "1")]
    replica: u64,
    #[prost(uint32, tag = "2")]
    node: u32,
}

impl ShardRecord {
    fn placement(self, shard: ShardId, shards: u16) -> Result<ShardPlacement, ConsensusError> {
        let node = |number| NodeId::new(number).or(Err(MALFORMED));
        let replicas = self
            .replicas
            .iter()
            .map(|at| {
                Ok(Placement {
                    replica: ReplicaId::new(at.replica).or(Err(MALFORMED))?,
                    node: node(at.node)?,
                })
            })
            .collect::<Result<_, ConsensusError>>()?;
        let slots = shard.slots(shards).ok_or(MALFORMED)?;
        Ok(ShardPlacement { shard, slots, replicas, preferred: node(self.preferred)?, since: self.since })
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::AttributeNumber;
    use custodia_store::{Batch, MemoryEngine};

    use super::*;

    #[test]
    fn the_copy_has_every_kind_but_the_changes_of_the_catalogue() {
        let engine = MemoryEngine::new();
        let value = |text: &str| ValueHeader::default().encode(text.as_bytes());
        let usage = |number| Key::attribute_usage(AttributeNumber::new(number).expect("a number"));
        let kept = [
            (Key::purpose(&"care".parse().expect("a name")), KeyKind::Purpose),
            (Key::attribute(&"email".parse().expect("a name")), KeyKind::Attribute),
            (Key::meta("catalogue"), KeyKind::Meta),
            (Key::jurisdiction(&"eu".parse().expect("a name")), KeyKind::Jurisdiction),
            (Key::recipient(&"desk".parse().expect("a name")), KeyKind::Recipient),
            (usage(7), KeyKind::AttributeUsage),
        ];
        let mut batch = Batch::new();
        for (key, kind) in &kept {
            batch.put(key.clone(), value(&format!("{kind:?}")));
        }
        for number in 1..=u32::try_from(PAGE).expect("small") {
            batch.put(usage(number), value("AttributeUsage"));
            batch.put(Key::catalogue_change(number.into()), value("CatalogueChange"));
        }
        engine.write(batch).expect("written");
        let directory = Directory::load(&engine).expect("loads");
        assert_eq!(directory.entries.len(), kept.len() - 1 + PAGE);
        for (key, kind) in &kept {
            assert_eq!(directory.entry(key), Some(&value(&format!("{kind:?}"))));
            let expected = if *kind == KeyKind::AttributeUsage { PAGE } else { 1 };
            assert_eq!(directory.entries(*kind).count(), expected, "{kind:?}");
        }
        assert_eq!(directory.entry(&Key::catalogue_change(1)), None);
        assert_eq!(directory.entries(KeyKind::CatalogueChange).count(), 0);
    }
}
