//! What all parts of consensus on one node share: identity, storage, the way to other nodes, replicas, tasks.
//!
//! What must hold: a group has at most one replica here; tasks are spawned by [`Node::spawn`] alone and end when `stop`
//! is cancelled; the cluster id is set once and is also in the data folder; after the first failed write of the engine or
//! the log, or the first part of consensus that broke off, the node leads nothing (see `supervisor.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use custodia_profile::{GroupId, NodeId, ReplicaId};
use custodia_seal::ClusterId;
use custodia_store::{DataFolder, SharedLog, StateEngine, StoreError};
use futures::FutureExt;
use parking_lot::{Mutex, RwLock};
use prost::Message;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::consensus::ConsensusOptions;
use crate::directory::Directory;
use crate::error::{ConsensusError, Refusal};
use crate::heartbeat::HeartbeatQueues;
use crate::machine::MachineContext;
use crate::message::{Body, Envelope, Reply, Target, read_answer};
use crate::replica::Replica;
use crate::snapshot::Spool;
use crate::timing::Timing;
use crate::transport::{Peer, PeerTransport};

/// Snapshots that a node sends, and that it receives, at the same time.
const SNAPSHOTS_MAX: usize = 2;

/// One node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    pub(crate) engine: Arc<dyn StateEngine>,
    pub(crate) log: SharedLog,
    pub(crate) folder: Arc<DataFolder>,
    pub(crate) transport: Arc<dyn PeerTransport>,
    pub(crate) timing: Timing,
    /// When this process began to speak for the node: the restart guard counts from here.
    pub(crate) started: Instant,
    /// How long a replica that may have granted a lease stays silent after the start.
    pub(crate) restart_guard: Duration,
    pub(crate) directory: Arc<DirectoryCell>,
    pub(crate) leadership: watch::Sender<u64>,
    pub(crate) heartbeats: HeartbeatQueues,
    pub(crate) snapshots_out: Arc<Semaphore>,
    pub(crate) snapshots_in: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Cancelled a little before `stop`: leadership goes away and does not come back.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the engine or the log has failed, or a part of consensus broke off.
    pub(crate) failed: CancellationToken,
    /// Which part broke off first.
    broken: OnceLock<String>,
    /// Held while this node creates or joins a cluster.
    pub(crate) founding: tokio::sync::Mutex<()>,
    /// Done once it was said that others keep another lease.
    lease_refused: Once,
    cluster: OnceLock<ClusterId>,
    replicas: RwLock<BTreeMap<GroupId, Arc<Replica>>>,
    starting: Mutex<BTreeSet<GroupId>>,
    flusher: Arc<Flusher>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).finish_non_exhaustive()
    }
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
        let ConsensusOptions { node, address, engine, log, folder, transport, timing } = options;
        let cluster = OnceLock::new();
        if let Some(uuid) = folder.cluster() {
            cluster.get_or_init(|| ClusterId::new(uuid));
        }
        let directory = Arc::new(DirectoryCell::new(Directory::default()));
        let failed = CancellationToken::new();
        for poison in [engine.poison(), log.poison()] {
            let failed = failed.clone();
            poison.on_set(Box::new(move |error| {
                tracing::error!(%error, "storage has failed, the node stops its replicas");
                failed.cancel();
            }));
        }
        let node = Arc::new(Self {
            id: node,
            address,
            flusher: Arc::new(Flusher::new(Arc::clone(&engine))),
            engine,
            log,
            folder,
            transport,
            timing,
            started: Instant::now(),
            restart_guard,
            directory,
            leadership: watch::Sender::new(0),
            heartbeats: HeartbeatQueues::default(),
            snapshots_out: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
            snapshots_in: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            draining: CancellationToken::new(),
            failed,
            broken: OnceLock::new(),
            founding: tokio::sync::Mutex::new(()),
            lease_refused: Once::new(),
            cluster,
            replicas: RwLock::default(),
            starting: Mutex::default(),
        });
        let context = node.machine_context();
        context.spool.resume(&context, GroupId::Directory)?;
        node.directory.reload(node.engine.as_ref());
        Ok(node)
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// Makes this node part of a cluster, in the data folder first.
    pub(crate) async fn set_cluster(&self, cluster: ClusterId) -> Result<(), ConsensusError> {
        let folder = Arc::clone(&self.folder);
        let joined = tokio::task::spawn_blocking(move || folder.join_cluster(cluster.uuid())).await;
        joined.map_err(|_gone| ConsensusError::Stopped)??;
        if *self.cluster.get_or_init(|| cluster) == cluster {
            Ok(())
        } else {
            Err(ConsensusError::AlreadyInitialised { node: self.id })
        }
    }

    /// Spawns what the node cannot do without: should it panic, the node has failed.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let node = Arc::downgrade(self);
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err()
                && let Some(node) = node.upgrade()
            {
                node.break_off(part.to_owned());
            }
        });
    }

    /// The node has failed: this part of it has ended, and nobody asked it to.
    pub(crate) fn break_off(&self, part: String) {
        if !self.stop.is_cancelled() && !self.failed.is_cancelled() {
            tracing::error!(part, "a part of consensus broke off, the node stops its replicas");
            self.broken.get_or_init(|| part);
            self.failed.cancel();
        }
    }

    /// Refuses once the engine or the log has failed.
    fn check_storage(&self) -> Result<(), StoreError> {
        self.engine.poison().check()?;
        self.log.poison().check()
    }

    /// Why the node has failed.
    pub(crate) fn why_failed(&self) -> ConsensusError {
        match self.check_storage() {
            Err(error) => error.into(),
            Ok(()) => ConsensusError::BrokenOff { part: self.broken.get().cloned().unwrap_or_default() },
        }
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer { node: self.id, address: self.address.clone() }
    }

    pub(crate) async fn flush(&self) -> Result<(), ConsensusError> {
        self.flusher.flush().await
    }

    pub(crate) fn machine_context(&self) -> MachineContext {
        MachineContext {
            engine: Arc::clone(&self.engine),
            flusher: Arc::clone(&self.flusher),
            spool: Spool::new(Arc::clone(&self.folder)),
            directory: Arc::clone(&self.directory),
        }
    }

    /// The running replica of a group, or why there is none.
    pub(crate) fn replica(&self, group: GroupId) -> Result<Arc<Replica>, ConsensusError> {
        if let Some(replica) = self.replicas.read().get(&group) {
            return Ok(Arc::clone(replica));
        }
        self.check_storage()?;
        if self.stop.is_cancelled() {
            return Err(ConsensusError::Stopped);
        }
        if self.cluster().is_none() {
            return Err(ConsensusError::NotInitialised);
        }
        Err(ConsensusError::NoReplica { group })
    }

    pub(crate) fn running(&self) -> Vec<Arc<Replica>> {
        self.replicas.read().values().map(Arc::clone).collect()
    }

    pub(crate) fn add_running(&self, replica: Arc<Replica>) {
        self.replicas.write().insert(replica.group, replica);
        self.leadership.send_modify(|version| *version += 1);
    }

    pub(crate) fn take_running(&self) -> Vec<Arc<Replica>> {
        std::mem::take(&mut *self.replicas.write()).into_values().collect()
    }

    /// Whether a replica of the group is neither running nor on its way; if so, it now is on its way.
    pub(crate) fn begin_start(&self, group: GroupId) -> bool {
        !self.replicas.read().contains_key(&group) && self.starting.lock().insert(group)
    }

    pub(crate) fn end_start(&self, group: GroupId) {
        self.starting.lock().remove(&group);
    }

    /// The replica of a group that the log of this node knows.
    pub(crate) fn replica_in_log(&self, group: GroupId) -> Result<Option<ReplicaId>, ConsensusError> {
        for replica in self.log.replicas() {
            if crate::log::read_vote(&self.log, replica)?.0 == Some(group) {
                return Ok(Some(replica));
            }
        }
        Ok(None)
    }

    pub(crate) fn envelope(&self, target: Option<Target>, body: Body) -> Bytes {
        self.envelope_with(self.cluster(), target, body)
    }

    /// An envelope for a cluster that this node need not be in yet.
    pub(crate) fn envelope_for(&self, cluster: ClusterId, target: Option<Target>, body: Body) -> Bytes {
        self.envelope_with(Some(cluster), target, body)
    }

    fn envelope_with(&self, cluster: Option<ClusterId>, target: Option<Target>, body: Body) -> Bytes {
        let envelope = Envelope {
            cluster: cluster.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
            from_node: self.id.as_u32(),
            map_version: self.directory.load().map_version(),
            target,
            lease_ms: self.timing.lease_ms(),
            body: Some(body),
        };
        envelope.encode_to_vec().into()
    }

    /// Calls another node. A refusal is an error.
    pub(crate) async fn call(
        &self,
        to: &Peer,
        target: Option<Target>,
        body: Body,
        timeout: Duration,
    ) -> Result<Reply, ConsensusError> {
        let message = self.envelope(target, body);
        self.call_with(to, message, timeout).await
    }

    pub(crate) async fn call_with(
        &self,
        to: &Peer,
        message: Bytes,
        timeout: Duration,
    ) -> Result<Reply, ConsensusError> {
        let answer = self.transport.call(to, message, timeout).await;
        let answer = answer.map_err(|source| ConsensusError::Peer { node: to.node, source })?;
        read_answer(answer).map_err(|refusal| {
            if refusal == Refusal::OtherLease {
                self.lease_refused.call_once(|| {
                    tracing::error!(by = %to.node, %refusal, "this node is not heard: compare `timing` in both configurations");
                });
            }
            ConsensusError::Refused { node: to.node, refusal }
        })
    }

    /// Checks a message of another node: the cluster, that its sender is who its connection proves, and that both keep
    /// the same lease.
    pub(crate) fn check_sender(&self, from: NodeId, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.from_node != from.as_u32() {
            return Err(Refusal::OtherNode);
        }
        let cluster = self.cluster().ok_or(Refusal::OtherCluster)?;
        if envelope.cluster.as_ref() != cluster.as_bytes() {
            return Err(Refusal::OtherCluster);
        }
        self.check_lease(envelope)
    }

    pub(crate) fn check_lease(&self, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.lease_ms == self.timing.lease_ms() { Ok(()) } else { Err(Refusal::OtherLease) }
    }

    /// The running replica that a message is for.
    pub(crate) fn check_target(&self, target: Target, map_version: u64) -> Result<Arc<Replica>, Refusal> {
        let group = u16::try_from(target.group).ok().and_then(|number| GroupId::from_u16(number).ok());
        let group = group.ok_or(Refusal::Malformed)?;
        let replica = self.replicas.read().get(&group).map(Arc::clone).ok_or(Refusal::NoReplica)?;
        if replica.id.as_u64() != target.replica {
            return Err(Refusal::NoReplica);
        }
        // A sender under an older map than the one that placed the replica cannot know it.
        if map_version < replica.since { Err(Refusal::OldMap) } else { Ok(replica) }
    }
}

/// This node's copy of the directory.
#[derive(Debug)]
pub(crate) struct DirectoryCell {
    current: ArcSwap<Directory>,
    changed: watch::Sender<u64>,
}

impl DirectoryCell {
    pub(crate) fn new(directory: Directory) -> Self {
        Self { current: ArcSwap::from_pointee(directory), changed: watch::Sender::new(0) }
    }

    pub(crate) fn load(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads it again. What cannot be read leaves the old copy in place.
    pub(crate) fn reload(&self, engine: &dyn StateEngine) {
        match Directory::load(engine) {
            Ok(directory) => {
                if *self.current.load_full() != directory {
                    self.current.store(Arc::new(directory));
                    self.changed.send_modify(|version| *version += 1);
                }
            }
            Err(error) => tracing::error!(%error, "the directory cannot be read, the last copy stays"),
        }
    }
}

/// Durable flushes of the engine, one at a time.
#[derive(Debug)]
pub(crate) struct Flusher {
    engine: Arc<dyn StateEngine>,
    turn: tokio::sync::Mutex<()>,
}

impl Flusher {
    pub(crate) fn new(engine: Arc<dyn StateEngine>) -> Self {
        Self { engine, turn: tokio::sync::Mutex::new(()) }
    }

    pub(crate) async fn flush(&self) -> Result<(), ConsensusError> {
        let _turn = self.turn.lock().await;
        let engine = Arc::clone(&self.engine);
        let flushed = tokio::task::spawn_blocking(move || engine.flush()).await;
        Ok(flushed.map_err(|_gone| ConsensusError::Stopped)??)
    }
}
