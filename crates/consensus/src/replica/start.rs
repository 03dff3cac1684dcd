//! A replica that is being started: what it needs to know, and what keeps it from running.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use custodia_profile::{GroupId, ReplicaId};
use parking_lot::Mutex;

/// Why a replica does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicaState {
    /// It is about to run.
    #[default]
    Starting,
    /// Its state was damaged or lost, and is being fetched from other nodes.
    Rebuilding,
    /// Its state is lost, and no other node gave it. It is asked for again and again.
    Stranded,
    /// It cannot start, for the reason given with it. It is tried again and again.
    Failed,
}

/// A replica of this node that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedReplica {
    /// Its group.
    pub group: GroupId,
    /// Its id.
    pub replica: ReplicaId,
    /// Why it does not run.
    pub state: ReplicaState,
    /// The same in words; empty while it starts.
    pub reason: String,
}

/// One start of a replica, with all of its attempts.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) group: GroupId,
    pub(crate) id: ReplicaId,
    /// The map version that placed it.
    pub(crate) since: u64,
    /// When it last ran in this process, if it did: it may have granted a lease until then.
    pub(crate) ran_until: Option<Instant>,
    pub(crate) progress: Arc<Progress>,
}

/// How far a start has come; for the status of the cluster.
#[derive(Debug)]
pub(crate) struct Progress {
    group: GroupId,
    replica: ReplicaId,
    now: Mutex<(ReplicaState, String)>,
}

impl Progress {
    pub(crate) fn new(group: GroupId, replica: ReplicaId) -> Self {
        Self { group, replica, now: Mutex::default() }
    }

    pub(crate) fn state(&self) -> ReplicaState {
        self.now.lock().0
    }

    /// Notes what keeps the replica from running, and logs it if it is new.
    pub(crate) fn set(&self, state: ReplicaState, reason: impl fmt::Display) {
        let reason = reason.to_string();
        let mut now = self.now.lock();
        if *now == (state, reason.clone()) {
            return;
        }
        let (group, replica) = (self.group, self.replica);
        match state {
            ReplicaState::Starting => {}
            ReplicaState::Rebuilding => tracing::warn!(%group, %replica, reason, "rebuilding the replica"),
            ReplicaState::Stranded => {
                tracing::error!(%group, %replica, reason, "cannot rebuild the replica; asking again")
            }
            ReplicaState::Failed => {
                tracing::error!(%group, %replica, reason, "cannot start the replica; trying again")
            }
        }
        *now = (state, reason);
    }

    pub(crate) fn stopped(&self) -> StoppedReplica {
        let (state, reason) = self.now.lock().clone();
        StoppedReplica { group: self.group, replica: self.replica, state, reason }
    }
}
