//! The clocks of consensus, and what follows from them.
//!
//! ```text
//! heartbeat ─┬─ 250 ms ─┬─ …            a leader shows that it lives
//! lease      └────────── 1,500 ms ───┘  = the longest election timeout: no vote is given to another in this time
//! read lease └ 375 ms ┘                 a quarter: how old a quorum's acknowledgement may be for a barrier to pass
//! passed        └ 375 ms ┘              a quarter: how long a passed barrier serves further reads (passed.rs)
//! ack slack     └ 94 ms┘                a sixteenth: by how much too late an acknowledgement may be dated (in_flight.rs)
//!                                       the rest is the margin for clocks that run apart
//! ```

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::error::ConsensusError;

/// The clocks of consensus. All nodes of a cluster must use the same; one whose `election_max` is another, and with it its
/// lease, is heard by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// The shortest time without a leader before an election.
    pub election_min: Duration,
    /// The longest; also the leader's lease, and what a restarted voter waits before it votes again.
    pub election_max: Duration,
    /// How long heartbeats of different groups to one node are collected before they are sent together.
    pub heartbeat_linger: Duration,
    /// Between two looks at whether leadership should go back to the preferred nodes.
    pub balance: Duration,
    /// Entries between two snapshots of a group.
    pub snapshot_entries: u64,
    /// Entries kept in the log behind a snapshot, for followers that are a little late.
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
            kept_entries: 5_000,
        }
    }
}

impl Timing {
    /// Clocks for tests on one machine: failover within half a second.
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

    /// The lease, as nodes tell it each other.
    pub(crate) fn lease_ms(&self) -> u64 {
        millis(self.election_max)
    }

    /// How old a quorum's acknowledgement may be for a barrier without a round trip, and then for how long that barrier
    /// serves further reads: a quarter of the lease each.
    pub(crate) fn read_lease(&self) -> Duration {
        self.election_max / 4
    }

    /// By how much too late the library may date an acknowledgement: a sixteenth of the lease.
    pub(crate) fn ack_slack(&self) -> Duration {
        self.election_max / 16
    }

    /// How long the other end of a snapshot may neither send nor take anything before it is given up: eight leases. Long
    /// against a slow disk, short against the bound on the whole, so that a node that hangs holds nobody up who could be
    /// served by another.
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
            max_in_snapshot_log_to_keep: self.kept_entries,
            purge_batch_size: (self.snapshot_entries / 16).max(1),
            api_channel_size: Some(4_096),
            notification_channel_size: Some(8_192),
            enable_pre_vote: Some(true),
            // A restored leader may have lost what it had committed but not yet made durable, and would read stale.
            enable_leader_restore: Some(false),
            backoff: String::from("50ms 100ms 200ms ...1s"),
            ..Config::default()
        };
        config.validate().map_err(|error| ConsensusError::Replica { reason: error.to_string() })
    }
}

/// Bound on sending and installing one snapshot, however well it goes on.
pub(crate) const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_and_fast_clocks_are_accepted_by_the_library() {
        for timing in [Timing::default(), Timing::fast()] {
            timing.raft_config("test").unwrap();
            assert!(timing.read_lease() > timing.heartbeat);
        }
    }
}
