//! Regression: an old acknowledgement that was read late counted for a request sent just before. It renewed the lease of a
//! leader from which nobody had received anything since. See `peers/acknowledgements.rs`.

use std::time::{Duration, Instant};

use crate::common::{PATIENCE, TestCluster, eventually, put, shard, soon};
use crate::consensus::Consensus;
use crate::options::ReadMode;
use crate::timing::Timing;

/// A long lease, so that what happens within it does not depend on how busy the machine is.
fn long_lease() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(200),
        election_min: Duration::from_millis(1_000),
        election_max: Duration::from_millis(8_000),
        balance: Duration::from_secs(600),
        ..Timing::fast()
    }
}

fn log_ends(at: &Consensus) -> (Option<u64>, Option<u64>) {
    let statuses = at.group_statuses();
    let status = statuses.iter().find(|status| status.group == shard(0));
    status.map_or((None, None), |status| (status.last_log, status.applied))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_answer_does_not_renew_the_lease() {
    let (group, timing) = (shard(0), long_lease());
    let cluster = TestCluster::new(3, 1, timing.clone()).await;
    cluster.put(group, 1, 1, b"first").await;
    cluster.agree(group).await;
    let leader = cluster.led(group).await.as_u32();
    let at = cluster.at(leader);
    let others: Vec<u32> = (1..=3).filter(|number| *number != leader).collect();

    // Both others acknowledge a write, and their answers stay unread for longer than a barrier may rely on them.
    let (before, _) = log_ends(at);
    for other in &others {
        cluster.hub.cut(*other, leader);
    }
    let proposal = tokio::spawn({
        let at = at.clone();
        async move { at.propose(group, put(group, 2, 1, b"second"), Instant::now() + PATIENCE).await }
    });
    for other in &others {
        eventually("the follower has the write", async || log_ends(cluster.at(*other)).0 > before).await;
    }
    tokio::time::sleep(timing.read_lease() + timing.heartbeat).await;

    // From now on nobody receives anything from the leader. It reads one answer, commits, and tries to tell the other.
    for other in &others {
        cluster.hub.cut(leader, *other);
    }
    tokio::time::sleep(timing.heartbeat * 2).await;
    cluster.hub.mend_one(others[0], leader);
    eventually("the write is committed", async || log_ends(at).1 > before).await;
    proposal.await.unwrap().unwrap();
    tokio::time::sleep(timing.heartbeat).await;

    // The other answer is as old as the first.
    cluster.hub.mend_one(others[1], leader);
    tokio::time::sleep(timing.heartbeat).await;
    let barrier = at.read_barrier(group, ReadMode::Lease, soon()).await;
    assert!(barrier.is_err(), "nobody has acknowledged this leader for a long time");
    cluster.hub.mend();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_read_relies_on_no_lease() {
    let (group, timing) = (shard(0), long_lease());
    let cluster = TestCluster::new(3, 1, timing).await;
    cluster.put(group, 1, 1, b"first").await;
    let leader = cluster.led(group).await.as_u32();
    let at = cluster.at(leader);
    at.read_barrier(group, ReadMode::Quorum, soon()).await.unwrap().check().unwrap();
    for other in (1..=3).filter(|number| *number != leader) {
        cluster.hub.cut(other, leader);
    }
    let soon = || Instant::now() + Duration::from_millis(300);
    assert!(at.read_barrier(group, ReadMode::Lease, soon()).await.is_ok(), "the lease still stands");
    assert!(at.read_barrier(group, ReadMode::Quorum, soon()).await.is_err(), "nobody answers the leader");
    cluster.hub.mend();
    at.read_barrier(group, ReadMode::Quorum, Instant::now() + PATIENCE).await.unwrap().check().unwrap();
    cluster.shutdown().await;
}
