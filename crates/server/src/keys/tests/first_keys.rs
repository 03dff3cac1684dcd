//! How keys are created and found.

use custodia_consensus::Command;
use custodia_profile::KeyEpoch;
use custodia_seal::{BucketId, SealError};
use custodia_store::{Batch, Key, KeyKind, StateEngine, ValueHeader};

use super::group::{BUCKET, Cluster, Planned, applied, core, customer, group_id, soon};
use crate::keys::KeysError;
use crate::keys::bucket_allocator::BUCKET_CUSTOMERS;

#[tokio::test]
async fn first_customer_brings_the_keys_of_every_level() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.keys.prepare().await.unwrap();
    assert!(applied(&node.put(customer(1), "Ana").await));
    for kind in [KeyKind::ShardKey, KeyKind::BucketKey, KeyKind::CustomerKey] {
        assert_eq!(cluster.group.epochs(kind), [[1]]);
    }
    assert_eq!(node.core_text(customer(1)), "Ana");
    assert_eq!(cluster.node().core_text(customer(1)), "Ana", "a node that knows nothing but the state");
}

#[tokio::test]
async fn second_value_of_a_customer_is_sealed_with_the_same_key() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "one").await;
    let other = cluster.node();
    assert!(applied(&other.put(customer(1), "two").await));
    assert_eq!(node.core_text(customer(1)), "two");
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey), [[1]]);
}

#[tokio::test]
async fn customers_of_one_bucket_have_different_keys() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "one").await;
    node.put(customer(2), "two").await;
    let value = cluster.group.engine.get(core(customer(1)).as_ref()).unwrap().unwrap();
    let error = node.keys.open(&core(customer(2)), value).unwrap_err();
    assert!(matches!(error, KeysError::Seal(SealError::Unauthentic { .. })), "{error}");
    assert!(error.is_data_loss());
}

#[tokio::test]
async fn two_leaders_make_one_shard_key_and_one_bucket_between_them() {
    let cluster = Cluster::new();
    let (old, new) = (cluster.node(), cluster.node());
    // The new leader's first customer is applied while the old leader's first shard key is on its way.
    let rival = Cluster::new();
    let theirs = rival.node();
    theirs.put(customer(2), "theirs").await;
    let keys = [KeyKind::ShardKey, KeyKind::BucketKey, KeyKind::CustomerKey, KeyKind::Core];
    let writes = keys.into_iter().flat_map(|kind| rival.group.entries(kind));
    let writes = writes.map(|(key, value)| custodia_consensus::Write { key, value: Some(value) }).collect();
    cluster.group.plan([Planned::After(vec![Command { conditions: Vec::new(), writes }])]);

    assert!(applied(&old.put(customer(1), "mine").await));
    assert_eq!(cluster.group.epochs(KeyKind::ShardKey), [[1]]);
    assert_eq!(cluster.group.epochs(KeyKind::BucketKey), [[1]]);
    for node in [old, new] {
        assert_eq!(node.core_text(customer(1)), "mine");
        assert_eq!(node.core_text(customer(2)), "theirs");
    }
}

#[tokio::test]
async fn key_that_was_only_proposed_is_never_used() {
    let cluster = Cluster::new();
    let (old, new) = (cluster.node(), cluster.node());
    new.put(customer(9), "somebody").await;
    let in_flight = old.core_command(customer(1), "old").await;
    assert!(applied(&new.put(customer(1), "new").await));
    assert!(!applied(&cluster.group.apply(&in_flight)));
    assert_eq!(old.core_text(customer(1)), "new", "both keys have epoch 1");
    assert!(applied(&old.put(customer(1), "again").await));
    assert_eq!(new.core_text(customer(1)), "again");
}

#[tokio::test]
async fn full_bucket_is_found_by_counting_and_the_next_one_begun() {
    let cluster = Cluster::new();
    cluster.node().put(customer(0), "first").await;
    let (_, entry) = cluster.group.entries(KeyKind::CustomerKey).remove(0);
    let mut batch = Batch::new();
    for number in 1..u16::try_from(BUCKET_CUSTOMERS - 1).unwrap() {
        batch.put(Key::customer_key(group_id(), 0, &customer(number)), entry.clone());
    }
    cluster.group.engine.write(batch).unwrap();

    let node = cluster.node();
    node.keys.prepare().await.unwrap();
    node.put(customer(5_000), "last of the first").await;
    assert_eq!(node.keys.bucket_of(customer(5_000)).unwrap(), BUCKET);
    node.put(customer(5_001), "first of the second").await;
    assert_eq!(node.keys.bucket_of(customer(5_001)).unwrap(), BucketId::new(1));
    assert_eq!(cluster.group.epochs(KeyKind::BucketKey), [[1], [1]]);
    assert_eq!(cluster.node().core_text(customer(5_001)), "first of the second");
}

#[tokio::test]
async fn node_without_the_root_key_says_which_one_it_lacks() {
    let cluster = Cluster::new();
    cluster.node().put(customer(1), "Ana").await;
    cluster.write_root("new", &["new"]);
    let node = cluster.node();
    let error = node.keys.prepare().await.unwrap_err();
    let KeysError::Seal(SealError::UnknownRootKey { id }) = &error else { panic!("{error}") };
    assert_eq!(id.as_str(), "old");
    assert!(!error.is_data_loss());

    cluster.write_root("new", &["new", "old"]);
    assert_eq!(node.core_text(customer(1)), "Ana", "the file is read again when a key is missing");
}

#[tokio::test]
async fn wrong_root_key_of_the_right_name_is_its_own_error() {
    let cluster = Cluster::new();
    cluster.node().put(customer(1), "Ana").await;
    cluster.write_root_keys("old", &[("old", 7)]);
    let error = cluster.node().keys.prepare().await.unwrap_err();
    assert!(matches!(error, KeysError::Seal(SealError::WrongRootKey { .. })), "{error}");
}

#[tokio::test]
async fn missing_entries_are_data_loss_and_say_what_is_missing() {
    let cluster = Cluster::new();
    cluster.node().put(customer(1), "Ana").await;
    for (kind, expected) in [
        (KeyKind::CustomerKey, "a customer key of bucket 0 is missing"),
        (KeyKind::BucketKey, "the key of bucket 0 is missing"),
        (KeyKind::ShardKey, "the key of epoch 1 is gone"),
    ] {
        let (key, value) = cluster.group.entries(kind).remove(0);
        let mut batch = Batch::new();
        batch.delete(key.clone());
        cluster.group.engine.write(batch).unwrap();
        let error = cluster.node().keys.read(&core(customer(1))).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_data_loss());
        let mut batch = Batch::new();
        batch.put(key, value);
        cluster.group.engine.write(batch).unwrap();
    }
}

#[tokio::test]
async fn destroyed_key_opens_nothing_and_writes_nothing() {
    let cluster = Cluster::new();
    cluster.node().put(customer(1), "Ana").await;
    let (key, _) = cluster.group.entries(KeyKind::CustomerKey).remove(0);
    let header = ValueHeader { revision: 2, guard: 2, bucket: 0 };
    let mut batch = Batch::new();
    batch.put(key, header.encode(&[1, 0]));
    cluster.group.engine.write(batch).unwrap();
    let node = cluster.node();
    assert!(matches!(node.keys.read(&core(customer(1))), Err(KeysError::Destroyed)));
    let error = node.keys.writer(customer(1), Some(BUCKET), soon()).await.unwrap_err();
    assert!(matches!(error, KeysError::Destroyed), "{error}");
}

#[tokio::test]
async fn entry_whose_header_and_keys_disagree_is_refused() {
    let cluster = Cluster::new();
    cluster.node().put(customer(1), "Ana").await;
    let (key, value) = cluster.group.entries(KeyKind::CustomerKey).remove(0);
    let (header, payload) = ValueHeader::decode(&value).unwrap();
    let mut batch = Batch::new();
    batch.put(key, ValueHeader { guard: 7, ..header }.encode(&payload));
    cluster.group.engine.write(batch).unwrap();
    let error = cluster.node().keys.read(&core(customer(1))).unwrap_err();
    assert!(matches!(error, KeysError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn writer_refuses_the_key_of_another_customer() {
    let cluster = Cluster::new();
    let node = cluster.node();
    let writer = node.writer(customer(1)).await.unwrap();
    assert!(writer.seal(&core(customer(2)), 1, 0, b"x").is_err());
    assert!(node.keys.customer_key(customer(1), BUCKET, KeyEpoch::FIRST).is_err(), "not proposed yet");
}

#[tokio::test]
async fn debug_output_shows_no_keys_and_no_plaintext() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "Ana Ivanova").await;
    let opened = node.keys.read(&core(customer(1))).unwrap().unwrap();
    let writer = node.writer(customer(1)).await.unwrap();
    let text = format!("{opened:?} {writer:?} {:?}", node.keys);
    assert!(!text.contains("Ana") && !text.contains("65, 110, 97"), "{text}");
}
