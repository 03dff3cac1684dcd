//! What the replicas of one node share: storage, the way to other nodes, tasks and timing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::NodeId;
use tokio::sync::watch;

use crate::clock::LeaseClock;
use crate::lifecycle::Lifecycle;
use crate::options::ReadMode;
use crate::peers::client::PeerClient;
use crate::peers::heartbeat::HeartbeatQueues;
use crate::raft::storage::Storage;
use crate::timing::Timing;

/// The surroundings of a replica.
pub(crate) struct NodeContext {
    pub(crate) storage: Arc<Storage>,
    pub(crate) client: Arc<PeerClient>,
    pub(crate) heartbeats: Arc<HeartbeatQueues>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) timing: Timing,
    pub(crate) read_mode: ReadMode,
    pub(crate) clock: Arc<LeaseClock>,
    /// When this process started to act for the node. The restart guard counts from here, or from the end of the
    /// replica's last run in this process.
    pub(crate) started: Instant,
    /// How long after that a replica that may have granted a lease takes no part.
    pub(crate) restart_guard: Duration,
    /// Incremented when the leadership of any group changes as seen here, and when a replica starts.
    pub(crate) leadership: watch::Sender<u64>,
}

impl NodeContext {
    /// This node.
    pub(crate) fn id(&self) -> NodeId {
        self.client.own.node
    }

    /// Whether leases may be used and granted: the clocks have run together for a whole lease. If the monotonic clock went
    /// back, the node has failed: the library dates acknowledgements by it, and some now lie in the future.
    pub(crate) fn may_use_leases(&self) -> bool {
        let steady = self.clock.steady_for_a_lease();
        if self.clock.went_back() {
            self.lifecycle.fail("the monotonic clock, which went back".to_owned());
        }
        steady
    }

    pub(crate) fn leadership_changed(&self) {
        self.leadership.send_modify(|version| *version += 1);
    }
}
