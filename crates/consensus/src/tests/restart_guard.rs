//! Regression: a lease read returned stale data after a follower restarted.
//!
//! ```text
//! old leader ──╳── follower ────── restarted          1. the follower is cut off from the leader for longer than the lease
//!     │                               │               2. the restarted one acknowledged the leader just before it died
//!     └──────────────╳────────────────┘               3. now the old leader is alone, and its lease still runs
//! ```
//! If the restarted node votes at once, the follower leads and commits while the old leader still reads under its lease.

use std::time::{Duration, Instant};

use crate::cluster::node::Node;
use crate::cluster::supervisor;
use crate::common::{TestCluster, get, node, put, shard, soon};
use crate::consensus::Consensus;
use crate::options::ReadMode;
use crate::timing::Timing;

/// A long lease, so that what happens within it does not depend on how busy the machine is.
fn long_lease() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(200),
        election_min: Duration::from_millis(1_000),
        election_max: Duration::from_millis(4_000),
        balance: Duration::from_secs(600),
        ..Timing::fast()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum OldLeader {
    ReadsStaleData,
    Refuses,
}

/// Runs the scenario with a restart guard of the given length.
async fn old_leader_after_a_restart(guard: Duration) -> OldLeader {
    let timing = long_lease();
    let mut cluster = TestCluster::new(3, 1, timing.clone()).await;
    let group = shard(0);
    cluster.put(group, 1, 1, b"old").await;
    cluster.agree(group).await;
    let old = cluster.led(group).await.as_u32();
    let others: Vec<u32> = (1..=3).filter(|number| *number != old).collect();
    let (follower, restarted) = (others[0], others[1]);
    cluster.hub.cut_both(old, follower);
    tokio::time::sleep(timing.election_max + timing.heartbeat).await;
    assert!(
        cluster.at(old).read_barrier(group, ReadMode::Lease, soon()).await.is_ok(),
        "the old leader still has a majority"
    );

    cluster.hub.isolate(node(old), &cluster.ids());
    let died = cluster.detach(restarted);
    supervisor::halt(&died.node).await;
    drop(died);
    let options = cluster.options(restarted).await;
    let node = Node::open_with_guard(options, guard).unwrap();
    let consensus = Consensus::start_node(node).await.unwrap();
    cluster.attach(restarted, consensus);
    cluster.hub.isolate(crate::common::node(old), &cluster.ids());

    let at = cluster.at(follower);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "the follower never led");
        at.node.replica(group).unwrap().raft.trigger().elect(false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if at.propose(group, put(group, 1, 2, b"new"), soon()).await.is_ok() {
            break;
        }
    }
    // The new value is acknowledged. From now on nobody may read the old one.
    let soon = Instant::now() + Duration::from_millis(200);
    let outcome = match cluster.at(old).read_barrier(group, ReadMode::Lease, soon).await {
        Ok(_) if get(cluster.at(old), group, 1) == Some((1, "old".into())) => OldLeader::ReadsStaleData,
        Ok(_) => panic!("the old leader is alone, it cannot have the new value"),
        Err(_) => OldLeader::Refuses,
    };
    cluster.hub.mend();
    cluster.shutdown().await;
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_voter_does_not_break_the_lease() {
    let guard = long_lease().election_max;
    let (trapped, with) = tokio::join!(trap_shows(), old_leader_after_a_restart(guard));
    assert!(trapped, "the trap is gone: is the guard still needed?");
    assert_eq!(with, OldLeader::Refuses);
}

/// Without the guard. The scenario must finish within a quarter of the lease, which a busy machine may sometimes miss.
async fn trap_shows() -> bool {
    for _ in 0..5 {
        if old_leader_after_a_restart(Duration::ZERO).await == OldLeader::ReadsStaleData {
            return true;
        }
    }
    false
}
