//! Regression: a dead peer caused a hot loop. The library called the network again at once, 213,000 times a second, if an
//! append stream failed before it had taken its first request.

#[cfg(test)]
mod common;

use std::time::Duration;

use common::{TestCluster, shard};
use custodia_consensus::Timing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_peer_is_tried_a_bounded_number_of_times() {
    const SHARDS: u16 = 4;
    let mut cluster = TestCluster::new(3, SHARDS, Timing::fast()).await;
    cluster.kill(3).await;
    cluster.all_led(SHARDS).await;
    let tries = |cluster: &TestCluster| cluster.hub.count(1, 3) + cluster.hub.count(2, 3);
    let before = tries(&cluster);
    let span = Duration::from_secs(3);
    let until = tokio::time::Instant::now() + span;
    // Under writes, so that there is always something to send to the dead node.
    let mut number = 0;
    while tokio::time::Instant::now() < until {
        cluster.put(shard(0), number, 1, b"x").await;
        number += 1;
    }
    let tried = tries(&cluster) - before;
    // Per second: at most 20 attempts for each of 5 groups, and 2 × 25 heartbeats of all groups together.
    let limit = 150 * span.as_secs();
    assert!(tried > 0 && tried < limit, "{tried} tries in {span:?}, {number} writes");
    cluster.start(3).await;
    cluster.agree(shard(0)).await;
    cluster.shutdown().await;
}
