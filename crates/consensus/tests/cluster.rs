//! Three nodes, many groups: creation, writes, reads, failover, restart.

#[cfg(test)]
mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{TestCluster, eventually, get, node, peer, put, shard, soon};
use custodia_consensus::{ConsensusError, Outcome, ReadMode, Refusal, Timing};
use custodia_profile::{GroupId, NodeId};

const SHARDS: u16 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_shards_take_writes_and_serve_reads_on_spread_leaders() {
    let cluster = TestCluster::new(3, SHARDS, Timing::fast()).await;
    for number in 0..SHARDS {
        let group = shard(number);
        cluster.put(group, 1, 1, b"one").await;
        cluster.put(group, 1, 2, b"two").await;
        let leader = cluster.at(cluster.led(group).await.as_u32());
        leader.read_barrier(group, ReadMode::Lease, soon()).await.unwrap().check().unwrap();
        assert_eq!(get(leader, group, 1), Some((2, "two".into())));
        cluster.agree(group).await;
    }
    let directory = cluster.at(2).directory();
    assert_eq!(directory.shards().len(), usize::from(SHARDS));
    assert_eq!(directory.nodes().cloned().collect::<Vec<_>>(), cluster.peers());
    eventually("every shard is led by its preferred node", async || {
        directory
            .shards()
            .all(|placement| cluster.leader_of(GroupId::Shard(placement.shard)) == Some(placement.preferred))
    })
    .await;
    let mut led: BTreeMap<NodeId, usize> = BTreeMap::new();
    for number in 0..SHARDS {
        *led.entry(cluster.leader_of(shard(number)).unwrap()).or_default() += 1;
    }
    assert!(led.values().all(|count| (5..=6).contains(count)), "{led:?}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_refuses_writes_and_reads_and_names_the_leader() {
    let cluster = TestCluster::new(3, 1, Timing::fast()).await;
    let leader = cluster.led(shard(0)).await;
    let follower = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let at = cluster.at(follower.as_u32());
    eventually("the follower knows its leader", async || at.leader(shard(0)) == Some(leader)).await;
    let refused = at.propose(shard(0), put(shard(0), 1, 1, b"x"), soon()).await;
    assert!(matches!(refused, Err(ConsensusError::NotLeader { leader: Some(named) }) if named == leader));
    let refused = at.read_barrier(shard(0), ReadMode::Lease, soon()).await;
    assert!(matches!(refused, Err(ConsensusError::NotLeader { leader: Some(named) }) if named == leader));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_dies_and_no_acknowledged_write_is_lost() {
    let mut cluster = TestCluster::new(3, 2, Timing::fast()).await;
    let group = shard(0);
    for number in 0..50 {
        cluster.put(group, number, 1, b"before").await;
    }
    let dead = cluster.led(group).await;
    cluster.kill(dead.as_u32()).await;
    for number in 50..100 {
        cluster.put(group, number, 1, b"after").await;
    }
    let leader = cluster.at(cluster.led(group).await.as_u32());
    for number in 0..100 {
        assert!(get(leader, group, number).is_some(), "write {number} is lost");
    }
    cluster.start(dead.as_u32()).await;
    cluster.agree(group).await;
    let preferred = cluster.at(1).directory().shards().next().unwrap().preferred;
    eventually("leadership returns", async || cluster.leader_of(group) == Some(preferred)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_restart_without_being_created_again() {
    let mut cluster = TestCluster::with(3, Timing::fast(), || common::Keep::Fjall).await;
    cluster.init(4).await;
    let id = cluster.at(1).cluster();
    for number in 0..4 {
        cluster.put(shard(number), 1, 1, b"kept").await;
    }
    for number in 1..=3 {
        cluster.kill(number).await;
    }
    for number in 1..=3 {
        cluster.start(number).await;
    }
    let started = Instant::now();
    cluster.all_led(4).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(cluster.at(3).cluster(), id);
    for number in 0..4 {
        cluster.agree(shard(number)).await;
        assert_eq!(get(cluster.at(2), shard(number), 1), Some((1, "kept".into())));
        cluster.put(shard(number), 1, 2, b"more").await;
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_down_fails_fast_and_acknowledges_nothing() {
    let mut cluster = TestCluster::new(3, 1, Timing::fast()).await;
    let group = shard(0);
    cluster.put(group, 1, 1, b"kept").await;
    let alone = cluster.led(group).await;
    let others: Vec<u32> =
        cluster.ids().iter().map(|id| id.as_u32()).filter(|id| *id != alone.as_u32()).collect();
    for other in &others {
        cluster.kill(*other).await;
    }
    let at = cluster.at(alone.as_u32());
    eventually("the lone leader refuses", async || {
        let refused =
            at.propose(group, put(group, 2, 1, b"x"), Instant::now() + Duration::from_millis(300)).await;
        matches!(refused, Err(ConsensusError::NoQuorum | ConsensusError::NotLeader { .. }))
    })
    .await;
    let asked = Instant::now();
    let refused = at.propose(group, put(group, 3, 1, b"x"), soon()).await;
    assert!(
        matches!(refused, Err(ConsensusError::NoQuorum | ConsensusError::NotLeader { .. })),
        "{refused:?}"
    );
    assert!(at.read_barrier(group, ReadMode::Lease, soon()).await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    for other in others {
        cluster.start(other).await;
    }
    cluster.put(group, 1, 2, b"again").await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orderly_stop_hands_leadership_over_before_an_election_would() {
    let timing = Timing { balance: Duration::from_secs(60), ..Timing::default() };
    let mut cluster = TestCluster::new(3, 4, timing).await;
    let leaving = cluster.led(shard(0)).await;
    cluster.stop(leaving.as_u32()).await;
    let stopped = Instant::now();
    cluster.put(shard(0), 1, 1, b"x").await;
    assert!(stopped.elapsed() < Duration::from_millis(700), "{:?}", stopped.elapsed());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_command_of_a_batch_sees_the_earlier_one() {
    let cluster = TestCluster::new(3, 1, Timing::fast()).await;
    let group = shard(0);
    let leader = cluster.at(cluster.led(group).await.as_u32());
    // One after the other in the queue, together in the log: each builds on the previous one.
    let chain = (1..=40).map(|revision| leader.propose(group, put(group, 1, revision, b"x"), soon()));
    let outcomes = futures::future::join_all(chain).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Applied { .. }))), "{outcomes:?}");
    // Of many that want the same revision, one succeeds.
    let race = (0..20).map(|_| leader.propose(group, put(group, 1, 41, b"y"), soon()));
    let outcomes = futures::future::join_all(race).await;
    let applied = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Applied { .. }))).count();
    let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Conflict { .. }))).count();
    assert_eq!((applied, conflicts), (1, 19));
    cluster.agree(group).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_with_a_foreign_key_is_refused() {
    let cluster = TestCluster::new(1, 2, Timing::fast()).await;
    let refused = cluster.at(1).propose(shard(0), put(shard(1), 1, 1, b"x"), soon()).await;
    assert!(matches!(refused, Err(ConsensusError::ForeignKey { .. })), "{refused:?}");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creation_is_refused_if_it_would_mix_clusters_and_may_be_repeated() {
    let cluster = TestCluster::empty(4, Timing::fast()).await;
    let at = cluster.at(1);
    let early = at.propose(shard(0), put(shard(0), 1, 1, b"x"), soon()).await;
    assert!(matches!(early, Err(ConsensusError::NotInitialised)), "{early:?}");
    // Node 4 creates a cluster of its own.
    cluster.at(4).init_cluster(vec![peer(node(4))], 1, 1).await.unwrap();
    let refused = at.init_cluster(cluster.peers(), 4, 3).await;
    assert!(
        matches!(refused, Err(ConsensusError::AlreadyInitialised { node: named }) if named == node(4)),
        "{refused:?}"
    );
    assert_eq!(at.cluster(), None, "a refused creation leaves no trace");
    let three: Vec<_> = (1..=3).map(|number| peer(node(number))).collect();
    let id = at.init_cluster(three.clone(), 4, 3).await.unwrap();
    assert_eq!(at.init_cluster(three.clone(), 4, 3).await.unwrap(), id);
    let other = at.init_cluster(three, 8, 3).await;
    assert!(matches!(other, Err(ConsensusError::OtherShape)), "{other:?}");
    cluster.all_led(4).await;
    cluster.shutdown().await;
}

async fn restart_with(cluster: &mut TestCluster, number: u32, timing: &Timing) {
    cluster.stop(number).await;
    cluster.timing = timing.clone();
    cluster.start(number).await;
}

/// Regression: a voter whose lease is shorter than its leader assumes could elect another leader while the old one still read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_with_another_lease_is_refused_by_all_others() {
    let mut cluster = TestCluster::empty(3, Timing::fast()).await;
    let same = cluster.timing.clone();
    let shorter = Timing { election_max: same.election_max - Duration::from_millis(1), ..same.clone() };
    restart_with(&mut cluster, 3, &shorter).await;
    let refused = cluster.at(1).init_cluster(cluster.peers(), 4, 3).await;
    assert!(
        matches!(refused, Err(ConsensusError::Refused { node: named, refusal: Refusal::OtherLease }) if named == node(3)),
        "{refused:?}"
    );
    restart_with(&mut cluster, 3, &same).await;
    cluster.init(4).await;
    // Two nodes with another lease than the third: the two go on, and the third counts as down.
    for number in [2, 3] {
        restart_with(&mut cluster, number, &shorter).await;
    }
    let mut leader = None;
    eventually("one of the two leads", async || {
        leader = [2, 3].map(|number| cluster.at(number)).into_iter().find(|at| at.is_leader(shard(0)));
        match leader {
            Some(at) => at.read_barrier(shard(0), ReadMode::Lease, soon()).await.is_ok(),
            None => false,
        }
    })
    .await;
    let written = leader.unwrap().propose(shard(0), put(shard(0), 1, 1, b"by two"), soon()).await;
    assert!(matches!(written, Ok(Outcome::Applied { .. })), "{written:?}");
    let alone = cluster.at(1).read_barrier(shard(0), ReadMode::Lease, soon()).await;
    assert!(matches!(alone, Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum)), "{alone:?}");
    restart_with(&mut cluster, 1, &shorter).await;
    cluster.agree(shard(0)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_creation_is_completed_by_asking_again() {
    let mut cluster = TestCluster::empty(3, Timing::fast()).await;
    cluster.kill(3).await;
    let unreachable = cluster.at(1).init_cluster(cluster.peers(), 4, 3).await;
    assert!(
        matches!(unreachable, Err(ConsensusError::Peer { node: named, .. }) if named == node(3)),
        "{unreachable:?}"
    );
    cluster.start(3).await;
    cluster.init(4).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn learners_of_the_directory_follow_it() {
    let cluster = TestCluster::new(4, 8, Timing::fast()).await;
    let voters = cluster.at(1).group_statuses().into_iter().find(|s| s.group == GroupId::Directory).unwrap();
    assert_eq!((voters.voters.len(), voters.learners.len()), (3, 1), "{voters:?}");
    for number in 1..=4 {
        let at = cluster.at(number);
        eventually("the directory is everywhere", async || at.directory().shards().len() == 8).await;
    }
    cluster.shutdown().await;
}
