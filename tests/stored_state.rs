//! What a stopped node has stored, read and changed below it, with checksums that fit: only the seal, or a comparison with the
//! other replicas, can notice.

use custodia_profile::{GroupId, ShardId};
use custodia_store::{
    Batch, DataFolder, EngineKind, KeyKind, KeyParts, KeyPrefix, Pair, StateEngine as _, StatePartitions,
    ValueHeader,
};
use custodia_tests::Node;

/// Shards of the cluster, as in [`custodia_tests::Options`].
pub(crate) const SHARDS: u16 = 4;

fn state_of(node: &Node) -> (DataFolder, StatePartitions) {
    let id = node.id.to_string().parse().expect("a node id");
    let folder = DataFolder::open(&node.data_path(), id, EngineKind::Fjall).expect("opens");
    let opened = StatePartitions::open(&folder.state_path(), EngineKind::Fjall, 16 << 20).expect("opens");
    (folder, opened.partitions)
}

/// The groups of these shards.
pub(crate) fn groups() -> impl Iterator<Item = GroupId> {
    (0..SHARDS).map(|shard| GroupId::Shard(ShardId::new(shard).expect("a shard")))
}

/// What the shards have of this kind; of every kind but the replicas' own if `None`.
pub(crate) fn stored(node: &Node, kind: Option<KeyKind>) -> Vec<Pair> {
    let (_folder, state) = state_of(node);
    let mut pairs = Vec::new();
    for group in groups() {
        let prefix = kind.map_or(KeyPrefix::group(group), |kind| KeyPrefix::kind(group, kind));
        pairs.extend(state.scan(prefix.as_bytes(), None, usize::MAX).expect("scans"));
    }
    pairs.retain(|(key, _)| KeyParts::parse(key).expect("a key").kind != KeyKind::Replica);
    pairs
}

/// Stores these pairs.
pub(crate) fn store(node: &Node, pairs: Vec<Pair>) {
    let (_folder, state) = state_of(node);
    for (key, value) in pairs {
        let mut batch = Batch::new();
        batch.put(key, value);
        state.write(batch).expect("written");
    }
    state.flush().expect("flushed");
}

/// Flips a bit in the payload of every value of a kind; how many there are.
pub(crate) fn alter(node: &Node, kind: KeyKind, bit: u8) -> usize {
    let values = stored(node, Some(kind));
    let count = values.len();
    let altered = values.into_iter().map(|(key, value)| {
        let (header, payload) = ValueHeader::decode(&value).expect("a value");
        let mut payload = payload.to_vec();
        *payload.last_mut().expect("a payload") ^= bit;
        (key, header.encode(&payload))
    });
    store(node, altered.collect());
    count
}
