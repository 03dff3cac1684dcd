//! Processes die, stand still and come back; nothing acknowledged is lost (OP-2, OP-3).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::time::{Duration, Instant};

use custodia_tests::sample::{get, ingest, observation, text_of};
use custodia_tests::{Options, Oracle, Sandbox, eventually};
use tonic::Code;

/// How many times a node is killed under load.
const ROUNDS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_however_often_a_node_is_killed() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 8).await;
    oracle.wait_for_progress().await;
    for round in 0..ROUNDS {
        // each node in turn, at moments that differ
        let victim = round % 3;
        tokio::time::sleep(Duration::from_millis((round as u64 * 37) % 211)).await;
        sandbox.nodes[victim].kill();
        oracle.wait_for_progress().await;
        sandbox.nodes[victim].start();
        caught_up(&sandbox, victim).await;
    }
    let acknowledged = oracle.finish(&client).await;
    assert!(acknowledged > ROUNDS * 8);
}

/// Waits until a node's replicas have applied what their leaders had when the call began.
async fn caught_up(sandbox: &Sandbox, node: usize) {
    let mut goal: Vec<u64> = Vec::new();
    for other in sandbox.running() {
        let Ok(shards) = sandbox.shards(other).await else { continue };
        goal.resize(goal.len().max(shards.len()), 0);
        for (goal, shard) in goal.iter_mut().zip(shards) {
            *goal = (*goal).max(shard.applied_index);
        }
    }
    eventually("the node has caught up", async || match sandbox.shards(node).await {
        Ok(shards) => {
            shards.len() == goal.len()
                && shards.iter().zip(&goal).all(|(shard, &goal)| shard.applied_index >= goal)
        }
        Err(_) => false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_of_three_down_calls_fail_fast_and_all_comes_back_after() {
    let mut sandbox = Sandbox::start().await;
    let request = ingest("", vec![observation("given_name", "Ada")]);
    let customer = sandbox.profiles(0).await.ingest_profile(request).await.unwrap().into_inner().customer_id;
    sandbox.nodes[1].kill();
    sandbox.nodes[2].kill();
    // leases run out; then neither a read nor a write is answered, and both say so before their deadline
    eventually("a read is refused", async || {
        let status = sandbox.profiles(0).await.get_profile(get(&customer, "service")).await;
        status.is_err_and(|status| status.code() == Code::Unavailable)
    })
    .await;
    for _ in 0..5 {
        let started = Instant::now();
        let write = ingest(&customer, vec![observation("given_name", "lost")]);
        let mut request = tonic::Request::new(write);
        request.set_timeout(Duration::from_secs(8));
        let status = sandbox.profiles(0).await.ingest_profile(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(started.elapsed() < Duration::from_secs(8), "it says so before the deadline");
    }
    // and so does the client, however long the caller would wait
    let (started, patience) = (Instant::now(), Duration::from_secs(240));
    let client = sandbox.client().with_deadline(patience);
    let error = client.get_profile(get(&customer, "service")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(started.elapsed() < patience / 2, "it does not wait for the deadline");
    sandbox.nodes[1].start();
    sandbox.nodes[2].start();
    sandbox.wait_until_healthy().await;
    let profile = sandbox.client().get_profile(get(&customer, "service")).await.unwrap();
    let name = text_of(&profile, "given_name").unwrap();
    assert_eq!(name, "Ada", "what was refused as unavailable was not acknowledged, and did not happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_stopped_as_a_whole_comes_back_with_everything() {
    let mut sandbox = Sandbox::start_with(Options { shards: 16, ..Options::default() }).await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    let before = oracle.acknowledged().iter().sum::<u64>();
    for node in &mut sandbox.nodes {
        node.kill();
    }
    for node in &mut sandbox.nodes {
        node.start();
    }
    sandbox.wait_until_healthy().await;
    oracle.wait_for_progress().await;
    assert!(oracle.finish(&client).await as u64 > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_state_engine_is_rebuilt_from_the_other_nodes() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let mut customers = Vec::new();
    for number in 0..40 {
        let request = ingest("", vec![observation("given_name", &format!("name {number}"))]);
        customers.push(client.ingest_profile(request).await.unwrap().customer_id);
    }
    sandbox.nodes[2].kill();
    // every file of the engine is spoiled in its middle
    spoil(&sandbox.nodes[2].data_path().join("state"));
    sandbox.nodes[2].start();
    caught_up(&sandbox, 2).await;
    let aside = fs::read_dir(sandbox.nodes[2].data_path()).unwrap();
    let aside = aside
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("state"))
        .count();
    assert_eq!(aside, 2, "the spoiled engine was set aside, not deleted");
    // the rebuilt node carries a majority
    sandbox.nodes[0].kill();
    for (number, customer) in customers.iter().enumerate() {
        let profile = client.get_profile(get(customer, "service")).await.unwrap();
        assert_eq!(text_of(&profile, "given_name"), Some(format!("name {number}")));
    }
}

fn spoil(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spoil(&path);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len();
            bytes[end / 4..end * 3 / 4].fill(0xA5);
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_leader_serves_nothing_stale_when_it_wakes() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let request = ingest("", vec![observation("given_name", "before")]);
    let customer = client.ingest_profile(request).await.unwrap().customer_id;
    for victim in 0..3 {
        sandbox.nodes[victim].pause();
        // a new leader may have to be elected first
        let written = format!("after {victim}");
        eventually("a write is acknowledged without the paused node", async || {
            let write = ingest(&customer, vec![observation("given_name", &written)]);
            client.ingest_profile(write).await.is_ok()
        })
        .await;
        sandbox.nodes[victim].resume();
        // whatever the woken node says at once, it says no old value
        for _ in 0..20 {
            let answer = sandbox.profiles(victim).await.get_profile(get(&customer, "service")).await;
            if let Ok(profile) = answer {
                assert_eq!(text_of(&profile.into_inner(), "given_name"), Some(written.clone()));
            }
        }
        sandbox.wait_until_healthy().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_hands_its_leaderships_over() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    for node in 0..3 {
        assert_eq!(sandbox.nodes[node].terminate(), Some(0));
        oracle.wait_for_progress().await;
        sandbox.nodes[node].start();
        caught_up(&sandbox, node).await;
    }
    assert!(oracle.finish(&client).await > 0);
}
