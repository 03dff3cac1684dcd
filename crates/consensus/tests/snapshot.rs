//! A node that was down too long catches up by a snapshot. A node that lost its state rebuilds itself.

#[cfg(test)]
mod common;

use std::time::Duration;

use common::{Keep, TestCluster, applied, eventually, get, put, shard, soon};
use custodia_consensus::{Outcome, Timing};
use custodia_profile::GroupId;
use futures::future::join_all;

/// Frequent snapshots and a short log. Long timeouts: installs and their syncs share the machine with elections.
fn short_log() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(1_000),
        snapshot_entries: 40,
        kept_entries: 10,
        ..Timing::fast()
    }
}

/// Puts `count` records one after the other, so that each gets its own log entry.
async fn fill(cluster: &TestCluster, from: u64, count: u64) {
    for number in from..from + count {
        cluster.put(shard(0), number, 1, &[7; 5_000]).await;
    }
}

async fn purged(cluster: &TestCluster, number: u32, group: GroupId) {
    eventually("the log is purged", async || {
        let statuses = cluster.at(number).group_statuses();
        statuses.iter().any(|status| status.group == group && status.purged.is_some_and(|index| index > 50))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_that_was_away_catches_up_by_a_snapshot() {
    let mut cluster = TestCluster::new(3, 1, short_log()).await;
    fill(&cluster, 0, 5).await;
    cluster.agree(shard(0)).await;
    let away = if cluster.led(shard(0)).await.as_u32() == 3 { 2 } else { 3 };
    cluster.kill(away).await;
    fill(&cluster, 5, 200).await;
    let leader = cluster.led(shard(0)).await.as_u32();
    purged(&cluster, leader, shard(0)).await;
    cluster.start(away).await;
    cluster.agree(shard(0)).await;
    fill(&cluster, 205, 20).await;
    cluster.agree(shard(0)).await;
    let statuses = cluster.at(away).group_statuses();
    let status = statuses.iter().find(|status| status.group == shard(0)).unwrap();
    assert!(status.purged.is_some_and(|index| index > 50), "not by a snapshot: {status:?}");
    cluster.shutdown().await;
}

/// The failure: the library counts entries. With its limits alone, a log of large entries grew to many times what they were
/// meant to allow, and records of a group that nobody writes to kept every later file of the shared log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_of_large_entries_is_bounded_in_bytes() {
    const MIB: u64 = 1024 * 1024;
    let timing = Timing { log_bytes_max: 2 * MIB, ..Timing::fast() };
    let cluster = TestCluster::new(3, 2, timing).await;
    for number in 0..60 {
        cluster.put(shard(1), number, 1, &[5; 2_000]).await;
    }
    for number in 0..600 {
        cluster.put(shard(0), number, 1, &[7; 50_000]).await;
    }
    for number in 1..=3 {
        eventually("30 MB of log are purged to a few", async || {
            cluster.files(number, "log").iter().sum::<u64>() < 8 * MIB
        })
        .await;
    }
    cluster.agree(shard(0)).await;
    cluster.agree(shard(1)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_of_much_data_travels_in_pieces_and_survives_restarts() {
    let timing = short_log();
    let mut cluster = TestCluster::with(3, timing, || Keep::Fjall).await;
    cluster.init(1).await;
    let leader = cluster.led(shard(0)).await.as_u32();
    let away = if leader == 3 { 2 } else { 3 };
    cluster.kill(away).await;
    // About 12 MiB, in more than enough entries.
    for round in 0..60 {
        let leader = cluster.led(shard(0)).await.as_u32();
        let at = cluster.at(leader);
        let puts =
            (0..4).map(|n| at.propose(shard(0), put(shard(0), round * 4 + n, 1, &[9; 50_000]), soon()));
        for outcome in join_all(puts).await {
            assert!(matches!(outcome, Ok(Outcome::Applied { .. })), "{outcome:?}");
        }
    }
    cluster.start(away).await;
    cluster.agree(shard(0)).await;
    cluster.kill(away).await;
    cluster.start(away).await;
    cluster.agree(shard(0)).await;
    assert_eq!(get(cluster.at(away), shard(0), 239), Some((1, vec![9; 50_000].into())));
    assert!(cluster.files(away, "snapshots").is_empty(), "a snapshot file was left");
    cluster.shutdown().await;
}

/// An engine that does not open is set aside, and the node rebuilds its state.
async fn loses_state_and_rebuilds(keep: impl Fn() -> Keep) {
    let mut cluster = TestCluster::with(3, short_log(), keep).await;
    cluster.init(2).await;
    fill(&cluster, 0, 150).await;
    cluster.put(shard(1), 1, 1, b"only in the log").await;
    let lost = cluster.led(shard(0)).await.as_u32();
    purged(&cluster, lost, shard(0)).await;
    cluster.kill(lost).await;
    cluster.lose_state(lost);
    cluster.put(shard(0), 1_000, 1, b"meanwhile").await;
    cluster.start(lost).await;
    for group in [shard(0), shard(1), GroupId::Directory] {
        cluster.agree(group).await;
    }
    assert!(get(cluster.at(lost), shard(0), 149).is_some());
    assert!(get(cluster.at(lost), shard(1), 1).is_some());
    cluster.put(shard(0), 1, 2, b"and goes on").await;
    cluster.agree(shard(0)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_lost_its_state_engine_rebuilds_itself() {
    loses_state_and_rebuilds(|| Keep::Memory(std::sync::Arc::new(custodia_store::MemoryEngine::new()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_whose_engine_files_are_gone_rebuilds_itself() {
    loses_state_and_rebuilds(|| Keep::Fjall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replica_waits_until_another_node_can_send_its_state() {
    let mut cluster = TestCluster::new(3, 1, short_log()).await;
    fill(&cluster, 0, 150).await;
    cluster.agree(shard(0)).await;
    let (lost, others) = (2, [1, 3]);
    purged(&cluster, lost, shard(0)).await;
    for number in 1..=3 {
        cluster.kill(number).await;
    }
    cluster.lose_shards(lost);
    let asked = |cluster: &TestCluster| others.map(|other| cluster.hub.exchanges(lost, other));
    let before = asked(&cluster);
    cluster.start(lost).await;
    // Alone it must not take part: it has acknowledged entries that it no longer has. It asks twice a round.
    eventually("it asks all members, round after round", async || {
        asked(&cluster).iter().zip(before).all(|(now, before)| *now >= before + 6)
    })
    .await;
    let runs = || cluster.at(lost).group_statuses().iter().map(|status| status.group).collect::<Vec<_>>();
    eventually("it runs the directory, behind its restart guard", async || !runs().is_empty()).await;
    assert_eq!(runs(), [GroupId::Directory], "it knows its shard but runs no replica of it that could vote");
    for other in others {
        cluster.start(other).await;
    }
    cluster.agree(shard(0)).await;
    assert!(get(cluster.at(lost), shard(0), 149).is_some());
    cluster.shutdown().await;
}

/// Regression: a node that accepted the request and then went silent delayed the rebuild by ten minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_node_does_not_delay_a_rebuild_from_another() {
    let timing = Timing {
        heartbeat: Duration::from_millis(60),
        election_min: Duration::from_millis(250),
        election_max: Duration::from_millis(500),
        balance: Duration::from_secs(600),
        ..short_log()
    };
    let mut cluster = TestCluster::new(3, 1, timing).await;
    fill(&cluster, 0, 150).await;
    cluster.agree(shard(0)).await;
    let leader = cluster.led(shard(0)).await.as_u32();
    let lost = if leader == 3 { 2 } else { 3 };
    purged(&cluster, lost, shard(0)).await;
    cluster.kill(lost).await;
    cluster.lose_shards(lost);
    // The leader is asked first and is silent, so the third node has to do.
    let silent = cluster.led(shard(0)).await.as_u32();
    cluster.hub.silence(silent, lost);
    let before = cluster.hub.exchanges(lost, silent);
    cluster.start(lost).await;
    eventually("the replica is rebuilt", async || applied(cluster.at(lost), shard(0)).is_some()).await;
    assert!(cluster.hub.exchanges(lost, silent) > before, "the silent node was never asked");
    cluster.hub.mend_silence();
    cluster.agree(shard(0)).await;
    cluster.shutdown().await;
}
