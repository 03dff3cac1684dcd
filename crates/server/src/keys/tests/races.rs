//! Writers and readers that meet a rotation: nothing is lost, whichever comes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use custodia_profile::KeyEpoch;
use custodia_seal::sealed_epoch;
use custodia_store::{KeyKind, KeyPrefix, StateEngine, ValueHeader};

use super::group::{BUCKET, Cluster, Node, Planned, applied, core, customer, everything};
use crate::keys::KeysError;

#[tokio::test]
async fn writer_with_the_old_customer_key_conflicts_from_the_begin_of_the_rotation() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put(customer(1), "before").await;
    let in_flight = writer.core_command(customer(1), "in flight").await;
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    node.keys.rotate_customer(customer(1)).await.unwrap_err();
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey), [[2, 1]], "the rotation has begun and not ended");
    assert!(
        !applied(&cluster.group.apply(&in_flight)),
        "the core has its revision, but the key is not current"
    );

    node.keys.resume_rotations().await.unwrap();
    node.keys.rotate_customer(customer(1)).await.unwrap();
    assert!(!applied(&cluster.group.apply(&in_flight)));
    assert!(applied(&writer.put(customer(1), "evaluated again").await));
    assert_eq!(cluster.node().core_text(customer(1)), "evaluated again");
}

#[tokio::test]
async fn reseal_loses_against_a_writer_that_was_first() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put(customer(1), "before").await;
    let in_flight = writer.core_command(customer(1), "first").await;
    // The writer's command is applied just before the begin of the rotation.
    cluster.group.plan([Planned::After(vec![in_flight])]);
    node.keys.rotate_customer(customer(1)).await.unwrap();
    assert_eq!(cluster.node().core_text(customer(1)), "first");
    assert_eq!(cluster.group.sealed_epoch(&core(customer(1))).as_u32(), 2);
}

#[tokio::test]
async fn events_appended_with_the_old_key_conflict_though_the_core_is_unchanged() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put(customer(1), "core").await;
    let event = everything(customer(1), 1).remove(2);
    let sealing = writer.writer(customer(1)).await.unwrap();
    let mut append = custodia_consensus::Command::default();
    append.writes.push(sealing.seal(&event, 1, 1, b"event").unwrap());
    sealing.finish(&mut append);

    node.keys.rotate_customer(customer(1)).await.unwrap();
    assert!(!applied(&cluster.group.apply(&append)));
    assert!(cluster.group.engine.get(event.as_ref()).unwrap().is_none());
}

#[tokio::test]
async fn customer_made_under_the_old_bucket_key_conflicts() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put(customer(1), "somebody").await;
    let in_flight = writer.core_command(customer(2), "new").await;
    node.keys.rotate_bucket(BUCKET).await.unwrap();
    assert!(!applied(&cluster.group.apply(&in_flight)));
    assert!(applied(&writer.put(customer(2), "new").await));
    assert_eq!(cluster.node().core_text(customer(2)), "new");
}

#[tokio::test]
async fn rotation_of_the_bucket_does_not_disturb_a_writer() {
    let cluster = Cluster::new();
    let (node, writer) = (cluster.node(), cluster.node());
    node.put(customer(1), "before").await;
    let in_flight = writer.core_command(customer(1), "in flight").await;
    node.keys.rotate_bucket(BUCKET).await.unwrap();
    node.keys.rotate_shard().await.unwrap();
    assert!(applied(&cluster.group.apply(&in_flight)));
    assert_eq!(cluster.node().core_text(customer(1)), "in flight");
}

#[tokio::test]
async fn bucket_made_under_the_old_shard_key_conflicts_and_is_made_again() {
    let cluster = Cluster::new();
    let (node, rotator) = (cluster.node(), cluster.node());
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    node.writer(customer(1)).await.unwrap_err();
    rotator.keys.rotate_shard().await.unwrap();
    assert_eq!(cluster.group.epochs(KeyKind::ShardKey), [[2]]);
    assert!(!applied(&cluster.group.late()));
    node.put(customer(1), "Ana").await;
    assert_eq!(cluster.node().core_text(customer(1)), "Ana");
}

#[tokio::test]
async fn bucket_of_a_deposed_leader_does_not_replace_that_of_its_successor() {
    let cluster = Cluster::new();
    let (deposed, next) = (cluster.node(), cluster.node());
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    deposed.writer(customer(1)).await.unwrap_err();
    next.put(customer(1), "Ana").await;
    assert!(!applied(&cluster.group.late()));
    assert_eq!(cluster.node().core_text(customer(1)), "Ana");
}

/// The resealed values have the revisions that they had, so only the condition on the key tells that they are late.
#[tokio::test]
async fn reseal_of_a_deposed_leader_comes_too_late_after_two_more_rotations() {
    let cluster = Cluster::new();
    let (deposed, next) = (cluster.node(), cluster.node());
    next.put(customer(1), "Ana").await;
    cluster.group.plan([Planned::Pass, Planned::Lost]);
    deposed.keys.rotate_customer(customer(1)).await.unwrap_err();
    next.keys.rotate_customer(customer(1)).await.unwrap();
    assert_eq!(cluster.group.epochs(KeyKind::CustomerKey), [[3]]);
    assert!(!applied(&cluster.group.late()));
    assert_eq!(cluster.node().core_text(customer(1)), "Ana");
}

/// Regression: a leader that was deposed in the middle of a rotation took it for damage that its successor had ended the rotation.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, outside the runtime")]
#[tokio::test]
async fn rotation_that_another_leader_ends_meanwhile_is_no_damage() {
    let cluster = Cluster::new();
    let (deposed, next) = (cluster.node(), cluster.node());
    next.put(customer(1), "Ana").await;
    let looks = AtomicU32::new(0);
    let meanwhile = |_: Bytes, value: Bytes| {
        if looks.fetch_add(1, Ordering::Relaxed) == 0 {
            let rotation = || futures::executor::block_on(next.keys.rotate_customer(customer(1)));
            std::thread::scope(|elsewhere| elsewhere.spawn(rotation).join()).unwrap()?;
        }
        let (_, sealed) = ValueHeader::decode(&value)?;
        deposed.keys.customer_key(customer(1), BUCKET, sealed_epoch(&sealed)?)?;
        Ok(None)
    };
    let cores = KeyPrefix::kind(deposed.keys.group(), KeyKind::Core);
    assert_eq!(deposed.keys.rewrap_all(&cores, &[], &meanwhile).await.unwrap(), 0);
    assert_eq!(looks.into_inner(), 2, "what was read before the end of the rotation is read again");

    let gone = |_: Bytes, _: Bytes| Err(KeysError::EpochGone { epoch: KeyEpoch::FIRST });
    let damage = deposed.keys.rewrap_all(&cores, &[], &gone).await.unwrap_err();
    assert!(damage.is_data_loss(), "what stays away is gone for good");
}

#[tokio::test]
async fn value_read_before_a_rotation_is_opened_after_it() {
    let cluster = Cluster::new();
    let (node, reader) = (cluster.node(), cluster.node());
    node.put(customer(1), "Ana").await;
    let key = core(customer(1));
    let value = cluster.group.engine.get(key.as_ref()).unwrap().unwrap();
    node.keys.rotate_customer(customer(1)).await.unwrap();
    let opened = reader.keys.open(&key, value.clone()).unwrap().unwrap();
    assert_eq!(opened.plaintext.as_slice(), b"Ana");

    let mut batch = custodia_store::Batch::new();
    batch.delete(key.clone());
    cluster.group.engine.write(batch).unwrap();
    assert!(cluster.node().keys.open(&key, value).unwrap().is_none(), "and it may be gone as well");
}

#[tokio::test]
async fn cached_key_of_another_epoch_is_read_again() {
    let cluster = Cluster::new();
    let (node, reader) = (cluster.node(), cluster.node());
    node.put(customer(1), "Ana").await;
    assert_eq!(reader.core_text(customer(1)), "Ana");
    for epoch in 2..5 {
        node.keys.rotate_customer(customer(1)).await.unwrap();
        assert_eq!(cluster.group.sealed_epoch(&core(customer(1))), KeyEpoch::new(epoch).unwrap());
        assert_eq!(reader.core_text(customer(1)), "Ana");
        assert!(applied(&reader.put(customer(1), "Ana").await));
    }
}

/// Adds one to the number in the customer's core; tells whether it was applied.
async fn count_up(node: &Node, customer: custodia_profile::CustomerId) -> bool {
    let number: u32 = node.core_text(customer).parse().unwrap();
    let key = core(customer);
    let header = node.keys.read(&key).unwrap().unwrap().header;
    let writer = node.writer(customer).await.unwrap();
    let expected = custodia_consensus::Expected::Revision(header.revision);
    let mut command = custodia_consensus::Command::default();
    command.conditions.push(custodia_consensus::Condition { key: key.as_bytes().clone(), expected });
    let text = (number + 1).to_string();
    command.writes.push(writer.seal(&key, header.revision + 1, 1, text.as_bytes()).unwrap());
    writer.finish(&mut command);
    tokio::task::yield_now().await;
    applied(&node.group.apply(&command))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_lose_no_step_while_every_level_is_rotated() {
    const STEPS: u32 = 60;
    let cluster = Cluster::new();
    let rotator = Arc::new(cluster.node());
    let mut tasks = Vec::new();
    for number in 0..4 {
        rotator.put(customer(number), "0").await;
    }
    for number in 0..4 {
        // Two writers know the rotator's ring and cache, two their own.
        let node = if number % 2 == 0 { Arc::clone(&rotator) } else { Arc::new(cluster.node()) };
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while done < STEPS {
                done += u32::from(count_up(&node, customer(number)).await);
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut newcomers = 100;
    while tasks.iter().any(|task| !task.is_finished()) {
        rotator.keys.rotate_shard().await.unwrap();
        rotator.keys.rotate_buckets().await.unwrap();
        for number in 0..4 {
            rotator.keys.rotate_customer(customer(number)).await.unwrap();
        }
        newcomers += u16::from(applied(&rotator.put(customer(newcomers), "0").await));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let fresh = cluster.node();
    for number in 0..4 {
        assert_eq!(fresh.core_text(customer(number)), STEPS.to_string());
    }
    for number in 100..newcomers {
        assert_eq!(fresh.core_text(customer(number)), "0");
    }
}
