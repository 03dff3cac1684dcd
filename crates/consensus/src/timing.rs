//! Intervals and timeouts of consensus, and what is derived from them.
//!
//! ```text
//! heartbeat ─┬─ 250 ms ─┬─ …            a leader shows that it is alive
//! lease      └────────── 1,500 ms ───┘  = the longest election timeout: voters elect nobody else in this time
//! read lease └ 375 ms ┘                 a quarter: the largest age of a quorum's acknowledgement with which a barrier passes
//! reuse         └ 375 ms ┘              a quarter: how long a passed barrier serves further reads (replica/lease_read.rs)
//! tolerance     └ 94 ms┘                a sixteenth: by how much the machine's clocks may move against each other (clock.rs);
//!                                       the rest is the margin for clocks that run apart
//! ```

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::error::ConsensusError;

/// Intervals and timeouts of consensus. All nodes of a cluster must use the same. A node whose `election_max`, and so its
/// lease, differs is refused by all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Time between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// The shortest election timeout.
    pub election_min: Duration,
    /// The longest election timeout. Also the leader's lease, and how long a restarted voter waits before it votes again.
    pub election_max: Duration,
    /// How long heartbeats of different groups to one node are collected before they are sent together.
    pub heartbeat_linger: Duration,
    /// Time between two checks whether leadership should return to the preferred nodes.
    pub balance: Duration,
    /// Entries between two snapshots of a group.
    pub snapshot_entries: u64,
    /// Bytes of log entries that a replica holds at most before its log is purged to a quarter of that.
    pub log_bytes_max: u64,
    /// Log entries kept behind a snapshot, for followers that lag a little.
    pub kept_entries: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(750),
            election_max: Duration::from_millis(1_500),
            heartbeat_linger: Duration::from_millis(10),
            balance: Duration::from_secs(3),
            snapshot_entries: 20_000,
            log_bytes_max: 64 * 1024 * 1024,
            kept_entries: 5_000,
        }
    }
}

impl Timing {
    /// Short intervals for tests on one machine: failover takes half a second at most.
    #[must_use]
    pub fn fast() -> Self {
        Self {
            heartbeat: Duration::from_millis(40),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            heartbeat_linger: Duration::from_millis(2),
            balance: Duration::from_millis(300),
            ..Self::default()
        }
    }

    /// The lease as it is stated in messages.
    pub(crate) fn lease_ms(&self) -> u64 {
        millis(self.election_max)
    }

    /// The largest age of a quorum's acknowledgement with which a barrier passes without a round trip, and also the time for
    /// which a passed barrier serves further reads: a quarter of the lease each.
    pub(crate) fn read_lease(&self) -> Duration {
        self.election_max / 4
    }

    /// By how much this machine's clocks may move against each other before no lease counts: a sixteenth of the lease.
    pub(crate) fn clock_tolerance(&self) -> Duration {
        self.election_max / 16
    }

    /// How long a snapshot transfer may make no progress before it is abandoned: eight leases. That is long for a slow disk
    /// and short against [`SNAPSHOT_TIMEOUT`], so a node that hangs does not delay a replica that another could serve.
    pub(crate) fn snapshot_silence(&self) -> Duration {
        self.election_max * 8
    }

    /// The Raft library's configuration.
    pub(crate) fn raft_config(&self, cluster: &str) -> Result<Config, ConsensusError> {
        let config = Config {
            cluster_name: cluster.to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            max_payload_entries: 256,
            max_append_entries: Some(1_024),
            replication_lag_threshold: self.snapshot_entries.saturating_add(self.kept_entries),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            // Never by the library: cluster/log_bound.rs purges.
            max_in_snapshot_log_to_keep: u64::MAX,
            api_channel_size: Some(4_096),
            notification_channel_size: Some(8_192),
            enable_pre_vote: Some(true),
            // A restored leader may have lost entries that it committed but had not made durable; its reads would be stale.
            enable_leader_restore: Some(false),
            backoff: String::from("50ms 100ms 200ms ...1s"),
            ..Config::default()
        };
        config.validate().map_err(|error| ConsensusError::Replica { reason: error.to_string() })
    }
}

/// The limit on sending and installing one snapshot, whatever its progress.
pub(crate) const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_accepts_default_and_fast_timing() {
        for timing in [Timing::default(), Timing::fast()] {
            timing.raft_config("test").unwrap();
            assert!(timing.read_lease() > timing.heartbeat);
        }
    }
}
