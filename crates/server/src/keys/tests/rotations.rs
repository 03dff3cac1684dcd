//! Each level of the key tree rotated: what is new afterwards, what is gone, and what must not have changed.

use custodia_profile::KeyEpoch;
use custodia_seal::{BucketId, SealError};
use custodia_store::{KeyKind, StateEngine};

use super::group::{BUCKET, Cluster, Planned, core, customer, everything};
use crate::keys::{KeysError, Rotated};

fn second() -> KeyEpoch {
    KeyEpoch::new(2).unwrap()
}

#[tokio::test]
async fn root_is_turned_step_by_step_while_every_node_can_read() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "Ana").await;

    cluster.write_root("old", &["old", "new"]);
    assert_eq!(
        node.keys.rotate_root().await.unwrap(),
        Rotated::default(),
        "nothing to do: current is the same"
    );
    cluster.write_root("new", &["old", "new"]);
    assert_eq!(node.keys.rotate_root().await.unwrap(), Rotated { keys: 1, values: 0 });
    assert_eq!(node.keys.rotate_root().await.unwrap(), Rotated::default(), "a second time changes nothing");
    assert_eq!(cluster.node().core_text(customer(1)), "Ana");

    cluster.write_root("new", &["new"]);
    assert_eq!(cluster.node().core_text(customer(1)), "Ana", "the old root key is free to go");
    cluster.write_root("old", &["old"]);
    let error = cluster.node().keys.prepare().await.unwrap_err();
    assert!(matches!(error, KeysError::Seal(SealError::UnknownRootKey { .. })), "{error}");
}

#[tokio::test]
async fn rotation_of_the_root_names_an_unusable_file_and_changes_nothing() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "Ana").await;
    let before = cluster.group.entries(KeyKind::ShardKey);
    cluster.write_root("new", &["old"]);
    let error = node.keys.rotate_root().await.unwrap_err();
    assert!(matches!(error, KeysError::Seal(SealError::RootKeyFileContent { .. })), "{error}");
    assert_eq!(cluster.group.entries(KeyKind::ShardKey), before);
    assert_eq!(node.core_text(customer(1)), "Ana");
}

#[tokio::test]
async fn shard_key_is_turned_and_the_old_one_gone() {
    let cluster = Cluster::new();
    let (node, bystander) = (cluster.node(), cluster.node());
    node.put(customer(1), "Ana").await;
    assert_eq!(bystander.core_text(customer(1)), "Ana");
    let customer_keys = cluster.group.entries(KeyKind::CustomerKey);

    assert_eq!(node.keys.rotate_shard().await.unwrap(), Rotated { keys: 2, values: 0 });
    assert_eq!(cluster.group.epochs(KeyKind::ShardKey), [[2]]);
    assert_eq!(
        cluster.group.epochs(KeyKind::BucketKey),
        [[1]],
        "the bucket key is the same, under a new parent"
    );
    assert_eq!(cluster.group.entries(KeyKind::CustomerKey), customer_keys);
    for node in [node, bystander, cluster.node()] {
        assert_eq!(node.core_text(customer(1)), "Ana");
        node.put(customer(1), "Ana").await;
        node.keys.rotate_bucket(BUCKET).await.unwrap();
    }
}

#[tokio::test]
async fn bucket_key_is_turned_over_several_batches() {
    let cluster = Cluster::new();
    let (node, bystander) = (cluster.node(), cluster.node());
    for number in 0..600 {
        node.put(customer(number), &number.to_string()).await;
    }
    let cores = cluster.group.entries(KeyKind::Core);
    bystander.core_text(customer(0));

    assert_eq!(node.keys.rotate_bucket(BUCKET).await.unwrap(), Rotated { keys: 601, values: 0 });
    assert_eq!(cluster.group.epochs(KeyKind::BucketKey), [[2]]);
    assert_eq!(cluster.group.entries(KeyKind::Core), cores, "no value is touched");
    let fresh = cluster.node();
    for number in 0..600 {
        assert_eq!(fresh.core_text(customer(number)), number.to_string());
        assert_eq!(bystander.core_text(customer(number)), number.to_string());
    }
    bystander.put(customer(600), "new").await;
    assert_eq!(fresh.core_text(customer(600)), "new");
}

#[tokio::test]
async fn every_bucket_of_a_shard_is_rotated() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put(customer(1), "Ana").await;
    let before = cluster.group.entries(KeyKind::CustomerKey);
    assert_eq!(node.keys.rotate_buckets().await.unwrap(), Rotated { keys: 2, values: 0 });
    assert_ne!(cluster.group.entries(KeyKind::CustomerKey), before);
    assert_eq!(cluster.node().core_text(customer(1)), "Ana");
}

#[tokio::test]
async fn rotation_of_a_customer_keeps_every_revision() {
    let cluster = Cluster::new();
    let node = cluster.node();
    node.put_everything(customer(1), 300).await;
    node.put(customer(2), "bystander").await;
    let keys = everything(customer(1), 300);
    let read = |node: &super::group::Node| -> Vec<_> {
        let opened = keys.iter().map(|key| node.keys.read(key).unwrap().unwrap());
        opened.map(|opened| (opened.header, opened.plaintext.to_vec())).collect()
    };
    let before = read(&node);
    let other = cluster.group.engine.get(core(customer(2)).as_ref()).unwrap();

    let rotated = node.keys.rotate_customer(customer(1)).await.unwrap();
    assert_eq!(rotated, Rotated { keys: 1, values: 602 });
    assert_eq!(read(&node), before);
    assert_eq!(read(&cluster.node()), before);
    for key in &keys {
        assert_eq!(cluster.group.sealed_epoch(key), second());
    }
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey), [[2], [1]]);
    assert_eq!(cluster.group.engine.get(core(customer(2)).as_ref()).unwrap(), other);
}

#[tokio::test]
async fn customer_with_requests_alone_is_rotated() {
    let cluster = Cluster::new();
    let node = cluster.node();
    let key = everything(customer(1), 0).remove(1);
    let writer = node.writer(customer(1)).await.unwrap();
    let mut command = custodia_consensus::Command::default();
    command.writes.push(writer.seal(&key, 1, 0, b"remembered").unwrap());
    writer.finish(&mut command);
    cluster.group.apply(&command);

    assert_eq!(node.keys.rotate_customer(customer(1)).await.unwrap(), Rotated { keys: 1, values: 1 });
    let opened = cluster.node().keys.read(&key).unwrap().unwrap();
    assert_eq!(opened.plaintext.as_slice(), b"remembered");
}

#[tokio::test]
async fn unknown_customer_and_unknown_bucket_are_refused() {
    let cluster = Cluster::new();
    let node = cluster.node();
    assert!(matches!(node.keys.rotate_customer(customer(1)).await, Err(KeysError::NoCustomer)));
    let error = node.keys.rotate_bucket(BucketId::new(9)).await.unwrap_err();
    assert!(matches!(error, KeysError::BucketKeyMissing { .. }), "{error}");
    assert_eq!(node.keys.rotate_shard().await.unwrap(), Rotated::default(), "no keys yet, nothing to rotate");
}

#[tokio::test]
async fn conflicting_change_in_the_middle_of_a_rotation_is_met_and_kept() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put_everything(customer(1), 2).await;
    // Begin is applied; before the first batch of resealed values, a writer with the new key changes the core.
    let begun = cluster.node();
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    begun.keys.rotate_customer(customer(1)).await.unwrap_err();
    let change = writer.core_command(customer(1), "changed").await;
    cluster.group.plan([Planned::After(vec![change])]);
    node.keys.rotate_customer(customer(1)).await.unwrap();
    assert_eq!(cluster.node().core_text(customer(1)), "changed");
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey), [[3]]);
}
