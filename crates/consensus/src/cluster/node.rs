//! One node: its replicas and what they share.
//!
//! What must hold: the cluster id is set once and is also in the data folder; after the first failed write of the engine or
//! the log, or the first part of consensus that fails, the node leads nothing (see `supervisor.rs`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::GroupId;
use custodia_seal::ClusterId;
use custodia_store::{PartitionId, StateEngine, StoreError};
use tokio::sync::{Mutex, Notify, watch};

use super::replicas::Replicas;
use crate::blocking::blocking;
use crate::clock::LeaseClock;
use crate::error::ConsensusError;
use crate::lifecycle::Lifecycle;
use crate::options::ConsensusOptions;
use crate::peers::client::PeerClient;
use crate::peers::heartbeat::HeartbeatQueues;
use crate::raft::machine::read_applied;
use crate::raft::storage::Storage;
use crate::replica::Replica;
use crate::replica::context::NodeContext;
use crate::transport::Peer;

/// One node.
pub(crate) struct Node {
    pub(crate) context: Arc<NodeContext>,
    pub(crate) replicas: Replicas,
    /// Held while this node creates or joins a cluster.
    pub(crate) bootstrapping: Mutex<()>,
    /// A partition of the state may be lost (recovery.rs).
    pub(crate) damaged: Arc<Notify>,
    /// The partitions that are being recovered, or were lost too often.
    pub(crate) recovering: parking_lot::Mutex<BTreeSet<PartitionId>>,
}

impl Node {
    pub(crate) fn open(options: ConsensusOptions) -> Result<Arc<Self>, ConsensusError> {
        let restart_guard = options.timing.election_max;
        Self::open_with_guard(options, restart_guard)
    }

    pub(crate) fn open_with_guard(
        options: ConsensusOptions,
        restart_guard: Duration,
    ) -> Result<Arc<Self>, ConsensusError> {
        let ConsensusOptions { node, address, engine, log, folder, transport, timing, read_mode } = options;
        let lifecycle = Arc::<Lifecycle>::default();
        for poison in [engine.poison(), log.poison()] {
            let failed = lifecycle.failed.clone();
            poison.on_set(Box::new(move |error| {
                tracing::error!(%error, "storage failed; stopping all replicas of this node");
                failed.cancel();
            }));
        }
        let damaged = Arc::<Notify>::default();
        let notified = Arc::clone(&damaged);
        engine.on_lost(Box::new(move || notified.notify_one()));
        let storage = Storage::new(engine, log, folder);
        let own = Peer { node, address };
        let client = PeerClient::new(own, transport, timing.clone(), Arc::clone(&storage.directory));
        if let Some(uuid) = storage.folder.cluster() {
            client.set_cluster(ClusterId::new(uuid));
        }
        let client = Arc::new(client);
        let directory = storage.engine.partition(GroupId::Directory);
        let resumed = storage.snapshot_files.resume(&directory, GroupId::Directory);
        match resumed.and_then(|()| read_applied(&directory, GroupId::Directory)) {
            Ok((applied, _)) => storage.state_changed(&directory, GroupId::Directory, applied),
            // The copy is empty until the replica of the directory is rebuilt.
            Err(ConsensusError::Store(StoreError::PartitionLost { .. })) => {}
            Err(error) => return Err(error),
        }
        if storage.directory.load().shape().is_some() {
            storage.folder.end_creating()?;
        }
        let context = NodeContext {
            heartbeats: Arc::new(HeartbeatQueues::new(Arc::clone(&client), Arc::clone(&lifecycle))),
            storage,
            client,
            lifecycle,
            clock: Arc::new(LeaseClock::new(timing.election_max, timing.clock_tolerance())),
            timing,
            read_mode,
            started: Instant::now(),
            restart_guard,
            leadership: watch::Sender::new(0),
        };
        Ok(Arc::new(Self {
            context: Arc::new(context),
            replicas: Replicas::default(),
            bootstrapping: Mutex::new(()),
            damaged,
            recovering: parking_lot::Mutex::default(),
        }))
    }

    /// The cluster that this node belongs to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.context.client.cluster()
    }

    /// Makes this node part of a cluster, first in its data folder.
    pub(crate) async fn set_cluster(&self, cluster: ClusterId) -> Result<(), ConsensusError> {
        let folder = Arc::clone(&self.context.storage.folder);
        blocking(move || folder.join_cluster(cluster.uuid())).await?;
        if self.context.client.set_cluster(cluster) == cluster {
            Ok(())
        } else {
            Err(ConsensusError::AlreadyInitialised { node: self.context.id() })
        }
    }

    /// Marks durably that this node is creating a cluster.
    pub(crate) async fn begin_creating(&self) -> Result<(), ConsensusError> {
        let folder = Arc::clone(&self.context.storage.folder);
        blocking(move || folder.begin_creating()).await
    }

    /// The cluster is created.
    pub(crate) async fn end_creating(&self) -> Result<(), ConsensusError> {
        let folder = Arc::clone(&self.context.storage.folder);
        blocking(move || folder.end_creating()).await
    }

    /// Spawns a task that the node cannot do without.
    pub(crate) fn spawn(&self, part: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.context.lifecycle.spawn(part, task);
    }

    /// Why the node has failed.
    pub(crate) fn why_failed(&self) -> ConsensusError {
        match self.context.storage.check() {
            Err(error) => error.into(),
            Ok(()) => ConsensusError::PartFailed { part: self.context.lifecycle.failed_part() },
        }
    }

    /// The running replica of a group, or why there is none.
    pub(crate) fn replica(&self, group: GroupId) -> Result<Arc<Replica>, ConsensusError> {
        if let Some(replica) = self.replicas.get(group) {
            return Ok(replica);
        }
        self.context.storage.check()?;
        if self.context.lifecycle.stop.is_cancelled() {
            return Err(ConsensusError::Stopped);
        }
        if self.cluster().is_none() {
            return Err(ConsensusError::NotInitialised);
        }
        Err(ConsensusError::NoReplica { group })
    }

    pub(crate) fn add_running(&self, replica: Arc<Replica>) {
        self.replicas.add(replica);
        self.context.leadership_changed();
    }
}
