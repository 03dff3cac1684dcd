//! The client's time limits and other bounds.

use std::time::Duration;

/// Default deadline of a call.
pub(crate) const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// Time to open a TCP connection and finish the TLS handshake.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Shortest time limit of one attempt of a retryable call. Attempts are limited so that a hanging node does not use up
/// the whole deadline.
pub(crate) const ATTEMPT_MIN: Duration = Duration::from_millis(1_000);

/// First wait before a retry; doubles up to [`BACKOFF_MAX`].
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// Longest wait before a retry: short compared to an election, which takes about a second.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_millis(250);

/// Nodes that answer UNAVAILABLE for longer than this are not in a failover, which takes up to 3 s with a node's
/// default timeouts.
pub(crate) const FAILOVER_MAX: Duration = Duration::from_secs(5);

/// Default number of rounds over all nodes after which a call fails.
pub(crate) const UNAVAILABLE_ROUNDS_DEFAULT: u32 = 3;

/// A shard map younger than this is not fetched again.
pub(crate) const MAP_AGE_MIN: Duration = Duration::from_millis(100);

/// Pause before the next fetch of the shard map after a node refused to list shards; calls then go through any node.
pub(crate) const MAP_REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Time limit for fetching the shard map from one node.
pub(crate) const MAP_FETCH_MAX: Duration = Duration::from_millis(1_000);

/// Interval of HTTP/2 pings, which detect a peer that vanished without closing the connection.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Time limit for the answer to a ping.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// An ingest stream whose oldest row has waited this long is closed, and its rows are sent again.
pub(crate) const STREAM_STALL_MAX: Duration = Duration::from_secs(10);

/// A row of an ingest stream is retried for at most this long.
pub(crate) const STREAM_ROW_DEADLINE: Duration = Duration::from_secs(60);

/// Largest answer that the client accepts: 500 profiles of about 128 KiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The wait before retry number `attempt` (from 1): exponential, with jitter so that the clients of a lost leader do not
/// all come back at the same instant.
pub(crate) fn backoff(attempt: u32, random: u64) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1_u32 << attempt.saturating_sub(1).min(10));
    let ceiling = doubled.min(BACKOFF_MAX);
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX).max(2);
    // Never below half: without a wait, retries would be a hot loop.
    Duration::from_micros(micros / 2 + random % (micros / 2))
}

/// Random enough to spread clients; not a secret.
pub(crate) fn jitter() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_stays_within_its_ceiling() {
        for attempt in 1..40 {
            for random in [0, 1, 17, u64::MAX] {
                let wait = backoff(attempt, random);
                assert!(wait >= BACKOFF_FIRST / 2 && wait <= BACKOFF_MAX, "{attempt}: {wait:?}");
            }
        }
        assert!(backoff(1, u64::MAX) <= BACKOFF_FIRST);
        assert!(backoff(20, 0) >= BACKOFF_MAX / 2);
    }
}
