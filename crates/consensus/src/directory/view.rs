//! The directory as one node sees it: an immutable copy in memory.
//!
//! The copy is replaced as a whole after each applied entry, before the proposer gets its outcome.
//!
//! ```text
//! cluster, nodes, shards                                                                decoded (record.rs)
//! purpose, attribute, jurisdiction, recipient, channel, namespace, usage of attributes, other meta   kept as bytes
//! change of the catalogue                                                               in the engine only
//! ```
//! Changes of the catalogue accumulate without bound, so the copy leaves them out; whoever needs them reads the engine.

use std::collections::BTreeMap;

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId, ShardId, SlotId};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix, StateEngine};

use super::record::{ClusterRecord, MALFORMED, NodeRecord, ShardRecord, number_of, payload, shape_key};
use super::shape::{ClusterShape, ShardPlacement};
use crate::error::ConsensusError;
use crate::transport::Peer;

/// Entries read from the engine at a time.
const PAGE: usize = 1_024;

/// The kinds in the copy: all of the directory except changes of the catalogue.
const KEPT: [KeyKind; 12] = [
    KeyKind::Node,
    KeyKind::Shard,
    KeyKind::Purpose,
    KeyKind::Attribute,
    KeyKind::Meta,
    KeyKind::Jurisdiction,
    KeyKind::Recipient,
    KeyKind::AttributeUsage,
    KeyKind::Channel,
    KeyKind::Namespace,
    KeyKind::MatterType,
    KeyKind::Trait,
];

/// An immutable copy of the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    shape: Option<ClusterShape>,
    nodes: BTreeMap<NodeId, Peer>,
    shards: BTreeMap<ShardId, ShardPlacement>,
    entries: BTreeMap<Bytes, Bytes>,
    /// A newer state could not be read.
    outdated: bool,
}

impl Directory {
    /// Whether this is the whole directory as applied here. If not, a newer state could not be read: nodes and shards are still
    /// good to find one's way by, but the catalogue must not be judged by.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        !self.outdated
    }

    /// The same, when a newer state could not be read.
    pub(crate) fn outdated(&self) -> Self {
        Self { outdated: true, ..self.clone() }
    }

    /// The cluster; `None` until it is created and this node has applied that.
    #[must_use]
    pub fn shape(&self) -> Option<&ClusterShape> {
        self.shape.as_ref()
    }

    /// Incremented by every change of nodes or shards; 0 before the cluster exists.
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

    /// The entries of a kind that the server interprets (purposes, attributes, other meta …): complete keys and values,
    /// headers included, in key order.
    pub fn entries(&self, kind: KeyKind) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let prefix = KeyPrefix::kind(GroupId::Directory, kind);
        let first = Bytes::copy_from_slice(prefix.as_bytes());
        self.entries.range(first..).take_while(move |(key, _)| key.starts_with(prefix.as_bytes()))
    }

    /// The value of one such entry, header included.
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
                    directory.insert(key, value, &mut shards)?;
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

    fn insert(
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
            KeyKind::Meta if key == shape_key() => {
                self.shape = Some(payload::<ClusterRecord>(&value)?.shape()?);
            }
            KeyKind::Purpose
            | KeyKind::Attribute
            | KeyKind::Meta
            | KeyKind::Jurisdiction
            | KeyKind::Recipient
            | KeyKind::AttributeUsage
            | KeyKind::Channel
            | KeyKind::Namespace
            | KeyKind::MatterType
            | KeyKind::Trait => {
                self.entries.insert(key, value);
            }
            KeyKind::Replica
            | KeyKind::CatalogueChange
            | KeyKind::Core
            | KeyKind::Requests
            | KeyKind::Event
            | KeyKind::Ledger
            | KeyKind::EventId
            | KeyKind::Identifier
            | KeyKind::BlockingKey
            | KeyKind::BlockingSet
            | KeyKind::Duplicate
            | KeyKind::ShardKey
            | KeyKind::BucketKey
            | KeyKind::CustomerKey
            | KeyKind::BlindingStage => return Err(MALFORMED),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::AttributeNumber;
    use custodia_store::{Batch, MemoryEngine, ValueHeader};

    use super::*;

    #[test]
    fn the_copy_has_every_kind_except_changes_of_the_catalogue() {
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
            (Key::channel(&"fax".parse().expect("a name")), KeyKind::Channel),
            (Key::namespace(&"email".parse().expect("a name")), KeyKind::Namespace),
            (Key::matter_type(&"case".parse().expect("a name")), KeyKind::MatterType),
            (Key::trait_definition(&"orders".parse().expect("a name")), KeyKind::Trait),
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
