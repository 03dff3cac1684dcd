//! The public interface of consensus: what the server calls.
//!
//! ```text
//!            propose ─► group commit queue ─► Raft group ─► shared log ─► apply ─► state engine
//!       read_barrier ─► read lease, or a round to a majority; then the caller reads the engine itself
//! handle_call,
//! handle_exchange    ─► Raft groups of this node            (what other nodes send)
//!        directory() ─► this node's copy of the directory
//! ```
//! This object owns every task that it starts; all have ended when [`Consensus::shutdown`] returns.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId};
use custodia_seal::ClusterId;
use custodia_store::{StateChecksums, StateEngine, StoreError};
use futures::stream::BoxStream;
use tokio::sync::watch;

use crate::cluster::node::Node;
use crate::cluster::{bootstrap, supervisor};
use crate::command::{Command, Outcome};
use crate::directory::Directory;
use crate::error::ConsensusError;
use crate::options::{ConsensusOptions, ReadMode};
use crate::replica::{GroupStatus, Leadership, StoppedReplica};
use crate::serve;
use crate::served::{ReadBarrier, ServedState};
use crate::transport::{Peer, TransportError};

/// All Raft groups of one node.
pub struct Consensus {
    pub(crate) node: Arc<Node>,
    state: Arc<dyn StateEngine>,
}

impl fmt::Debug for Consensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consensus").field("node", &self.node.context.id()).finish_non_exhaustive()
    }
}

impl Consensus {
    /// Starts this node. If it belongs to a cluster, its replica of the directory starts at once, and its replicas of shards
    /// as the directory says. Returns before they have leaders. A replica that has lost its state is first rebuilt from
    /// another node.
    ///
    /// # Errors
    /// If the engine or the log cannot be read.
    pub async fn start(options: ConsensusOptions) -> Result<Arc<Self>, ConsensusError> {
        Self::start_node(Node::open(options)?).await
    }

    pub(crate) async fn start_node(node: Arc<Node>) -> Result<Arc<Self>, ConsensusError> {
        // What was applied before the start is durable from here on.
        node.context.storage.flush().await?;
        supervisor::start(&node)?;
        let state = Arc::new(ServedState::new(Arc::clone(&node)));
        Ok(Arc::new(Self { node, state }))
    }

    /// Creates a cluster of `nodes`, which must include this one. After an interruption, call it again with the same
    /// parameters. Returns when the directory is written; shortly afterwards the shards have leaders.
    ///
    /// # Errors
    /// [`ConsensusError::InvalidShape`]; [`ConsensusError::AlreadyInitialised`], which names the node that is not empty;
    /// [`ConsensusError::OtherShape`] if the cluster exists with other parameters; [`ConsensusError::Peer`] if a node does
    /// not answer.
    pub async fn init_cluster(
        &self,
        nodes: Vec<Peer>,
        shards: u16,
        replicas: u8,
    ) -> Result<ClusterId, ConsensusError> {
        bootstrap::init_cluster(&self.node, nodes, shards, replicas).await
    }

    /// The cluster that this node belongs to, if any.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.node.cluster()
    }

    /// This node's copy of the directory. Cheap. On the node that leads the directory it includes every proposal that has
    /// returned; elsewhere it may be some milliseconds behind.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.node.context.storage.directory.load()
    }

    /// Changes whenever this copy of the directory is replaced.
    #[must_use]
    pub fn directory_changed(&self) -> watch::Receiver<u64> {
        self.node.context.storage.directory.changed()
    }

    /// Proposes a command to a group that this node leads, and waits until it is applied here. Concurrent proposals share a
    /// log entry.
    ///
    /// # Errors
    /// [`ConsensusError::Timeout`] means that the outcome is unknown. All others mean that the command was not applied:
    /// [`ConsensusError::NotLeader`], [`ConsensusError::NoQuorum`], [`ConsensusError::Overloaded`], ….
    pub async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError> {
        self.node.replica(group)?.propose(command, deadline).await
    }

    /// Begins a verification of a group that this node leads: every replica computes the checksums of what it has stored, as
    /// of the entry at the index that is returned. See [`Consensus::checksums`].
    ///
    /// # Errors
    /// As for [`Consensus::propose`].
    pub async fn begin_verification(&self, group: GroupId, deadline: Instant) -> Result<u64, ConsensusError> {
        self.node.replica(group)?.propose_verification(deadline).await
    }

    /// The checksums of this node's replica as of the verification at this index, once they are there. `None` if there are none:
    /// the replica cannot read its state, or a later verification has begun.
    ///
    /// # Errors
    /// [`ConsensusError::NoReplica`]; [`ConsensusError::Timeout`]: not yet.
    pub async fn checksums(
        &self,
        group: GroupId,
        index: u64,
        deadline: Instant,
    ) -> Result<Option<Arc<StateChecksums>>, ConsensusError> {
        let verifier = self.node.replica(group)?.verifier.clone();
        verifier.checksums(index, deadline).await
    }

    /// Declares the state of this node's replica lost, so that it is rebuilt from its log or from another node. `index` is the
    /// verification that showed that its state is not that of the others: a replica that was rebuilt since has not seen it, and
    /// stays. Other replicas in the same partition of the state are rebuilt with it.
    ///
    /// # Errors
    /// [`ConsensusError::NoReplica`].
    pub fn replace_replica(&self, group: GroupId, index: u64) -> Result<(), ConsensusError> {
        let replica = self.node.replica(group)?;
        if !replica.verifier.is_last(index) {
            return Err(ConsensusError::NoReplica { group });
        }
        replica.state.lose(&StoreError::Differs { group });
        Ok(())
    }

    /// On `Ok`, reads of the engine see every write acknowledged before the call, as long as [`ReadBarrier::check`] passes
    /// after them. The barrier relies on a lease only if both `mode` and [`ConsensusOptions::read_mode`] allow it.
    ///
    /// # Errors
    /// [`ConsensusError::NotLeader`], [`ConsensusError::NoQuorum`], [`ConsensusError::NoReplica`].
    pub async fn read_barrier(
        &self,
        group: GroupId,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<ReadBarrier, ConsensusError> {
        let replica = self.node.replica(group)?;
        replica.read_barrier(mode, deadline).await?;
        Ok(ReadBarrier::new(replica.state.clone()))
    }

    /// Whether this machine's clocks have run steadily for the last `span`: a lease may be measured by them.
    #[must_use]
    pub fn clocks_were_steady_for(&self, span: Duration) -> bool {
        self.node.context.clock.steady_for(span)
    }

    /// The state of the replicas that run here, for reads behind a barrier. For a group without one it refuses.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn StateEngine> {
        &self.state
    }

    /// The leader of a group, if this node's replica knows one.
    #[must_use]
    pub fn leader(&self, group: GroupId) -> Option<NodeId> {
        self.node.replica(group).ok()?.leadership().leader
    }

    /// Whether this node leads a group.
    #[must_use]
    pub fn is_leader(&self, group: GroupId) -> bool {
        self.node.replica(group).is_ok_and(|replica| replica.leadership().leading)
    }

    /// The leadership of a group as this node's replica sees it, and its changes. `None` without a running replica.
    #[must_use]
    pub fn leadership(&self, group: GroupId) -> Option<watch::Receiver<Leadership>> {
        Some(self.node.replica(group).ok()?.leadership_watch())
    }

    /// Changes whenever the leadership of any group on this node changes, and when a replica starts. See
    /// [`Consensus::group_statuses`] and [`Consensus::leadership`] for the current state.
    #[must_use]
    pub fn leadership_changed(&self) -> watch::Receiver<u64> {
        self.node.context.leadership.subscribe()
    }

    /// The state of all groups with a running replica here.
    #[must_use]
    pub fn group_statuses(&self) -> Vec<GroupStatus> {
        self.node.replicas.all().iter().map(|replica| replica.status()).collect()
    }

    /// The replicas of this node that do not run, and why.
    #[must_use]
    pub fn stopped_replicas(&self) -> Vec<StoppedReplica> {
        self.node.replicas.stopped()
    }

    /// Answers a call from another node. `from` is the sender that the connection proves.
    pub async fn handle_call(&self, from: NodeId, body: Bytes) -> Bytes {
        serve::call::handle(&self.node, from, body).await
    }

    /// Answers an exchange with another node. `from` is the sender that the connection proves.
    pub async fn handle_exchange(
        &self,
        from: NodeId,
        input: BoxStream<'static, Result<Bytes, TransportError>>,
    ) -> BoxStream<'static, Bytes> {
        serve::exchange::handle(&self.node, from, input).await
    }

    /// Returns when this node has failed, because its engine, its log or a part of consensus has. Its replicas have stopped or
    /// are about to, and only a new process starts them again.
    pub async fn failed(&self) -> ConsensusError {
        self.node.context.lifecycle.failed.cancelled().await;
        self.node.why_failed()
    }

    /// Hands leadership over within a bounded time, stops all groups and makes the state durable. Later proposals get
    /// [`ConsensusError::Stopped`]. May be called twice.
    pub async fn shutdown(&self) {
        supervisor::stop(&self.node).await;
    }
}
