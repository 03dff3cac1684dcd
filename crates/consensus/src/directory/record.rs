//! The stored form of the directory's own entries.
//!
//! ```text
//! meta "cluster"   v1 { cluster id, shards, replicas, next replica id, map version }   written last: the cluster now exists
//! node  N          v1 { address }
//! shard S          v1 { replicas: [(replica, node)], preferred node, since map version }
//! ```
//! Each value starts with the store's header, whose revision is the map version.

use bytes::Bytes;
use custodia_profile::{NodeId, ReplicaId, ShardId};
use custodia_seal::ClusterId;
use custodia_store::{Key, KeyParts, ValueHeader};
use prost::Message;

use super::shape::{ClusterShape, Placement, ShardPlacement};
use crate::command::Write;
use crate::error::ConsensusError;
use crate::format::{decode_v1, encode_v1};
use crate::transport::Peer;

const WHAT: &str = "a directory entry";
pub(super) const MALFORMED: ConsensusError = ConsensusError::Malformed { what: WHAT };

/// The number at the end of a node's or a shard's key.
pub(super) fn number_of(key: &Bytes) -> Result<u32, ConsensusError> {
    let suffix = KeyParts::parse(key)?.suffix;
    if suffix.len() > 4 {
        return Err(MALFORMED);
    }
    Ok(suffix.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

pub(super) fn payload<R: Message + Default>(value: &Bytes) -> Result<R, ConsensusError> {
    let (_, payload) = ValueHeader::decode(value)?;
    decode_v1(WHAT, &payload)
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
    write(cluster_key(), shape.map_version, &record)
}

pub(crate) fn shape_key() -> Bytes {
    cluster_key().into_bytes()
}

fn cluster_key() -> Key {
    Key::meta("cluster")
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
pub(super) struct ClusterRecord {
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
    pub(super) fn shape(&self) -> Result<ClusterShape, ConsensusError> {
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
pub(super) struct NodeRecord {
    #[prost(string, tag = "1")]
    pub(super) address: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ShardRecord {
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
    pub(super) fn placement(self, shard: ShardId, shards: u16) -> Result<ShardPlacement, ConsensusError> {
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
